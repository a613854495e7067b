"""API tokens of the organisation that asks."""

from springline.client.connection import Connection, segment
from springline.client.objects import Listing, Token


class Tokens:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> Listing[Token]:
        return await self._connection.listing("/v1/tokens", Token)

    async def create(self, name: str) -> Token:
        """`name` says what it is for. The answer alone holds the token itself: keep it."""
        return await self._connection.post("/v1/tokens", {"name": name}, Token)

    async def delete(self, token_id: str) -> None:
        await self._connection.request("DELETE", f"/v1/tokens/{segment(token_id)}")
