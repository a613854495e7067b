"""The event log over HTTP: what happened to the records of a stream, and to one of them."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from springline.api.bodies import Nothing
from springline.api.errors import refused_field
from springline.api.lists import ListQuery, encode_cursor
from springline.api.records import RecordObject, find_record
from springline.api.routing import Call, Route
from springline.api.stream_reads import StreamQuery, begin_reading
from springline.domain.records import parse_event_id
from springline.engine.events import event_uuid, joined


class EventObject(RecordObject, frozen=True, kw_only=True):
    """One change of a record, with the version that it made (of a deletion: the last known). `changes` maps each
    top-level field that an update changed to its value before (null: it was not there); it is null where that is not
    kept any more. `evidence` is what proves a deletion in the API."""

    event_id: uuid.UUID
    event: Literal["created", "updated", "deleted"]
    changes: dict[str, Any] | None
    detected_by: Literal["backfill", "poll", "feed", "webhook", "sweep", "audit", "mutation", "configuration"]
    evidence: Literal["event", "sweep+read", "sweep"] | None
    event_inserted_at: datetime


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """`cursor` is where to go on; with nothing new, the one that was sent."""

    events: list[EventObject]
    cursor: str


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. `next_cursor` null: there is no more."""

    data: list[EventObject]
    next_cursor: str | None


async def list_events(call: Call[Nothing, StreamQuery]) -> Response:
    """Read the event log of a stream in order: one entry per change, as long as the stream keeps them.

    Where hardly any entry passes the filters, an answer may hold none although there are more: its cursor has moved.
    """
    reading = await begin_reading(call, what="events")
    read = await call.services.events.read(
        reading.place, after_idx=reading.after_idx, limit=call.query.limit, source_nos=reading.source_nos
    )
    body = b'{"events":%s,"cursor":"%s"}' % (joined(read.events), reading.cursor(read.reached_idx))
    return Response(body, media_type="application/json")


async def get_history(call: Call[Nothing, ListQuery]) -> Response:
    """List what happened to one record, newest first, as far as the stream keeps it."""
    found = await find_record(call)
    store = call.services.event_store
    after = call.query.after
    from_idx = await store.newest_idx(found.place.stream_no, found.record_no)
    if from_idx is None:
        raise call.not_found("record")
    if after is not None:
        numbers = parse_event_id(after)
        if numbers is None or numbers[0] != found.place.stream_no:
            raise refused_field("cursor", "is no cursor that this list gave out")
        from_idx = await store.idx_before(found.place.stream_no, found.record_no, numbers[1])
    limit = call.query.limit
    events = []
    if from_idx is not None:
        events = await call.services.events.history(found.place, from_idx=from_idx, limit=limit)
    next_cursor = b"null"
    if events:
        last = event_uuid(events[-1])
        before = parse_event_id(last)
        assert before is not None
        if await store.idx_before(found.place.stream_no, found.record_no, before[1]) is not None:
            next_cursor = b'"%s"' % encode_cursor(last).encode()
    return Response(b'{"data":%s,"next_cursor":%s}' % (joined(events), next_cursor), media_type="application/json")


routes = (
    Route("GET", "/v1/events", list_events, answers=Events),
    Route("GET", "/v1/records/{id}/history", get_history, answers=EventList),
)
