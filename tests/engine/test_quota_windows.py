"""I7 as the provider sees it: arrivals counted at the sandbox, over backfill, polls, sweeps and restarts."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.support.driven import Held, working
from tests.support.made import Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.store.database import Database

#: Transit times differ by a little; a window that is so much shorter must not hold more.
SHARE_OF_INTERVAL = 0.97


def most_in_a_window(times: Sequence[float], seconds: float) -> int:
    """The largest number of arrivals in any window of this length."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("allowed", [5, 20])
async def test_never_more_than_allowed_and_nearly_all_of_it(allowed: int, database: Database, side: StripeSide) -> None:
    seconds = 4 if allowed == 5 else 3
    pages = allowed * seconds
    ids = await side.seed("customer", pages * 55)
    await side.seed("product", pages * 45)
    limit = {"allowed_requests": allowed, "interval": 1.0, "max_concurrent_requests": 0}
    made = await Maker(database).sync("stripe:customer", "stripe:product", epoch=0, rate_limit=limit)
    held = Held(database, made)
    changing = asyncio.create_task(change_again_and_again(side, ids))
    try:
        async with working(database, side):
            await until(lambda: len(side.arrivals) >= pages // 3, within_seconds=10)
        restarted = len(side.arrivals)
        # The next one takes over at once, and counts what this one may have used.
        async with working(database, side) as second:
            await second.until_backfilled(made)
            backfilled = len(side.arrivals)
    finally:
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
    async with working(database, side):
        await until(lambda: held.is_equal(side, "customer", "product"), within_seconds=20)

    times = [arrival.at for arrival in side.arrivals]
    assert most_in_a_window(times, SHARE_OF_INTERVAL) <= allowed
    assert {arrival.status for arrival in side.arrivals} <= {200, 404, None, 0}
    # While the second worker was backfilling, from its first request on.
    spent = times[backfilled - 1] - times[restarted]
    used = (backfilled - restarted - 1) / (spent * allowed)
    assert used >= 0.9, f"{used:.0%} of the quota was used"


async def change_again_and_again(side: StripeSide, ids: Sequence[str]) -> None:
    """Changes for the feed to find."""
    for number in range(10_000):
        await side.update("customer", ids[number % 7], name=f"name {number}")
        await asyncio.sleep(0.5)


async def test_a_request_that_nobody_answers_holds_its_slot(database: Database, side: StripeSide) -> None:
    """At most so many at once, also when answers do not come."""
    limit = {"allowed_requests": 100, "interval": 1.0, "max_concurrent_requests": 2}
    made = await Maker(database).sync("stripe:customer", "stripe:product", "stripe:plan", epoch=0, rate_limit=limit)
    await side.seed("customer", 10)
    stuck = await side.fault("late_page", match={"path": "/v1/*"})
    running = side.account
    async with working(database, side) as work:
        for _ in range(8):
            await until(lambda: running.unanswered > 0)
            assert running.unanswered <= 2
            await side.release(stuck)
        await side.mend(stuck)
        await work.until_backfilled(made)
