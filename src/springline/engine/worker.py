"""The worker: runs the syncs of the credentials that it holds a lease on. Idle syncs are entries in a heap."""

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from springline import telemetry
from springline.engine.activities import RunExplanation
from springline.engine.fetch import Fetcher, HttpClient, Origin
from springline.engine.leasing import Leasing
from springline.engine.page_commit import StreamWriters
from springline.engine.quota_owner import QuotaOwner
from springline.engine.record_writes import RecordWriter
from springline.engine.refreshes import Refreshed
from springline.engine.session import SyncSession
from springline.engine.sync_run import SyncRun
from springline.metrics import SYNCS_RUNNING, Metrics
from springline.providers.vocabulary import Provider
from springline.store.database import UNAVAILABLE
from springline.store.leases import LeasedSync, LeasedVersion, LeaseStore
from springline.store.records import RecordStore

log = telemetry.logger("worker")

#: How often a worker looks for new work by itself; a wake-up makes it look at once. Below a second, so that a sync that
#: was disabled stops within one even if the wake-up was lost.
LOOK_EVERY_SECONDS: Final = 0.8
#: After a look, nobody's wake-up is followed for so many times as long as it took: who makes a thousand syncs in a row
#: wakes every worker a thousand times.
_REST_LOOKS: Final = 4
_HELD_BACK_SECONDS: Final = 0.5
#: So many syncs are taken up before those that are due are looked after again, and so many of them side by side.
STARTS_AT_ONCE: Final = 50
_STARTS_SIDE_BY_SIDE: Final = 5
#: The first requests of syncs that are taken up together are spread over so long for each of them, but over no more
#: than this part of a lease: those of a lost worker are to flow again soon.
_SPREAD_SECONDS: Final = 0.005
_SPREAD_SHARE: Final = 0.1
#: A sync that cannot be taken up is tried again after this.
_START_AGAIN_SECONDS: Final = 30.0

OpenProperties = Callable[[LeasedSync], Awaitable[Mapping[str, Any]]]
RenewAccess = Callable[[LeasedSync], Awaitable[bool]]


async def _cannot_renew(sync: LeasedSync) -> bool:
    return False


class Worker:
    """Runs the syncs of the credentials that it holds. `open_properties` decrypts a sync's credential; `renew_access`
    is told that the provider refuses it, and says whether to open it again."""

    def __init__(
        self,
        *,
        leases: LeaseStore,
        records: RecordStore,
        writers: StreamWriters,
        client: HttpClient,
        providers: Mapping[str, Provider],
        base_url_of: Callable[[Provider], str],
        open_properties: OpenProperties,
        quotas: QuotaOwner,
        lease_seconds: float,
        renew_access: RenewAccess = _cannot_renew,
        metrics: Metrics | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        self._leases = leases
        self._records = records
        self._writers = writers
        self._client = client
        self._providers = providers
        self._base_url_of = base_url_of
        self._open_properties = open_properties
        self._renew_access = renew_access
        self._lease_seconds = lease_seconds
        self._leasing = Leasing(leases, lease_seconds=lease_seconds, metrics=metrics, on_lost=self._on_lease_lost)
        self._runs: dict[int, tuple[LeasedVersion, SyncRun]] = {}
        self._quotas = quotas
        quotas.follow(self)
        #: Syncs that could not be taken up, as they are configured: when to try again.
        self._not_before: dict[int, tuple[LeasedVersion, float]] = {}
        #: The same, with what went wrong.
        self._not_started: dict[int, str] = {}
        self._due: list[tuple[float, int, SyncRun]] = []
        self._order = itertools.count()
        self._woken = asyncio.Event()
        self._look_at = 0.0
        #: No look that somebody asks for comes before this.
        self._rested_at = 0.0
        metrics.gauges[SYNCS_RUNNING] = lambda: len(self._runs)

    def wake(self) -> None:
        """Something was configured: look at once; while much is, again and again with pauses between the looks."""
        self._look_at = min(self._look_at, max(time.monotonic(), self._rested_at))
        self._woken.set()

    def explain(self, sync_no: int) -> RunExplanation | None:
        """What a sync does or waits for; None: it does not run here."""
        held = self._runs.get(sync_no)
        if held is not None:
            return held[1].explain()
        fault = self._not_started.get(sync_no)
        return None if fault is None else RunExplanation(fault=fault)

    async def refresh(self, sync_no: int, collection_id: str, upstream_id: str) -> Refreshed:
        """Reads a record of a sync again, if it runs here."""
        held = self._runs.get(sync_no)
        return Refreshed("not_running") if held is None else await held[1].refresh(collection_id, upstream_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then drains and gives the leases back."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._woken.set())
        renewing = asyncio.create_task(self._leasing.renew_again_and_again())
        try:
            while not stop.is_set():
                try:
                    await self._turn()
                except UNAVAILABLE as error:
                    log.warning("worker.database_unavailable", error=error)
                    self._look_again_soon()
                except Exception as error:  # whatever it is, the other syncs go on
                    log.error("worker.failed", error=error)  # noqa: TRY400
                    self._look_again_soon()
                await self._wait()
        finally:
            renewing.cancel()
            stopping.cancel()
            await asyncio.gather(renewing, stopping, return_exceptions=True)
            await self._drain()

    def _look_again_soon(self) -> None:
        self._leasing.distrust()
        self._look_at = time.monotonic() + 1.0

    async def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            # Not all workers at the same time.
            self._look_at = now + min(LOOK_EVERY_SECONDS, self._lease_seconds / 4) * random.uniform(0.9, 1.0)
            await self._look()
            now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            at, _, run = heapq.heappop(self._due)
            if not self._is_awaited(run, at):
                continue  # it was scheduled anew since, or is over
            run.scheduled_at = float("inf")
            if self.may_start():
                run.start_due(now)
                self._schedule(run)
            else:
                self._push(run, now + _HELD_BACK_SECONDS)

    async def _wait(self) -> None:
        until = min(self._look_at, self._due[0][0] if self._due else float("inf"))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._woken.wait()
        self._woken.clear()

    async def _look(self) -> None:
        """Learns what is to run, then starts, restarts, hands over and stops runs so that it is so."""
        leasing = self._leasing
        # What is claimed and not taken up would wait here while another worker could run it.
        begun = time.monotonic()
        await leasing.look(may_claim=len(self._missing()) < STARTS_AT_ONCE)
        looked = time.monotonic()
        self._rested_at = looked + _REST_LOOKS * (looked - begun)
        surplus = set(leasing.surplus)
        over = {version.credential_no for version, run in self._runs.values() if run.is_over}
        await self._stop_runs(
            no
            for no, (version, run) in self._runs.items()
            if leasing.syncs.get(no) != version or run.is_over or version.credential_no in surplus
        )
        for credential_no in surplus:
            self._quotas.give_up(credential_no)
        if surplus:
            await leasing.hand_over(leasing.surplus)
        await leasing.confirm(sorted(over - surplus))  # somebody fenced them off
        wanted = leasing.syncs
        self._quotas.keep_only(wanted)
        self._not_before = {no: held for no, held in self._not_before.items() if wanted.get(no) == held[0]}
        self._not_started = {no: why for no, why in self._not_started.items() if no in wanted and no not in self._runs}
        missing = self._missing()
        await self._start_some(missing)
        if leasing.has_more_to_claim or len(missing) > STARTS_AT_ONCE:
            self._look_at = 0.0

    def _missing(self) -> list[int]:
        """Syncs that are to run and do not, though nothing is known against it."""
        now = time.monotonic()
        idle = self._leasing.syncs.keys() - self._runs.keys()
        return sorted(no for no in idle if no not in self._not_before or self._not_before[no][1] <= now)

    async def _start_some(self, missing: list[int]) -> None:
        spread = min(_SPREAD_SECONDS * (len(missing) - 1), _SPREAD_SHARE * self._lease_seconds)
        for first in range(0, min(len(missing), STARTS_AT_ONCE), _STARTS_SIDE_BY_SIDE):
            starts = (
                self._try_to_start(
                    no, self._leasing.syncs[no], first_due_at=time.monotonic() + random.random() * spread
                )
                for no in missing[first : first + _STARTS_SIDE_BY_SIDE]
                if no in self._leasing.syncs
            )
            for failed in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(failed, BaseException):
                    raise failed

    async def _try_to_start(self, sync_no: int, version: LeasedVersion, *, first_due_at: float) -> None:
        run = None
        try:
            run = await self._start(sync_no, version)
        except UNAVAILABLE:
            raise
        except Exception as error:  # it alone is at fault
            log.error("worker.sync_not_started", error=error, sync_no=sync_no)  # noqa: TRY400
            self._not_started[sync_no] = type(error).__name__
        if run is None:
            self._not_before[sync_no] = version, time.monotonic() + _START_AGAIN_SECONDS
        elif self._is_current(run):
            self._push(run, max(run.due_at, first_due_at))

    async def _on_lease_lost(self) -> None:
        await self._stop_runs(self._runs)
        self.wake()

    @property
    def worker_no(self) -> int | None:
        """As which it holds leases now; None: it holds none."""
        return self._leasing.worker_no

    def may_start(self) -> bool:
        """Not in the lease's last seconds: a request's answer would come when somebody else holds it."""
        return self._leasing.may_start()

    def _lease_left(self) -> float:
        """Seconds until somebody else may hold it."""
        return self._leasing.seconds_left

    # runs ----------------------------------------------------------------------------------------

    async def _start(self, sync_no: int, version: LeasedVersion) -> SyncRun | None:
        """None: it is no longer to run here, or this release does not know what it syncs."""
        worker_no = self._leasing.worker_no
        sync = None if worker_no is None else await self._leases.get_leased_sync(sync_no, worker_no)
        if sync is None or sync.provider not in self._providers:
            return None
        provider = self._providers[sync.provider]
        kind = provider.find_kind(sync.kind)
        if kind is None:
            return None
        quota = await self._quotas.sync_quota(sync)
        origin = Origin(
            provider,
            kind,
            base_url=self._base_url_of(provider),
            open_properties=lambda: self._open_properties(sync),
            renew=lambda: self._renew_access(sync),
        )
        writer = self._writers.writer(sync.stream_no)
        # What an earlier run of this sync had handed over counts as done before this one looks where it stands.
        await writer.settle()
        session = SyncSession(
            sync,
            provider,
            fetcher=Fetcher(self._client, origin, quota, may_start=self.may_start, lease_left=self._lease_left),
            quota=quota,
            records=RecordWriter(
                sync_no=sync_no,
                epoch=sync.lease_epoch,
                max_age_days=sync.max_age_days,
                writer=writer,
                store=self._writers.store,
            ),
            stored=self._records,
            checkpoints=await self._leases.list_checkpoints(sync.stream_no, sync_no),
        )
        run = SyncRun(session, self._leases, reschedule=self._schedule)
        await run.prepare()
        self._runs[sync_no] = (version, run)
        log.info("sync.started", sync_id=sync.sync_id, provider=sync.provider)
        return run

    def _is_current(self, run: SyncRun) -> bool:
        held = self._runs.get(run.sync_no)
        return held is not None and held[1] is run

    def _is_awaited(self, run: SyncRun, at: float) -> bool:
        """Whether an entry of the heap still counts."""
        return at == run.scheduled_at and self._is_current(run)

    def _schedule(self, run: SyncRun) -> None:
        if self._is_current(run) and run.due_at < run.scheduled_at:
            self._push(run, run.due_at)

    def _push(self, run: SyncRun, due_at: float) -> None:
        run.scheduled_at = due_at
        if len(self._due) > 4 * len(self._runs) + 64:
            # Entries that were superseded go only when their time comes, which may be in an hour.
            self._due = [(at, order, each) for at, order, each in self._due if self._is_awaited(each, at)]
            heapq.heapify(self._due)
        heapq.heappush(self._due, (due_at, next(self._order), run))
        if self._due[0][2] is run:
            self._woken.set()

    async def _stop_runs(self, sync_nos: Iterable[int]) -> None:
        stopped = [self._runs.pop(sync_no)[1] for sync_no in list(sync_nos)]
        await asyncio.gather(*(run.stop() for run in stopped))

    async def _drain(self) -> None:
        await self._stop_runs(self._runs)
        self._due.clear()
        await self._leasing.release()
