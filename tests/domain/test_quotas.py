"""Quota windows (I7): never too many starts, whatever the order of things; nearly all of them while there is work."""

import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from springline.domain.quotas import BULK_BURST, PACED_ABOVE_SECONDS, Draw, Limit, Start

#: Floats add up differently in different orders.
_EPSILON = 1e-6


class Wish(NamedTuple):
    """A request that somebody wants: from when on, how long from permit to writing, how long from there to its end."""

    at: float
    write_after: float
    end_after: float
    bulk: bool


def simulate(windows: Limit, wishes: Sequence[Wish]) -> list[float]:
    """Grants permits as soon as they are free, first come, first served; returns when requests were written."""
    written: list[float] = []
    events: list[tuple[float, int, str, int]] = []
    order = itertools.count()
    waiting: deque[int] = deque()
    starts: dict[int, Start] = {}
    for number, wish in enumerate(wishes):
        heapq.heappush(events, (wish.at, next(order), "wish", number))
    now, look_at = 0.0, float("inf")
    while events or waiting:
        at, _, what, number = heapq.heappop(events)
        now = max(now, at)
        if what == "wish":
            waiting.append(number)
        elif what == "write":
            starts[number].write(now)
            written.append(now)
            heapq.heappush(events, (now + wishes[number].end_after, next(order), "end", number))
        elif what == "end":
            starts[number].end(now)
        while waiting:
            wish = wishes[waiting[0]]
            free_at = windows.free_at(now, bulk=wish.bulk)
            assert free_at >= now
            if free_at > now:
                if free_at == float("inf"):
                    assert events, "it waits for ever"
                elif not now < look_at <= free_at:
                    look_at = free_at
                    heapq.heappush(events, (free_at, next(order), "look", -1))
                break
            starts[waiting[0]] = Start([Draw(windows)], now=now)
            heapq.heappush(events, (now + wish.write_after, next(order), "write", waiting.popleft()))
    assert windows.running == 0
    return written


def take(limit: Limit, now: float) -> Start:
    return Start([Draw(limit)], now=now)


def assert_never_more(written: Sequence[float], allowed: int, interval: float) -> None:
    times = sorted(written)
    for first, last in zip(times, times[allowed:], strict=False):
        assert last - first >= interval - _EPSILON, f"{allowed + 1} starts in {last - first} s"


WISHES = st.lists(
    st.builds(
        Wish,
        at=st.floats(0, 30),
        write_after=st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 20)),
        end_after=st.floats(0, 5),
        bulk=st.booleans(),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(
    allowed=st.integers(1, 12),
    interval=st.sampled_from((0.2, 1.0, 10.0, 61.0, 3600.0)),
    most=st.sampled_from((0, 1, 3)),
    wishes=WISHES,
)
def test_never_more_than_allowed(allowed: int, interval: float, most: int, wishes: list[Wish]) -> None:
    written = simulate(Limit("limit", allowed, interval, max_concurrent=most), wishes)
    assert len(written) == len(wishes)
    assert_never_more(written, allowed, interval)
    if interval > PACED_ABOVE_SECONDS:
        assert_never_more(written, max(1, allowed // 5), interval / 10)


@settings(deadline=None)
@given(
    allowed=st.integers(2, 20),
    interval=st.sampled_from((0.5, 1.0, 60.0)),
    used=st.lists(st.tuples(st.integers(1, 10), st.floats(0, 70)), max_size=5),
    wishes=WISHES,
)
def test_what_a_former_holder_used_counts(
    allowed: int, interval: float, used: list[tuple[int, float]], wishes: list[Wish]
) -> None:
    """In whatever order it is told."""
    windows = Limit("limit", allowed, interval)
    before: list[float] = []
    for starts, age in used:
        windows.assume_used(starts, -age)
        before += [-age] * min(starts, allowed)
    written = simulate(windows, wishes)
    # What the former holder did among itself is its own affair.
    times = sorted(before)
    for at in sorted(written):
        in_window = [time for time in times if at - interval + _EPSILON < time <= at]
        assert len(in_window) < allowed
        times.append(at)


def test_a_permit_that_is_not_used_yet_keeps_its_slot() -> None:
    """Its request may be written at any time: seconds later, together with those that were let in meanwhile."""
    slow = [Wish(0.0, 5.0, 0.1, bulk=False) for _ in range(10)]
    quick = [Wish(0.1 * number, 0.0, 0.1, bulk=False) for number in range(100)]
    assert_never_more(simulate(Limit("limit", 10, 1.0), [*slow, *quick]), 10, 1.0)


def test_a_permit_that_comes_to_nothing_frees_its_slot_after_the_interval() -> None:
    windows = Limit("limit", 1, 1.0)
    start = take(windows, 0.0)
    assert windows.free_at(0.5, bulk=False) == float("inf")
    start.end(0.5)
    assert windows.free_at(0.5, bulk=False) == pytest.approx(1.52)
    take(windows, 1.52).end(1.52)
    assert windows.used(1.6) == 1
    assert windows.used(9.0) == 0


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize(
    ("allowed", "interval"), [(1, 0.5), (8, 1.0), (20, 1.0), (100, 10.0), (100, 60.0), (1500, 3600.0)]
)
def test_nearly_all_is_used_while_there_is_work(allowed: int, interval: float, bulk: bool) -> None:
    windows_long = 4
    wishes = [Wish(0.0, 0.0, 0.01, bulk) for _ in range(windows_long * allowed)]
    written = simulate(Limit("limit", allowed, interval), wishes)
    assert_never_more(written, allowed, interval)
    took = written[-1] - written[0]
    assert (len(written) - 1) / (allowed / interval) >= 0.95 * took


def test_bulk_work_is_paced() -> None:
    """So that what is urgent finds a free slot soon: at any time most of the window is not used up at once."""
    allowed, interval = 100, 10.0
    written = simulate(Limit("limit", allowed, interval), [Wish(0.0, 0.0, 0.0, bulk=True) for _ in range(300)])
    burst = int(allowed * BULK_BURST)
    for count, at in enumerate(written):
        assert count <= burst + at * allowed / interval


def test_bulk_work_leaves_room_for_the_urgent() -> None:
    windows = Limit("limit", 100, 10.0)
    now = 0.0
    while now < 5.0:
        if windows.free_at(now, bulk=True) <= now:
            take(windows, now).end(now)
        now += 0.01
    for _ in range(40):
        assert windows.free_at(now, bulk=False) == now
        take(windows, now).end(now)


def test_a_long_window_is_paced_for_everybody() -> None:
    allowed, interval = 500, 3600.0
    written = simulate(Limit("limit", allowed, interval), [Wish(0.0, 0.0, 0.0, bulk=False) for _ in range(500)])
    assert_never_more(written, allowed // 5, interval / 10)
    assert written[-1] < interval


def test_a_small_long_window_starts_one_in_any_tenth() -> None:
    written = simulate(Limit("limit", 3, 600.0), [Wish(0.0, 0.0, 0.0, bulk=False) for _ in range(3)])
    assert_never_more(written, 1, 60.0)
    assert written[-1] < 200


def test_only_so_many_run_at_once() -> None:
    windows = Limit("limit", 10, 1.0, max_concurrent=2)
    first, second = take(windows, 0.0), take(windows, 0.0)
    first.write(0.0)
    second.write(0.0)
    assert windows.free_at(0.5, bulk=False) == float("inf")
    first.end(0.5)
    assert windows.free_at(0.5, bulk=False) == 0.5
