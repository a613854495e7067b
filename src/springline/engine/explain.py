"""Why a sync is where it is: what each collection does or waits for, in sentences with what to do.

The run of a sync knows best; where it runs in another process, the database knows less.
"""

import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from springline.domain.health import PartHealth, SyncHealth
from springline.domain.syncs import CollectionProgress, Sync, read_progress
from springline.engine.quotas import SyncQuota
from springline.engine.request_log import RequestMade, UnderWay
from springline.engine.session import CollectionSession, SyncSession
from springline.store.holds import DeletionHeld, HoldStore
from springline.store.leases import Holder, LeaseStore

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
    """Starts of requests that the running window holds. `by_purpose` adds up to `used`; `other`: what is older than the
    requests that are remembered, or was started by a former worker."""

    allowed_requests: int
    interval: float
    max_concurrent_requests: int
    used: int
    by_purpose: dict[str, int]


class RunExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker that runs a sync knows of it. `fault`: why it could not take it up; else None."""

    collections: dict[str, Activity] = {}
    requests: list[RequestMade] = []
    quota: QuotaUse | None = None
    fault: str | None = None


class SyncExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a sync. `worker_no`: who holds its credential's lease. `quota` None and no requests: only the
    database was asked. `requests`: newest first."""

    sync_id: uuid.UUID
    as_of: datetime
    worker_no: int | None
    collections: dict[str, Activity]
    requests: list[RequestMade]
    quota: QuotaUse | None


#: Asks the run of a sync in this process; None: it does not run here.
Here = Callable[[int], RunExplanation | None]
#: Asks a worker of another process (worker number, sync number); None: it does not answer.
Elsewhere = Callable[[int, int], Awaitable[RunExplanation | None]]


def runs_elsewhere(sync_no: int) -> RunExplanation | None:
    """For a process without a worker."""
    return None


async def nobody_answers(worker_no: int, sync_no: int) -> RunExplanation | None:
    """Until there is a way to ask a worker of another process."""
    return None


class Explainer:
    """Says why a sync is where it is."""

    def __init__(
        self,
        leases: LeaseStore,
        holds: HoldStore,
        *,
        here: Here = runs_elsewhere,
        # The way to the holder of a credential's lease in another process is plugged in here.
        elsewhere: Elsewhere = nobody_answers,
    ) -> None:
        self._leases = leases
        self._holds = holds
        self._here = here
        self._elsewhere = elsewhere

    async def explain(self, sync: Sync) -> SyncExplanation:
        """What the sync does or waits for. Raises the errors of `database.UNAVAILABLE`."""
        now = datetime.now(UTC)
        holder = await self._leases.find_holder(sync.sync_no)
        run: RunExplanation | None = None
        if sync.status == "active" and holder.worker_no is not None:
            run = self._here(sync.sync_no) or await self._elsewhere(holder.worker_no, sync.sync_no)
        if run is not None:
            activities = {cid: _activity_of(run, cid) for cid in sync.collection_ids}
        else:
            activities = _known_to_the_database(sync, holder)
        held = await self._holds.list_held_deletions(sync.stream_no, sync.sync_no)
        for collection_id, hold in held.items():
            if collection_id in activities:
                activities[collection_id] = _with(activities[collection_id], [_waits_for_decision(sync, hold)])
        return SyncExplanation(
            sync_id=sync.sync_id,
            as_of=now,
            worker_no=holder.worker_no,
            collections=activities,
            requests=list(reversed(run.requests)) if run is not None else [],
            quota=run.quota if run is not None else None,
        )


# what a run knows ------------------------------------------------------------------------------


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
        activities[collection_id] = _with(_activity(part, own, clock), waits)
    requests = session.fetcher.recent.list()
    return RunExplanation(
        collections=activities, requests=requests, quota=quota_use(session.quota, requests, now=datetime.now(UTC))
    )


def quota_use(quota: SyncQuota, requests: Iterable[RequestMade], *, now: datetime) -> QuotaUse:
    """What the running window holds, as far as the quota and the log of requests tell."""
    since = now - timedelta(seconds=quota.limit.interval)
    used = quota.used()
    by_purpose = Counter(request.purpose for request in requests if request.at >= since)
    other = used - by_purpose.total()
    if other > 0:
        by_purpose["other"] = other
    return QuotaUse(
        allowed_requests=quota.limit.allowed_requests,
        interval=quota.limit.interval,
        max_concurrent_requests=quota.limit.max_concurrent_requests,
        used=max(used, by_purpose.total()),
        by_purpose=dict(by_purpose),
    )


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
    """A request that has no permit yet waits for the quota, or for the time that the provider named."""
    names = {work.name for work in works}
    waiting = [one for one in under_way if one.sent_at is None and one.work in names]
    if not waiting:
        return []
    since = min(one.asked_at for one in waiting)
    slowed = session.fetcher.slowed
    title = session.provider.title
    if slowed is not None and slowed[0] > clock.now:
        return [
            Waiting(
                waiting_for="provider",
                since=clock.time(slowed[1]),
                until=clock.time(slowed[0]),
                says=f"{title} asked for a pause: {as_sentence(slowed[2])} It is asked again by itself; nothing is to "
                "be done, unless it happens again and again: then lower the sync's rate_limit.",
            )
        ]
    quota = session.quota
    next_at = quota.next_start_at
    limit = f"{quota.limit.allowed_requests:,} requests in any {quota.limit.interval:g} s"
    return [
        Waiting(
            waiting_for="quota",
            since=clock.time(since),
            until=None if next_at is None else clock.time(next_at),
            says=f"The quota of {limit} is used up for now. It goes on by itself; a higher rate_limit makes it faster, "
            f"as far as {title} allows it.",
        )
    ]


def _activity(part: CollectionSession, works: Sequence[WorkStanding], clock: _Clock) -> Activity:
    """What is running for a collection: a first walk before a sweep before a poll."""
    running = {work.name.partition(":")[0]: work for work in works if work.started_at is not None}
    counted = f"{part.records:,} records so far" if part.records != 1 else "1 record so far"
    named: tuple[tuple[str, Doing, str], ...] = (
        ("backfill", "backfill", f"It is read for the first time: {counted}."),
        ("sweep", "sweep", "It is walked over, to find what is gone and what no event reported."),
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
    return Activity(doing="idle", since=None, until=clock.time(next_at), says=says)


# what the database knows -----------------------------------------------------------------------


def _known_to_the_database(sync: Sync, holder: Holder) -> dict[str, Activity]:
    if sync.status == "disabled":
        wait = Waiting(
            waiting_for="disabled",
            since=sync.updated_at,
            until=None,
            says="The sync is disabled: nothing is asked and nothing is written. Set its status to `active` "
            "(`springline syncs enable`), and it goes on where it stood.",
        )
        stopped = Activity(doing="stopped", since=None, until=None, says=wait.says, waits=(wait,))
        return dict.fromkeys(sync.collection_ids, stopped)
    if holder.worker_no is None:
        says = "No worker holds the lease of its credential yet; one takes it up by itself within seconds."
        if holder.live_workers == 0:
            says = (
                "No worker is running, so nobody holds the lease of its credential. Start one: `springline serve`, or "
                "`springline worker` beside it."
            )
        wait = Waiting(waiting_for="lease", since=None, until=None, says=says)
        stopped = Activity(doing="stopped", since=None, until=None, says=says, waits=(wait,))
        return dict.fromkeys(sync.collection_ids, stopped)
    progress = read_progress(sync.progress, sync.collection_ids)
    health = _health(sync)
    return {cid: _last_written(cid, progress[cid], health, holder) for cid in sync.collection_ids}


def _last_written(
    collection_id: str, progress: CollectionProgress, health: SyncHealth | None, holder: Holder
) -> Activity:
    where = f"It runs on worker {holder.worker_no}, which has last said"
    if health is None:
        says = f"Worker {holder.worker_no} holds the lease of its credential and has said nothing of it yet."
        return Activity(doing="idle", since=None, until=None, says=says)
    waits = []
    parts: tuple[tuple[Reason, PartHealth | None], ...] = (
        ("credential", health.credential),
        ("provider", health.provider),
        ("provider", health.collections.get(collection_id)),
    )
    for reason, part in parts:
        if part is not None and part.status != "ok":
            says = f"{where}: {' '.join(part.notes)}"
            waits.append(Waiting(waiting_for=reason, since=part.time, until=None, says=says))
    if progress.waiting_for == "quota":
        says = f"{where} that its quota is used up for now. It goes on by itself."
        waits.append(Waiting(waiting_for="quota", since=None, until=None, says=says))
    doing: Doing = "backfill" if progress.phase == "backfill" else "idle"
    says = f"{where}: {progress.phase}, {progress.records:,} records."
    return _with(Activity(doing=doing, since=None, until=None, says=says), waits)


def _health(sync: Sync) -> SyncHealth | None:
    if not isinstance(sync.health, dict):
        return None
    try:
        return msgspec.convert({**sync.health, "sync_id": sync.sync_id}, SyncHealth)
    except msgspec.ValidationError:
        return None


def _waits_for_decision(sync: Sync, hold: DeletionHeld) -> Waiting:
    return Waiting(
        waiting_for="held",
        since=hold.since,
        until=None,
        says=f"{hold.count:,} deletions are held: {as_sentence(hold.reason)} Nothing else of the collection waits for "
        f"them. Look with `springline syncs holds {sync.sync_id}`, then apply or discard with "
        f"`springline syncs hold apply {sync.sync_id} {hold.hold_id}`.",
    )


def _activity_of(run: RunExplanation, collection_id: str) -> Activity:
    if run.fault is not None:
        says = (
            f"Its worker could not take it up ({run.fault}) and tries again twice a minute. The worker's log says "
            "more; if it lasts, report it."
        )
        wait = Waiting(waiting_for="fault", since=None, until=None, says=says)
        return Activity(doing="stopped", since=None, until=None, says=says, waits=(wait,))
    known: Mapping[str, Activity] = run.collections
    says = "The worker takes it up with its next look at what is configured, within seconds."
    return known.get(collection_id) or Activity(doing="idle", since=None, until=None, says=says)


def _with(activity: Activity, waits: Sequence[Waiting]) -> Activity:
    """The activity with more that is waited for, each said once, what matters most first."""
    unique = {(each.waiting_for, each.says): each for each in (*activity.waits, *waits)}
    ranked = sorted(unique.values(), key=lambda each: _RANKS.index(each.waiting_for))
    return msgspec.structs.replace(activity, waits=tuple(ranked))


def as_sentence(words: str) -> str:
    """Somebody's words, ended as a sentence."""
    return words if words.endswith((".", "!", "?")) else f"{words}."
