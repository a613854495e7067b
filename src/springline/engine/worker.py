"""The worker: holds leases on credentials and runs their syncs.

One row per worker is renewed, whatever the number of syncs. Idle syncs are entries in a heap.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from springline import telemetry
from springline.domain.quotas import MARGIN
from springline.engine.fetch import Fetcher, HttpClient, Origin
from springline.engine.page_commit import StreamWriters
from springline.engine.processes import is_gone, this_process
from springline.engine.quotas import WAITED_OUT_SECONDS, Permit, Priority, SyncQuota
from springline.engine.record_writes import RecordWriter
from springline.engine.session import SyncSession
from springline.engine.sync_run import SyncRun
from springline.providers.vocabulary import Provider, RateLimit
from springline.store.database import UNAVAILABLE
from springline.store.leases import LeasedSync, LeaseStore
from springline.store.records import RecordStore

log = telemetry.logger("worker")

#: How often a worker looks for new work by itself; a wake-up makes it look at once.
LOOK_EVERY_SECONDS: Final = 2.0
#: Nothing starts in a lease's last seconds.
LEASE_MARGIN_SECONDS: Final = 3.0
_HELD_BACK_SECONDS: Final = 0.5
#: So many syncs are taken up before those that are due are looked after again.
STARTS_AT_ONCE: Final = 50
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
        lease_seconds: float,
        renew_access: RenewAccess = _cannot_renew,
    ) -> None:
        self._leases = leases
        self._records = records
        self._writers = writers
        self._client = client
        self._providers = providers
        self._base_url_of = base_url_of
        self._open_properties = open_properties
        self._renew_access = renew_access
        self._lease_seconds = lease_seconds
        self._process = this_process()
        self._worker_no: int | None = None
        self._lease_until = 0.0
        self._runs: dict[int, tuple[tuple[int, int], SyncRun]] = {}
        #: With the lease epoch in which each was worked out: what happened in others is not known to it.
        self._quotas: dict[int, tuple[int, SyncQuota]] = {}
        self._not_before: dict[int, float] = {}
        self._due: list[tuple[float, int, SyncRun]] = []
        self._order = itertools.count()
        self._woken = asyncio.Event()
        self._look_at = 0.0
        self._look_now = True

    def wake(self) -> None:
        """Something was configured: look at once."""
        self._look_now = True
        self._woken.set()

    @property
    def worker_no(self) -> int | None:
        """Its number; None while it holds nothing."""
        return self._worker_no

    @asynccontextmanager
    async def permit_of(self, credential_no: int) -> AsyncIterator[Permit | None]:
        """A permit for a request in a credential's name that is none of a sync's own, as one for a token; None where
        no sync of it runs here: then nobody here knows its quota."""
        runs = (run for _, run in self._runs.values() if run.session.sync.credential_no == credential_no)
        run = next(runs, None)
        if run is None:
            yield None
            return
        async with run.session.quota.permit(Priority.waiting) as permit:
            yield permit

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then drains and gives the leases back."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._woken.set())
        renewing = asyncio.create_task(self._renew_again_and_again())
        try:
            while not stop.is_set():
                try:
                    await self._turn()
                except UNAVAILABLE as error:
                    log.warning("worker.database_unavailable", error=error)
                    self._look_at = time.monotonic() + 1.0
                except Exception as error:  # whatever it is, the other syncs go on
                    log.error("worker.failed", error=error)  # noqa: TRY400
                    self._look_at = time.monotonic() + 1.0
                await self._wait()
        finally:
            renewing.cancel()
            stopping.cancel()
            await asyncio.gather(renewing, stopping, return_exceptions=True)
            await self._drain()

    async def _turn(self) -> None:
        now = time.monotonic()
        if self._look_now or now >= self._look_at:
            self._look_now = False
            self._look_at = now + min(LOOK_EVERY_SECONDS, self._lease_seconds / 4)
            await self._look()
            now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            at, _, run = heapq.heappop(self._due)
            if not self._is_awaited(run, at):
                continue  # it was scheduled anew since, or is over
            run.scheduled_at = float("inf")
            if self._may_start():
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

    # leases --------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Claims what is free, then starts, restarts and stops runs so that they are as configured."""
        await self._forget_the_gone()
        if self._worker_no is None:
            asked_at = _boot_time()
            self._worker_no = await self._leases.register_worker(self._process, self._lease_seconds)
            self._lease_until = asked_at + self._lease_seconds
            await self._leases.remove_expired_workers()
            log.info("worker.registered", worker_no=self._worker_no)
        claimed = await self._leases.claim(self._worker_no)
        if claimed:
            log.info("worker.claimed", credentials=claimed)
            self._look_now = True  # there may be more than one claim takes
            self._woken.set()
        wanted = await self._leases.list_leased_syncs(self._worker_no)
        for sync_no, (version, run) in list(self._runs.items()):
            if wanted.get(sync_no) != version or run.is_over:
                del self._runs[sync_no]
                await run.stop()
        self._quotas = {no: known for no, known in self._quotas.items() if no in wanted or known[1].used()}
        self._not_before = {no: at for no, at in self._not_before.items() if no in wanted}
        now = time.monotonic()
        missing = [no for no in wanted if no not in self._runs and self._not_before.get(no, 0.0) <= now]
        for sync_no in missing[:STARTS_AT_ONCE]:
            await self._try_to_start(sync_no, wanted[sync_no])
        if len(missing) > STARTS_AT_ONCE:
            self._look_now = True
            self._woken.set()

    async def _try_to_start(self, sync_no: int, version: tuple[int, int]) -> None:
        try:
            await self._start(sync_no, version)
        except UNAVAILABLE:
            raise
        except Exception as error:  # it alone is at fault
            log.error("worker.sync_not_started", error=error, sync_no=sync_no)  # noqa: TRY400
            self._not_before[sync_no] = time.monotonic() + _START_AGAIN_SECONDS

    async def _forget_the_gone(self) -> None:
        """What a process of this machine held that was killed is free at once; elsewhere a lease must run out."""
        if self._process.boot_id:
            neighbours = await self._leases.list_neighbours(self._process)
            gone = [worker_no for worker_no, start in neighbours.items() if is_gone(start)]
            if gone:
                await self._leases.remove_workers(gone)

    async def _renew_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            if self._worker_no is None:
                continue
            asked_at = _boot_time()
            try:
                renewed = await self._leases.renew_worker(self._worker_no, self._lease_seconds)
            except Exception as error:  # most likely the database is not there
                log.warning("worker.not_renewed", error=error)
                renewed = _boot_time() < self._lease_until
                if renewed:
                    continue
            if renewed:
                self._lease_until = asked_at + self._lease_seconds
                continue
            log.warning("worker.lease_lost", worker_no=self._worker_no)
            await self._stop_runs()
            self._worker_no = None
            self.wake()

    def _may_start(self) -> bool:
        """Not in the lease's last seconds: a request's answer would come when somebody else holds it."""
        margin = min(LEASE_MARGIN_SECONDS, self._lease_seconds / 5)
        return _boot_time() < self._lease_until - margin

    # runs ----------------------------------------------------------------------------------------

    async def _start(self, sync_no: int, version: tuple[int, int]) -> None:
        assert self._worker_no is not None
        sync = await self._leases.get_leased_sync(sync_no, self._worker_no)
        if sync is None or sync.provider not in self._providers:
            return
        provider = self._providers[sync.provider]
        kind = provider.find_kind(sync.kind)
        if kind is None:
            return
        quota = await self._quota(sync)
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
            fetcher=Fetcher(self._client, origin, quota, may_start=self._may_start),
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
        self._schedule(run)
        log.info("sync.started", sync_id=sync.sync_id, provider=sync.provider)

    async def _quota(self, sync: LeasedSync) -> SyncQuota:
        """The sync's quota: kept over a change of configuration, worked out anew after a takeover."""
        limit = RateLimit(**sync.rate_limit)
        epoch, known = self._quotas.get(sync.sync_no, (None, None))
        if epoch != sync.lease_epoch:
            known = None
        if known is not None and known.limit == limit:
            return known

        async def open_block(starts: int) -> None:
            await self._leases.open_quota_block(sync.sync_no, starts, keep_seconds=2 * limit.interval)

        quota = SyncQuota(limit, clock=time.monotonic, open_block=open_block)
        if known is not None:
            # What was started under the old limit counts under the new one.
            quota.assume_used(known.used(), age_seconds=0.0)
        elif limit.interval <= WAITED_OUT_SECONDS:
            # Whatever the former holder started is waited out; the first holder follows on nobody.
            if sync.lease_epoch > sync.first_epoch:
                quota.slow_down(limit.interval * (1 + MARGIN))
        else:
            blocks = await self._leases.list_quota_blocks(sync.sync_no)
            for block, following in zip(blocks, [*blocks[1:], None], strict=True):
                # A block's starts lie between its opening and the next one's.
                quota.assume_used(block.starts, age_seconds=following.age_seconds if following else 0.0)
        self._quotas[sync.sync_no] = (sync.lease_epoch, quota)
        return quota

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

    async def _stop_runs(self) -> None:
        runs = [run for _, run in self._runs.values()]
        self._runs.clear()
        self._due.clear()
        await asyncio.gather(*(run.stop() for run in runs))

    async def _drain(self) -> None:
        await self._stop_runs()
        if self._worker_no is not None:
            with suppress(*UNAVAILABLE):
                await asyncio.wait_for(self._leases.release(self._worker_no), timeout=1.0)


def _boot_time() -> float:
    """Seconds on a clock that also runs while the machine is suspended: a lease ends meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
