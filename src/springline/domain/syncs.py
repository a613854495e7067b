"""Syncs: keep these collections of this credential flowing into that stream."""

import uuid
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from springline.domain.durations import parse_duration

Status = Literal["active", "disabled"]

#: As often as is useful inside the rate limit.
CONTINUOUS: Final = "continuous"


class CollectionProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one collection of a sync has come. What is not known yet is None; `poll_interval_seconds` is the one in
    force; `waiting_for` says what the next request waits for."""

    phase: str = "backfill"
    records: int = 0
    requests: int = 0
    poll_interval_seconds: float | None = None
    lag_seconds: float | None = None
    last_sweep_completed_at: datetime | None = None
    eta: datetime | None = None
    waiting_for: str | None = None


class Sync(msgspec.Struct, frozen=True, kw_only=True):
    """A sync as it is configured, with what the worker last said of it (`health` and `progress`: None before)."""

    sync_no: int
    sync_id: uuid.UUID
    org_id: uuid.UUID
    provider: str
    stream_no: int
    stream_id: uuid.UUID
    credential_no: int
    name: str
    status: Status
    collection_ids: list[str]
    rate_limit: dict[str, Any]
    max_age_days: float | None
    sync_frequency: str
    priority: int
    collection_priorities: dict[str, int]
    metadata: dict[str, Any]
    external_id: str | None
    initial_backfill_completed_at: datetime | None
    health: dict[str, Any] | None
    progress: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


def parse_frequency(text: str) -> timedelta | None:
    """How long a sync pauses between two looks; None: `continuous`. Raises ValueError with a sentence's end."""
    if text == CONTINUOUS:
        return None
    duration = parse_duration(text)
    if duration is None:
        raise ValueError("must be `continuous` or a duration of at most ten years such as `30m`, `4h` or `1d`")
    return duration


def read_progress(stored: object, collection_ids: list[str]) -> dict[str, CollectionProgress]:
    """The progress of each collection; what the worker has not written yet, or not well, is as at the start."""
    by_collection = stored if isinstance(stored, dict) else {}
    progress = {}
    for collection_id in collection_ids:
        try:
            progress[collection_id] = msgspec.convert(by_collection.get(collection_id, {}), CollectionProgress)
        except msgspec.ValidationError:
            progress[collection_id] = CollectionProgress()
    return progress
