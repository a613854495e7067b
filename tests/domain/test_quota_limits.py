"""What a limit knows beside its window: what the database knows, what the provider says, what else a request takes."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.test_quotas import assert_never_more, take

from springline.domain.quotas import (
    BEFORE,
    LONGEST_PAUSE_SECONDS,
    WAITED_OUT_SECONDS,
    Draw,
    Limit,
    Observed,
    Start,
    free_at,
)

MINUTE = 60.0


class Database:
    """What is recorded of one limit: (starts, when), oldest first."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, float]] = []

    def successor(self, allowed: int, interval: float, now: float) -> Limit:
        """As the one who takes over works it out."""
        limit = Limit("limit", allowed, interval, recorded=True)
        kept = [(starts, at) for starts, at in self.blocks if at > now - 2 * interval]
        for number, (starts, _) in enumerate(kept, 1):
            limit.assume_used(starts, kept[number][1] if number < len(kept) else now)
        limit.follow_holder(now)
        return limit

    def record(self, limit: Limit, now: float) -> None:
        if limit.lacks_block(now):
            starts = limit.block_to_record(1, now)
            self.blocks.append((starts, now))
            limit.open_block(starts, now)


@settings(deadline=None, max_examples=200)
@given(
    allowed=st.sampled_from((1, 10, 40, 100, 300, 2000)),
    interval=st.sampled_from((11.0, 60.0, 600.0)),
    turns=st.lists(st.tuples(st.sampled_from(("start", "many", "kill")), st.floats(0, 30)), max_size=60),
)
def test_nobody_who_is_killed_leaves_more_than_the_successor_counts(
    allowed: int, interval: float, turns: list[tuple[str, float]]
) -> None:
    """However often, and whatever had been started by then."""
    database = Database()
    limit = Limit("limit", allowed, interval, recorded=True)
    now, started = 0.0, list[float]()
    for what, pause in turns:
        now += pause * interval / 60
        if what == "kill":
            limit = database.successor(allowed, interval, now)
            continue
        for _ in range(allowed if what == "many" else 1):
            database.record(limit, now)
            if limit.free_at(now, bulk=False) > now:
                break
            start = take(limit, now)
            start.write(now)
            start.end(now)
            started.append(now)
    assert_never_more(started, allowed, interval)


@pytest.mark.parametrize("allowed", [40, 300, 4000])
def test_what_the_database_does_not_know_is_a_fortieth_at_most(allowed: int) -> None:
    database = Database()
    limit = Limit("limit", allowed, 3600.0, recorded=True)
    for number in range(allowed):
        now = 3600.0 * number / allowed
        database.record(limit, now)
        start = take(limit, now)
        start.write(now)
        start.end(now)
        recorded = sum(starts for starts, _ in database.blocks)
        assert number + 1 <= recorded + allowed / 40
        # What a successor counts is never more than a twentieth too much.
        counted = database.successor(allowed, 3600.0, now).used_by_purpose(now)[BEFORE]
        assert number + 1 <= counted <= number + 1 + allowed / 20


def test_who_asks_for_little_writes_nothing() -> None:
    """A poll a minute, under GitHub's hourly limit."""
    database = Database()
    limit = Limit("limit", 4000, 3600.0, recorded=True)
    for minute in range(300):
        database.record(limit, minute * 60.0)
        take(limit, minute * 60.0).end(minute * 60.0)
    assert database.blocks == []


def test_a_block_lapses_before_its_record_does() -> None:
    limit = Limit("limit", 100, MINUTE, recorded=True)
    limit.open_block(50, 0.0)
    for _ in range(2):
        take(limit, 0.0).end(0.0)
    take(limit, 0.0).end(0.0)
    assert not limit.lacks_block(1.0)
    assert limit.lacks_block(61.0, 3)


def test_what_is_written_late_is_recorded_with_the_block_in_which_it_falls() -> None:
    """As where a connection takes long: a successor counts a block's starts when the next one is opened."""
    limit = Limit("limit", 100, MINUTE, recorded=True)
    for _ in range(2):
        take(limit, 0.0).end(0.0)
    limit.open_block(limit.block_to_record(1, 0.0), 0.0)
    slow = take(limit, 0.0)
    take(limit, 0.0).end(0.0)
    assert limit.lacks_block(5.0)
    assert limit.block_to_record(1, 5.0) == limit.block_starts + 1
    limit.open_block(limit.block_to_record(1, 5.0), 5.0)
    for _ in range(limit.block_starts):
        assert not limit.lacks_block(5.0)
        take(limit, 5.0).end(5.0)
    assert limit.lacks_block(5.0)
    slow.end(6.0)


def test_units_of_an_older_block_are_not_used_in_a_newer_one() -> None:
    limit = Limit("limit", 400, MINUTE, recorded=True)
    uncounted = [Draw(limit, uncounted_statuses=frozenset({304}))]
    for _ in range(10):
        take(limit, 0.0).end(0.0)
    limit.open_block(limit.block_to_record(1, 0.0), 0.0)
    early = Start(uncounted, now=0.0)
    early.write(0.0)
    assert not limit.lacks_block(0.0, 9)
    assert limit.lacks_block(0.0, 10)
    limit.open_block(limit.block_to_record(10, 1.0), 1.0)
    early.answered(304)
    early.end(1.0)
    assert not limit.lacks_block(1.0, 10)
    assert limit.lacks_block(1.0, 11)


def test_a_limit_that_is_configured_anew_records_what_nobody_knows_of() -> None:
    former = Limit("limit", 200, MINUTE, recorded=True)
    for _ in range(5):  # without a block
        take(former, 1.0).end(1.0)
    limit = Limit("limit", 100, MINUTE, recorded=True)
    limit.follow(former, 2.0)
    assert limit.used(2.0) == 5
    assert limit.lacks_block(2.0)
    assert limit.block_to_record(1, 2.0) == limit.block_starts + 5
    limit.open_block(limit.block_to_record(1, 2.0), 2.0)
    assert not limit.lacks_block(2.0)


def test_what_runs_under_the_limit_before_counts_at_once() -> None:
    former = Limit("limit", 100, 1.0, max_concurrent=2)
    running = [take(former, 0.0), take(former, 0.0)]
    limit = Limit("limit", 50, 1.0, max_concurrent=2)
    limit.follow(former, 0.1)
    assert limit.free_at(0.1, bulk=False) == float("inf")
    running[0].end(0.2)
    take(limit, 0.2)
    assert limit.free_at(0.2, bulk=False) == float("inf")
    running[1].end(0.3)
    assert limit.free_at(0.3, bulk=False) == 0.3


def test_a_short_window_is_waited_out() -> None:
    limit = Limit("limit", 5, WAITED_OUT_SECONDS, recorded=True)
    assert not limit.is_recorded
    limit.follow_holder(3.0)
    assert limit.free_at(3.0, bulk=False) == pytest.approx(3.0 + WAITED_OUT_SECONDS * 1.02)


# several at once ------------------------------------------------------------------------------------


def test_a_request_draws_on_all_or_on_none() -> None:
    wide, narrow = Limit("wide", 10, 1.0), Limit("narrow", 2, 1.0)
    draws = [Draw(wide), Draw(narrow)]
    for _ in range(2):
        Start(draws, now=0.0).end(0.0)
    assert free_at(draws, 0.1, bulk=False) == pytest.approx(1.02)
    assert wide.used(0.1) == 2  # nothing is taken from the one while the other is waited for
    assert free_at([Draw(wide)], 0.1, bulk=False) == 0.1


def test_a_dear_request_takes_more_and_waits_for_all_of_it() -> None:
    points = Limit("points", 10, 1.0)
    for at in (0.0, 0.1, 0.2, 0.3):
        Start([Draw(points, cost=2)], now=at).end(at)
    assert points.used(0.3) == 8
    assert points.free_at(0.3, bulk=False, cost=2) == 0.3
    assert points.free_at(0.3, bulk=False, cost=5) == pytest.approx(1.12)
    assert points.free_at(0.3, bulk=False, cost=99) == pytest.approx(1.32)


def test_an_answer_that_does_not_count_gives_its_slot_back() -> None:
    """As GitHub's 304, which its hourly limit does not count and its other one does."""
    hourly, other = Limit("hour", 2, 3600.0), Limit("minute", 2, MINUTE)
    draws = [Draw(hourly, uncounted_statuses=frozenset({304})), Draw(other)]
    start = Start(draws, now=1.0)
    start.write(1.0)
    assert (hourly.used(1.0), other.used(1.0)) == (1, 1)
    start.answered(304)
    start.end(2.0)
    assert (hourly.used(2.0), other.used(2.0)) == (0, 1)


def test_bulk_work_leaves_a_little_of_a_long_window() -> None:
    limit = Limit("limit", 1000, 60.0)
    now, pages, stalled = 0.0, 0, 0
    while now < 180.0:
        if limit.free_at(now, bulk=True) <= now:
            take(limit, now).end(now)
            pages += 1
        elif limit.free_at(now, bulk=False) > now:
            stalled += 1
        now += 0.01
    assert stalled == 0
    assert pages >= 0.95 * 3000


def test_bulk_work_makes_up_for_what_the_urgent_took() -> None:
    """Both together keep the pace: the window is never used up before its end."""
    limit = Limit("limit", 300, 60.0)
    now, started = 0.0, list[float]()
    while now < 180.0:
        for bulk in (False, True):
            wants = bulk or int(now * 100) % 50 == 0  # two a second are urgent
            if wants and limit.free_at(now, bulk=bulk) <= now:
                take(limit, now).end(now)
                started.append(now)
        now = round(now + 0.01, 2)
    assert max(later - at for at, later in itertools.pairwise(started)) < 1.0
    assert len(started) >= 0.95 * 900


# what the provider says -------------------------------------------------------------------------------


def test_what_is_left_is_believed_where_it_is_less() -> None:
    limit = Limit("limit", 5000, 3600.0)
    start = take(limit, 0.0)
    start.write(0.0)
    limit.learn(Observed(remaining=3, reset_seconds=600.0), 0.0)
    start.end(0.0)
    for _ in range(3):
        assert limit.free_at(1.0, bulk=False) == 1.0
        take(limit, 1.0).end(1.0)
    assert limit.free_at(1.0, bulk=False) == pytest.approx(600.0)
    shut = limit.shut_until(1.0)
    assert shut is not None
    until, because = shut
    assert until == pytest.approx(600.0)
    assert because == "the provider says that nothing is left"
    assert limit.free_at(601.0, bulk=False) == 601.0


def test_what_is_left_is_spread_until_it_is_whole_again() -> None:
    limit = Limit("limit", 5000, 3600.0)
    start = take(limit, 0.0)
    limit.learn(Observed(remaining=61, reset_seconds=600.0), 0.0)
    start.end(0.0)
    pages = 0
    for now in range(300):
        while limit.free_at(float(now), bulk=True) <= now:
            take(limit, float(now)).end(float(now))
            pages += 1
    assert 20 <= pages <= 40
    assert limit.free_at(300.0, bulk=False) == 300.0


def test_more_than_we_count_is_not_believed() -> None:
    limit = Limit("limit", 10, 60.0)
    for _ in range(9):
        take(limit, 0.0).end(0.0)
    limit.learn(Observed(remaining=5000, reset_seconds=1.0, allowed=15000), 0.0)
    take(limit, 0.0).end(0.0)
    assert limit.free_at(0.0, bulk=False) > 60.0
    assert limit.allowed == 10


def test_a_smaller_limit_is_believed() -> None:
    limit = Limit("limit", 5000, 60.0)
    limit.learn(Observed(allowed=100), 0.0)
    for number in range(100):
        take(limit, number / 10).end(number / 10)
    assert limit.free_at(11.0, bulk=False) > 60.0
    limit.learn(Observed(allowed=1000), 11.0)
    assert limit.free_at(11.0, bulk=False) == 11.0


@pytest.mark.parametrize("reset", [-5.0, 0.0, 1e9, None])
@pytest.mark.parametrize("remaining", [-7, 0])
def test_absurd_values_close_nothing_for_longer_than_the_interval(reset: float | None, remaining: int) -> None:
    limit = Limit("limit", 100, 60.0)
    limit.learn(Observed(remaining=remaining, reset_seconds=reset), 0.0)
    assert limit.free_at(0.0, bulk=False) <= 60.0


def test_an_answer_that_comes_late_does_not_widen() -> None:
    limit = Limit("limit", 100, 3600.0)
    early, late = take(limit, 0.0), take(limit, 0.0)
    limit.learn(Observed(remaining=4, reset_seconds=100.0), 1.0)
    early.end(1.0)
    limit.learn(Observed(remaining=5, reset_seconds=99.0), 2.0)
    late.end(2.0)
    for _ in range(3):
        take(limit, 2.0).end(2.0)
    assert limit.free_at(2.0, bulk=False) == pytest.approx(101.0)


def test_pauses_grow_while_it_is_too_much_again_and_again() -> None:
    limit = Limit("limit", 100, 1.0)
    now, pauses = 0.0, []
    for _ in range(9):
        limit.slow_down(now, None, because="429", started_at=now)
        pauses.append(limit.closed_until - now)
        now = limit.closed_until + 0.1
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    now += 1000.0
    limit.slow_down(now, None, because="429", started_at=now)
    assert limit.closed_until - now == pytest.approx(1.0)


def test_the_provider_s_own_time_is_kept_and_bounded() -> None:
    limit = Limit("limit", 100, 1.0)
    limit.slow_down(0.0, 60.0, because="secondary limit", started_at=0.0)
    assert limit.closed_until == 60.0
    limit.slow_down(61.0, 60.0, because="secondary limit", started_at=61.0)
    assert limit.closed_until == 181.0
    limit.slow_down(200.0, 1e12, because="?", started_at=200.0)
    assert limit.closed_until == pytest.approx(200.0 + LONGEST_PAUSE_SECONDS)


def test_requests_that_were_under_way_together_make_one_pause() -> None:
    limit = Limit("limit", 100, 1.0)
    for now in (1.0, 1.01, 1.02, 1.3):
        limit.slow_down(now, None, because="429", started_at=0.9)
    assert limit.closed_until == pytest.approx(2.3)
