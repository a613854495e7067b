"""Collections: what can be synced with one credential."""

from springline.client.connection import Connection, segment
from springline.client.objects import Collection, CollectionRefresh, Listing


class Collections:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self, credential_id: str) -> Listing[Collection]:
        return await self._connection.listing(_path(credential_id), Collection)

    async def get(self, credential_id: str, collection_id: str) -> Collection:
        return await self._connection.get(f"{_path(credential_id)}/{segment(collection_id)}", Collection)

    async def refresh(self, credential_id: str) -> CollectionRefresh:
        """Has it looked at again what the credential can see."""
        return await self._connection.post(f"{_path(credential_id)}/refresh/start", {}, CollectionRefresh)

    async def refresh_status(self, credential_id: str) -> CollectionRefresh:
        return await self._connection.get(f"{_path(credential_id)}/refresh/status", CollectionRefresh)


def _path(credential_id: str) -> str:
    return f"/v1/collections/{segment(credential_id)}"
