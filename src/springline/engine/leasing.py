"""What a worker holds: its own lease, the credentials that it has claimed, and the syncs of them that are to run.

One row per worker is renewed. A look reads who else works and what was configured lately; everything that a worker
holds is read only now and then. Leases are spread by number: nobody takes more than its share, who has more hands over
(ADR 0013).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from springline import telemetry
from springline.domain.leases import balance
from springline.engine.processes import is_gone, this_process
from springline.metrics import LEASES_HELD, Metrics
from springline.store.database import UNAVAILABLE
from springline.store.leases import CLAIM_AT_MOST, LeasedVersion, LeaseStore, Peer, Surroundings

log = telemetry.logger("worker")

#: Nothing starts in a lease's last seconds.
LEASE_MARGIN_SECONDS: Final = 3.0
#: A worker hands over what it holds beyond its share only when workers have neither come nor gone for so long (or for a
#: lease, where that is shorter), and no credential that it has held for less: a rolling restart moves each once.
MINIMUM_STAY_SECONDS: Final = 30.0
#: So many credentials are handed over at once: each is without a worker for a moment.
HAND_OVER_AT_ONCE: Final = 50
#: Everything that is held is read again after this, whatever the looks have seen.
FULL_LOOK_SECONDS: Final = 30.0
#: A look reads so much further back than the last one: a change shows when it is committed, later than it was made.
#: No transaction of ours lasts longer than 5 s.
_OVERLAP_SECONDS: Final = 10.0
_RELEASE_SECONDS: Final = 2.0
#: Who had to take what another should have taken gives nothing away for so many minimum stays.
_KEEP_STAYS: Final = 20


class Leasing:
    """One worker's leases. `on_lost` is awaited when the worker's lease is over: nothing of it may run on."""

    def __init__(
        self,
        leases: LeaseStore,
        *,
        lease_seconds: float,
        metrics: Metrics,
        on_lost: Callable[[], Awaitable[None]],
        minimum_stay_seconds: float = MINIMUM_STAY_SECONDS,
    ) -> None:
        self._leases = leases
        self._lease_seconds = lease_seconds
        self._stay_seconds = min(minimum_stay_seconds, lease_seconds)
        self._metrics = metrics
        self._on_lost = on_lost
        self._process = this_process()
        self.worker_no: int | None = None
        #: Who we were before our lease was over.
        self._former: int | None = None
        self._lease_until = 0.0
        #: Credential → since when it is held, on the monotonic clock.
        self._held: dict[int, float] = {}
        #: The syncs that are to run, by number.
        self.syncs: dict[int, LeasedVersion] = {}
        #: Held credentials that others should have.
        self.surplus: list[int] = []
        #: Whether more is free than one claim takes.
        self.has_more_to_claim = False
        self._said = 0
        self._looked_at = 0.0
        self._full_look_at = 0.0
        self._members: frozenset[int] = frozenset()
        self._members_since = 0.0
        #: What was free beyond our share at the last look, and since when it has not become less.
        self._left: tuple[int, float] = (0, 0.0)
        self._keep_until = 0.0
        metrics.gauges[LEASES_HELD] = lambda: len(self._held)

    def may_start(self) -> bool:
        """Not in the lease's last seconds: a request's answer would come when somebody else holds it."""
        margin = min(LEASE_MARGIN_SECONDS, self._lease_seconds / 5)
        return boot_time() < self._lease_until - margin

    # looks ---------------------------------------------------------------------------------------

    @property
    def seconds_left(self) -> float:
        """Until somebody else may hold what this worker holds."""
        return self._lease_until - boot_time()

    async def look(self, *, may_claim: bool) -> None:
        """Registers if need be, claims what is free up to the fair share, and learns what is to run."""
        if self.worker_no is None:
            await self._register()
        worker_no = self.worker_no
        assert worker_no is not None
        peers, free = await self._look_around(worker_no)
        claimed = await self._balance(worker_no, peers, free=free, may_claim=may_claim)
        if self.worker_no != worker_no:
            return  # lost meanwhile
        looked_at = boot_time()
        if looked_at >= self._full_look_at:
            await self._look_at_everything(worker_no)
        else:
            await self.confirm(claimed)
            await self._look_at_changes(worker_no)
        self._looked_at = looked_at
        await self._say_held(worker_no)

    def distrust(self) -> None:
        """Something failed on the way: the database may hold what we do not know of, or not what we think."""
        self._full_look_at = 0.0

    async def confirm(self, credential_nos: list[int]) -> None:
        """Reads again what is to run for these credentials, and sees to it that it may write (I3)."""
        worker_no = self.worker_no
        if worker_no is None or not credential_nos:
            return
        await self._leases.raise_fences(worker_no, credential_nos)
        leased = await self._leases.list_leased_syncs(worker_no, credential_nos)
        if self.worker_no == worker_no:
            read = set(credential_nos)
            self._forget_syncs(lambda version: version.credential_no in read)
            self.syncs |= leased

    async def hand_over(self, credential_nos: list[int]) -> None:
        """Gives credentials back for which nothing runs any more."""
        worker_no = self.worker_no
        if worker_no is None:
            return
        given = set(credential_nos)
        credentials = len(self._held.keys() - given)
        await self._leases.hand_over(worker_no, credential_nos, credentials=credentials)
        self._forget_syncs(lambda version: version.credential_no in given)
        for credential_no in given:
            self._held.pop(credential_no, None)
        self.surplus = []
        self._said = credentials
        self._metrics.leases_handed_over += len(credential_nos)
        log.info("worker.handed_over", credentials=len(credential_nos), held=credentials)

    async def release(self) -> None:
        """A clean stop: everything is free at once."""
        if self.worker_no is not None:
            with suppress(*UNAVAILABLE):
                await asyncio.wait_for(self._leases.release(self.worker_no), timeout=_RELEASE_SECONDS)
            self._forget_everything()

    async def _register(self) -> None:
        asked_at = boot_time()
        worker_no = await self._leases.register_worker(self._process, self._lease_seconds)
        self._lease_until = asked_at + self._lease_seconds
        self.worker_no = worker_no
        if self._former is not None:
            await self._leases.remove_workers([self._former])
            self._former = None
        log.info("worker.registered", worker_no=worker_no)

    async def _look_around(self, worker_no: int) -> Surroundings:
        """The other workers that live. What a process of this machine held that was killed is free at once; elsewhere a
        lease must run out."""
        peers, free = await self._leases.look_around()
        others = [peer for peer in peers if peer.worker_no != worker_no]
        gone = {peer.worker_no for peer in others if self._is_gone(peer)}
        if gone:
            await self._leases.remove_workers(sorted(gone))
        living = [peer for peer in others if peer.lives and peer.worker_no not in gone]
        free += sum(peer.credentials for peer in others) - sum(peer.credentials for peer in living)
        members = frozenset(peer.worker_no for peer in living)
        if members != self._members:
            self._members, self._members_since = members, time.monotonic()
        return Surroundings(living, free)

    def _is_gone(self, peer: Peer) -> bool:
        process = peer.process
        is_neighbour = process.boot_id != "" and process[:2] == self._process[:2]
        return is_neighbour and is_gone(process.process_start)

    async def _balance(self, worker_no: int, peers: Iterable[Peer], *, free: int, may_claim: bool) -> list[int]:
        """Takes what is missing of the fair share, and finds what is too much of it."""
        now = time.monotonic()
        share = balance(len(self._held), others=[peer.credentials for peer in peers], free=free)
        take = share.take or self._left_lying(free, now)
        if share.take:
            self._left = (0, now)
        claimed: list[int] = []
        if take and may_claim:
            claimed = await self._leases.claim(worker_no, at_most=min(take, CLAIM_AT_MOST))
        if claimed and self.worker_no == worker_no:
            self._held |= dict.fromkeys(claimed, now)
            self._metrics.leases_taken += len(claimed)
            log.info("worker.claimed", credentials=len(claimed), held=len(self._held))
        self.has_more_to_claim = take > len(claimed) > 0
        self.surplus = []
        # One batch after the other: what is free already waits for somebody.
        if share.give and free == 0 and now > max(self._keep_until, self._members_since + self._stay_seconds):
            long_held = (no for no, since in self._held.items() if now - since >= self._stay_seconds)
            most = min(share.give, HAND_OVER_AT_ONCE)
            self.surplus = [no for no, _ in zip(long_held, range(most), strict=False)]
        return claimed

    def _left_lying(self, free: int, now: float) -> int:
        """What is free beyond our share and for so long that those whose share it is will not take it."""
        before, since = self._left
        if before == 0 or free < before:
            since = now
        self._left = (free, since)
        if free == 0 or now - since < self._lease_seconds / 4:
            return 0
        # Somebody lives and takes nothing: what we gave it would lie there again.
        self._keep_until = now + _KEEP_STAYS * self._stay_seconds
        return free

    async def _look_at_everything(self, worker_no: int) -> None:
        now = time.monotonic()
        await self._leases.free_all_lost()
        await self._leases.remove_expired_workers()
        held = await self._leases.list_held_credentials(worker_no)
        if self.worker_no != worker_no:
            return
        self._held = {credential_no: self._held.get(credential_no, now) for credential_no in held}
        self._forget_syncs(lambda version: version.credential_no not in self._held)
        await self.confirm(held)
        # Not all workers at the same time.
        self._full_look_at = boot_time() + FULL_LOOK_SECONDS * random.uniform(0.8, 1.2)

    async def _look_at_changes(self, worker_no: int) -> None:
        since_seconds = boot_time() - self._looked_at + _OVERLAP_SECONDS
        configured = await self._leases.list_configured_syncs(worker_no, within_seconds=since_seconds)
        if self.worker_no != worker_no:
            return
        fenced_off: set[int] = set()
        for sync in configured:
            if sync.version is None:
                self.syncs.pop(sync.sync_no, None)
            elif sync.version.credential_no not in self._held:
                continue  # claimed behind our back: the next full look sees it
            elif sync.is_fenced_off:
                fenced_off.add(sync.version.credential_no)
            else:
                self.syncs[sync.sync_no] = sync.version
        await self.confirm(sorted(fenced_off))

    async def _say_held(self, worker_no: int) -> None:
        held = len(self._held)
        if held != self._said:
            await self._leases.say_held(worker_no, credentials=held)
            self._said = held

    # the worker's own lease ----------------------------------------------------------------------

    async def renew_again_and_again(self) -> None:
        """Renews the lease until it is cancelled. Once it is over, `on_lost` is awaited and the next look registers
        anew."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            if self.worker_no is not None and not await self._renew(self.worker_no):
                log.warning("worker.lease_lost", worker_no=self.worker_no, credentials=len(self._held))
                self._metrics.leases_lost += len(self._held)
                self._forget_everything()
                await self._on_lost()

    async def _renew(self, worker_no: int) -> bool:
        asked_at = boot_time()
        try:
            renewed = await self._leases.renew_worker(worker_no, self._lease_seconds, credentials=len(self._held))
        except Exception as error:  # most likely the database is not there
            log.warning("worker.not_renewed", error=error)
            return boot_time() < self._lease_until
        if renewed:
            self._lease_until = asked_at + self._lease_seconds
        return renewed

    def _forget_everything(self) -> None:
        self._former, self.worker_no = self.worker_no, None
        self._held.clear()
        self.syncs.clear()
        self.surplus = []
        self._said = 0
        self._full_look_at = 0.0
        self._left = (0, 0.0)

    def _forget_syncs(self, which: Callable[[LeasedVersion], bool]) -> None:
        for sync_no in [no for no, version in self.syncs.items() if which(version)]:
            del self.syncs[sync_no]


def boot_time() -> float:
    """Seconds on a clock that also runs while the machine is suspended: a lease ends meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
