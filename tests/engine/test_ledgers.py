"""Several syncs, and calls of nobody's, on the limits of one credential, in simulated time."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.test_quotas import _EPSILON
from tests.support.simulated_time import run_simulated

from springline.domain.errors import OwnerUnavailable
from springline.domain.quotas import Draw, Limit
from springline.engine.ledgers import Ledger
from springline.engine.quotas import CredentialQuota, Priority, SyncQuota
from springline.providers.access import LimitReading, LimitWindow, RateLimit, Request
from springline.providers.stripe.limits import ENDPOINT

ACCOUNT = LimitWindow(name="account", allowed_requests=10, interval=1.0)
LISTS = Request(path="/v1/customers")
READS = Request(path="/v1/customers/cus_1")
WRITES = Request(method="POST", path="/v1/customers")


class Seen(NamedTuple):
    who: object
    priority: Priority
    at: float


async def want(
    quota: CredentialQuota,
    priority: Priority,
    *,
    sync_no: int | None = None,
    request: Request = LISTS,
    at: float = 0.0,
    seen: list[Seen],
    who: object = None,
) -> None:
    await asyncio.sleep(at)
    async with quota.permit(priority, request, sync_no=sync_no) as permit:
        now = quota.ledger.clock()
        permit.started(now)
        seen.append(Seen(sync_no if who is None else who, priority, now))


def never_more(times: list[float], allowed: int, interval: float) -> None:
    ordered = sorted(times)
    for first, last in zip(ordered, ordered[allowed:], strict=False):
        assert last - first >= interval - _EPSILON


@settings(deadline=None, max_examples=60)
@given(
    wishes=st.lists(
        st.tuples(
            st.sampled_from((None, 1, 2, 3)),
            st.sampled_from(Priority),
            st.sampled_from((LISTS, READS, WRITES)),
            st.floats(0, 3),
        ),
        max_size=60,
    )
)
def test_no_limit_is_ever_exceeded(wishes: list[tuple[int | None, Priority, Request, float]]) -> None:
    limits = {1: 4, 2: 6, 3: 50}
    endpoint = LimitWindow(name="endpoint", allowed_requests=5, interval=1.0, path=r"/v1/(\w+)(/)?.*")
    points = LimitWindow(name="points", allowed_requests=12, interval=2.0, costs=(("POST", 5),))

    async def main(clock: Callable[[], float]) -> list[tuple[int | None, Request, float]]:
        quota = CredentialQuota("credential:1", (ACCOUNT, endpoint, points), clock=clock)
        for sync_no, allowed in limits.items():
            quota.sync_limit(sync_no, RateLimit(allowed_requests=allowed, interval=1.0))
        started: list[tuple[int | None, Request, float]] = []

        async def one(sync_no: int | None, priority: Priority, request: Request, at: float) -> None:
            await asyncio.sleep(at)
            async with quota.permit(priority, request, sync_no=sync_no) as permit:
                permit.started(clock())
                started.append((sync_no, request, clock()))
                await asyncio.sleep(0.1)

        await asyncio.gather(*(one(*wish) for wish in wishes))
        assert not quota.ledger.is_waited_for()
        return started

    started = run_simulated(main)
    assert len(started) == len(wishes)
    never_more([at for _, _, at in started], 10, 1.0)
    for sync_no, allowed in limits.items():
        never_more([at for who, _, at in started if who == sync_no], allowed, 1.0)
    for request in (LISTS, READS, WRITES):
        never_more([at for _, what, at in started if what == request], 5, 1.0)
    never_more([at for _, what, at in started for _ in range(5 if what == WRITES else 1)], 12, 2.0)


def test_syncs_of_one_credential_take_turns() -> None:
    async def main(clock: Callable[[], float]) -> Counter[object]:
        quota = CredentialQuota("credential:1", (ACCOUNT,), clock=clock)
        seen: list[Seen] = []
        for sync_no in (1, 2, 3):
            quota.sync_limit(sync_no, RateLimit(allowed_requests=100, interval=1.0))
        # The first one wants ten times as much as the others.
        wishes = [(1, 300), (2, 30), (3, 30)]
        tasks = [
            asyncio.create_task(want(quota, Priority.backfill, sync_no=sync_no, seen=seen))
            for sync_no, count in wishes
            for _ in range(count)
        ]
        await asyncio.sleep(6.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return Counter(one.who for one in seen)

    shares = run_simulated(main)
    assert max(shares.values()) - min(shares.values()) <= 2


def test_who_has_used_up_its_own_limit_holds_nobody_up() -> None:
    async def main(clock: Callable[[], float]) -> list[Seen]:
        quota = CredentialQuota("credential:1", (ACCOUNT,), clock=clock)
        quota.sync_limit(1, RateLimit(allowed_requests=1, interval=5.0))
        quota.sync_limit(2, RateLimit(allowed_requests=100, interval=1.0))
        seen: list[Seen] = []
        urgent = [want(quota, Priority.waiting, sync_no=1, seen=seen) for _ in range(4)]
        bulk = [want(quota, Priority.sweep, sync_no=2, seen=seen) for _ in range(40)]
        await asyncio.gather(*urgent, *bulk)
        return seen

    seen = run_simulated(main)
    assert max(one.at for one in seen if one.who == 2) < 4.5
    assert [one.at for one in seen if one.who == 1] == pytest.approx([0.0, 5.1, 10.2, 15.3], abs=0.01)


def test_an_endpoint_that_is_used_up_holds_up_no_other() -> None:
    endpoint = LimitWindow(name="endpoint", allowed_requests=2, interval=1.0, path=r"/v1/(\w+)(/)?.*")

    async def main(clock: Callable[[], float]) -> list[Seen]:
        quota = CredentialQuota("credential:1", (endpoint,), clock=clock)
        seen: list[Seen] = []
        lists = [want(quota, Priority.urgent, request=LISTS, who="list", seen=seen) for _ in range(5)]
        reads = [want(quota, Priority.urgent, request=READS, who="read", seen=seen) for _ in range(2)]
        await asyncio.gather(*lists, *reads)
        return seen

    seen = run_simulated(main)
    assert [one.at for one in seen if one.who == "read"] == pytest.approx([0.0, 0.0], abs=0.01)
    assert max(one.at for one in seen if one.who == "list") == pytest.approx(2.04, abs=0.01)


def test_polls_go_before_pages_up_to_a_tenth_and_beyond_it_take_turns() -> None:
    async def main(clock: Callable[[], float]) -> list[Seen]:
        quota = CredentialQuota("credential:1", (ACCOUNT,), clock=clock)
        seen: list[Seen] = []
        tasks = [
            asyncio.create_task(want(quota, priority, who=priority, seen=seen, at=0.5))
            for priority in (Priority.backfill, Priority.poll)
            for _ in range(300)
        ]
        await asyncio.sleep(20.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return seen

    seen = run_simulated(main)
    order = [one.priority for one in seen][20:]
    share = order.count(Priority.poll) / len(order)
    assert 0.1 <= share <= 0.45

    async def now_and_then(clock: Callable[[], float]) -> list[float]:
        quota = CredentialQuota("credential:1", (ACCOUNT,), clock=clock)
        seen: list[Seen] = []
        pages = [asyncio.create_task(want(quota, Priority.backfill, seen=seen)) for _ in range(300)]
        waited = []
        for _ in range(15):
            await asyncio.sleep(1.0)  # a tenth
            asked_at = clock()
            await want(quota, Priority.poll, seen=seen)
            waited.append(clock() - asked_at)
        for task in pages:
            task.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
        return waited

    # At most until the next slot is free.
    assert max(run_simulated(now_and_then)) <= 0.11


def test_a_dear_request_is_not_overtaken_for_ever() -> None:
    points = LimitWindow(name="points", allowed_requests=10, interval=1.0, costs=(("POST", 10),))

    async def main(clock: Callable[[], float]) -> list[Seen]:
        quota = CredentialQuota("credential:1", (points,), clock=clock)
        seen: list[Seen] = []
        reads = [want(quota, Priority.poll, who="read", at=0.05 * number, seen=seen) for number in range(200)]
        write = want(quota, Priority.waiting, request=WRITES, who="write", at=2.0, seen=seen)
        await asyncio.gather(write, *reads)
        return seen

    (write,) = [one.at for one in run_simulated(main) if one.who == "write"]
    assert write <= 2.0 + 1.1


def test_headers_and_refusals_close_what_they_name() -> None:
    endpoint = LimitWindow(name=ENDPOINT, allowed_requests=100, interval=1.0, path=r"/v1/(\w+)(/)?.*")

    async def main(clock: Callable[[], float]) -> dict[str, float]:
        quota = CredentialQuota("credential:1", (ACCOUNT, endpoint), clock=clock)
        async with quota.permit(Priority.poll, LISTS) as permit:
            permit.started(clock())
            permit.answered(
                429, (LimitReading(window=ENDPOINT, is_exceeded=True, after_seconds=5.0, because="endpoint"),)
            )
            permit.slow_down(5.0, "429")  # nothing more: what is at fault was said
        seen: list[Seen] = []
        await want(quota, Priority.poll, request=READS, who="read", seen=seen)
        await want(quota, Priority.poll, request=LISTS, who="list", seen=seen)
        async with quota.permit(Priority.poll, READS) as permit:
            permit.started(clock())
            permit.slow_down(None, "429")
        await want(quota, Priority.waiting, request=LISTS, who="any", seen=seen)
        return {str(one.who): one.at for one in seen}

    at = run_simulated(main)
    assert at["read"] == pytest.approx(0.0, abs=0.01)
    assert at["list"] == pytest.approx(5.0, abs=0.01)
    assert at["any"] == pytest.approx(6.0, abs=0.01)


def test_nobody_waits_for_a_credential_that_was_given_up() -> None:
    async def main(clock: Callable[[], float]) -> None:
        quota = CredentialQuota("credential:1", (LimitWindow(name="one", max_concurrent_requests=1),), clock=clock)
        other = CredentialQuota("credential:2", ledger=quota.ledger, clock=clock)
        async with quota.permit(Priority.poll):
            waiting = asyncio.create_task(quota.take(Priority.poll))
            await asyncio.sleep(1.0)
            quota.close(OwnerUnavailable("given up"))
            with pytest.raises(OwnerUnavailable):
                await waiting
            async with other.permit(Priority.poll):
                pass
        assert not quota.ledger.is_waited_for()

    run_simulated(main)


def test_a_limit_without_a_record_waits_for_it_and_takes_nothing_meanwhile() -> None:
    async def main(clock: Callable[[], float]) -> None:
        wanted: list[Limit] = []
        recorded = Limit("minute", 10, 60.0, key="k", recorded=True)
        other = Limit("second", 5, 1.0)
        ledger = Ledger(clock=clock, want_block=lambda limit, cost: wanted.append(limit))
        taking = asyncio.create_task(ledger.take(Priority.poll, party=1, draws=(Draw(other), Draw(recorded))))
        await asyncio.sleep(30.0)
        assert wanted == [recorded]
        assert (other.used(clock()), recorded.used(clock()), other.running) == (0, 0, 0)
        recorded.open_block(recorded.block_to_record(1, clock()), clock())
        ledger.dispatch()
        ledger.end(await taking)

    run_simulated(main)


def test_a_snapshot_says_who_used_what_and_what_is_waited_for() -> None:
    async def main(clock: Callable[[], float]) -> None:
        quota = CredentialQuota("credential:1", (ACCOUNT,), clock=clock)
        sync = SyncQuota(
            RateLimit(allowed_requests=3, interval=2.0, max_concurrent_requests=2),
            clock=clock,
            credential=quota,
            sync_no=7,
        )
        seen: list[Seen] = []
        for priority in (Priority.poll, Priority.urgent, Priority.urgent):
            await want(quota, priority, sync_no=7, seen=seen)
        waiting = asyncio.create_task(want(quota, Priority.urgent, sync_no=7, seen=seen))
        await asyncio.sleep(0.04)
        own = quota.snapshot().windows[-1]
        assert (own.name, own.allowed_requests, own.interval) == ("sync:7", 3, 2.0)
        assert (own.used, own.used_by) == (3, {"poll": 1, "urgent": 2})
        assert own.waiting == {"urgent": 1}
        assert own.free_in_seconds == pytest.approx(2.0)
        assert own.closed_because is None
        assert sync.is_waited_for
        quota.whole.slow_down(clock(), 30.0, because="429, too many")
        whole = quota.snapshot().windows[0]
        assert (whole.name, whole.closed_seconds, whole.closed_because) == ("credential:1", 30.0, "429, too many")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not sync.is_waited_for

    run_simulated(main)
