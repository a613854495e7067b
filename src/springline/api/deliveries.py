"""Receive, ack, nack, extend, reset: what a consumer does all day."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Nothing
from springline.api.records import RecordObject
from springline.api.routing import Call, Route, no_content
from springline.api.values import printable
from springline.engine.deliveries import MOST_PENDING, ConsumerPlace
from springline.store.deliveries import Verb

MOST_TOKENS = 10_000

BatchSize = Annotated[int, Meta(ge=1, le=1000, description="How many messages at most.")]
WaitFor = Annotated[
    int, Meta(ge=0, le=60_000, description="How many milliseconds to wait until there is at least one message.")
]
Tokens = Annotated[
    list[Annotated[str, Meta(max_length=64)]],
    Meta(min_length=1, max_length=MOST_TOKENS, description="The `ack_token` of each message."),
]


class ReceiveQuery(Body):
    batch_size: BatchSize = 1
    wait_for: WaitFor = 0


class ReceiveBody(Body):
    batch_size: BatchSize | UnsetType = UNSET
    wait_for: WaitFor | UnsetType = UNSET


class AckTokens(Body):
    ack_tokens: Tokens


class NackTokens(Body):
    ack_tokens: Tokens
    delay_ms: (
        Annotated[int, Meta(ge=0, le=86_400_000, description="When they are available again.")] | UnsetType | None
    ) = UNSET


class TermTokens(Body):
    ack_tokens: Tokens
    reason: Annotated[str, Meta(min_length=1, max_length=1000, description="Why, for whoever looks at dead letters.")]


class ResetTo(Body):
    to: Annotated[
        int | str,
        Meta(
            description="`beginning`, `end`, a time (of `inserted_at`), or the first `updated_idx` to deliver.",
            extra={"says": "`beginning`, `end`, a time such as `2026-01-31T12:00:00Z`, or an `updated_idx`"},
        ),
    ]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A record at its place in the stream, handed out until its ack, nack or deadline."""

    ack_token: str
    deliver_count: int
    record: RecordObject


class ReceiveInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`num_pending` is 0 if and only if nothing is left to deliver; above 10,000 it is 10000 and capped."""

    num_pending: Annotated[int, Meta(le=MOST_PENDING)]
    num_ack_pending: int
    num_pending_capped: Literal[True] | UnsetType = UNSET


class Received(msgspec.Struct, frozen=True, kw_only=True):
    data: list[Message]
    info: ReceiveInfo


async def receive(call: Call[Nothing, ReceiveQuery]) -> Response:
    """Receive messages. Waits until there is at least one, then takes what is there, up to `batch_size`."""
    return await _receive(call, call.query.batch_size, call.query.wait_for)


async def receive_by_post(call: Call[ReceiveBody, ReceiveQuery]) -> Response:
    """Receive messages, with the parameters in the body."""
    body, query = call.body, call.query
    return await _receive(
        call,
        query.batch_size if body.batch_size is UNSET else body.batch_size,
        query.wait_for if body.wait_for is UNSET else body.wait_for,
    )


async def ack(call: Call[AckTokens, Nothing]) -> Response:
    """Acknowledge messages: they are done. Stale tokens are skipped and counted in `X-Stale-Ack-Tokens`."""
    return await _settle(call, "ack", call.body.ack_tokens)


async def nack(call: Call[NackTokens, Nothing]) -> Response:
    """Give messages back: available again at once, or after `delay_ms`."""
    delay_ms = call.body.delay_ms
    return await _settle(call, "nack", call.body.ack_tokens, delay_ms=delay_ms if isinstance(delay_ms, int) else None)


async def extend(call: Call[AckTokens, Nothing]) -> Response:
    """Start the ack wait of messages anew."""
    return await _settle(call, "extend", call.body.ack_tokens)


async def term(call: Call[TermTokens, Nothing]) -> Response:
    """Give messages up: they are not delivered again, but kept as dead letters, with the reason."""
    return await _settle(call, "term", call.body.ack_tokens, reason=call.body.reason)


async def reset(call: Call[ResetTo, Nothing]) -> Response:
    """Move the consumer: what comes after the place is delivered (again). Running deliveries end first."""
    consumer = await consumer_place(call)
    to = call.draft.get("to")
    position: int | None = None
    at_us: int | None = None
    if to == "beginning":
        position = 0
    elif isinstance(to, int) and 0 <= to < 2**63:
        position = max(0, to - 1)
    elif isinstance(to, str) and to != "end":
        time = _parse_time(to)
        if time is not None:
            at_us = int(time.timestamp() * 1_000_000)
    if "to" in call.draft and to != "end" and position is None and at_us is None:
        call.problems.add(
            "to", "must be `beginning`, `end`, a time such as `2026-01-31T12:00:00Z`, or an `updated_idx`"
        )
    call.problems.raise_if_any()
    await call.services.deliveries.reset(consumer, position=position, at_us=at_us)
    return no_content()


async def _receive(call: Call[Any, Any], batch_size: int, wait_for_ms: int) -> Response:
    consumer = await consumer_place(call)
    received = await call.services.deliveries.receive(
        consumer,
        batch_size=batch_size,
        wait_seconds=wait_for_ms / 1000,
        is_gone=call.request.is_disconnected,
        receiver=_receiver(call),
    )
    return Response(received.body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _receiver(call: Call[Any, Any]) -> str:
    """Who asks, as far as a request says: its address, and the first words of its User-Agent."""
    host = call.request.client.host if call.request.client is not None else "?"
    agent = " ".join(call.request.headers.get("user-agent", "").split()[:1])
    return printable(f"{host} {agent}".strip())


async def _settle(
    call: Call[Any, Any], verb: Verb, tokens: list[str], *, delay_ms: int | None = None, reason: str | None = None
) -> Response:
    consumer = await consumer_place(call)
    stale = await call.services.deliveries.settle(verb, consumer, tokens, delay_ms=delay_ms, reason=reason)
    response = no_content()
    response.headers["X-Stale-Ack-Tokens"] = str(stale)
    return response


async def consumer_place(call: Call[Any, Any]) -> ConsumerPlace:
    """The consumer in the path, looked up once per process: its numbers never change, and whether it still exists is
    seen where its row is locked."""
    consumer_id = call.path_id("consumer")
    places = call.services.deliveries.places
    key: tuple[uuid.UUID, uuid.UUID] = (call.org_id, consumer_id)
    place = places.get(key)
    if place is None:
        consumer = await call.services.consumers.get(call.org_id, consumer_id)
        if consumer is None:
            raise call.not_found("consumer")
        place = ConsumerPlace(consumer.consumer_no, consumer.stream_no, consumer.stream_id)
        if len(places) >= _MOST_PLACES:
            places.clear()
        places[key] = place
    return place


_MOST_PLACES = 100_000


def _parse_time(text: str) -> datetime | None:
    try:
        time = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return time if time.tzinfo is not None else None


_CONSUMER = "/v1/http-consumers/{id}"

routes = (
    *(
        route
        for verb in ("next", "receive")
        for route in (
            Route(
                "GET",
                f"{_CONSUMER}/{verb}",
                receive,
                answers=Received,
                refuses=("consumer.too_many_receivers",),
                head=False,
            ),
            Route(
                "POST",
                f"{_CONSUMER}/{verb}",
                receive_by_post,
                answers=Received,
                refuses=("consumer.too_many_receivers",),
            ),
        )
    ),
    Route("POST", f"{_CONSUMER}/ack", ack, status=204),
    Route("POST", f"{_CONSUMER}/nack", nack, status=204),
    Route("POST", f"{_CONSUMER}/extend", extend, status=204),
    Route("POST", f"{_CONSUMER}/term", term, status=204),
    Route("POST", f"{_CONSUMER}/reset", reset, status=204),
)
