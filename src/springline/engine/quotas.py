"""Permits: every request to a provider needs one (I7).

A quota belongs to a credential. The worker that holds its lease owns it in memory; what the database does not know of
never exceeds a twentieth of a window, so that a restart can count it. Calls that someone waits for go first.
"""

import asyncio
import heapq
import itertools
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Final

from springline.domain.quotas import Start, WindowSet
from springline.providers.vocabulary import RateLimit

#: A former holder of a shorter window is waited out; longer ones are recorded in blocks.
WAITED_OUT_SECONDS: Final = 10.0
#: The part of a window that is written ahead at once.
BLOCK_SHARE: Final = 0.05


class Priority(IntEnum):
    """Who goes first when there is not enough for all."""

    waiting = 0  # someone waits for the answer
    urgent = 1  # a record is known to have changed
    poll = 2
    backfill = 3
    sweep = 4


class Permit:
    """The right to start one request."""

    __slots__ = ("_written",)

    def __init__(self, written: Callable[[float], None]) -> None:
        self._written = written

    def started(self, at: float) -> None:
        """The request is being written now: from here on the window counts."""
        self._written(at)


class SyncQuota:
    """The limit of one sync, inside that of its credential."""

    def __init__(
        self,
        limit: RateLimit,
        *,
        clock: Callable[[], float],
        open_block: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self.limit = limit
        self._clock = clock
        self._windows = WindowSet(limit.allowed_requests, limit.interval, max_concurrent=limit.max_concurrent_requests)
        self._open_block = open_block if limit.interval > WAITED_OUT_SECONDS else None
        self._block_left = 0
        self._block_lock = asyncio.Lock()
        self._waiting: list[tuple[Priority, int, asyncio.Future[Start]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until = float("-inf")

    @asynccontextmanager
    async def permit(self, priority: Priority) -> AsyncIterator[Permit]:
        """Waits for a free start; the request counts as running until the block is left."""
        start = await self._take(priority)

        def written(at: float) -> None:
            self._windows.write(start, at)
            if self._waiting:
                self._dispatch()

        try:
            yield Permit(written)
        finally:
            self._give_back(start)

    def slow_down(self, seconds: float) -> None:
        """The provider says that it is too much: nothing starts for a while."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def assume_used(self, starts: int, *, age_seconds: float) -> None:
        """Counts what a former holder may have started, up to `age_seconds` ago."""
        self._windows.assume_used(starts, self._clock() - age_seconds)

    @property
    def is_waited_for(self) -> bool:
        """Whether requests are waiting for a permit now."""
        return bool(self._waiting)

    def used(self) -> int:
        """Starts in the running window."""
        return self._windows.used(self._clock())

    async def _take(self, priority: Priority) -> Start:
        ticket: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), ticket))
        self._dispatch()
        try:
            start = await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self._give_back(ticket.result())
            raise
        if self._open_block is not None:
            try:
                await self._count_ahead(self._open_block)
            except BaseException:
                self._give_back(start)
                raise
        return start

    def _give_back(self, start: Start) -> None:
        self._windows.give_back(start, self._clock())
        self._dispatch()

    async def _count_ahead(self, open_block: Callable[[int], Awaitable[None]]) -> None:
        """Writes a block of starts before the first of them is used."""
        async with self._block_lock:
            if self._block_left == 0:
                block = math.ceil(self.limit.allowed_requests * BLOCK_SHARE)
                await open_block(block)
                self._block_left = block
            self._block_left -= 1

    def _dispatch(self) -> None:
        """Gives permits to those who wait, the most urgent first, and sets the timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        while self._waiting:
            priority, _, ticket = self._waiting[0]
            if ticket.done():  # given up by whoever waited
                heapq.heappop(self._waiting)
                continue
            bulk = priority >= Priority.backfill
            at = max(self._windows.free_at(now, bulk=bulk), self._closed_until)
            if at > now:
                if at != float("inf"):
                    self._timer = asyncio.get_running_loop().call_later(at - now, self._dispatch)
                return
            heapq.heappop(self._waiting)
            ticket.set_result(self._windows.take(now, bulk=bulk))
