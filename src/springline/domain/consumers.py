"""Consumers: named readers with a filter and an ack policy."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from springline.domain.durations import parse_duration

Status = Literal["active", "paused"]
Kind = Literal["record", "event"]
FilterName = Literal["provider", "sync_id", "collection_id"]

FILTER_NAMES: Final[tuple[FilterName, ...]] = ("provider", "sync_id", "collection_id")
#: Passes everything.
ANY: Final = "*"


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer's settings. `filters` stand as the client wrote them."""

    consumer_no: int
    consumer_id: uuid.UUID
    org_id: uuid.UUID
    stream_no: int
    stream_id: uuid.UUID
    name: str
    kind: Kind
    status: Status
    deliver_policy: str
    ack_wait_ms: int
    max_deliver: int
    max_ack_pending: int
    filters: dict[str, Any]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class StartAt(msgspec.Struct, frozen=True, kw_only=True):
    """Where a new consumer starts: at the beginning, at the end, at the newest message, at the first message that
    entered at or after a time, or that long ago."""

    place: Literal["beginning", "end", "newest", "time"]
    time: datetime | None = None


def parse_deliver_policy(text: str, now: datetime) -> StartAt:
    """What a `deliver_policy` says. Raises ValueError with a sentence's end."""
    places: dict[str, StartAt] = {
        "all": StartAt(place="beginning"),
        "new": StartAt(place="end"),
        "last": StartAt(place="newest"),
    }
    if text in places:
        return places[text]
    ago = parse_duration(text)
    time = now - ago if ago is not None else _parse_time(text)
    if time is None:
        raise ValueError(
            "must be `all`, `new`, `last`, a duration such as `1h`, or a time such as `2026-01-31T12:00:00Z`"
        )
    if time > now + timedelta(minutes=1):
        raise ValueError("lies in the future; use `new` for what comes from now on")
    return StartAt(place="time", time=time)


def narrowed_filter(filters: dict[str, Any]) -> dict[str, list[str]] | None:
    """A filter as receive wants it: only what is restricted, as lists; None: everything passes."""
    narrowed: dict[str, list[str]] = {}
    for name in FILTER_NAMES:
        value = filters.get(name, ANY)
        values = value if isinstance(value, list) else [value]
        if ANY not in values:
            narrowed[name] = [str(each) for each in values]
    return narrowed or None


def _parse_time(text: str) -> datetime | None:
    try:
        time = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return time.astimezone(UTC) if time.tzinfo is not None else None
