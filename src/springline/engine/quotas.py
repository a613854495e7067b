"""Permits: every request to a provider needs one (I7).

A quota belongs to a credential. The worker that holds its lease owns it in memory; what the database does not know of
never exceeds a twentieth of a window, so that a restart can count it. Calls that someone waits for go first.
"""

import asyncio
import math
from collections import deque
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
    """Who goes first when there is not enough for all. Calls that someone waits for always do; of the others each has
    a small share, or a sync that changes all the time would never be backfilled, nor swept."""

    waiting = 0  # someone waits for the answer
    urgent = 1  # a record is known to have changed
    poll = 2
    backfill = 3
    sweep = 4


#: So many permits go to those who are more urgent before it is a waiting one's turn.
_PATIENCE: Final = {Priority.urgent: 0, Priority.poll: 4, Priority.backfill: 4, Priority.sweep: 20}


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
        self._waiting: dict[Priority, deque[asyncio.Future[Start]]] = {priority: deque() for priority in Priority}
        self._passed_over = dict.fromkeys(_PATIENCE, 0)
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until = float("-inf")
        #: When the next of those who wait may start, as far as the clock decides it.
        self.next_start_at: float | None = None

    @asynccontextmanager
    async def permit(self, priority: Priority) -> AsyncIterator[Permit]:
        """Waits for a free start; the request counts as running until the block is left."""
        start = await self._take(priority)

        def written(at: float) -> None:
            self._windows.write(start, at)
            if self.is_waited_for:
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
        return any(self._waiting.values())

    def used(self) -> int:
        """Starts in the running window."""
        return self._windows.used(self._clock())

    async def _take(self, priority: Priority) -> Start:
        ticket: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        self._waiting[priority].append(ticket)
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
        self.next_start_at = None
        now = self._clock()
        while classes := self._classes_waiting():
            at = float("inf")
            for priority in classes:
                at = max(self._windows.free_at(now, bulk=priority >= Priority.backfill), self._closed_until)
                if at <= now:
                    self._give(priority, now)
                    break
            else:
                if at != float("inf"):
                    self.next_start_at = at
                    self._timer = asyncio.get_running_loop().call_later(at - now, self._dispatch)
                return

    def _classes_waiting(self) -> list[Priority]:
        """Whose turn it is: the most urgent, but first one that was passed over too often."""
        for waiting in self._waiting.values():
            while waiting and waiting[0].done():  # given up by whoever waited
                waiting.popleft()
        classes = [priority for priority, waiting in self._waiting.items() if waiting]
        if len(classes) < 2 or classes[0] is Priority.waiting:
            return classes[:1]
        overdue = [each for each in classes[1:] if self._passed_over[each] >= _PATIENCE[each]]
        return [*overdue[:1], classes[0]]

    def _give(self, priority: Priority, now: float) -> None:
        ticket = self._waiting[priority].popleft()
        for other in self._passed_over:
            if other > priority and self._waiting[other]:
                self._passed_over[other] += 1
        if priority in self._passed_over:
            self._passed_over[priority] = 0
        ticket.set_result(self._windows.take(now, bulk=priority >= Priority.backfill))
