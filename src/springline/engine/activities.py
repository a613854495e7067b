"""What a sync's collections do or wait for, as it is told: the words of an explanation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from springline.engine.quotas import WindowUse
from springline.engine.request_log import RequestMade

Reason = Literal["disabled", "lease", "database", "credential", "held", "provider", "fault", "quota"]
Doing = Literal["backfill", "poll", "sweep", "idle", "stopped"]

#: What stops more, or needs somebody, is said first.
_RANKS: Final[Sequence[Reason]] = (
    "disabled",
    "lease",
    "database",
    "credential",
    "held",
    "fault",
    "provider",
    "quota",
)


class Pause(NamedTuple):
    """Why a work was put off, since when (monotonic), and what to do, in whole sentences."""

    reason: Reason
    since: float
    says: str


class WorkStanding(NamedTuple):
    """One work of a running sync. `collection_id` None: it is for all that the feed tells of. `started_at` None: it is
    not running. Times are monotonic."""

    name: str
    collection_id: str | None
    due_at: float
    started_at: float | None
    pause: Pause | None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What is waited for, since when and until when (null: not known), and what to do about it."""

    waiting_for: Reason
    since: datetime | None
    until: datetime | None
    says: str


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What one collection does; `until`: when it goes on, if it does nothing now."""

    doing: Doing
    since: datetime | None
    until: datetime | None
    says: str
    waits: tuple[Waiting, ...] = ()


class QuotaUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the running window of the sync's own limit holds: `by_purpose` adds up to `used`; `before`: what a former
    worker may have used. `limits` are all that its requests draw on, the provider's included."""

    allowed_requests: int
    interval: float
    max_concurrent_requests: int
    used: int
    by_purpose: dict[str, int]
    limits: tuple[WindowUse, ...] = ()


class RunExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker that runs a sync knows of it. `fault`: why it could not take it up; else None."""

    collections: dict[str, Activity] = {}
    requests: list[RequestMade] = []
    quota: QuotaUse | None = None
    fault: str | None = None


def with_waits(activity: Activity, waits: Sequence[Waiting]) -> Activity:
    """The activity with more that is waited for, each said once, what matters most first."""
    unique = {(each.waiting_for, each.says): each for each in (*activity.waits, *waits)}
    ranked = sorted(unique.values(), key=lambda each: _RANKS.index(each.waiting_for))
    return msgspec.structs.replace(activity, waits=tuple(ranked))


def as_sentence(words: str) -> str:
    """Somebody's words, ended as a sentence."""
    return words if words.endswith((".", "!", "?")) else f"{words}."
