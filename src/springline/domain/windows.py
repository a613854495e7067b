"""Sliding windows: at most so many starts in any `interval` seconds, without a clock of their own.

A slot comes back `interval` plus a margin after its start, so that a provider that counts arrivals sees no breach
either, although requests do not all travel equally long. A small window keeps every start; a large one counts them in
64 buckets, where a start counts as of the end of its bucket: 1.6 % of the window are lost, and a daily limit of 10⁵
takes a few kilobytes.
"""

from bisect import insort
from collections import deque
from typing import Final, Protocol

#: Of the interval: what transit times may differ by. At most 3 % (design, I7).
MARGIN: Final = 0.02
#: Above so many starts a window counts in buckets.
EXACT_UP_TO: Final = 1000
BUCKETS: Final = 64
NEVER: Final = float("inf")


class Window(Protocol):
    """At most `allowed` units in any `interval` seconds. `purpose` is a small number of the caller's own; what starts
    are counted by. Between the permit and the moment when the request is really written, anything can pass: until
    `write` says when, a unit is taken and its time not known."""

    allowed: int
    interval: float
    #: A slot is free again so many seconds after its start.
    held_seconds: float

    def free_at(self, now: float, cost: int = 1) -> float:
        """When `cost` units are free: `now`, or later; infinity while that depends on starts without a time."""
        ...

    def take(self, purpose: int = 0, cost: int = 1) -> None:
        """Units are taken; `write` says when their start was."""
        ...

    def write(self, at: float, purpose: int = 0, cost: int = 1) -> None:
        """Units that were taken without a time were started at this one."""
        ...

    def assume_used(self, units: int, at: float, purpose: int = 0) -> None:
        """So many more units, at this time."""
        ...

    def forget(self, at: float, purpose: int = 0, cost: int = 1) -> None:
        """A start at this time does not count after all."""
        ...

    def used(self, now: float) -> int:
        """Units that the running window holds."""
        ...

    def used_by_purpose(self, now: float) -> dict[int, int]:
        """The same by purpose."""
        ...


def make_window(allowed: int, interval: float) -> Window:
    """The kind of window that fits."""
    return ExactWindow(allowed, interval) if allowed <= EXACT_UP_TO else BucketWindow(allowed, interval)


class _Unwritten:
    """Units whose start has no time yet, by purpose."""

    __slots__ = ("by_purpose", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_purpose: dict[int, int] = {}

    def add(self, purpose: int, units: int) -> None:
        self.total += units
        self.by_purpose[purpose] = self.by_purpose.get(purpose, 0) + units


class ExactWindow:
    """Keeps every start."""

    __slots__ = ("_starts", "_unwritten", "allowed", "held_seconds", "interval")

    def __init__(self, allowed: int, interval: float) -> None:
        self.allowed = allowed
        self.interval = interval
        self.held_seconds = interval * (1 + MARGIN)
        self._starts: deque[tuple[float, int]] = deque()  # (time, purpose), ascending
        self._unwritten = _Unwritten()

    def free_at(self, now: float, cost: int = 1) -> float:
        too_many = self.used(now) + cost - self.allowed
        if too_many <= 0:
            return now
        return self._starts[too_many - 1][0] + self.held_seconds if too_many <= len(self._starts) else NEVER

    def take(self, purpose: int = 0, cost: int = 1) -> None:
        self._unwritten.add(purpose, cost)

    def write(self, at: float, purpose: int = 0, cost: int = 1) -> None:
        self._unwritten.add(purpose, -cost)
        self.assume_used(cost, at, purpose)

    def assume_used(self, units: int, at: float, purpose: int = 0) -> None:
        for _ in range(units):
            insort(self._starts, (at, purpose))

    def forget(self, at: float, purpose: int = 0, cost: int = 1) -> None:
        for _ in range(cost):
            try:
                self._starts.remove((at, purpose))
            except ValueError:  # it has left the window by itself
                return

    def used(self, now: float) -> int:
        starts = self._starts
        while starts and starts[0][0] + self.held_seconds <= now:
            starts.popleft()
        return len(starts) + self._unwritten.total

    def used_by_purpose(self, now: float) -> dict[int, int]:
        self.used(now)
        counts = dict(self._unwritten.by_purpose)
        for _, purpose in self._starts:
            counts[purpose] = counts.get(purpose, 0) + 1
        return {purpose: units for purpose, units in counts.items() if units}


class BucketWindow:
    """Counts starts in buckets; each counts as of its bucket's end."""

    __slots__ = ("_buckets", "_total", "_unwritten", "_width", "allowed", "held_seconds", "interval")

    def __init__(self, allowed: int, interval: float) -> None:
        self.allowed = allowed
        self.interval = interval
        self._width = interval / BUCKETS
        self.held_seconds = interval * (1 + MARGIN) + self._width
        #: (number of the bucket, units by purpose), ascending.
        self._buckets: deque[tuple[int, dict[int, int]]] = deque()
        self._total = 0
        self._unwritten = _Unwritten()

    def free_at(self, now: float, cost: int = 1) -> float:
        too_many = self.used(now) + cost - self.allowed
        if too_many <= 0:
            return now
        for number, counts in self._buckets:
            too_many -= sum(counts.values())
            if too_many <= 0:
                return self._free_after(number)
        return NEVER

    def take(self, purpose: int = 0, cost: int = 1) -> None:
        self._unwritten.add(purpose, cost)

    def write(self, at: float, purpose: int = 0, cost: int = 1) -> None:
        self._unwritten.add(purpose, -cost)
        self.assume_used(cost, at, purpose)

    def assume_used(self, units: int, at: float, purpose: int = 0) -> None:
        counts = self._bucket(int(at // self._width))
        counts[purpose] = counts.get(purpose, 0) + units
        self._total += units

    def forget(self, at: float, purpose: int = 0, cost: int = 1) -> None:
        number = int(at // self._width)
        for known, counts in self._buckets:
            if known == number:
                back = min(cost, counts.get(purpose, 0))
                counts[purpose] = counts.get(purpose, 0) - back
                self._total -= back

    def used(self, now: float) -> int:
        while self._buckets and self._free_after(self._buckets[0][0]) <= now:
            self._total -= sum(self._buckets.popleft()[1].values())
        return self._total + self._unwritten.total

    def used_by_purpose(self, now: float) -> dict[int, int]:
        self.used(now)
        counts = dict(self._unwritten.by_purpose)
        for _, units_by_purpose in self._buckets:
            for purpose, units in units_by_purpose.items():
                counts[purpose] = counts.get(purpose, 0) + units
        return {purpose: units for purpose, units in counts.items() if units}

    def _free_after(self, number: int) -> float:
        return (number + 1) * self._width + self.interval * (1 + MARGIN)

    def _bucket(self, number: int) -> dict[int, int]:
        """The bucket of this number; nearly always the last, or a new one behind it."""
        index = len(self._buckets)
        while index and self._buckets[index - 1][0] > number:
            index -= 1
        if index and self._buckets[index - 1][0] == number:
            return self._buckets[index - 1][1]
        counts: dict[int, int] = {}
        self._buckets.insert(index, (number, counts))
        return counts
