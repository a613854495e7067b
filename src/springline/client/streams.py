"""Streams: the durable queues of records."""

from msgspec import UNSET, UnsetType

from springline.client.connection import Connection, segment
from springline.client.objects import Listing, Stream


class Streams:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> Listing[Stream]:
        return await self._connection.listing("/v1/streams", Stream)

    async def get(self, stream_id: str) -> Stream:
        return await self._connection.get(f"/v1/streams/{segment(stream_id)}", Stream)

    async def create(
        self,
        slug: str,
        *,
        event_retention_days: float | UnsetType = UNSET,
        tombstone_days: float | UnsetType = UNSET,
    ) -> Stream:
        body = {"slug": slug, "event_retention_days": event_retention_days, "tombstone_days": tombstone_days}
        return await self._connection.post("/v1/streams", body, Stream)

    async def update(
        self,
        stream_id: str,
        *,
        slug: str | UnsetType = UNSET,
        event_retention_days: float | UnsetType = UNSET,
        tombstone_days: float | UnsetType = UNSET,
    ) -> Stream:
        """Fields left out stay as they are."""
        body = {"slug": slug, "event_retention_days": event_retention_days, "tombstone_days": tombstone_days}
        return await self._connection.patch(f"/v1/streams/{segment(stream_id)}", body, Stream)

    async def delete(self, stream_id: str) -> None:
        await self._connection.request("DELETE", f"/v1/streams/{segment(stream_id)}")
