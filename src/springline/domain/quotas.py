"""Limits of requests: the arithmetic of I7, without a clock and without I/O.

A quota is a list of limits, on all of which a request draws at once or not at all. A limit longer than 60 s is paced:
any tenth of it starts at most a fifth of its requests. One longer than 10 s is recorded: starts that the database does
not know of never exceed 2.5 % of it in any window, the others are written ahead in blocks of at most 2.5 %, so that a
successor can count what was used.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from springline.domain.windows import MARGIN, NEVER, Window, make_window

#: Longer windows are paced.
PACED_ABOVE_SECONDS: Final = 60.0
#: Bulk work may be ahead of an even pace of all starts by this share of a window …
BULK_BURST: Final = 0.05
#: … and of a long one only by this: for what it is ahead, nothing can start at the end of the window. So that what is
#: urgent can even then, bulk work leaves it so much.
LONG_BULK_BURST: Final = 0.025
RESERVED_SHARE: Final = 0.015
#: A former holder of a shorter window is waited out; longer ones are recorded.
WAITED_OUT_SECONDS: Final = 10.0
#: So much of a recorded window may be started without a word to the database …
UNRECORDED_SHARE: Final = 0.025
#: … and so much is written ahead at once.
BLOCK_SHARE: Final = 0.025
#: The purpose under which starts of a former holder are counted.
BEFORE: Final = -1
#: Each time it is too much again soon after a pause, the next pause is twice as long, up to this …
LONGEST_GROWN_SECONDS: Final = 60.0
#: … or to so many times the provider's own time; and none is longer than this.
GROWN_AT_MOST: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 7200.0
#: A pause that so long after its end was not followed by another is forgotten, in seconds and in times its length.
FORGIVEN_SECONDS: Final = 10.0
FORGIVEN_TIMES: Final = 4.0


class Observed(NamedTuple):
    """What a provider's answer says of a limit: units that are left, seconds until it is whole again, its size."""

    remaining: int | None = None
    reset_seconds: float | None = None
    allowed: int | None = None


class Taken:
    """A request's part of a recorded limit. `unrecorded`: the database does not know of it; else it is of the block
    that was in force when it was taken."""

    __slots__ = ("at", "block_no", "cost", "unrecorded")

    def __init__(self, at: float, cost: int, *, unrecorded: bool, block_no: int) -> None:
        self.at = at
        self.cost = cost
        self.unrecorded = unrecorded
        self.block_no = block_no


class Limit:
    """At most `allowed` units in any `interval` seconds and `max_concurrent` requests at once; 0: no such limit.

    `recorded`: its owner writes starts ahead, where the interval is long enough for that. `key` is what it is recorded
    under.
    """

    def __init__(
        self,
        name: str,
        allowed: int,
        interval: float,
        *,
        max_concurrent: int = 0,
        key: str = "",
        recorded: bool = False,
    ) -> None:
        self.name = name
        self.key = key
        self.described = allowed
        self.interval = interval
        self.max_concurrent = max_concurrent
        #: Requests under way that draw on it; those of one that it follows run out there.
        self.running = 0
        self._former: Limit | None = None
        self.closed_until = float("-inf")
        self.closed_because = ""
        self._window: Window | None = make_window(allowed, interval) if allowed else None
        self._pacing: Window | None = None
        if allowed and interval > PACED_ABOVE_SECONDS:
            self._pacing = make_window(max(1, allowed // 5), interval / 10)
        self._bulk_at = float("-inf")  # when the next start would be due, were all at an even pace
        # What the provider's headers leave, until when.
        self._left = 0
        self._left_until = float("-inf")
        # Pauses that the provider asked for.
        self._pause = 0.0
        self._pauses = 0
        self._paused_at = float("-inf")
        # What the database knows of.
        self.is_recorded = recorded and allowed > 0 and interval > WAITED_OUT_SECONDS
        self.block_starts = max(1, int(allowed * BLOCK_SHARE))
        self._block_no = 0
        self._recorded_again = 0
        self._block_left = 0
        self._block_lapses_at = float("-inf")
        self._reserved = int(allowed * RESERVED_SHARE) if interval > WAITED_OUT_SECONDS else 0
        unrecorded = int(allowed * UNRECORDED_SHARE) if self.is_recorded else 0
        self._unrecorded = make_window(unrecorded, interval) if unrecorded else None
        self._unwritten: set[Taken] = set()

    @property
    def allowed(self) -> int:
        """As described, or fewer where the provider says so."""
        return self._window.allowed if self._window is not None else 0

    # taking -----------------------------------------------------------------------------------------

    def free_at(self, now: float, *, bulk: bool, cost: int = 1) -> float:
        """When a request may start; infinity while that depends on requests under way or on what is to be recorded."""
        if self.max_concurrent and self.running + self._running_before() >= self.max_concurrent:
            return NEVER
        at = max(now, self.closed_until)
        if self._window is None:
            return at
        if self.is_recorded and self.lacks_block(now, cost):
            return NEVER
        for window in (self._window, self._pacing):
            if window is not None:
                at = max(at, window.free_at(now, min(cost, window.allowed)))
        if now < self._left_until and self._left < cost:
            at = max(at, self._left_until)
        if bulk:
            gap, burst = self._pace(now)
            at = max(at, self._bulk_at - gap * burst + gap)
            if self._reserved:
                at = max(at, self._window.free_at(now, min(cost + self._reserved, self._window.allowed)))
        return at

    def take(self, now: float, *, purpose: int = 0, cost: int = 1) -> Taken | None:
        """Takes a slot for a request, which runs until it is given back. What it returns is to be said to `write`."""
        self.running += 1
        if self._window is None:
            return None
        self._window.take(purpose, cost)
        if self._pacing is not None:
            self._pacing.take(purpose, cost)
        if now < self._left_until:
            self._left -= cost
        gap, _ = self._pace(now)
        self._bulk_at = max(self._bulk_at, now) + gap * cost
        if not self.is_recorded:
            return None
        unrecorded = self._unrecorded is not None and self._unrecorded.free_at(now, cost) <= now
        if self._unrecorded is not None and unrecorded:
            self._unrecorded.take(cost=cost)
        else:
            self._block_left -= cost
        taken = Taken(now, cost, unrecorded=unrecorded, block_no=self._block_no)
        self._unwritten.add(taken)
        return taken

    def write(self, at: float, *, purpose: int = 0, cost: int = 1, taken: Taken | None = None) -> None:
        """The request is written at this time."""
        if self._window is not None:
            self._window.write(at, purpose, cost)
        if self._pacing is not None:
            self._pacing.write(at, purpose, cost)
        if taken is not None:
            self._unwritten.discard(taken)
            if self._unrecorded is not None and taken.unrecorded:
                self._unrecorded.write(at, cost=cost)

    def end(self) -> None:
        """A request has ended."""
        self.running -= 1

    def forget(self, at: float, *, purpose: int = 0, cost: int = 1, taken: Taken | None = None) -> None:
        """A start at this time turned out not to count."""
        if self._window is not None:
            self._window.forget(at, purpose, cost)
        if self._pacing is not None:
            self._pacing.forget(at, purpose, cost)
        self._left += cost
        if taken is not None and taken.unrecorded and self._unrecorded is not None:
            self._unrecorded.forget(at, 0, cost)
        elif taken is not None and taken.block_no == self._block_no:
            self._block_left += cost

    def _running_before(self) -> int:
        """Requests under way that began under the limit that this one follows."""
        if self._former is None:
            return 0
        running = self._former.running + self._former._running_before()
        if not running:
            self._former = None
        return running

    def used(self, now: float) -> int:
        """Units that the running window holds."""
        return self._window.used(now) if self._window is not None else 0

    def used_by_purpose(self, now: float) -> dict[int, int]:
        """The same by purpose; `BEFORE`: of a former holder."""
        return self._window.used_by_purpose(now) if self._window is not None else {}

    def _pace(self, now: float) -> tuple[float, float]:
        """Of bulk work: seconds between two starts, and how many it may be ahead."""
        assert self._window is not None
        if now < self._left_until:
            left = max(1, self._left)
            return (self._left_until - now) / left, max(1.0, left * BULK_BURST)
        allowed = self._window.allowed
        burst = LONG_BULK_BURST if self.interval > WAITED_OUT_SECONDS else BULK_BURST
        return self._window.held_seconds / allowed, max(1.0, allowed * burst)

    # a former holder ----------------------------------------------------------------------------------

    def assume_used(self, units: int, at: float) -> None:
        """Counts starts of a former holder as of the monotonic time `at`."""
        if self._window is None:
            return
        units = min(units, self._window.allowed)
        for window in (self._window, self._pacing):
            if window is not None:
                window.assume_used(units, at, BEFORE)

    def follow_holder(self, now: float) -> None:
        """Somebody held this limit until now, and may have started what the database does not know of."""
        if self.is_recorded:
            units = self._unrecorded.allowed if self._unrecorded is not None else 0
            if self._unrecorded is not None:
                self.assume_used(units, now)
                # Else a third holder would have two shares to count.
                self._unrecorded.assume_used(units, now)
            # What is counted and was not used would be missing at the end of the window: bulk work goes without it now.
            gap, burst = self._pace(now)
            self._bulk_at = now + gap * (burst + units + self.block_starts)
        elif self._window is not None:
            self.close(now + self.interval * (1 + MARGIN), "a former holder is waited out")

    def follow(self, former: "Limit", now: float) -> None:
        """The limit was configured anew: what was started under the old one counts under this one, and what the
        database does not know of is recorded before anything else starts."""
        self._former = former
        self.assume_used(former.used(now), now)
        self.close(former.closed_until, former.closed_because)
        if self.is_recorded:
            if self._unrecorded is not None:
                self._unrecorded.assume_used(self._unrecorded.allowed, now)
            self._block_left = -former.unrecorded(now)

    def unrecorded(self, now: float) -> int:
        """Starts of the running window that the database does not know of."""
        return self._unrecorded.used(now) if self._unrecorded is not None else 0

    # what the database knows --------------------------------------------------------------------------

    def lacks_block(self, now: float, cost: int = 1) -> bool:
        """Whether starts must be recorded before a request may start."""
        if not self.is_recorded:
            return False
        if self._unrecorded is not None and self._block_left >= 0 and self._unrecorded.free_at(now, cost) <= now:
            return False
        if now >= self._block_lapses_at:
            self._block_left = min(self._block_left, 0)
        return self._block_left < cost

    def block_to_record(self, cost: int, now: float) -> int:
        """How many starts are to be recorded, so that a request of this cost may start. A successor counts those of a
        block when the next one is opened: what was taken from this one and is late is recorded once more."""
        late = (taken for taken in self._unwritten if not taken.unrecorded and now - taken.at > self._late_seconds)
        self._recorded_again = sum(taken.cost for taken in late)
        return max(self.block_starts, cost) - min(self._block_left, 0) + self._recorded_again

    def open_block(self, starts: int, asked_at: float) -> None:
        """So many starts are recorded as of after `asked_at`: they may be used for as long as the record is kept."""
        self._block_no += 1
        self._block_left = min(self._block_left, 0) + starts - self._recorded_again
        self._block_lapses_at = asked_at + self.interval

    @property
    def _late_seconds(self) -> float:
        """Of what the margin covers, the half."""
        return self.interval * MARGIN / 2

    # what the provider says ---------------------------------------------------------------------------

    def close(self, until: float, because: str) -> None:
        """Nothing starts until then."""
        if until > self.closed_until:
            self.closed_until, self.closed_because = until, because

    def slow_down(self, now: float, seconds: float | None, *, because: str, started_at: float | None = None) -> None:
        """The provider says that it is too much: nothing starts for so long, or for a second where it names no time;
        longer each time it says so again soon. `started_at`: when the refused request began; if that was before the
        last pause, it is part of what that pause answers."""
        base = min(max(seconds or 1.0, 0.0), LONGEST_PAUSE_SECONDS)
        if started_at is not None and started_at <= self._paused_at:
            self.close(now + base, because)
            return
        quiet = now - self.closed_until
        self._pauses = 0 if quiet > max(FORGIVEN_SECONDS, FORGIVEN_TIMES * self._pause) else self._pauses + 1
        most = min(max(LONGEST_GROWN_SECONDS, GROWN_AT_MOST * base), LONGEST_PAUSE_SECONDS)
        self._pause = min(base * 2.0 ** min(self._pauses, 16), most)
        self._paused_at = now
        self.close(now + self._pause, because)

    def learn(self, observed: Observed, now: float) -> None:
        """Believes what an answer says where it is stricter than what is counted here; until the time it names, and
        for no longer than the interval. To be called while the answered request still counts as running."""
        if self._window is None:
            return
        if observed.allowed is not None:
            self._window.allowed = min(self.described, max(1, observed.allowed))
        if observed.remaining is None:
            return
        reset = self.interval if observed.reset_seconds is None else observed.reset_seconds
        until = now + min(max(reset, 0.0), self.interval)
        # Whatever else is under way may not have been counted when this answer was written.
        left = max(0, observed.remaining - max(0, self.running - 1))
        tolerance = max(2.0, self.interval / 20)
        if now < self._left_until and until <= self._left_until + tolerance:
            left = min(left, self._left)
            until = max(until, self._left_until)
        if left < self.allowed - self.used(now):
            self._left, self._left_until = left, until
            if left == 0:
                self.closed_because = "the provider says that nothing is left"
        else:
            self._left_until = float("-inf")

    def shut_until(self, now: float) -> tuple[float, str] | None:
        """Until when nothing at all starts, and why; None: it is not closed."""
        if now < self.closed_until:
            return self.closed_until, self.closed_because
        if now < self._left_until and self._left <= 0:
            return self._left_until, "the provider says that nothing is left"
        return None


class Draw(NamedTuple):
    """What a request takes from a limit."""

    limit: Limit
    cost: int = 1
    uncounted_statuses: frozenset[int] = frozenset()


def free_at(draws: Sequence[Draw], now: float, *, bulk: bool) -> float:
    """When a request that draws on all of these may start."""
    return max((draw.limit.free_at(now, bulk=bulk, cost=draw.cost) for draw in draws), default=now)


class Start:
    """One request's start, in all the limits that it draws on."""

    __slots__ = ("_draws", "_taken", "at", "ended", "purpose")

    def __init__(self, draws: Sequence[Draw], *, now: float, purpose: int = 0) -> None:
        """Takes a slot of each. What was free a moment ago is not asked again."""
        self.at: float | None = None
        self.ended = False
        self.purpose = purpose
        self._draws = draws
        self._taken = [draw.limit.take(now, purpose=purpose, cost=draw.cost) for draw in draws]

    @property
    def limits(self) -> list[Limit]:
        return [draw.limit for draw in self._draws]

    def write(self, at: float) -> None:
        """The request is written now; only the first time counts."""
        if self.at is None:
            self.at = at
            for draw, taken in zip(self._draws, self._taken, strict=True):
                draw.limit.write(at, purpose=self.purpose, cost=draw.cost, taken=taken)

    def answered(self, status: int) -> None:
        """An answer came; some limits do not count some."""
        if self.at is None:
            return
        for draw, taken in zip(self._draws, self._taken, strict=True):
            if status in draw.uncounted_statuses:
                draw.limit.forget(self.at, purpose=self.purpose, cost=draw.cost, taken=taken)

    def end(self, now: float) -> None:
        """The request has ended. One that was not written may have been, as far as we know."""
        if not self.ended:
            self.ended = True
            self.write(now)
            for draw in self._draws:
                draw.limit.end()
