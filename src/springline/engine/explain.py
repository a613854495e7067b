"""Why a sync is where it is: what each collection does or waits for, in sentences with what to do.

The run of a sync knows best, in whatever process; where it does not answer, the database knows less.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from springline.domain.errors import OwnerUnavailable
from springline.domain.health import PartHealth, SyncHealth
from springline.domain.syncs import CollectionProgress, Sync, read_progress
from springline.engine.activities import (
    Activity,
    Doing,
    QuotaUse,
    Reason,
    RunExplanation,
    Waiting,
    as_sentence,
    with_waits,
)
from springline.engine.owners import Owners, Reply
from springline.engine.request_log import RequestMade
from springline.store.holds import DeletionHeld, HoldStore
from springline.store.leases import Holder, LeaseStore

#: A worker of another process that has not answered by then is not waited for.
ANSWER_SECONDS: Final = 3.0


class SyncExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a sync. `worker_no`: who holds its credential's lease. `quota` None and no requests: only the
    database was asked. `requests`: newest first."""

    sync_id: uuid.UUID
    as_of: datetime
    worker_no: int | None
    collections: dict[str, Activity]
    requests: list[RequestMade]
    quota: QuotaUse | None


#: Asks the run of a sync in this process (its number); None: it does not run here.
Here = Callable[[int], RunExplanation | None]
#: Asks whoever holds a credential's lease about a sync (both numbers); None: nobody answers.
Elsewhere = Callable[[int, int], Awaitable[RunExplanation | None]]


class RunQuestion(msgspec.Struct, frozen=True, tag="explain"):
    """What does this sync do or wait for?"""

    sync_no: int


class RunQuestions:
    """Asks the holder of a credential's lease about its syncs, and answers as one. `here`: asks what runs in this
    process."""

    def __init__(self, owners: Owners, here: Here) -> None:
        self._owners = owners
        self._here = here
        owners.handle(RunQuestion, self._answer)

    async def ask(self, credential_no: int, sync_no: int) -> RunExplanation | None:
        """None: nobody answered in time, or it does not run there (yet)."""
        try:
            answer = await self._owners.ask(credential_no, RunQuestion(sync_no), timeout_seconds=ANSWER_SECONDS)
            return msgspec.json.decode(answer, type=RunExplanation | None)
        except (OwnerUnavailable, msgspec.DecodeError):  # it may be of another version
            return None

    async def _answer(self, credential_no: int, question: RunQuestion, question_no: int | None) -> Reply:
        return Reply(msgspec.json.encode(self._here(question.sync_no)))


def runs_elsewhere(sync_no: int) -> RunExplanation | None:
    """For a process without a worker."""
    return None


async def nobody_answers(credential_no: int, sync_no: int) -> RunExplanation | None:
    """For a process that cannot ask others."""
    return None


class Explainer:
    """Says why a sync is where it is."""

    def __init__(
        self,
        leases: LeaseStore,
        holds: HoldStore,
        *,
        here: Here = runs_elsewhere,
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
            run = self._here(sync.sync_no) or await self._elsewhere(sync.credential_no, sync.sync_no)
        if run is not None:
            activities = {cid: _activity_of(run, cid) for cid in sync.collection_ids}
        else:
            activities = _known_to_the_database(sync, holder)
        held = await self._holds.list_held_deletions(sync.stream_no, sync.sync_no)
        for collection_id, hold in held.items():
            if collection_id in activities:
                activities[collection_id] = with_waits(activities[collection_id], [_waits_for_decision(sync, hold)])
        return SyncExplanation(
            sync_id=sync.sync_id,
            as_of=now,
            worker_no=holder.worker_no,
            collections=activities,
            requests=list(reversed(run.requests)) if run is not None else [],
            quota=run.quota if run is not None else None,
        )


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
    return with_waits(Activity(doing=doing, since=None, until=None, says=says), waits)


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
