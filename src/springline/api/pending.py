"""What a consumer has out, and what it gave up: for whoever asks why messages do not come."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Nothing
from springline.api.deliveries import consumer_place
from springline.api.errors import refused_field
from springline.api.lists import Listed, ListQuery, encode_cursor
from springline.api.records import RecordObject
from springline.api.routing import Call, Route, answer
from springline.domain.records import parse_record_id, record_id
from springline.engine.deliveries import MOST_BYTES, MOST_REDRIVEN, ConsumerPlace
from springline.store.database import Row
from springline.store.records import SourceDescription

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class PendingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message in flight. `state`: `out` until its deadline; `late` after it, so that the next receive hands it out
    again; `waiting`, since it was given back: available from its deadline on. `newer`: its record has changed since,
    and the newer version follows."""

    record_id: uuid.UUID
    sync_id: uuid.UUID | None
    collection_id: str | None
    upstream_id: str | None
    updated_idx: int
    state: Literal["out", "late", "waiting"]
    deliver_count: int
    first_delivered_at: datetime | None
    last_delivered_at: datetime | None
    deadline: datetime
    receiver: Annotated[str | None, Meta(description="The address and the User-Agent that it was handed to last.")]
    newer: bool


class PendingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`stopped`: nothing more is delivered, since `max_ack_pending` messages are in flight; `stopped_by`: the one of
    them that was handed out first."""

    num_ack_pending: int
    max_ack_pending: int
    paused: bool
    stopped: bool
    stopped_by: PendingMessage | None


class PendingList(msgspec.Struct, frozen=True, kw_only=True):
    """Messages in flight, in the order in which their records were made."""

    data: list[PendingMessage]
    next_cursor: str | None
    info: PendingInfo


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up. `updated_idx`: its version. `record`: the record as it is now (null: it has left);
    `superseded`: that is a newer version."""

    record_id: uuid.UUID
    updated_idx: int
    deliver_count: int
    reason: Annotated[str, Meta(description="`max_deliver`, or what `term` was told.")]
    given_up_at: datetime
    superseded: bool
    record: RecordObject | None


class Redrive(Body):
    record_ids: (
        Annotated[
            list[uuid.UUID], Meta(min_length=1, max_length=MOST_REDRIVEN, description="Only these; default: all.")
        ]
        | UnsetType
    ) = UNSET


class Redriven(msgspec.Struct, frozen=True, kw_only=True):
    """`redriven` dead letters are messages again, which count as in flight."""

    redriven: Annotated[int, Meta(le=MOST_REDRIVEN)]


async def list_pending(call: Call[Nothing, ListQuery]) -> Response:
    """List the messages in flight of a consumer, and say whether they stop its delivery."""
    place = await consumer_place(call)
    store = call.services.delivery_store
    after, limit = _after(call, place), call.query.limit
    standing = await store.standing(place.stream_no, place.consumer_no)
    if standing is None:
        raise call.not_found("consumer")
    rows = await store.list_pending(place.stream_no, place.consumer_no, after=after, limit=limit + 1)
    oldest: Sequence[Row] = ()
    if standing.oldest is not None:
        oldest = await store.list_pending(place.stream_no, place.consumer_no, after=standing.oldest - 1, limit=1)
    sources = await call.services.records.describe_sources(
        place.stream_no, list({row["source_no"] for row in (*rows, *oldest) if row["source_no"] is not None})
    )
    shown = rows[:limit]
    last = record_id(place.stream_no, shown[-1]["record_no"]) if len(rows) > limit else None
    info = PendingInfo(
        num_ack_pending=standing.ack_pending,
        max_ack_pending=standing.max_ack_pending,
        paused=standing.paused,
        stopped=standing.ack_pending >= standing.max_ack_pending,
        stopped_by=_message(place, oldest[0], sources) if oldest else None,
    )
    return answer(
        PendingList(
            data=[_message(place, row, sources) for row in shown],
            next_cursor=None if last is None else encode_cursor(last),
            info=info,
        ),
        headers={"Cache-Control": "no-store"},
    )


async def list_dead_letters(call: Call[Nothing, ListQuery]) -> Response:
    """List the messages that were given up for a consumer, each with the reason and its record as it is now."""
    place = await consumer_place(call)
    store = call.services.delivery_store
    after, limit = _after(call, place), call.query.limit
    if await store.standing(place.stream_no, place.consumer_no) is None:
        raise call.not_found("consumer")
    rows = await store.list_dead_letters(
        place.stream_no,
        place.consumer_no,
        after=after,
        limit=limit + 1,
        most_bytes=MOST_BYTES,
        overhead_bytes=call.services.encoder.overhead_bytes(),
    )
    shown = rows[:limit]
    there = [row for row in shown if row["idx"] is not None]
    encoded = iter(await call.services.encoder.encode(place.stream_no, place.stream_id, there))
    letters = [_letter(place, row, next(encoded) if row["idx"] is not None else b"null") for row in shown]
    more = len(rows) > limit or (bool(rows) and rows[0]["more"])
    cursor = b'"%s"' % encode_cursor(record_id(place.stream_no, shown[-1]["record_no"])).encode() if more else b"null"
    body = b'{"data":[%s],"next_cursor":%s}' % (b",".join(letters), cursor)
    return Response(body, media_type="application/json")


async def redrive(call: Call[Redrive, Nothing]) -> Response:
    """Deliver dead letters again: each in the current version of its record. At most 10,000 at once."""
    place = await consumer_place(call)
    record_ids = call.draft.get("record_ids")
    record_nos: list[int] | None = None
    if record_ids is not None:
        numbers = [parse_record_id(each) for each in record_ids]
        if any(each is None or each[0] != place.stream_no for each in numbers):
            call.problems.add("record_ids", "holds an id that is none of a record of the consumer's stream")
        record_nos = [each[1] for each in numbers if each is not None]
    call.problems.raise_if_any()
    return answer(Redriven(redriven=await call.services.deliveries.redrive(place, record_nos)))


def _after(call: Call[Any, ListQuery], place: ConsumerPlace) -> int:
    """The record number above which the page begins. Raises Refused (422)."""
    after = call.query.after
    if after is None:
        return -1
    numbers = parse_record_id(after)
    if numbers is None or numbers[0] != place.stream_no:
        raise refused_field("cursor", "is no cursor that this list gave out")
    return numbers[1]


def _message(place: ConsumerPlace, row: Row, sources: Mapping[int, SourceDescription]) -> PendingMessage:
    source = sources.get(row["source_no"])
    state: Literal["out", "late", "waiting"] = "late" if row["overdue"] else "out"
    return PendingMessage(
        record_id=record_id(place.stream_no, row["record_no"]),
        sync_id=source.sync_id if source is not None else None,
        collection_id=source.collection_id if source is not None else None,
        upstream_id=row["upstream_id"],
        updated_idx=row["idx"],
        state="waiting" if row["delivery_no"] == 0 else state,
        deliver_count=row["deliver_count"],
        first_delivered_at=_time(row["first_us"]),
        last_delivered_at=_time(row["last_us"]),
        deadline=_EPOCH + timedelta(microseconds=row["deadline_us"]),
        receiver=row["receiver"],
        newer=bool(row["newer"]),
    )


def _letter(place: ConsumerPlace, row: Row, record: bytes) -> bytes:
    fields = {
        "record_id": record_id(place.stream_no, row["record_no"]),
        "updated_idx": row["dead_idx"],
        "deliver_count": row["deliver_count"],
        "reason": row["reason"],
        "given_up_at": _time(row["buried_us"]),
        "superseded": row["idx"] is not None and row["idx"] > row["dead_idx"],
    }
    return msgspec.json.encode(fields)[:-1] + b',"record":' + record + b"}"


def _time(us: int | None) -> datetime | None:
    return None if us is None else _EPOCH + timedelta(microseconds=us)


_CONSUMER = "/v1/http-consumers/{id}"

routes = (
    Route("GET", f"{_CONSUMER}/pending", list_pending, answers=PendingList),
    Route("GET", f"{_CONSUMER}/dead-letters", list_dead_letters, answers=Listed[DeadLetter]),
    Route("POST", f"{_CONSUMER}/dead-letters/redrive", redrive, answers=Redriven),
)
