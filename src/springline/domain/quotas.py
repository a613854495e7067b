"""Quota windows: the arithmetic of I7, without a clock of its own.

A window admits `allowed_requests` starts in any `interval` seconds. Starts are kept exactly; a slot comes back
`interval` plus a margin after its start, so that a provider that counts arrivals sees no breach either, although
requests do not all travel equally long. A window longer than 60 s is paced: any tenth of it starts at most a fifth of
its requests.
"""

from collections import deque
from typing import Final

#: Of the interval: what transit times may differ by. At most 3 % (design, I7).
MARGIN: Final = 0.02
#: Longer windows are paced.
PACED_ABOVE_SECONDS: Final = 60.0
#: Bulk work may run ahead of its even pace by this share of a window.
BULK_BURST: Final = 0.05


class Start:
    """One request's start, on the monotonic clock. It is taken when the permit is given and moved when the request is
    really written."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at


class Window:
    """At most `allowed` starts in any `interval` seconds."""

    __slots__ = ("_starts", "allowed", "interval")

    def __init__(self, allowed: int, interval: float) -> None:
        self.allowed = allowed
        self.interval = interval
        self._starts: deque[Start] = deque()

    def free_at(self, now: float) -> float:
        """When the next start is allowed: `now`, or later."""
        self._forget(now)
        if len(self._starts) < self.allowed:
            return now
        # The oldest of the last `allowed` starts decides.
        return self._starts[len(self._starts) - self.allowed].at + self._held

    def record(self, start: Start) -> None:
        self._starts.append(start)

    def used(self, now: float) -> int:
        """Starts that the running window holds."""
        self._forget(now)
        return len(self._starts)

    @property
    def _held(self) -> float:
        return self.interval * (1 + MARGIN)

    def _forget(self, now: float) -> None:
        while self._starts and self._starts[0].at + self._held <= now:
            self._starts.popleft()


class WindowSet:
    """The windows of one limit: the limit itself, for a long one its pacing, and the pace of bulk work."""

    def __init__(self, allowed: int, interval: float, *, max_concurrent: int = 0) -> None:
        self.allowed = allowed
        self.interval = interval
        self.max_concurrent = max_concurrent
        self.running = 0
        self._windows = [Window(allowed, interval)]
        if interval > PACED_ABOVE_SECONDS:
            self._windows.append(Window(max(1, allowed // 5), interval / 10))
        self._gap = interval * (1 + MARGIN) / allowed
        self._bulk_at = float("-inf")  # when an evenly paced bulk start would be due

    def free_at(self, now: float, *, bulk: bool) -> float:
        """When a request may start; infinity while too many are running."""
        if self.max_concurrent and self.running >= self.max_concurrent:
            return float("inf")
        at = max(window.free_at(now) for window in self._windows)
        if bulk:
            ahead = self._gap * max(1.0, self.allowed * BULK_BURST)
            at = max(at, self._bulk_at - ahead + self._gap)
        return at

    def take(self, start: Start, *, bulk: bool) -> None:
        """Records a start and counts a running request."""
        self.running += 1
        for window in self._windows:
            window.record(start)
        if bulk:
            self._bulk_at = max(self._bulk_at, start.at) + self._gap

    def give_back(self) -> None:
        """A request has ended."""
        self.running -= 1

    def assume_used(self, starts: int, at: float) -> None:
        """Counts starts of a former holder as of the monotonic time `at`."""
        for _ in range(min(starts, self.allowed)):
            for window in self._windows:
                window.record(Start(at))

    def used(self, now: float) -> int:
        return self._windows[0].used(now)
