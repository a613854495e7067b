"""Providers: the APIs that can be synced, described."""

from springline.client.connection import Connection, segment
from springline.client.objects import Listing, Provider


class Providers:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> Listing[Provider]:
        return await self._connection.listing("/v1/providers", Provider)

    async def get(self, name: str) -> Provider:
        return await self._connection.get(f"/v1/providers/{segment(name)}", Provider)
