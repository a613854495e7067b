"""Reading a stream's records without a consumer, keeping the cursor oneself."""

import uuid
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from starlette.responses import Response

from springline.api.bodies import Nothing
from springline.api.routing import Call, Route
from springline.api.stream_reads import StreamQuery, begin_reading
from springline.domain.records import parse_record_id
from springline.engine.deliveries import MOST_BYTES
from springline.store.records import StreamPlace


class RecordSync(msgspec.Struct, frozen=True, kw_only=True):
    """The sync that a record comes from."""

    id: uuid.UUID
    external_id: str | None
    metadata: dict[str, Any]


class RecordObject(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of one object of an API. `data` is what the API sent, unaltered."""

    id: uuid.UUID
    stream_id: uuid.UUID
    sync_id: uuid.UUID
    provider: str
    collection_id: str
    sync: RecordSync
    upstream_id: str
    updated_idx: int
    deleted: bool
    deleted_reason: Literal["upstream", "aged_out", "collection_removed", "sync_deleted"] | None
    upstream_created_at: datetime | None
    upstream_updated_at: datetime | None
    inserted_at: datetime
    data: dict[str, Any]


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """`cursor` is where to go on; with nothing new, the one that was sent."""

    records: list[RecordObject]
    cursor: str


class FoundRecord(NamedTuple):
    """A record of this organisation by its numbers; whether it is still there is not known yet."""

    place: StreamPlace
    record_no: int


async def list_records(call: Call[Nothing, StreamQuery]) -> Response:
    """Read the records of a stream in order, each once, as of now."""
    reading = await begin_reading(call)
    place = reading.place
    rows = await call.services.records.list_versions(
        place.stream_no,
        after_idx=reading.after_idx,
        head_idx=place.head_idx,
        limit=call.query.limit,
        source_nos=reading.source_nos,
        most_bytes=MOST_BYTES,
        overhead_bytes=call.services.encoder.overhead_bytes(),
    )
    records = await call.services.encoder.encode(place.stream_no, place.stream_id, rows)
    reached = rows[-1]["idx"] if rows else reading.after_idx
    body = b'{"records":[%s],"cursor":"%s"}' % (b",".join(records), reading.cursor(reached))
    return Response(body, media_type="application/json")


async def get_record(call: Call[Nothing, Nothing]) -> Response:
    """Get the newest version of one record."""
    found = await find_record(call)
    stream_no, stream_id = found.place.stream_no, found.place.stream_id
    row = await call.services.records.current_version(stream_no, found.record_no)
    if row is None:
        raise call.not_found("record")
    records = await call.services.encoder.encode(stream_no, stream_id, [row])
    return Response(records[0], media_type="application/json")


async def find_record(call: Call[Any, Any]) -> FoundRecord:
    """The record whose id stands in the path, if its stream is this organisation's. Raises Refused (404)."""
    numbers = parse_record_id(call.path_id("record"))
    if numbers is None:
        raise call.not_found("record")
    place = await call.services.records.stream_by_number(call.org_id, numbers[0])
    if place is None:
        raise call.not_found("record")
    return FoundRecord(place, numbers[1])


routes = (
    Route("GET", "/v1/records", list_records, answers=Records),
    Route("GET", "/v1/records/{id}", get_record, answers=RecordObject),
)
