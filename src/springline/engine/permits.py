"""Permits for calls that are made by whatever process: verification, the proxy, mutations. Where the quota is owned by
another process, its owner is asked."""

import time
from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Protocol

import msgspec

from springline.domain.errors import OwnerUnavailable
from springline.engine.ledgers import Priority
from springline.engine.owners import Answer, Owners
from springline.engine.quotas import CredentialQuota, Permit
from springline.providers.access import LimitReading, RateLimit, Request

#: A borrower leaves off so much earlier than it need.
_LOAN_MARGIN_SECONDS: Final = 1.0

#: A sync's number and its rate limit.
InNameOf = tuple[int, RateLimit]


class PermitQuestion(msgspec.Struct, frozen=True, kw_only=True, tag="permit"):
    """Another process wants to send a request, in the name of a sync or of nobody's, and will have ended it
    `valid_seconds` after the answer. `limit`: the sync's own, for a holder that does not run it."""

    priority: Priority
    method: str
    path: str
    valid_seconds: float
    sync_no: int | None = None
    limit: RateLimit | None = None

    @property
    def request(self) -> Request:
        return Request(method=self.method, path=self.path)

    @property
    def sync(self) -> InNameOf | None:
        return None if self.sync_no is None or self.limit is None else (self.sync_no, self.limit)


class PermitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The request may start, and must have ended within this time."""

    valid_seconds: float


class PermitEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a lent permit. `started_ago` None: nothing was sent."""

    started_ago: float | None = None
    status: int | None = None
    readings: tuple[LimitReading, ...] = ()
    slow_down: bool = False
    after_seconds: float | None = None
    because: str = ""


class BorrowedPermit:
    """The right to start one request, from the worker that owns the quota. It must have ended in `seconds_left`."""

    def __init__(self, valid_until: float) -> None:
        self._valid_until = valid_until
        self._started_at: float | None = None
        self._status: int | None = None
        self._readings: tuple[LimitReading, ...] = ()
        self._slow_down: tuple[float | None, str] | None = None

    @property
    def seconds_left(self) -> float:
        return self._valid_until - time.monotonic()

    def started(self, at: float) -> None:
        """The request is being written now."""
        if self._started_at is None:
            self._started_at = at

    def answered(self, status: int, readings: tuple[LimitReading, ...] = ()) -> None:
        """An answer came, and says this of the provider's limits."""
        self._status, self._readings = status, readings

    def slow_down(self, seconds: float | None, because: str) -> None:
        """The provider says that it is too much."""
        self._slow_down = seconds, because

    def end(self) -> str:
        """What the owner is told."""
        after_seconds, because = self._slow_down or (None, "")
        end = PermitEnd(
            started_ago=None if self._started_at is None else time.monotonic() - self._started_at,
            status=self._status,
            readings=self._readings,
            slow_down=self._slow_down is not None,
            after_seconds=after_seconds,
            because=because[:200],
        )
        return msgspec.json.encode(end).decode()


class OwnQuotas(Protocol):
    """The quotas that this process's worker owns."""

    async def own(self, credential_no: int, sync: InNameOf | None) -> CredentialQuota | None:
        """The credential's quota, ready for requests in the name of this sync; None: it is not ours."""
        ...


class Permits:
    """Gives permits, wherever the quota is owned. `quotas`: of this process's worker, where it has one."""

    def __init__(self, owners: Owners, quotas: OwnQuotas | None = None) -> None:
        self._owners = owners
        self._quotas = quotas

    async def is_owned(self, credential_no: int) -> bool:
        """Whether somebody owns the credential's quota now. Where nobody does, no worker draws on it either."""
        return await self._owners.is_held(credential_no)

    @asynccontextmanager
    async def permit(
        self,
        credential_no: int,
        request: Request,
        *,
        valid_seconds: float,
        timeout_seconds: float,
        priority: Priority = Priority.waiting,
        sync: InNameOf | None = None,
    ) -> AsyncIterator[Permit | BorrowedPermit]:
        """Waits at most `timeout_seconds` for a permit, in the name of a sync or of nobody's. The request must end
        within `valid_seconds` and the permit's `seconds_left`. Raises OwnerUnavailable, UNAVAILABLE without a
        database."""
        own = await self._quotas.own(credential_no, sync) if self._quotas is not None else None
        sync_no, limit = sync if sync is not None else (None, None)
        if own is not None:
            async with AsyncExitStack() as stack:
                try:
                    async with timeout(timeout_seconds):
                        permit = await stack.enter_async_context(own.permit(priority, request, sync_no=sync_no))
                except TimeoutError:
                    raise OwnerUnavailable(f"the quota has no room within {timeout_seconds:g} s; try again") from None
                yield permit
            return
        question = PermitQuestion(
            priority=priority,
            method=request.method,
            path=request.path,
            valid_seconds=valid_seconds + _LOAN_MARGIN_SECONDS,
            sync_no=sync_no,
            limit=limit,
        )
        async with self._owners.asking(credential_no, question, timeout_seconds=timeout_seconds) as answer:
            borrowed = BorrowedPermit(_valid_until(answer))
            try:
                yield borrowed
            finally:
                self._owners.tell_ended(answer, borrowed.end())


def _valid_until(answer: Answer) -> float:
    granted = msgspec.json.decode(answer.content, type=PermitAnswer)
    return time.monotonic() + granted.valid_seconds - answer.age_seconds - _LOAN_MARGIN_SECONDS
