"""Explains a sync that runs here, from its works, its requests under way and its quota."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from springline.engine.activities import (
    Activity,
    Doing,
    Pause,
    QuotaUse,
    RunExplanation,
    Waiting,
    WorkStanding,
    as_sentence,
    with_waits,
)
from springline.engine.quotas import NOT_RECORDED, Priority, SyncQuota, WindowUse
from springline.engine.request_log import UnderWay
from springline.engine.session import CollectionSession, SyncSession

#: The sync's own limit, and what closes when the provider does not say of what there was too much.
_OWN: Final = "rate_limit"
_WHOLE: Final = "credential"


def explain_run(session: SyncSession, works: Sequence[WorkStanding], *, dead: Pause | None) -> RunExplanation:
    """Explains a running sync from its works, the requests under way and the quota. `dead`: its credential is."""
    clock = _Clock()
    under_way = list(session.fetcher.recent.under_way)
    everywhere: list[Waiting] = []
    if not session.fetcher.may_start():
        everywhere.append(
            Waiting(
                waiting_for="lease",
                since=None,
                until=None,
                says="The lease of the worker that runs it is about to end and was not renewed: most likely that "
                "worker cannot reach the database. It goes on by itself once it can, or another worker takes over.",
            )
        )
    if dead is not None:
        next_at = min((work.due_at for work in works if work.started_at is None), default=clock.now)
        everywhere.append(_waiting(dead, until=clock.time(next_at), clock=clock))
    activities = {}
    for collection_id, part in session.collections.items():
        own = [work for work in works if _is_for(work, part)]
        waits = [*everywhere, *_pauses(own, clock), *_requests_waiting(session, own, under_way, clock)]
        activities[collection_id] = with_waits(_activity(part, own, clock), waits)
    return RunExplanation(
        collections=activities, requests=session.fetcher.recent.list(), quota=quota_use(session.quota)
    )


def quota_use(quota: SyncQuota) -> QuotaUse:
    """How the limits stand that the sync's requests draw on."""
    windows = _limits(quota)
    own = windows.get(_OWN)
    return QuotaUse(
        allowed_requests=quota.limit.allowed_requests,
        interval=quota.limit.interval,
        max_concurrent_requests=quota.limit.max_concurrent_requests,
        used=own.used if own is not None else quota.used(),
        by_purpose=own.used_by if own is not None else {},
        limits=tuple(windows.values()),
    )


def _limits(quota: SyncQuota) -> dict[str, WindowUse]:
    """The sync's own limit and those that it shares, by names that mean something; not those of other syncs."""
    named: dict[str, WindowUse] = {}
    for window in quota.credential.snapshot().windows:
        is_own = window.name == f"sync:{quota.sync_no}"
        if is_own or not window.name.startswith("sync:"):
            name = _OWN if is_own else window.name.partition("/")[2] or _WHOLE
            if name != _WHOLE or window.closed_seconds:
                named[name] = msgspec.structs.replace(window, name=name)
    return named


class _Clock:
    """Monotonic times as times of day."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._wall = datetime.now(UTC)

    def time(self, at: float) -> datetime | None:
        """None for what lies at infinity."""
        if abs(at) == float("inf"):
            return None
        return self._wall + timedelta(seconds=at - self.now)

    def future(self, at: float) -> datetime | None:
        """None also for what is past."""
        return self.time(at) if at > self.now else None


def _is_for(work: WorkStanding, part: CollectionSession) -> bool:
    if work.collection_id is None:
        return part.collection.feed is not None
    return work.collection_id == part.collection_id


def _pauses(works: Iterable[WorkStanding], clock: _Clock) -> list[Waiting]:
    return [_waiting(work.pause, until=clock.future(work.due_at), clock=clock) for work in works if work.pause]


def _waiting(pause: Pause, *, until: datetime | None, clock: _Clock) -> Waiting:
    return Waiting(waiting_for=pause.reason, since=clock.time(pause.since), until=until, says=pause.says)


def _requests_waiting(
    session: SyncSession, works: Sequence[WorkStanding], under_way: Iterable[UnderWay], clock: _Clock
) -> list[Waiting]:
    """A request that has no permit yet waits for the quota, for the time that the provider named, or for the database,
    which records what is used ahead of its use."""
    names = {work.name for work in works}
    waiting = [one for one in under_way if one.sent_at is None and one.work in names]
    if not waiting:
        return []
    since = min(one.asked_at for one in waiting)
    limits = [limit for limit in _limits(session.quota).values() if limit.waiting]
    closed = max(
        (limit for limit in limits if limit.closed_because), key=lambda limit: limit.closed_seconds, default=None
    )
    if closed is not None and closed.closed_because == NOT_RECORDED:
        says = (
            "Requests are recorded ahead of their use, and the database has not done so yet. They go on by themselves."
        )
        return [Waiting(waiting_for="database", since=clock.time(since), until=None, says=says)]
    title = session.provider.title
    if closed is not None:
        slowed = session.fetcher.slowed
        if slowed is not None and slowed[0] > clock.now:
            since = slowed[1]
        return [
            Waiting(
                waiting_for="provider",
                since=clock.time(since),
                until=clock.time(clock.now + closed.closed_seconds),
                says=f"{title} asked for a pause: {as_sentence(closed.closed_because or '')} It is asked again by "
                "itself; nothing is to be done, unless it happens again and again: then lower the sync's rate_limit.",
            )
        ]
    is_bulk = all(Priority[one.purpose].is_bulk for one in waiting)
    next_at = session.quota.next_start_at(bulk=is_bulk)
    return [
        Waiting(
            waiting_for="quota",
            since=clock.time(since),
            until=None if next_at is None else clock.time(next_at),
            says=_used_up(limits, session, is_bulk=is_bulk),
        )
    ]


def _used_up(limits: Sequence[WindowUse], session: SyncSession, *, is_bulk: bool) -> str:
    """Names the limit that lets the next request wait longest."""
    full = [limit for limit in limits if limit.free_in_seconds is None or limit.free_in_seconds > 0]
    limit = max(full, key=lambda limit: limit.free_in_seconds or float("inf"), default=None)
    title = session.provider.title
    if limit is None and is_bulk:
        return (
            "Backfills and sweeps keep an even pace, so that what is more urgent finds the quota free. They go on by "
            "themselves; a higher rate_limit makes them faster."
        )
    if limit is None or limit.name == _OWN:
        own = session.quota.limit
        return (
            f"The quota of {_requests(own.allowed_requests)} in any {own.interval:g} s is used up for now. It goes on "
            f"by itself; a higher rate_limit makes it faster, as far as {title} allows it."
        )
    return (
        f"What {title} allows is used up for now: {_requests(limit.allowed_requests)} in any {limit.interval:g} s "
        f"({limit.name}). It goes on by itself; other syncs of the same account share this limit."
    )


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def _activity(part: CollectionSession, works: Sequence[WorkStanding], clock: _Clock) -> Activity:
    """What is running for a collection: a first walk before a sweep before a poll."""
    running = {work.name.partition(":")[0]: work for work in works if work.started_at is not None}
    counted = f"{part.records:,} records so far" if part.records != 1 else "1 record so far"
    first = f"It is read for the first time: {counted}."
    if part.phase != "backfill":
        first = "Parents were added or have changed: their lists are read."
    named: tuple[tuple[str, Doing, str], ...] = (
        ("backfill", "backfill", first),
        ("sweep", "sweep", "It is walked over, to find what is gone and what no event reported."),
        ("ids", "sweep", "Its ids are walked over, to find what is new and what is gone."),
        ("feed", "poll", "The provider is asked what has changed."),
        ("poll", "poll", "The provider is asked what has changed."),
    )
    for name, doing, says in named:
        if name in running:
            started_at = running[name].started_at
            assert started_at is not None
            return Activity(doing=doing, since=clock.time(started_at), until=None, says=says)
    next_at = min((work.due_at for work in works), default=float("inf"))
    says = "Nothing is to be done now; it is asked again by itself."
    if part.phase == "backfill":
        says = "It was not read to its end yet; that goes on by itself."
    if next_at <= clock.now:
        says = "It is due, and waits for its turn: sweeps go one at a time."
        return Activity(doing="idle", since=clock.time(next_at), until=None, says=says)
    return Activity(doing="idle", since=None, until=clock.time(next_at), says=says)
