"""Consumers over HTTP: how they are configured. What they are handed is in deliveries.py."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Metadata, Nothing, given_fields, or_none
from springline.api.errors import refused_field
from springline.api.lists import Listed, ListQuery, page
from springline.api.routing import Call, Route, answer, created, no_content
from springline.api.values import nearest, nearest_collection
from springline.domain.consumers import ANY, Consumer, StartAt, parse_deliver_policy
from springline.domain.ids import new_id, parse_id
from springline.store.consumers import NewConsumer

_NO_STREAM: Final = "is not the id of a stream of this organisation"

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
AckWait = Annotated[
    int, Meta(ge=1, le=604_800_000, description="Not acknowledged by then (milliseconds): delivered again.")
]
MaxDeliver = Annotated[
    int,
    Meta(
        ge=-1,
        le=2_147_483_647,
        description="Deliveries before a message is given up for this consumer; -1: never.",
        extra={"says": "-1, or a whole number of at least 1"},
    ),
]
MaxAckPending = Annotated[int, Meta(ge=1, le=100_000, description="Messages out and not acknowledged, at most.")]
Passing = str | Annotated[list[str], Meta(min_length=1, max_length=1000)]


class Filters(Body):
    """What a consumer is handed: all must match. `*` passes everything; a list passes each of its members."""

    provider: Passing = ANY
    sync_id: Passing = ANY
    collection_id: Passing = ANY

    ignored: ClassVar[Mapping[str, Any]] = {"resource_id": ANY}


class CreateConsumer(Body):
    stream_id: uuid.UUID
    name: Name | None = None
    kind: Literal["record", "event"] = "record"
    deliver_policy: Annotated[
        str,
        Meta(
            description="Where it starts: `all`, `new`, `last`, a duration such as `1h`, or a time.",
            examples=["all", "new", "1h"],
        ),
    ] = "all"
    ack_wait_ms: AckWait = 30_000
    max_deliver: MaxDeliver = -1
    max_ack_pending: MaxAckPending = 1000
    filters: Filters = msgspec.field(default_factory=Filters)
    metadata: Metadata = msgspec.field(default_factory=dict)

    renamed: ClassVar[Mapping[str, str]] = {
        "ack_wait": "ack_wait_ms",
        "filter_collection_id": "filters.collection_id",
    }


class UpdateConsumer(Body):
    name: Name | UnsetType = UNSET
    status: Literal["active", "paused"] | UnsetType = UNSET
    ack_wait_ms: AckWait | UnsetType = UNSET
    max_deliver: MaxDeliver | UnsetType = UNSET
    max_ack_pending: MaxAckPending | UnsetType = UNSET
    filters: Filters | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET

    renamed: ClassVar[Mapping[str, str]] = CreateConsumer.renamed
    refused: ClassVar[Mapping[str, str]] = {
        "stream_id": "cannot change; create another consumer",
        "kind": "cannot change; create another consumer",
        "deliver_policy": "only says where a new consumer starts; `POST …/reset` moves this one",
    }


class ListConsumers(ListQuery):
    stream_id: uuid.UUID | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class ConsumerObject(msgspec.Struct, frozen=True, kw_only=True):
    """A named reader of a stream, with its filter and its ack policy."""

    id: uuid.UUID
    org_id: uuid.UUID
    stream_id: uuid.UUID
    name: str
    kind: Literal["record", "event"]
    status: Literal["active", "paused"]
    deliver_policy: str
    ack_wait_ms: int
    max_deliver: int
    max_ack_pending: int
    filters: dict[str, str | list[str]]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


async def create_consumer(call: Call[CreateConsumer, Nothing]) -> Response:
    """Create a consumer."""
    stream_id: uuid.UUID | None = call.draft.get("stream_id")
    if stream_id is not None and await call.services.streams.get(call.org_id, stream_id) is None:
        call.problems.add("stream_id", _NO_STREAM)
    start = _check_policy(call)
    _check_max_deliver(call)
    if call.draft.get("kind") == "event":
        call.problems.add("kind", "`event` is not available in this version; use `record`")
    filters = await _check_filters(call, stream_id)
    body = call.body
    new = NewConsumer(
        stream_id=body.stream_id,
        name=body.name or f"consumer-{new_id().hex[-8:]}",
        kind=body.kind,
        deliver_policy=body.deliver_policy,
        ack_wait_ms=body.ack_wait_ms,
        max_deliver=body.max_deliver,
        max_ack_pending=body.max_ack_pending,
        filters=filters,
        metadata=body.metadata,
    )
    consumer = await call.services.consumers.create(call.org_id, new, start)
    if consumer is None:
        raise refused_field("stream_id", _NO_STREAM)
    return created(consumer_object(consumer), f"/v1/http-consumers/{consumer.consumer_id}")


async def list_consumers(call: Call[Nothing, ListConsumers]) -> Response:
    """List consumers, by stream and metadata."""
    query = call.query
    rows = await call.services.consumers.list(
        call.org_id,
        stream_id=or_none(query.stream_id),
        metadata=or_none(query.metadata),
        after=query.after,
        limit=query.limit + 1,
    )
    return answer(page(rows, query.limit, key=lambda consumer: consumer.consumer_id, show=consumer_object))


async def get_consumer(call: Call[Nothing, Nothing]) -> Response:
    """Get a consumer."""
    return answer(consumer_object(await _find(call)))


async def update_consumer(call: Call[UpdateConsumer, Nothing]) -> Response:
    """Change a consumer. Fields left out stay; `filters` is replaced as a whole.

    Filters apply to what is delivered from then on; running deliveries stay valid.
    """
    consumer = await _find(call)
    _check_max_deliver(call)
    filters = await _check_filters(call, consumer.stream_id)
    changes = given_fields(call.body)
    if "filters" in changes:
        changes["filters"] = filters
    changes = {name: value for name, value in changes.items() if getattr(consumer, name) != value}
    if changes:
        changed = await call.services.consumers.update(call.org_id, consumer.consumer_id, changes)
        if changed is None:
            raise call.not_found("consumer")
        consumer = changed
    return answer(consumer_object(consumer))


async def delete_consumer(call: Call[Nothing, Nothing]) -> Response:
    """Delete a consumer with its position and everything that it was handed."""
    if not await call.services.consumers.delete(call.org_id, call.path_id("consumer")):
        raise call.not_found("consumer")
    call.services.wake_maintenance()
    return no_content()


def consumer_object(consumer: Consumer) -> ConsumerObject:
    """A consumer as it is answered."""
    return ConsumerObject(
        id=consumer.consumer_id,
        org_id=consumer.org_id,
        stream_id=consumer.stream_id,
        name=consumer.name,
        kind=consumer.kind,
        status=consumer.status,
        deliver_policy=consumer.deliver_policy,
        ack_wait_ms=consumer.ack_wait_ms,
        max_deliver=consumer.max_deliver,
        max_ack_pending=consumer.max_ack_pending,
        filters=consumer.filters,
        metadata=consumer.metadata,
        created_at=consumer.created_at,
        updated_at=consumer.updated_at,
    )


async def _find(call: Call[Any, Any]) -> Consumer:
    consumer = await call.services.consumers.get(call.org_id, call.path_id("consumer"))
    if consumer is None:
        raise call.not_found("consumer")
    return consumer


def _check_policy(call: Call[CreateConsumer, Any]) -> StartAt:
    try:
        return parse_deliver_policy(call.draft.get("deliver_policy", "all"), datetime.now(UTC))
    except ValueError as error:
        call.problems.add("deliver_policy", str(error))
        return StartAt(place="beginning")


def _check_max_deliver(call: Call[Any, Any]) -> None:
    if call.draft.get("max_deliver") == 0:
        call.problems.add("max_deliver", "must be -1, or a whole number of at least 1")


async def _check_filters(call: Call[Any, Any], stream_id: uuid.UUID | None) -> dict[str, Any]:
    """The filters as they are stored; what is wrong with them goes into the call's problems."""
    draft: dict[str, str | list[str]] = call.draft.get("filters", {})
    filters = {name: draft.get(name, ANY) for name in ("provider", "sync_id", "collection_id")}
    providers = call.services.providers
    collections = [provider.collection_id(each) for provider in providers.values() for each in provider.collections]
    for value in _values(filters["provider"]):
        if value != ANY and value not in providers:
            call.problems.add("filters.provider", f"holds `{value}`, which is unknown{nearest(value, providers)}")
    for value in _values(filters["collection_id"]):
        if value != ANY and value not in collections:
            hint = nearest_collection(value, collections)
            call.problems.add("filters.collection_id", f"holds `{value}`, which is unknown{hint}")
    filters["sync_id"] = await _check_sync_ids(call, filters["sync_id"], stream_id)
    return filters


async def _check_sync_ids(call: Call[Any, Any], given: str | list[str], stream_id: uuid.UUID | None) -> str | list[str]:
    parsed = {value: parse_id(value) for value in _values(given) if value != ANY}
    known = await call.services.syncs.streams_of(call.org_id, [each for each in parsed.values() if each is not None])
    for value, sync_id in parsed.items():
        if sync_id not in known:
            call.problems.add("filters.sync_id", f"holds `{value}`, which is not the id of a sync of this organisation")
        elif stream_id is not None and known[sync_id] != stream_id:
            call.problems.add("filters.sync_id", f"holds `{value}`, a sync that writes to another stream")
    # In one spelling: they are compared as texts.
    return [value.lower() for value in given] if isinstance(given, list) else given.lower()


def _values(given: str | list[str]) -> list[str]:
    return given if isinstance(given, list) else [given]


routes = (
    Route("POST", "/v1/http-consumers", create_consumer, answers=ConsumerObject, status=201),
    Route("GET", "/v1/http-consumers", list_consumers, answers=Listed[ConsumerObject]),
    Route("GET", "/v1/http-consumers/{id}", get_consumer, answers=ConsumerObject),
    Route("PATCH", "/v1/http-consumers/{id}", update_consumer, answers=ConsumerObject),
    Route("DELETE", "/v1/http-consumers/{id}", delete_consumer, status=204),
)
