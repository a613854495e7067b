"""Reading a stream's records without a consumer, keeping the cursor oneself."""

import base64
import struct
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import xxhash
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Nothing
from springline.api.routing import Call, Route
from springline.domain.records import parse_record_id
from springline.engine.deliveries import MOST_BYTES

_CURSOR = struct.Struct(">QQ")


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


class RecordsQuery(Body):
    stream_id: uuid.UUID
    sync_id: uuid.UUID | UnsetType = UNSET
    collection_id: str | UnsetType = UNSET
    after_cursor: (
        Annotated[str, Meta(max_length=64, description="The `cursor` of the answer before, with the same filters.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many records at most.")] = 1000


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """`cursor` is where to go on; with nothing new, the one that was sent."""

    records: list[RecordObject]
    cursor: str


async def list_records(call: Call[Nothing, RecordsQuery]) -> Response:
    """Read the records of a stream in order, each once, as of now."""
    draft = call.query_draft
    store = call.services.records
    stream_id = draft.get("stream_id")
    sync_id = draft.get("sync_id")
    place = None
    if isinstance(stream_id, uuid.UUID):
        place = await store.stream(call.org_id, stream_id)
        if place is None:
            call.problems.add("stream_id", f"there is no stream {stream_id}")
    if isinstance(sync_id, uuid.UUID) and not await store.sync_exists(call.org_id, sync_id):
        call.problems.add("sync_id", f"there is no sync {sync_id}")
    after_idx = 0
    filters = _filters_print(draft)
    if isinstance(draft.get("after_cursor"), str):
        cursor = _decode_cursor(draft["after_cursor"])
        if cursor is None:
            call.problems.add("after_cursor", "is no cursor that this endpoint gave out")
        elif cursor[1] != filters:
            call.problems.add("after_cursor", "belongs to other filters; begin without one, or use the same filters")
        else:
            after_idx = cursor[0]
    query = call.query
    assert place is not None
    source_nos = None
    if query.sync_id is not UNSET or query.collection_id is not UNSET:
        source_nos = await store.find_sources(
            place.stream_no,
            sync_id=query.sync_id if isinstance(query.sync_id, uuid.UUID) else None,
            collection_id=query.collection_id if isinstance(query.collection_id, str) else None,
        )
    rows = await store.list_versions(
        place.stream_no,
        after_idx=after_idx,
        head_idx=place.head_idx,
        limit=query.limit,
        source_nos=source_nos,
        most_bytes=MOST_BYTES,
        overhead_bytes=call.services.encoder.overhead_bytes(),
    )
    records = await call.services.encoder.encode(place.stream_no, place.stream_id, rows)
    reached = rows[-1]["idx"] if rows else after_idx
    cursor_text = _CURSOR.pack(reached, filters)
    body = b'{"records":[%s],"cursor":"%s"}' % (b",".join(records), base64.urlsafe_b64encode(cursor_text).rstrip(b"="))
    return Response(body, media_type="application/json")


async def get_record(call: Call[Nothing, Nothing]) -> Response:
    """Get the newest version of one record."""
    numbers = parse_record_id(call.path_id("record"))
    if numbers is None:
        raise call.not_found("record")
    stream_no, record_no = numbers
    place = await call.services.records.stream_by_number(call.org_id, stream_no)
    row = None if place is None else await call.services.records.current_version(stream_no, record_no)
    if place is None or row is None:
        raise call.not_found("record")
    records = await call.services.encoder.encode(stream_no, place.stream_id, [row])
    return Response(records[0], media_type="application/json")


def _filters_print(draft: dict[str, Any]) -> int:
    text = "\0".join(str(draft.get(name, "")) for name in ("stream_id", "sync_id", "collection_id"))
    return xxhash.xxh3_64_intdigest(text.encode())


def _decode_cursor(text: str) -> tuple[int, int] | None:
    """(index, print of the filters); None for what is no cursor of ours."""
    try:
        idx, filters = _CURSOR.unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, struct.error):
        return None
    return (idx, filters) if idx < 2**63 else None


routes = (
    Route("GET", "/v1/records", list_records, answers=Records),
    Route("GET", "/v1/records/{id}", get_record, answers=RecordObject),
)
