"""Quota windows: the arithmetic of I7, without a clock of its own.

A window admits `allowed_requests` starts in any `interval` seconds. Starts are kept exactly; a slot comes back
`interval` plus a margin after its start, so that a provider that counts arrivals sees no breach either, although
requests do not all travel equally long. A window longer than 60 s is paced: any tenth of it starts at most a fifth of
its requests.
"""

from bisect import insort
from collections import deque
from typing import Final

#: Of the interval: what transit times may differ by. At most 3 % (design, I7).
MARGIN: Final = 0.02
#: Longer windows are paced.
PACED_ABOVE_SECONDS: Final = 60.0
#: Bulk work may run ahead of its even pace by this share of a window.
BULK_BURST: Final = 0.05
_NEVER: Final = float("inf")


class Start:
    """One request's start. Between the permit and the moment when the request is really written, anything can pass: a
    connection has to be made first. Until then its slot is taken and its time not known."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at: float | None = None


class Window:
    """At most `allowed` starts in any `interval` seconds."""

    __slots__ = ("_at", "_unwritten", "allowed", "interval")

    def __init__(self, allowed: int, interval: float) -> None:
        self.allowed = allowed
        self.interval = interval
        self._at: deque[float] = deque()  # ascending
        self._unwritten = 0

    def free_at(self, now: float) -> float:
        """When the next start is allowed: `now`, or later; infinity while that depends on starts without a time."""
        too_many = self.used(now) - self.allowed
        if too_many < 0:
            return now
        return self._at[too_many] + self._held if too_many < len(self._at) else _NEVER

    def take(self) -> None:
        """A slot is taken; `write` says when its start was."""
        self._unwritten += 1

    def write(self, at: float) -> None:
        """One of the starts without a time was at this one."""
        self._unwritten -= 1
        self.assume_used(at)

    def assume_used(self, at: float) -> None:
        """One more start, at this time."""
        insort(self._at, at)

    def used(self, now: float) -> int:
        """Starts that the running window holds."""
        while self._at and self._at[0] + self._held <= now:
            self._at.popleft()
        return len(self._at) + self._unwritten

    @property
    def _held(self) -> float:
        return self.interval * (1 + MARGIN)


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
        """When a request may start; infinity while that depends on requests under way."""
        if self.max_concurrent and self.running >= self.max_concurrent:
            return _NEVER
        at = max(window.free_at(now) for window in self._windows)
        if bulk:
            ahead = self._gap * max(1.0, self.allowed * BULK_BURST)
            at = max(at, self._bulk_at - ahead + self._gap)
        return at

    def take(self, now: float, *, bulk: bool) -> Start:
        """Takes a slot for a request, which runs until it is given back."""
        self.running += 1
        for window in self._windows:
            window.take()
        if bulk:
            self._bulk_at = max(self._bulk_at, now) + self._gap
        return Start()

    def write(self, start: Start, at: float) -> None:
        """The request is written now; only the first time counts."""
        if start.at is None:
            start.at = at
            for window in self._windows:
                window.write(at)

    def give_back(self, start: Start, now: float) -> None:
        """A request has ended. One that was not written may have been, as far as we know."""
        self.write(start, now)
        self.running -= 1

    def assume_used(self, starts: int, at: float) -> None:
        """Counts starts of a former holder as of the monotonic time `at`."""
        for _ in range(min(starts, self.allowed)):
            for window in self._windows:
                window.assume_used(at)

    def used(self, now: float) -> int:
        """Starts that the running window holds."""
        return self._windows[0].used(now)
