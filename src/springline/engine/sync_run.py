"""Runs one sync: what is due next, what came of it, and how the sync is.

An idle sync has no task and no timer of its own: it tells the worker when it is due.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from springline import telemetry
from springline.domain.errors import CredentialDead, NotPermitted, ProviderError, RetryLater
from springline.domain.health import PartHealth, sync_health
from springline.domain.records import DetectedBy
from springline.domain.syncs import CollectionProgress, parse_frequency
from springline.engine.feeds import FeedPoll
from springline.engine.record_writes import FencedOff, Written
from springline.engine.rereads import Rereader
from springline.engine.session import CollectionSession, SyncSession
from springline.engine.walks import BackfillWalk, SweepWalk
from springline.store.database import UNAVAILABLE
from springline.store.leases import LeaseStore

log = telemetry.logger("sync")

#: A fault is met with growing pauses, up to this.
LONGEST_BACKOFF_SECONDS: Final = 60.0
#: A dead credential or a missing permission is tried again this often: someone may have mended it.
MENDED_EVERY_SECONDS: Final = 300.0
#: What is seen is written no more often than this.
OBSERVE_EVERY_SECONDS: Final = 1.0
_COUNTED_AT_MOST: Final = 100_000


class Work:
    """One thing that a sync does again and again: the feed, one collection's backfill, one collection's sweep."""

    def __init__(self, name: str, part: CollectionSession | None, run: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self.is_sweep = name.startswith("sweep:")
        self.part = part
        self.run = run
        self.due_at = float("inf")
        self.task: asyncio.Task[None] | None = None
        self.failures = 0


class SyncRun:
    """A sync in the hands of this worker. `reschedule` is called when its next due time may have changed."""

    def __init__(self, session: SyncSession, leases: LeaseStore, *, reschedule: Callable[["SyncRun"], None]) -> None:
        self.session = session
        self.sync_no = session.sync.sync_no
        #: Where the worker's heap has it; infinity: nowhere.
        self.scheduled_at = float("inf")
        self._leases = leases
        self._reschedule = reschedule
        self._stopping = False
        self._rereader = Rereader(session)
        session.reread = self._reread
        frequency = parse_frequency(session.sync.sync_frequency)
        self._frequency = None if frequency is None else frequency.total_seconds()
        self._parts: dict[str, PartHealth] = {}
        self._observed: tuple[object, object] | None = None
        self._observed_at = float("-inf")
        self._backfill_noted = session.sync.initial_backfill_completed_at is not None
        self._feed: FeedPoll | None = None
        self._backfills = {cid: BackfillWalk(session, part) for cid, part in session.collections.items()}
        self._sweeps = {cid: SweepWalk(session, part, self._rereader) for cid, part in session.collections.items()}
        self._works = self._make_works()

    def _make_works(self) -> list[Work]:
        works: list[Work] = []
        session = self.session
        now = time.monotonic()
        feed = session.provider.feed
        if feed is not None and any(part.collection.feed for part in session.collections.values()):
            self._feed = FeedPoll(session, feed, self._rereader)
            work = Work("feed", None, self._poll_feed)
            work.due_at = now
            works.append(work)
        for collection_id, part in session.collections.items():
            backfill = Work(f"backfill:{collection_id}", part, self._backfills[collection_id].run)
            # The place from which changes are followed is taken before the first backfill request.
            if not self._backfills[collection_id].is_done and (self._feed is None or self._feed.has_cutoff):
                backfill.due_at = now
            works.append(backfill)
            sweep = Work(f"sweep:{collection_id}", part, self._sweeps[collection_id].run)
            if self._backfills[collection_id].is_done:
                sweep.due_at = self._sweeps[collection_id].due_at
            works.append(sweep)
        return works

    @property
    def due_at(self) -> float:
        """When the next work can start, on the monotonic clock; infinity while all that is due is running."""
        sweeping = self._is_sweeping
        return min(
            (work.due_at for work in self._works if work.task is None and not (sweeping and work.is_sweep)),
            default=float("inf"),
        )

    @property
    def _is_sweeping(self) -> bool:
        return any(work.task is not None for work in self._works if work.is_sweep)

    async def prepare(self) -> None:
        """Learns what the store knows already."""
        for part in self.session.collections.values():
            part.records = await self.session.stored.count_live(
                self.session.sync.stream_no, part.source_no, most=_COUNTED_AT_MOST
            )
            part.held = await self.session.records.summarise_holds(part.source_no)
        await self.session.records.writer.refresh_head()

    def start_due(self, now: float) -> None:
        """Starts what is due. Sweeps go one at a time, the longest unswept first."""
        if self._stopping:
            return
        sweeping = self._is_sweeping
        for work in sorted(self._works, key=lambda work: work.due_at):
            if work.task is not None or work.due_at > now:
                continue
            if work.is_sweep:
                if sweeping:
                    continue
                sweeping = True
            work.task = asyncio.create_task(self._perform(work))

    async def stop(self) -> None:
        """Ends what is running; what it had not written is done again by the next holder."""
        self._stopping = True
        tasks = [work.task for work in self._works if work.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _perform(self, work: Work) -> None:
        try:
            await work.run()
            work.failures = 0
            self._note_success(work)
            self._after(work)
        except asyncio.CancelledError:
            raise
        except FencedOff:
            self._stopping = True
            log.info("sync.fenced_off", sync_id=self.session.sync.sync_id)
        except ProviderError as error:
            self._after_fault(work, error)
        except UNAVAILABLE as error:
            work.due_at = time.monotonic() + 1.0
            log.warning("sync.database_unavailable", error=error, sync_id=self.session.sync.sync_id)
        except Exception as error:
            work.failures += 1
            work.due_at = time.monotonic() + _backoff_seconds(work.failures)
            log.error("sync.failed", error=error, sync_id=self.session.sync.sync_id, work=work.name)  # noqa: TRY400
            self._note(
                work, "error", f"Springline itself failed ({type(error).__name__}); it tries again. Report this."
            )
        finally:
            work.task = None
            if not self._stopping:
                await self._observe()
                self._reschedule(self)

    def _after(self, work: Work) -> None:
        """What follows on a work that went well."""
        if work.name == "feed" and self._feed is not None:
            work.due_at = self._paced(self._feed.due_at)
            for collection_id, walk in self._backfills.items():
                if not walk.is_done or self.session.collections[collection_id].phase == "backfill":
                    backfill = self._work(f"backfill:{collection_id}")
                    if backfill.task is None and backfill.due_at == float("inf"):
                        backfill.due_at = time.monotonic()
            return
        assert work.part is not None
        if work.name.startswith("backfill:"):
            work.due_at = float("inf")
            self._work(f"sweep:{work.part.collection_id}").due_at = time.monotonic() + 1.0
            log.info(
                "sync.backfilled",
                sync_id=self.session.sync.sync_id,
                collection=work.part.collection_id,
                records=self._backfills[work.part.collection_id].state.records,
            )
        else:
            work.due_at = self._paced(self._sweeps[work.part.collection_id].due_at)

    def _paced(self, due_at: float) -> float:
        """The sync's own frequency, where it is not continuous."""
        return due_at if self._frequency is None else time.monotonic() + self._frequency

    def _after_fault(self, work: Work, error: ProviderError) -> None:
        work.failures += 1
        pause = _backoff_seconds(work.failures)
        title = self.session.provider.title
        if isinstance(error, CredentialDead):
            pause = MENDED_EVERY_SECONDS
            note = f"{title} no longer accepts this credential: {_sentence(error.words)} Replace its key."
            self._parts["credential"] = self._since("credential", "error", note)
        elif isinstance(error, NotPermitted):
            pause = MENDED_EVERY_SECONDS
            words = _sentence(error.words)
            self._note(work, "error", f"{title} does not permit this credential to read it: {words} Grant it.")
        elif isinstance(error, RetryLater):
            pause = max(pause, error.after_seconds or 0.0)
            if work.failures > 1:
                self._parts["provider"] = self._since(
                    "provider", "warn", f"{title} cannot answer: {_sentence(error.words)} It is asked again by itself."
                )
        else:
            words = _sentence(error.words)
            self._note(work, "error", f"{title} {words} It is asked again by itself; other collections go on.")
        work.due_at = time.monotonic() + pause
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

    def _work(self, name: str) -> Work:
        return next(work for work in self._works if work.name == name)

    async def _poll_feed(self) -> None:
        assert self._feed is not None
        await self._feed.run()

    async def _reread(self, part: CollectionSession, upstream_ids: list[str], detected_by: DetectedBy) -> Written:
        return await self._rereader.reread(part, upstream_ids, detected_by)

    # what is seen ------------------------------------------------------------------------------

    def _note(self, work: Work, status: str, note: str) -> None:
        names = [work.part.collection_id] if work.part else list(self.session.collections)
        for name in names:
            self._parts[name] = self._since(name, status, note)

    def _note_success(self, work: Work) -> None:
        self._parts.pop("credential", None)
        self._parts.pop("provider", None)
        for name in [work.part.collection_id] if work.part else list(self.session.collections):
            self._parts.pop(name, None)

    def _since(self, name: str, status: str, note: str) -> PartHealth:
        known = self._parts.get(name)
        since = known.time if known is not None and known.status == status else datetime.now(UTC)
        return msgspec.convert({"status": status, "notes": (note,), "time": since}, PartHealth)

    async def _observe(self) -> None:
        """Writes health and progress where they have changed."""
        now = time.monotonic()
        if now - self._observed_at < OBSERVE_EVERY_SECONDS and any(work.task for work in self._works):
            return
        sync = self.session.sync
        fine = PartHealth(time=sync.created_at)
        collections: dict[str, PartHealth] = {}
        for collection_id, part in self.session.collections.items():
            part_health = self._parts.get(collection_id, fine)
            held, last_reason = part.held
            if held:
                note = (
                    f"{held} records are held, since they cannot be kept as they are; the last one {last_reason}. "
                    "Their neighbours were written; the API's own object has to be mended."
                )
                part_health = PartHealth(
                    status="warn" if part_health.status == "ok" else part_health.status,
                    notes=(*part_health.notes, note),
                    time=part_health.time,
                )
            collections[collection_id] = part_health
        health = sync_health(
            sync.sync_id,
            credential=self._parts.get("credential", fine),
            provider=self._parts.get("provider", fine),
            collections=collections,
        )
        progress = {collection_id: self._progress(part) for collection_id, part in self.session.collections.items()}
        observed = (health, progress)
        if self._worth_writing(observed):
            try:
                await self._leases.save_observations(sync.sync_no, health=health, progress=progress)
                await self._leases.save_credential_health(sync.credential_no, health.credential)
                if not self._backfill_noted and all(walk.is_done for walk in self._backfills.values()):
                    await self._leases.complete_backfill(sync.sync_no)
                    self._backfill_noted = True
            except UNAVAILABLE:
                return
            self._observed = observed
            self._observed_at = now

    def _worth_writing(self, observed: tuple[object, dict[str, CollectionProgress]]) -> bool:
        """Idle polls change nothing but their own count and pause."""
        if self._observed is None:
            return True
        health, progress = self._observed
        assert isinstance(progress, dict)
        return observed[0] != health or any(
            _what_counts(part) != _what_counts(progress[cid]) for cid, part in observed[1].items()
        )

    def _progress(self, part: CollectionSession) -> CollectionProgress:
        swept = None if part.last_sweep_at is None else datetime.fromtimestamp(part.last_sweep_at, UTC)
        return CollectionProgress(
            phase=part.phase,
            records=part.records,
            requests=part.requests,
            poll_interval_seconds=part.poll_interval,
            lag_seconds=part.lag_seconds,
            last_sweep_completed_at=swept,
            waiting_for="quota" if self.session.quota.is_waited_for else None,
        )


def _what_counts(part: CollectionProgress) -> tuple[object, ...]:
    return part.phase, part.records, part.lag_seconds, part.last_sweep_completed_at


def _sentence(words: str) -> str:
    """A provider's words, ended as a sentence."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _backoff_seconds(failures: int) -> float:
    return min(LONGEST_BACKOFF_SECONDS, 0.5 * 2.0 ** min(failures, 8)) * random.uniform(0.75, 1.25)
