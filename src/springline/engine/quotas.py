"""Permits: every request to a provider needs one (I7).

A quota belongs to a credential. The worker that holds its lease owns it in memory: the provider's limits, and for each
sync its own rate limit, on which only its requests draw.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from springline.domain.quotas import BEFORE, Draw, Limit, Observed, Start
from springline.domain.windows import NEVER
from springline.engine.ledgers import Ledger, Priority
from springline.providers.vocabulary import LimitReading, LimitWindow, RateLimit, Request

__all__ = ["CredentialQuota", "Permit", "Priority", "QuotaSnapshot", "SyncQuota", "WindowUse"]

#: More endpoints than this are not remembered once they rest.
_ENDPOINTS_KEPT: Final = 256
#: Why a limit is closed while the database has not recorded, ahead of their use, the starts that come next.
NOT_RECORDED: Final = "the database has not recorded the next starts yet"
_ANY_REQUEST: Final = Request(path="/")


class WindowUse(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of a quota, as it stands now. `used` counts units in the running window, `used_by` the same by purpose;
    `free_in_seconds` is None while that depends on requests under way; `closed_seconds`: so long nothing starts at
    all, `closed_because` of this."""

    name: str
    allowed_requests: int
    interval: float
    used: int
    used_by: dict[str, int]
    running: int
    max_concurrent_requests: int
    waiting: dict[str, int]
    free_in_seconds: float | None
    closed_seconds: float = 0.0
    closed_because: str | None = None


class QuotaSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All limits of a credential's quota, its syncs' own included."""

    windows: tuple[WindowUse, ...]


class Permit:
    """The right to start one request."""

    __slots__ = ("_credential", "_start", "_was_slowed")

    def __init__(self, credential: "CredentialQuota", start: Start) -> None:
        self._credential = credential
        self._start = start
        self._was_slowed = False

    def started(self, at: float) -> None:
        """The request is being written now: from here on its windows count."""
        self._credential.ledger.write(self._start, at)

    def answered(self, status: int, readings: Iterable[LimitReading] = ()) -> None:
        """An answer came, and says this of the provider's limits."""
        self._start.answered(status)
        now = self._credential.ledger.clock()
        for reading in readings:
            for limit in self._limits_called(reading.window):
                if reading.is_exceeded:
                    self._was_slowed = True
                    limit.slow_down(now, reading.after_seconds, because=reading.because, started_at=self._start.at)
                else:
                    limit.learn(Observed(reading.remaining, reading.reset_seconds, reading.allowed_requests), now)
                    # A refusal because nothing is left closes this limit, and no other.
                    nothing_left = reading.remaining is not None and reading.remaining <= 0
                    self._was_slowed = self._was_slowed or (nothing_left and limit.allowed > 0)

    def slow_down(self, seconds: float | None, because: str) -> None:
        """The provider says that it is too much; where no reading said of what, nothing of this credential starts for
        a while."""
        if not self._was_slowed:
            now = self._credential.ledger.clock()
            self._credential.whole.slow_down(now, seconds, because=because, started_at=self._start.at)

    def _limits_called(self, window: str | None) -> Sequence[Limit]:
        named = [limit for limit in self._start.limits if window is not None and limit.name == window]
        return named or [self._credential.whole]


class ProviderLimits:
    """The provider's limits of one credential, or of one OAuth app. `owner` begins the keys under which they are
    recorded."""

    def __init__(self, windows: Sequence[LimitWindow], *, owner: str, recorded: bool) -> None:
        self._windows = [
            (
                window,
                re.compile(window.path) if window.path is not None else None,
                dict(window.costs),
                frozenset(window.uncounted_statuses),
            )
            for window in windows
        ]
        self._owner = owner
        self._recorded = recorded
        self._fixed = {
            window.name: self._make(window)
            for window, pattern, *_ in self._windows
            if not pattern or not pattern.groups
        }
        self._endpoints: dict[tuple[str, ...], Limit] = {}
        self._followed_at: float | None = None

    @property
    def fixed(self) -> list[Limit]:
        """Those that are not of single endpoints."""
        return list(self._fixed.values())

    @property
    def all(self) -> list[Limit]:
        return [*self._fixed.values(), *self._endpoints.values()]

    def draws(self, request: Request, now: float) -> Iterable[Draw]:
        """What a request takes."""
        for window, pattern, costs, uncounted in self._windows:
            endpoint: tuple[str, ...] = ()
            if pattern is not None:
                match = pattern.fullmatch(request.path)
                if match is None:
                    continue
                endpoint = tuple(text or "" for text in match.groups())
            limit = self._endpoint(window, (request.method, *endpoint), now) if endpoint else self._fixed[window.name]
            yield Draw(limit, costs.get(request.method, 1), uncounted)

    def follow_at_endpoints(self, now: float) -> None:
        """Somebody held the limits of single endpoints until now, whichever they are."""
        self._followed_at = now

    def _endpoint(self, window: LimitWindow, endpoint: tuple[str, ...], now: float) -> Limit:
        key = (window.name, *endpoint)
        limit = self._endpoints.get(key)
        if limit is None:
            if len(self._endpoints) >= _ENDPOINTS_KEPT:
                self._endpoints = {
                    known: each
                    for known, each in self._endpoints.items()
                    if each.running or each.used(now) or each.shut_until(now)
                }
            limit = self._endpoints[key] = self._make(window, " ".join(part for part in endpoint if part))
            if self._followed_at is not None and now < self._followed_at + 2 * window.interval:
                limit.follow_holder(self._followed_at)
        return limit

    def _make(self, window: LimitWindow, endpoint: str = "") -> Limit:
        return Limit(
            window.name,
            window.allowed_requests,
            window.interval,
            max_concurrent=window.max_concurrent_requests,
            key=f"{self._owner}/{window.name}" + (f" {endpoint}" if endpoint else ""),
            recorded=self._recorded,
        )


class CredentialQuota:
    """All that the requests of one credential draw on. `ledger` may be shared with other credentials of the same OAuth
    app, whose limits are `app`. `is_recorded`: its long limits are written ahead, by what the ledger calls."""

    def __init__(
        self,
        owner: str,
        windows: Sequence[LimitWindow] = (),
        *,
        clock: Callable[[], float],
        ledger: Ledger | None = None,
        app: ProviderLimits | None = None,
        is_recorded: bool = False,
    ) -> None:
        self.owner = owner
        self.ledger = ledger or Ledger(clock=clock)
        self._is_recorded = is_recorded
        #: What closes when the provider says "too much" and not of what.
        self.whole = Limit("credential", 0, 0.0, key=owner)
        self.limits = ProviderLimits(windows, owner=owner, recorded=is_recorded)
        self.app = app
        self._syncs: dict[int, tuple[RateLimit, Limit]] = {}

    def sync_limit(self, sync_no: int, limit: RateLimit) -> tuple[Limit, bool]:
        """The sync's own limit, and whether it is new here. One that was configured anew counts what was used."""
        known = self._syncs.get(sync_no)
        if known is not None and known[0] == limit:
            return known[1], False
        made = Limit(
            "rate_limit",
            limit.allowed_requests,
            limit.interval,
            max_concurrent=limit.max_concurrent_requests,
            key=f"sync:{sync_no}",
            recorded=self._is_recorded,
        )
        if known is not None:
            made.follow(known[1], self.ledger.clock())
        self._syncs[sync_no] = limit, made
        return made, known is None

    def forget_sync(self, sync_no: int) -> None:
        """The sync runs here no longer; what it has used is kept while it counts."""
        known = self._syncs.get(sync_no)
        if known is not None and not known[1].running and not known[1].used(self.ledger.clock()):
            self.remove_sync(sync_no)

    def remove_sync(self, sync_no: int) -> None:
        """As if the sync had never been known here."""
        self._syncs.pop(sync_no, None)

    @property
    def sync_nos(self) -> set[int]:
        """The syncs whose limits are known here."""
        return set(self._syncs)

    def is_at_rest(self) -> bool:
        """Whether nothing would be lost if it were forgotten."""
        now = self.ledger.clock()
        limits = [self.whole, *self.limits.all, *(limit for _, limit in self._syncs.values())]
        return not any(limit.running or limit.used(now) or limit.shut_until(now) for limit in limits)

    def draws(self, request: Request, sync_no: int | None) -> tuple[Draw, ...]:
        """What a request takes, in the name of a sync or of nobody's."""
        now = self.ledger.clock()
        own = self._syncs.get(sync_no) if sync_no is not None else None
        return (
            Draw(self.whole),
            *(self.app.draws(request, now) if self.app is not None else ()),
            *self.limits.draws(request, now),
            *((Draw(own[1]),) if own is not None else ()),
        )

    async def take(self, priority: Priority, request: Request = _ANY_REQUEST, *, sync_no: int | None = None) -> Start:
        """Waits for a start, to be given back to `ledger.end`."""
        return await self.ledger.take(priority, party=(self.owner, sync_no), draws=self.draws(request, sync_no))

    @asynccontextmanager
    async def permit(
        self, priority: Priority, request: Request = _ANY_REQUEST, *, sync_no: int | None = None
    ) -> AsyncIterator[Permit]:
        """Waits for a free start; the request counts as running until the block is left."""
        start = await self.take(priority, request, sync_no=sync_no)
        try:
            yield Permit(self, start)
        finally:
            self.ledger.end(start)

    def close(self, error: Exception) -> None:
        """The credential is no longer ours: nobody waits for it here."""
        self.ledger.refuse_all(error, parties=lambda party: isinstance(party, tuple) and party[0] == self.owner)

    def snapshot(self) -> QuotaSnapshot:
        """How everything stands now."""
        limits = [self.whole, *self.limits.all, *(self.app.all if self.app is not None else ())]
        limits += [limit for _, limit in self._syncs.values()]
        return QuotaSnapshot(windows=tuple(self._window_use(limit) for limit in limits))

    def _window_use(self, limit: Limit) -> WindowUse:
        now = self.ledger.clock()
        free_at = limit.free_at(now, bulk=False)
        shut = limit.shut_until(now)
        if shut is None and limit.lacks_block(now):
            shut = now, NOT_RECORDED
        return WindowUse(
            name=limit.key,
            allowed_requests=limit.allowed,
            interval=limit.interval,
            used=limit.used(now),
            used_by={_purpose(purpose): units for purpose, units in sorted(limit.used_by_purpose(now).items())},
            running=limit.running,
            max_concurrent_requests=limit.max_concurrent,
            waiting={priority.name: count for priority, count in sorted(self.ledger.count_waiting(limit).items())},
            free_in_seconds=None if free_at == NEVER else max(0.0, free_at - now),
            closed_seconds=max(0.0, shut[0] - now) if shut else 0.0,
            closed_because=shut[1] if shut else None,
        )


class SyncQuota:
    """The quota as one sync sees it: its own limit, inside those of `credential`; without one it is alone."""

    def __init__(
        self,
        limit: RateLimit,
        *,
        clock: Callable[[], float],
        credential: CredentialQuota | None = None,
        sync_no: int = 0,
    ) -> None:
        self.limit = limit
        self.sync_no = sync_no
        self.credential = credential or CredentialQuota("credential:0", clock=clock)
        self._own, _ = self.credential.sync_limit(sync_no, limit)

    @asynccontextmanager
    async def permit(self, priority: Priority, request: Request = _ANY_REQUEST) -> AsyncIterator[Permit]:
        """Waits for a free start; the request counts as running until the block is left."""
        async with self.credential.permit(priority, request, sync_no=self.sync_no) as permit:
            yield permit

    def slow_down(self, seconds: float) -> None:
        """Nothing of the credential starts for a while."""
        whole = self.credential.whole
        whole.close(self.credential.ledger.clock() + seconds, "it was told to")

    @property
    def is_waited_for(self) -> bool:
        """Whether requests of this sync are waiting for a permit now."""
        return self.credential.ledger.is_waited_for((self.credential.owner, self.sync_no))

    @property
    def seconds_per_request(self) -> float:
        """The even pace of one request, of the strictest limit that this sync shares fairly with the others."""
        shared = [draw.limit for draw in self.credential.draws(_ANY_REQUEST, None) if draw.limit.allowed]
        syncs = max(1, len(self.credential.sync_nos))
        return max(
            self.limit.interval / self.limit.allowed_requests,
            *(limit.interval / limit.allowed * syncs for limit in shared),
            0.0,
        )

    def next_start_at(self, *, bulk: bool) -> float | None:
        """When a request of this sync (`bulk`: one that keeps an even pace) may start, on the quota's clock; None: that
        depends on requests under way."""
        now = self.credential.ledger.clock()
        at = max(
            max(draw.limit.free_at(now, bulk=bulk), shut[0] if (shut := draw.limit.shut_until(now)) else now)
            for draw in self.credential.draws(_ANY_REQUEST, self.sync_no)
        )
        return None if at == NEVER else at

    def used(self) -> int:
        """Starts of this sync in the running window."""
        return self._own.used(self.credential.ledger.clock())


def _purpose(purpose: int) -> str:
    return "before" if purpose == BEFORE else Priority(purpose).name
