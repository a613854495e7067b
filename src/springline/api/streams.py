"""Streams over HTTP."""

import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Nothing, given_fields
from springline.api.lists import Listed, ListQuery, page
from springline.api.routing import Call, Route, answer, created, no_content
from springline.domain.errors import Refused
from springline.domain.numbers import tidy
from springline.domain.streams import SLUG, Stream
from springline.store.streams import SlugTaken, StreamInUse

Slug = Annotated[
    str,
    Meta(
        pattern=SLUG,
        description="Unique in the organisation.",
        examples=["crm"],
        extra={"says": "1 to 63 characters of a–z, 0–9, _ and -, beginning with a letter or digit"},
    ),
]
RetentionDays = Annotated[
    float, Meta(ge=0, le=36500, description="How long each change stays in the event log; 0: no history is kept.")
]
TombstoneDays = Annotated[
    float, Meta(ge=0, le=36500, description="How long a deleted record stays before it leaves without a message.")
]


class CreateStream(Body):
    slug: Slug
    event_retention_days: RetentionDays = 7
    tombstone_days: TombstoneDays = 30


class UpdateStream(Body):
    slug: Slug | UnsetType = UNSET
    event_retention_days: RetentionDays | UnsetType = UNSET
    tombstone_days: TombstoneDays | UnsetType = UNSET


class StreamObject(msgspec.Struct, frozen=True, kw_only=True):
    """A durable queue of records: syncs write it, consumers read it."""

    id: uuid.UUID
    slug: str
    org_id: uuid.UUID
    head_idx: Annotated[int, Meta(description="The newest place in the stream.")]
    record_count: Annotated[int, Meta(description="Records that are not deleted.")]
    sync_count: int
    consumer_count: int
    event_retention_days: float
    tombstone_days: float
    created_at: datetime
    updated_at: datetime


async def create_stream(call: Call[CreateStream, Nothing]) -> Response:
    """Create a stream."""
    try:
        stream = await call.services.streams.create(call.org_id, **msgspec.structs.asdict(call.body))
    except SlugTaken as error:
        raise _slug_taken(error) from None
    return created(stream_object(stream), f"/v1/streams/{stream.stream_id}")


async def list_streams(call: Call[Nothing, ListQuery]) -> Response:
    """List streams."""
    query = call.query
    rows = await call.services.streams.list(call.org_id, after=query.after, limit=query.limit + 1)
    return answer(page(rows, query.limit, key=lambda stream: stream.stream_id, show=stream_object))


async def get_stream(call: Call[Nothing, Nothing]) -> Response:
    """Get a stream."""
    stream = await call.services.streams.get(call.org_id, call.path_id("stream"))
    if stream is None:
        raise call.not_found("stream")
    return answer(stream_object(stream))


async def update_stream(call: Call[UpdateStream, Nothing]) -> Response:
    """Change a stream's slug or how long it keeps things. Fields left out stay."""
    stream_id = call.path_id("stream")
    if await call.services.streams.get(call.org_id, stream_id) is None:
        raise call.not_found("stream")
    try:
        stream = await call.services.streams.update(call.org_id, stream_id, given_fields(call.body))
    except SlugTaken as error:
        raise _slug_taken(error) from None
    if stream is None:
        raise call.not_found("stream")
    return answer(stream_object(stream))


async def delete_stream(call: Call[Nothing, Nothing]) -> Response:
    """Delete a stream with its records and its consumers. A stream that syncs write to cannot be deleted."""
    try:
        found = await call.services.streams.delete(call.org_id, call.path_id("stream"))
    except StreamInUse:
        raise Refused(
            "stream.in_use", "syncs write to this stream, or their records are still leaving it; delete them first"
        ) from None
    if not found:
        raise call.not_found("stream")
    call.services.wake_maintenance()
    return no_content()


def stream_object(stream: Stream) -> StreamObject:
    """A stream as it is answered."""
    return StreamObject(
        id=stream.stream_id,
        slug=stream.slug,
        org_id=stream.org_id,
        head_idx=stream.head_idx,
        record_count=stream.record_count,
        sync_count=stream.sync_count,
        consumer_count=stream.consumer_count,
        event_retention_days=tidy(stream.event_retention_days),
        tombstone_days=tidy(stream.tombstone_days),
        created_at=stream.created_at,
        updated_at=stream.updated_at,
    )


def _slug_taken(error: SlugTaken) -> Refused:
    return Refused("stream.slug_taken", f"another stream has the slug {error.args[0]!r}; choose another")


routes = (
    Route("POST", "/v1/streams", create_stream, answers=StreamObject, status=201, refuses=("stream.slug_taken",)),
    Route("GET", "/v1/streams", list_streams, answers=Listed[StreamObject]),
    Route("GET", "/v1/streams/{id}", get_stream, answers=StreamObject),
    Route("PATCH", "/v1/streams/{id}", update_stream, answers=StreamObject, refuses=("stream.slug_taken",)),
    Route("DELETE", "/v1/streams/{id}", delete_stream, status=204, refuses=("stream.in_use",)),
)
