"""The event log of a stream: what happened to its records."""

from msgspec import UNSET, Raw, Struct, UnsetType

from springline.client.connection import Answer, Connection
from springline.client.objects import Event, Events


class _Page(Struct):
    events: list[Raw]
    cursor: str


class EventReads:
    """Every method raises ClientError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(
        self,
        *,
        stream_id: str,
        sync_id: str | UnsetType = UNSET,
        collection_id: str | UnsetType = UNSET,
        after_cursor: str | UnsetType = UNSET,
        limit: int | UnsetType = UNSET,
    ) -> Events:
        """The next entries in the log's order, one for each change. A cursor belongs to its filters; an answer may hold
        none although its cursor has moved: then there may be more."""
        query = {
            "stream_id": stream_id,
            "sync_id": sync_id,
            "collection_id": collection_id,
            "after_cursor": after_cursor,
            "limit": limit,
        }
        answer = await self._connection.request("GET", "/v1/events", query=query)
        page = self._connection.decode(answer, _Page)
        found = [self._connection.read(Answer(200, {}, bytes(part)), Event) for part in page.events]
        events = Events(events=found, cursor=page.cursor)
        events.raw = answer.body
        return events
