"""Both kinds of window keep the same promise; the one that counts in buckets a little more strictly."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from springline.domain.windows import BUCKETS, EXACT_UP_TO, NEVER, BucketWindow, ExactWindow, Window, make_window

KINDS = (ExactWindow, BucketWindow)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(
    allowed=st.integers(1, 30),
    wishes=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5), st.integers(0, 4)), max_size=60),
)
def test_never_more_units_than_allowed(
    kind: type[ExactWindow] | type[BucketWindow], allowed: int, wishes: list[tuple[float, int, int]]
) -> None:
    window: Window = kind(allowed, 10.0)
    now = 0.0
    starts: list[tuple[float, int, int]] = []
    for pause, wanted, purpose in wishes:
        cost = min(wanted, allowed)
        now += pause
        now = max(now, window.free_at(now, cost))
        assert window.free_at(now, cost) <= now
        window.take(purpose, cost)
        window.write(now, purpose, cost)
        starts.append((now, cost, purpose))
        assert sum(units for at, units, _ in starts if at > now - 10.0) <= allowed
        by_purpose = window.used_by_purpose(now)
        assert sum(by_purpose.values()) == window.used(now)
        expected = Counter[int]()
        for at, units, what in starts:
            if at > now - 10.0:
                expected[what] += units
        assert all(by_purpose.get(what, 0) >= units for what, units in expected.items())


def test_a_bucket_counts_as_spent_at_its_end() -> None:
    window = BucketWindow(1, 64.0)
    window.assume_used(1, 10.1)
    assert window.free_at(11.0) == pytest.approx(11.0 + 64.0 * 1.02)


def test_few_starts_are_kept_one_by_one_and_many_in_buckets() -> None:
    assert isinstance(make_window(EXACT_UP_TO, 60.0), ExactWindow)
    window = make_window(100_000, 86_400.0)
    assert isinstance(window, BucketWindow)
    for number in range(100_000):
        window.take(number % 5)
        window.write(number * 0.8, number % 5)
    assert window.used(80_000.0) == 100_000
    assert len(window._buckets) <= BUCKETS
    assert window.used_by_purpose(80_000.0) == dict.fromkeys(range(5), 20_000)
    assert 86_400 < window.free_at(80_000.0) < 86_400 * 1.04


@pytest.mark.parametrize("kind", KINDS)
def test_former_starts_may_be_told_in_any_order(kind: type[ExactWindow] | type[BucketWindow]) -> None:
    window: Window = kind(3, 64.0)
    for at in (50.0, 10.0, 30.0):
        window.assume_used(1, at)
    assert window.used(60.0) == 3
    assert window.free_at(60.0) == pytest.approx(75.28, abs=1.01)
    assert window.used(76.4) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_that_does_not_count_gives_its_slot_back(kind: type[ExactWindow] | type[BucketWindow]) -> None:
    window: Window = kind(2, 64.0)
    for at in (1.0, 5.0):
        window.take(1)
        window.write(at, 1)
    assert window.free_at(6.0) > 6.0
    window.forget(5.0, 1)
    assert window.free_at(6.0) == 6.0
    assert window.used_by_purpose(6.0) == {1: 1}
    window.forget(1.0, 1)
    window.forget(1.0, 1)  # nothing is left of it
    assert window.used(6.0) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_without_a_time_holds_its_slot(kind: type[ExactWindow] | type[BucketWindow]) -> None:
    window: Window = kind(1, 1.0)
    window.take()
    assert window.free_at(100.0) == NEVER
