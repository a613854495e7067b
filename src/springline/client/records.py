"""Records, read without a consumer: the reader keeps the cursor."""

from msgspec import UNSET, Raw, Struct, UnsetType

from springline.client.connection import Answer, Connection, segment
from springline.client.objects import Event, Listing, Record, Records


class _Page(Struct):
    records: list[Raw]
    cursor: str


class RecordReads:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, record_id: str) -> Record:
        return await self._connection.get(f"/v1/records/{segment(record_id)}", Record)

    async def history(self, record_id: str) -> Listing[Event]:
        """What happened to it, newest first, as far as the stream keeps it."""
        return await self._connection.listing(f"/v1/records/{segment(record_id)}/history", Event)

    async def refresh(self, record_id: str) -> Record:
        """Has it read again at its provider, at once; the record as it is then."""
        return await self._connection.post(f"/v1/records/{segment(record_id)}/refresh", {}, Record)

    async def read(
        self,
        *,
        stream_id: str,
        sync_id: str | UnsetType = UNSET,
        collection_id: str | UnsetType = UNSET,
        after_cursor: str | UnsetType = UNSET,
        limit: int | UnsetType = UNSET,
    ) -> Records:
        """The next records in the stream's order, each once, in its newest version. A cursor belongs to its filters."""
        query = {
            "stream_id": stream_id,
            "sync_id": sync_id,
            "collection_id": collection_id,
            "after_cursor": after_cursor,
            "limit": limit,
        }
        answer = await self._connection.request("GET", "/v1/records", query=query)
        page = self._connection.decode(answer, _Page)
        found = [self._connection.read(Answer(200, {}, bytes(part)), Record) for part in page.records]
        records = Records(records=found, cursor=page.cursor)
        records.raw = answer.body
        return records
