"""Owns the quotas of the credentials whose lease this worker holds: opens them, follows on a former holder, lends
permits to other processes."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

import msgspec

from springline.domain.errors import OwnerUnavailable
from springline.domain.quotas import WAITED_OUT_SECONDS, Limit
from springline.engine.ledgers import Ledger
from springline.engine.owners import Owners, Reply
from springline.engine.permits import InNameOf, PermitAnswer, PermitQuestion
from springline.engine.quota_blocks import BlockWriter
from springline.engine.quota_loans import LONGEST_LOAN_SECONDS, Loans
from springline.engine.quotas import CredentialQuota, Permit, Priority, ProviderLimits, QuotaSnapshot, SyncQuota
from springline.providers.vocabulary import LimitWindow, Provider, RateLimit
from springline.store.database import UNAVAILABLE
from springline.store.leases import LeasedSync
from springline.store.owners import OwnerStore
from springline.store.quotas import HeldCredential, QuotaStore

_LEASE_LOOK_SECONDS: Final = 0.2


class SnapshotQuestion(msgspec.Struct, frozen=True, kw_only=True, tag="quota_snapshot"):
    """How does the credential's quota stand? Answered by a `QuotaSnapshot` as JSON."""


class Lease(Protocol):
    """The worker's lease."""

    @property
    def worker_no(self) -> int | None:
        """None: it holds nothing now."""
        ...

    def may_start(self) -> bool:
        """Whether there is time enough left for one more request."""
        ...


class _Held:
    """A quota, as of one lease. `is_sure`: the lease is known to be ours still."""

    __slots__ = ("epoch", "is_sure", "opened_at", "quota", "syncs", "worker_no")

    def __init__(self, quota: CredentialQuota, *, epoch: int, worker_no: int, opened_at: float) -> None:
        self.quota = quota
        self.epoch = epoch
        self.worker_no = worker_no
        self.opened_at = opened_at
        self.is_sure = True
        self.syncs: dict[int, SyncQuota] = {}


class QuotaOwner:
    """The quotas of one worker. `open_properties` decrypts what a credential holds, told by its org_id and
    credential_id. With `published_limits` False the providers' own limits do not apply, as for a fake that has none."""

    def __init__(
        self,
        *,
        store: QuotaStore,
        owner_store: OwnerStore,
        owners: Owners,
        providers: Mapping[str, Provider],
        open_properties: Callable[[Any], Awaitable[Mapping[str, Any]]],
        published_limits: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._owner_store = owner_store
        self._owners = owners
        self._providers = providers
        self._open_properties = open_properties
        self._published_limits = published_limits
        self._clock = clock
        self._blocks = BlockWriter(store, clock=clock)
        self._lease: Lease | None = None
        self._held: dict[int, _Held] = {}
        self._apps: dict[uuid.UUID, tuple[Ledger, ProviderLimits]] = {}
        self._loans = Loans()
        #: One opens a credential's quota at a time.
        self._opening: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        owners.handle(PermitQuestion, self._lend)
        owners.handle(SnapshotQuestion, self._show)

    def follow(self, lease: Lease) -> None:
        """The worker whose leases these are."""
        self._lease = lease
        self._owners.answer_as(lambda: lease.worker_no, holds=self.holds, on_ended=self._loans.end)

    async def close(self) -> None:
        """Gives nothing more."""
        await self._blocks.close()
        self._loans.close()

    # the worker's syncs -----------------------------------------------------------------------------

    async def sync_quota(self, sync: LeasedSync) -> SyncQuota:
        """The sync's quota: kept over a change of configuration, worked out anew after a takeover. Raises
        OwnerUnavailable if the lease was lost meanwhile."""
        async with self._lock(sync.credential_no):
            held = await self._hold(sync.credential_no, epoch=sync.lease_epoch)
            limit = RateLimit(**sync.rate_limit)
            known = held.syncs.get(sync.sync_no)
            if known is None or known.limit != limit:
                # Who has the epoch under which it ran first follows on nobody.
                follows = sync.lease_epoch > sync.first_epoch
                await self._know_sync(held, (sync.sync_no, limit), follows=follows)
                known = SyncQuota(limit, clock=self._clock, credential=held.quota, sync_no=sync.sync_no)
                held.syncs[sync.sync_no] = known
            return known

    def keep_only(self, sync_nos: Mapping[int, object]) -> None:
        """The syncs that still run here. What the others have used is kept while it counts."""
        for credential_no, held in list(self._held.items()):
            for sync_no in [no for no in held.syncs if no not in sync_nos]:
                del held.syncs[sync_no]
            for sync_no in held.quota.sync_nos - held.syncs.keys():
                held.quota.forget_sync(sync_no)
            if not held.syncs:
                held.is_sure = False
                if held.quota.is_at_rest():
                    del self._held[credential_no]

    def give_up(self, credential_no: int) -> None:
        """The credential's lease is given up: nobody gets a permit for it here any more."""
        held = self._held.pop(credential_no, None)
        if held is not None:
            held.quota.close(OwnerUnavailable("the lease of the credential was given up"))

    def holds(self, credential_no: int) -> bool:
        """Whether it is known, without asking the database, that the credential's lease is ours."""
        held = self._held.get(credential_no)
        return (
            held is not None
            and held.is_sure
            and self._lease is not None
            and self._lease.worker_no == held.worker_no
            and self._lease.may_start()
        )

    def snapshot(self, credential_no: int) -> QuotaSnapshot | None:
        """How a quota stands; None: it is not ours, or was not needed yet."""
        return self._held[credential_no].quota.snapshot() if self.holds(credential_no) else None

    # opening ----------------------------------------------------------------------------------------

    def _lock(self, credential_no: int) -> asyncio.Lock:
        return self._opening.setdefault(credential_no, asyncio.Lock())

    async def _hold(self, credential_no: int, *, epoch: int | None = None) -> _Held:
        """The quota of a credential whose lease is ours, opened if need be. Raises OwnerUnavailable if it is not."""
        held = self._held.get(credential_no)
        if held is not None and (held.epoch == epoch or (epoch is None and self.holds(credential_no))):
            held.is_sure = True
            return held
        worker_no = self._lease.worker_no if self._lease is not None else None
        credential = None
        if worker_no is not None:
            credential = await self._store.get_held_credential(credential_no, worker_no)
        if credential is None or worker_no is None or (epoch is not None and credential.lease_epoch != epoch):
            raise OwnerUnavailable(f"the lease of credential {credential_no} is held elsewhere")
        if held is None or held.epoch != credential.lease_epoch:
            self.give_up(credential_no)
            quota = await self._open(credential)
            held = _Held(quota, epoch=credential.lease_epoch, worker_no=worker_no, opened_at=self._clock())
            self._held[credential_no] = held
        held.is_sure = True
        return held

    async def _open(self, credential: HeldCredential) -> CredentialQuota:
        windows = await self._windows(credential)
        ledger, app = self._app(credential.oauth_app_id, [each for each in windows if each.shared_by_app])
        quota = CredentialQuota(
            f"credential:{credential.credential_no}",
            [each for each in windows if app is None or not each.shared_by_app],
            clock=self._clock,
            ledger=ledger,
            app=app,
            is_recorded=True,
        )
        if credential.lease_epoch > 1:
            await self._follow_holder(quota.limits.fixed)
            quota.limits.follow_at_endpoints(self._clock())
            self._loans.take_over(quota, await self._owner_store.list_answered(credential.credential_no))
        return quota

    async def _windows(self, credential: HeldCredential) -> tuple[LimitWindow, ...]:
        provider = self._providers.get(credential.provider)
        kind = provider.find_kind(credential.kind) if provider is not None else None
        if kind is None or not self._published_limits:
            return ()
        try:
            properties = await self._open_properties(credential)
        except UNAVAILABLE:
            raise
        except Exception:  # it cannot be read: the requests will say so; until then the strictest limits hold
            properties = {}
        return kind.limits(properties)

    def _ledger(self) -> Ledger:
        ledger = Ledger(
            clock=self._clock, want_block=lambda limit, cost: self._blocks.want(limit, cost, ledger.dispatch)
        )
        return ledger

    def _app(self, app_id: uuid.UUID | None, windows: list[LimitWindow]) -> tuple[Ledger, ProviderLimits | None]:
        """Credentials of one OAuth app share its limits, and so a ledger."""
        if app_id is None or not windows:
            return self._ledger(), None
        if app_id not in self._apps:
            limits = ProviderLimits(windows, owner=f"app:{app_id}", recorded=True)
            for limit in limits.fixed:
                limit.follow_holder(self._clock())
            limits.follow_at_endpoints(self._clock())
            self._apps[app_id] = self._ledger(), limits
        return self._apps[app_id]

    async def _know_sync(self, held: _Held, sync: InNameOf, *, follows: bool) -> None:
        limit, is_new = held.quota.sync_limit(*sync)
        # A short one that we forgot ourselves, while we held the lease, was at rest.
        is_ours = not limit.is_recorded and self._clock() - held.opened_at > 2 * WAITED_OUT_SECONDS
        if is_new and follows and not is_ours:
            try:
                await self._follow_holder([limit])
            except BaseException:
                held.quota.remove_sync(sync[0])  # the next attempt has to count it
                raise

    async def _follow_holder(self, limits: list[Limit]) -> None:
        """Counts what a former holder may have started."""
        keys = [limit.key for limit in limits if limit.is_recorded]
        recorded = await self._store.list_blocks(keys) if keys else {}
        now = self._clock()
        for limit in limits:
            blocks = recorded.get(limit.key, [])
            for number, block in enumerate(blocks, 1):
                # A block's starts lie between its opening and the next one's.
                limit.assume_used(block.starts, now - (blocks[number].age_seconds if number < len(blocks) else 0.0))
            limit.follow_holder(now)

    async def _show(self, credential_no: int, question: SnapshotQuestion, question_no: int | None) -> Reply:
        async with self._lock(credential_no):
            held = await self._hold(credential_no)
        return Reply(msgspec.json.encode(held.quota.snapshot()))

    # permits for others -------------------------------------------------------------------------------

    async def own(self, credential_no: int, sync: InNameOf | None) -> CredentialQuota | None:
        """The credential's quota, ready for requests in the name of this sync; None: it is not ours."""
        if not self.holds(credential_no):
            return None
        async with self._lock(credential_no):
            try:
                return (await self._hold_for(credential_no, sync)).quota
            except OwnerUnavailable:
                return None

    @asynccontextmanager
    async def permit_of(self, credential_no: int) -> AsyncIterator[Permit | None]:
        """A permit for a request in a credential's name that is none of a sync's own, as one for a token; None where
        its lease is not held here."""
        quota = await self.own(credential_no, None)
        if quota is None:
            yield None
            return
        async with quota.permit(Priority.waiting) as permit:
            yield permit

    async def _hold_for(self, credential_no: int, sync: InNameOf | None) -> _Held:
        held = await self._hold(credential_no)
        if sync is not None and sync[0] not in held.quota.sync_nos:
            await self._know_sync(held, sync, follows=held.epoch > 1)
        return held

    async def _lend(self, credential_no: int, question: PermitQuestion, question_no: int | None) -> Reply:
        if question_no is None:
            raise OwnerUnavailable("the quota is that of this process: nothing is lent")
        async with self._lock(credential_no):
            held = await self._hold_for(credential_no, question.sync)
        ledger = held.quota.ledger
        start = await held.quota.take(question.priority, question.request, sync_no=question.sync_no)
        try:
            # In a lease's last seconds: either it is renewed, or lost.
            while held.is_sure and self._held.get(credential_no) is held and not self.holds(credential_no):  # noqa: ASYNC110
                await asyncio.sleep(_LEASE_LOOK_SECONDS)
        except BaseException:
            ledger.end(start)
            raise
        if not self.holds(credential_no):
            ledger.end(start)
            raise OwnerUnavailable("the lease of the credential was lost")
        valid = min(question.valid_seconds, LONGEST_LOAN_SECONDS)
        self._loans.note(question_no, held.quota, start, seconds=valid)
        answer = msgspec.json.encode(PermitAnswer(valid_seconds=valid))
        return Reply(answer, undelivered=lambda: self._loans.end(question_no, ""))
