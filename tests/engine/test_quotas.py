"""Permits as those who wait for them see it, in simulated time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.simulated_time import run_simulated

from springline.engine.quotas import Priority, SyncQuota
from springline.providers.access import RateLimit

_EPSILON = 1e-6


class Wish(NamedTuple):
    """Somebody who wants a permit. `gives_up_after`: cancelled so long after asking, if it still waits then."""

    at: float
    priority: Priority
    write_after: float
    end_after: float
    gives_up_after: float | None


class Seen(NamedTuple):
    """When somebody asked, got the permit, and wrote the request; None: never."""

    wish: Wish
    granted_at: float | None
    written_at: float | None


async def _want(quota: SyncQuota, clock: Callable[[], float], wish: Wish) -> Seen:
    granted_at = written_at = None

    async def ask() -> None:
        nonlocal granted_at, written_at
        async with quota.permit(wish.priority) as permit:
            granted_at = clock()
            await asyncio.sleep(wish.write_after)
            written_at = clock()
            permit.started(written_at)
            await asyncio.sleep(wish.end_after)

    await asyncio.sleep(wish.at)
    with suppress(TimeoutError):
        await asyncio.wait_for(ask(), wish.gives_up_after)
    return Seen(wish, granted_at, written_at)


def watch(limit: RateLimit, wishes: list[Wish]) -> list[Seen]:
    async def main(clock: Callable[[], float]) -> list[Seen]:
        quota = SyncQuota(limit, clock=clock)
        return list(await asyncio.gather(*(_want(quota, clock, wish) for wish in wishes)))

    return run_simulated(main)


WISHES = st.lists(
    st.builds(
        Wish,
        at=st.floats(0, 5),
        priority=st.sampled_from(Priority),
        write_after=st.one_of(st.just(0.0), st.floats(0, 3)),
        end_after=st.floats(0, 1),
        gives_up_after=st.one_of(st.none(), st.floats(0, 4)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(allowed=st.integers(1, 6), most=st.sampled_from((0, 2)), wishes=WISHES)
def test_never_too_many_and_the_urgent_first(allowed: int, most: int, wishes: list[Wish]) -> None:
    seen = watch(RateLimit(allowed_requests=allowed, interval=1.0, max_concurrent_requests=most), wishes)
    written = sorted(one.written_at for one in seen if one.written_at is not None)
    for first, last in zip(written, written[allowed:], strict=False):
        assert last - first >= 1.0 - _EPSILON
    assert all(one.written_at is not None for one in seen if one.wish.gives_up_after is None)
    granted = [one for one in seen if one.granted_at is not None]
    for other in granted:
        assert other.granted_at is not None
        began, ended = other.wish.at + _EPSILON, other.granted_at - _EPSILON
        meanwhile = [one for one in granted if one.granted_at is not None and began < one.granted_at < ended]
        less_urgent = [one for one in meanwhile if one.wish.priority > other.wish.priority]
        if other.wish.priority is Priority.waiting:
            assert less_urgent == [], f"{other} waited while others went"
        else:  # each of them has its small share
            assert len(less_urgent) <= len(meanwhile) / 2 + 3, f"{other} waited while others went"


def test_a_flood_of_what_is_urgent_leaves_a_share_to_the_rest() -> None:
    flood = [Wish(0.001 * number, Priority.urgent, 0.0, 0.0, None) for number in range(300)]
    rest = [
        Wish(0.0005, priority, 0.0, 0.0, None)
        for priority in (Priority.poll, Priority.backfill, Priority.sweep)
        for _ in range(3)
    ]
    seen = watch(RateLimit(allowed_requests=20, interval=1.0), flood + rest)
    order = [one.wish.priority for one in sorted(seen, key=lambda one: one.granted_at or 0.0)]
    for priority, within in ((Priority.poll, 30), (Priority.backfill, 60), (Priority.sweep, 150)):
        assert order[:within].count(priority) >= 3
    assert order[:100].count(Priority.urgent) >= 85
    hurried = [Wish(2.0, Priority.waiting, 0.0, 0.0, None)]
    (first,) = [
        one for one in watch(RateLimit(allowed_requests=20, interval=1.0), flood + rest + hurried) if one.wish.at == 2.0
    ]
    assert (first.granted_at or 9.0) - 2.0 <= 1.1


def test_first_come_first_served_among_equals() -> None:
    wishes = [Wish(0.001 * number, Priority.backfill, 0.0, 0.0, None) for number in range(50)]
    granted = [one.granted_at for one in watch(RateLimit(allowed_requests=5, interval=1.0), wishes)]
    assert granted == sorted(granted, key=lambda at: at or 0.0)


@pytest.mark.parametrize("priority", [Priority.urgent, Priority.backfill])
def test_nearly_all_is_used_while_there_is_work(priority: Priority) -> None:
    wishes = [Wish(0.0, priority, 0.0, 0.01, None) for _ in range(200)]
    written = sorted(one.written_at or 0.0 for one in watch(RateLimit(allowed_requests=20, interval=1.0), wishes))
    assert 0.95 * (written[-1] - written[0]) <= 199 / 20


def test_a_pause_that_the_provider_asks_for_is_kept() -> None:
    async def main(clock: Callable[[], float]) -> float:
        quota = SyncQuota(RateLimit(allowed_requests=100, interval=1.0), clock=clock)
        quota.slow_down(7.0)
        async with quota.permit(Priority.waiting):
            return clock()

    assert run_simulated(main) >= 7.0
