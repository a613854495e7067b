"""Runs one sync: what is due next, what came of it, and how the sync is.

An idle sync has no task and no timer of its own: it tells the worker when it is due.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from springline import telemetry
from springline.domain.checkpoints import is_void
from springline.domain.errors import CredentialDead, NotPermitted, ProviderError, RetryLater
from springline.domain.records import DetectedBy
from springline.domain.syncs import parse_frequency
from springline.engine.activities import Pause, Reason, RunExplanation, WorkStanding, as_sentence
from springline.engine.backfills import BackfillWalk
from springline.engine.deletions import Deletions
from springline.engine.explain_run import explain_run
from springline.engine.feeds import FeedPoll
from springline.engine.health import CREDENTIAL, PROVIDER, Notes, Observations
from springline.engine.polls import IncrementalPoll
from springline.engine.record_writes import FencedOff
from springline.engine.refreshes import Refreshed
from springline.engine.request_log import CURRENT_WORK
from springline.engine.rereads import Rereader
from springline.engine.session import CollectionSession, SyncSession
from springline.engine.sweeps import SweepWalk
from springline.engine.works import Work, backoff_seconds, mending_seconds
from springline.store.database import UNAVAILABLE
from springline.store.leases import LeaseStore

log = telemetry.logger("sync")

#: While the credential is dead, one work asks whether it lives again; the others follow so much later.
_PROBE_SECONDS: Final = 2.0
#: A sweep that takes longer does not hold up those of other collections.
SWEEP_ALONE_SECONDS: Final = 30.0
_COUNTED_AT_MOST: Final = 100_000
#: Children follow on a change of their parents so soon; for what another process has written they look this often.
_FOLLOW_AFTER_SECONDS: Final = 0.2
_FOLLOW_EVERY_SECONDS: Final = 600.0


class SyncRun:
    """A sync in the hands of this worker. `reschedule` is called when its next due time may have changed."""

    def __init__(self, session: SyncSession, leases: LeaseStore, *, reschedule: Callable[["SyncRun"], None]) -> None:
        self.session = session
        self.sync_no = session.sync.sync_no
        #: Where the worker's heap has it; infinity: nowhere.
        self.scheduled_at = float("inf")
        self._reschedule = reschedule
        self._stopping = False
        self._rereader = Rereader(session)
        session.reread = self._rereader.reread
        frequency = parse_frequency(session.sync.sync_frequency)
        self._frequency = None if frequency is None else frequency.total_seconds()
        self._notes = Notes()
        self._observations = Observations(session, leases, self._notes)
        self._dead_until = float("-inf")
        self._dead_times = 0
        self._dead: Pause | None = None
        self._feed: FeedPoll | None = None
        self._backfills: dict[str, BackfillWalk] = {}
        self._polls: dict[str, IncrementalPoll] = {}
        self._sweeps: dict[str, SweepWalk] = {}
        self._ids: dict[str, SweepWalk] = {}
        for collection_id, part in session.collections.items():
            deletions = Deletions(session, part, self._rereader)
            sweep = SweepWalk(session, part, deletions)
            self._sweeps[collection_id] = sweep
            if part.collection.ids is not None:
                self._ids[collection_id] = SweepWalk(session, part, deletions, ids=part.collection.ids)
            self._backfills[collection_id] = BackfillWalk(session, part, rewalk=sweep.rewalk)
            if part.collection.incremental is not None:
                self._polls[collection_id] = IncrementalPoll(session, part, part.collection.incremental)
        self._works = self._make_works()
        session.on_changed = self._follow_up

    def _make_works(self) -> list[Work]:
        works: list[Work] = []
        session = self.session
        now = time.monotonic()
        feed = session.provider.feed
        if feed is not None and any(part.collection.feed for part in session.collections.values()):
            self._feed = FeedPoll(
                session, feed, self._rereader, rewalks={cid: sweep.rewalk for cid, sweep in self._sweeps.items()}
            )
            work = Work("feed", None, self._feed.run)
            work.due_at = now
            works.append(work)
        for collection_id, part in session.collections.items():
            walk, poll, sweep = (
                self._backfills[collection_id],
                self._polls.get(collection_id),
                self._sweeps[collection_id],
            )
            backfill = Work(f"backfill:{collection_id}", part, walk.run)
            if self._may_backfill(part) and (walk.goes_on or not walk.is_done):
                backfill.due_at = now
            works.append(backfill)
            if poll is not None:
                work = Work(f"poll:{collection_id}", part, poll.run)
                work.due_at = now
                works.append(work)
            work = Work(f"sweep:{collection_id}", part, sweep.run)
            if walk.is_done:
                work.due_at = sweep.due_at
            works.append(work)
            if collection_id in self._ids:
                work = Work(f"ids:{collection_id}", part, self._ids[collection_id].run)
                if walk.is_done:
                    work.due_at = self._ids[collection_id].due_at
                works.append(work)
        return works

    def _may_backfill(self, part: CollectionSession) -> bool:
        """The place from which changes are followed is taken before the first backfill request."""
        poll = self._polls.get(part.collection_id)
        if part.collection.feed is not None and self._feed is not None and not self._feed.has_cutoff:
            return False
        return poll is None or poll.has_cutoff

    def _follow_up(self, part: CollectionSession) -> None:
        """Records have changed: those below them are looked after."""
        if not self._stopping and self._hurry_children(part):
            self._reschedule(self)

    def _hurry_children(self, part: CollectionSession) -> bool:
        now, hurried = time.monotonic(), False
        for collection_id, child in self.session.collections.items():
            if self.session.parent_of(child) is part and self._may_backfill(child):
                work = self._work(f"backfill:{collection_id}")
                work.is_wanted = work.task is not None
                if work.task is None and work.failures == 0:
                    work.due_at = min(work.due_at, now + _FOLLOW_AFTER_SECONDS)
                    hurried = True
        return hurried

    @property
    def due_at(self) -> float:
        """When the next work can start, on the monotonic clock; infinity while all that is due is running, and once the
        run is over."""
        if self._stopping:
            return float("inf")
        sweeps_at = self._sweeps_free_at()
        return min(
            (
                max(work.due_at, sweeps_at) if work.is_sweep else work.due_at
                for work in self._works
                if work.task is None
            ),
            default=float("inf"),
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing starts any more: it was stopped, or somebody else may write for this sync."""
        return self._stopping

    def explain(self) -> RunExplanation:
        """What each collection does or waits for."""
        standings = [
            WorkStanding(
                work.name,
                work.part.collection_id if work.part is not None else None,
                work.due_at,
                work.started_at if work.task is not None else None,
                work.pause,
            )
            for work in self._works
        ]
        return explain_run(self.session, standings, dead=self._dead)

    async def refresh(self, collection_id: str, upstream_id: str) -> Refreshed:
        """Reads one record again, ahead of what nobody waits for."""
        part = self.session.collections.get(collection_id)
        if part is None or self._stopping:
            return Refreshed("not_running")
        if part.collection.read is None:
            return Refreshed("unreadable")
        CURRENT_WORK.set("refresh")
        try:
            await self._rereader.reread(part, [upstream_id], DetectedBy.poll)
        except FencedOff:
            return Refreshed("not_running")
        except ProviderError as error:
            return Refreshed("failed", error.words)
        return Refreshed("done")

    def _sweeps_free_at(self) -> float:
        running = [work.started_at for work in self._works if work.is_sweep and work.task is not None]
        return max(running, default=float("-inf")) + SWEEP_ALONE_SECONDS

    async def prepare(self) -> None:
        """Learns what the store knows already."""
        for part in self.session.collections.values():
            part.records = await self.session.stored.count_live(
                self.session.sync.stream_no, part.source_no, most=_COUNTED_AT_MOST
            )
            part.held = await self.session.records.summarise_holds(part.source_no)
            part.held_deletions = await self.session.records.list_deletion_holds(part.source_no)
        await self.session.records.writer.refresh_head()
        generations = {cid: source.generation for cid, source in self.session.sync.sources.items()}
        void: dict[str, bytes | None] = {name: None for name in self.session.checkpoints if is_void(name, generations)}
        if void:
            with suppress(FencedOff):
                await self.session.save(void)

    def start_due(self, now: float) -> None:
        """Starts what is due. Sweeps go one at a time, the smallest and longest unswept first, but long ones let others
        pass."""
        if self._stopping:
            return
        for work in sorted(self._works, key=lambda work: work.turn(now)):
            if work.task is not None or work.due_at > now or (work.is_sweep and self._sweeps_free_at() > now):
                continue
            work.started_at = now
            work.task = asyncio.create_task(self._perform(work))

    async def stop(self) -> None:
        """Ends what is running; what it had not written is done again by the next holder."""
        self._stopping = True
        tasks = [work.task for work in self._works if work.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _perform(self, work: Work) -> None:
        CURRENT_WORK.set(work.name)
        try:
            await self._try(work)
            if not self._stopping:
                more_to_come = any(other.task for other in self._works if other is not work)
                backfilled = all(walk.is_done for walk in self._backfills.values())
                await self._observations.write(more_to_come=more_to_come, backfilled=backfilled)
        finally:
            work.task = None
            if work.is_wanted:  # something came up while it ran, perhaps after it had looked
                work.is_wanted = False
                if work.failures == 0:
                    work.due_at = min(work.due_at, time.monotonic() + _FOLLOW_AFTER_SECONDS)
        if not self._stopping:
            self._reschedule(self)

    async def _try(self, work: Work) -> None:
        """Runs a work once and settles when it is due again. Raises nothing but cancellation."""
        sync_id = self.session.sync.sync_id
        try:
            await work.run()
        except FencedOff:
            self._stopping = True
            log.info("sync.fenced_off", sync_id=sync_id)
        except ProviderError as error:
            self._after_fault(work, error)
        except UNAVAILABLE as error:
            work.due_at = time.monotonic() + 1.0
            work.put_off("database", "The worker cannot reach the database. It tries again every second, by itself.")
            log.warning("sync.database_unavailable", error=error, sync_id=sync_id)
        except Exception as error:
            work.failures += 1
            work.due_at = time.monotonic() + backoff_seconds(work.failures)
            log.error("sync.failed", error=error, sync_id=sync_id, work=work.name)  # noqa: TRY400
            said = f"Springline itself failed ({type(error).__name__}); it tries again. Report this."
            self._notes.say(work.name, self._parts_of(work), "error", said)
            work.put_off("fault", said)
        else:
            work.failures, work.pause = 0, None
            self._dead_until, self._dead_times, self._dead = float("-inf"), 0, None
            self._notes.take_back(work.name)
            self._after(work)

    def _after(self, work: Work) -> None:
        """What follows on a work that went well."""
        if work.name == "feed" and self._feed is not None:
            work.due_at = self._paced(self._feed.due_at)
            for part, (error, _) in self._feed.denied.items():
                self._say_not_permitted(work, [part.collection_id], error)
            self._start_backfills()
            return
        assert work.part is not None
        if self._feed is not None:
            self._feed.denied.pop(work.part, None)
        if work.name.startswith("backfill:"):
            self._after_backfill(work, work.part)
        elif work.name.startswith("poll:"):
            work.due_at = self._paced(self._polls[work.part.collection_id].due_at)
            self._start_backfills()
        else:
            walks = self._sweeps if work.name.startswith("sweep:") else self._ids
            work.due_at = self._paced(walks[work.part.collection_id].due_at)

    def _after_backfill(self, work: Work, part: CollectionSession) -> None:
        walk, sweep = self._backfills[part.collection_id], self._work(f"sweep:{part.collection_id}")
        now = time.monotonic()
        work.due_at = float("inf")
        if walk.goes_on:
            # Its parents are followed: at once where they change in this process, now and then for all others.
            work.due_at = now + _FOLLOW_EVERY_SECONDS
        if walk.is_done and sweep.due_at == float("inf") and sweep.task is None:
            sweep.due_at = now + 1.0
            if part.collection_id in self._ids:
                self._work(f"ids:{part.collection_id}").due_at = now + 1.0
            log.info(
                "sync.backfilled",
                sync_id=self.session.sync.sync_id,
                collection=part.collection_id,
                records=walk.state.records,
            )
            self._hurry_children(part)  # they wait for the last of their parents

    def _start_backfills(self) -> None:
        for collection_id, walk in self._backfills.items():
            part = self.session.collections[collection_id]
            if (not walk.is_done or part.phase == "backfill") and self._may_backfill(part):
                backfill = self._work(f"backfill:{collection_id}")
                if backfill.task is None and backfill.due_at == float("inf"):
                    backfill.due_at = time.monotonic()

    def _paced(self, due_at: float) -> float:
        """The sync's own frequency, where it is not continuous."""
        return due_at if self._frequency is None else time.monotonic() + self._frequency

    def _after_fault(self, work: Work, error: ProviderError) -> None:
        work.failures += 1
        pause = backoff_seconds(work.failures)
        title, words = self.session.provider.title, as_sentence(error.words)
        parts = self._parts_of(work)
        reason: Reason = "provider"
        said = f"{title} {words} It is asked again by itself."
        if isinstance(error, CredentialDead):
            reason, pause = "credential", self._put_off_all(work)
            said = f"{title} no longer accepts this credential: {words} {error.remedy}"
            self._dead = Pause(reason, self._dead.since if self._dead else time.monotonic(), said)
            self._notes.say(CREDENTIAL, [CREDENTIAL], "error", said)
        elif isinstance(error, NotPermitted):
            reason, pause = "credential", mending_seconds(work.failures)
            if work.part is not None:
                said = self._say_not_permitted(work, parts, error)
            else:
                said = f"{title} does not permit this credential to read what changed: {words} Until it is granted, "
                said += "changes are found by sweeps alone."
                self._notes.say(work.name, parts, "warn", said)
                if self._feed is not None:
                    self._feed.do_without_cutoff()  # the sweeps that follow backfills need no place in the feed
                self._start_backfills()
        elif isinstance(error, RetryLater):
            pause = max(pause, error.after_seconds or 0.0)
            said = f"{title} cannot answer: {words} It is asked again by itself."
            if work.failures > 1:
                self._notes.say(work.name, [PROVIDER], "warn", said)
        elif work.failures > 1:
            said = f"{title} {words} It is asked again by itself; other collections go on."
            self._notes.say(work.name, parts, "error", said)
        work.due_at = time.monotonic() + pause
        work.put_off(reason, said)
        log.warning(
            "sync.fault",
            sync_id=self.session.sync.sync_id,
            work=work.name,
            fault=type(error).__name__,
            words=error.words,
            status=error.status,
            request_id=error.request_id,
            retry_in_seconds=round(pause, 1),
        )

    def _put_off_all(self, work: Work) -> float:
        """The credential is dead: so long from now this work asks again, and only then, if it lives, the others."""
        now = time.monotonic()
        if now >= self._dead_until:  # else another work has just met the same
            self._dead_times += 1
            self._dead_until = now + mending_seconds(self._dead_times)
            for other in self._works:
                if other is not work and other.task is None and other.due_at < float("inf"):
                    other.due_at = max(other.due_at, self._dead_until + _PROBE_SECONDS)
            return self._dead_until - now
        return self._dead_until + _PROBE_SECONDS - now

    def _say_not_permitted(self, work: Work, parts: Iterable[str], error: NotPermitted) -> str:
        title, words = self.session.provider.title, as_sentence(error.words)
        said = f"{title} does not permit this credential to read it: {words} Grant it."
        self._notes.say(work.name, parts, "error", said)
        return said

    def _parts_of(self, work: Work) -> list[str]:
        return [work.part.collection_id] if work.part else list(self.session.collections)

    def _work(self, name: str) -> Work:
        return next(work for work in self._works if work.name == name)
