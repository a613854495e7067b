"""What a running sync says of itself: its last requests, what each collection does or waits for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.driven import Working, working
from tests.support.made import STRIPE_KEY, Made, Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.engine.activities import Activity, RunExplanation
from springline.engine.explain import Explainer, RunQuestions, runs_elsewhere
from springline.engine.explain_run import quota_use
from springline.engine.owners import Owners
from springline.engine.quotas import Priority, SyncQuota
from springline.engine.request_log import CURRENT_WORK, MOST_REQUESTS, RequestLog
from springline.engine.wakeups import Wakeups
from springline.providers.vocabulary import RateLimit
from springline.store.database import Database
from springline.store.holds import HoldStore
from springline.store.leases import LeaseStore, Process
from springline.store.owners import OwnerStore

CUSTOMER, PRODUCT = "stripe:customer", "stripe:product"


@pytest.fixture
def maker(database: Database) -> Maker:
    return Maker(database)


def explained(work: Working, made: Made) -> RunExplanation:
    found = work.worker.explain(made.sync_no)
    assert found is not None
    return found


async def until_waiting(work: Working, made: Made, collection_id: str, reason: str) -> Activity:
    def is_so() -> Activity | None:
        run = work.worker.explain(made.sync_no)
        activity = None if run is None else run.collections.get(collection_id)
        return activity if activity and activity.waits and activity.waits[0].waiting_for == reason else None

    found: Activity = await until(is_so, within_seconds=15, what=f"{collection_id} waiting for {reason}")
    return found


# the log of requests ---------------------------------------------------------------------------


def made_request(log: RequestLog, path: str, *, status: int | None = 200, **texts: Any) -> None:
    one = log.begin(purpose="poll", method="GET", path=path)
    one.sent_at = time.monotonic()
    log.ended(one, status=status, **texts)


def test_the_last_requests_are_remembered_in_few_bytes() -> None:
    log = RequestLog()
    for number in range(3 * MOST_REQUESTS):
        made_request(log, f"/v1/events/{number}", request_id=f"req_{number:014}")
    requests = log.list()
    assert [request.path for request in requests] == [
        f"/v1/events/{number}" for number in range(2 * MOST_REQUESTS, 3 * MOST_REQUESTS)
    ]
    assert requests[-1].request_id == "req_00000000000599"
    assert len(log._entries) < 80 * MOST_REQUESTS
    assert log.under_way == set()


def test_a_request_says_how_it_went() -> None:
    log = RequestLog()
    CURRENT_WORK.set("sweep:stripe:plan")
    one = log.begin(purpose="sweep", method="DELETE", path="/ä" + "x" * 1000)
    one.asked_at -= 1.5
    one.sent_at = time.monotonic() - 0.25
    log.ended(one, status=None, fault="Stripe did not answer within 30 s")
    made_request(log, "/v1/plans")
    given_up = log.begin(purpose="poll", method="GET", path="/v1/events")
    assert log.under_way == {given_up}
    log.given_up(given_up)
    first, second = log.list()
    assert (first.purpose, first.work, first.method) == ("sweep", "sweep:stripe:plan", "DELETE")
    assert first.path.startswith("/äxxx")
    assert (first.status, first.fault, first.request_id) == (None, "Stripe did not answer within 30 s", None)
    assert 240 <= first.ms <= 400
    assert 1200 <= first.waited_ms <= 1400
    assert abs(datetime.now(UTC) - first.at) < timedelta(seconds=2)
    assert (second.status, second.fault) == (200, None)


# the use of the quota --------------------------------------------------------------------------


async def test_the_use_of_a_quota_adds_up() -> None:
    quota = SyncQuota(RateLimit(allowed_requests=10, interval=60), clock=time.monotonic, sync_no=7)
    quota.credential.sync_limit(8, RateLimit(allowed_requests=3, interval=1))
    async with quota.permit(Priority.poll):
        used = quota_use(quota)
    assert (used.used, used.by_purpose) == (1, {"poll": 1})
    assert (used.allowed_requests, used.interval) == (10, 60)
    assert [limit.name for limit in used.limits] == ["rate_limit"]
    quota.slow_down(30)
    used = quota_use(quota)
    assert [(limit.name, limit.closed_seconds > 29) for limit in used.limits] == [
        ("credential", True),
        ("rate_limit", False),
    ]


# a running sync --------------------------------------------------------------------------------


async def test_a_sync_at_rest_says_when_it_goes_on(side: StripeSide, maker: Maker) -> None:
    await side.seed("customer", 3)
    made = await maker.sync(epoch=0)
    async with working(maker.database, side) as work:
        assert work.worker.explain(made.sync_no) is None
        await work.until_backfilled(made)

        def is_idle() -> Activity | None:
            activity = explained(work, made).collections[CUSTOMER]
            return activity if activity.doing == "idle" else None

        activity: Activity = await until(is_idle)
        assert activity.waits == ()
        assert activity.until is not None
        run = explained(work, made)
        assert {(request.purpose, request.work) for request in run.requests} >= {
            ("poll", "feed"),
            ("backfill", f"backfill:{CUSTOMER}"),
        }
        assert all(request.request_id for request in run.requests)
        assert run.quota is not None
        assert sum(run.quota.by_purpose.values()) == run.quota.used


async def test_a_collection_without_permission_waits_alone(side: StripeSide, maker: Maker) -> None:
    await side.seed("customer", 3)
    await side.key(STRIPE_KEY, product="none")
    made = await maker.sync(CUSTOMER, PRODUCT, epoch=0)
    async with working(maker.database, side) as work:
        activity = await until_waiting(work, made, PRODUCT, "credential")
        assert "does not permit this credential to read it" in activity.waits[0].says
        assert explained(work, made).collections[CUSTOMER].waits == ()
        await side.key(STRIPE_KEY)
        await work.until_backfilled(made)
        assert explained(work, made).collections[PRODUCT].waits == ()


async def test_a_provider_that_does_not_answer(side: StripeSide, maker: Maker) -> None:
    made = await maker.sync(epoch=0)
    fault = await side.fault("reset")
    async with working(maker.database, side) as work:
        activity = await until_waiting(work, made, CUSTOMER, "provider")
        (waiting,) = activity.waits
        assert waiting.since is not None
        assert waiting.says.startswith("Stripe cannot answer: Stripe could not be reached")
        last = explained(work, made).requests[-1]
        assert (last.status, last.request_id) == (None, None)
        assert last.fault is not None
        await side.mend(fault)
        await work.until_backfilled(made)
        assert explained(work, made).collections[CUSTOMER].waits == ()


async def test_a_sync_that_cannot_be_taken_up(side: StripeSide, maker: Maker) -> None:
    made = await maker.sync(epoch=0)
    await maker.database.execute("UPDATE syncs SET rate_limit = '{}'")
    async with working(maker.database, side) as work:
        run: RunExplanation = await until(lambda: work.worker.explain(made.sync_no))
        assert run.fault == "TypeError"


async def test_a_quota_over_a_long_window_lets_a_new_sync_start(side: StripeSide, maker: Maker) -> None:
    made = await maker.sync(epoch=0, rate_limit={"allowed_requests": 100, "interval": 60.0})
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)


# in another process ----------------------------------------------------------------------------


@asynccontextmanager
async def another_process(database: Database) -> AsyncIterator[Owners]:
    """What a process without this worker asks through."""
    wakeups = Wakeups(database)
    owners = Owners(OwnerStore(database), wakeups)
    stop = asyncio.Event()
    listening = asyncio.create_task(wakeups.run(stop))
    try:
        yield owners
    finally:
        stop.set()
        await listening
        await owners.close()


async def test_the_worker_of_another_process_is_asked(side: StripeSide, maker: Maker) -> None:
    await side.seed("customer", 3)
    made = await maker.sync(epoch=0)
    explainer_stores = LeaseStore(maker.database), HoldStore(maker.database)
    async with another_process(maker.database) as owners:
        questions = RunQuestions(owners, runs_elsewhere)
        explainer = Explainer(*explainer_stores, elsewhere=questions.ask)
        async with working(maker.database, side) as work:
            RunQuestions(work.owners, work.worker.explain)
            await work.until_backfilled(made)
            assert await questions.ask(made.sync.credential_no, made.sync_no + 1) is None
            sync = await maker.syncs.get(made.org_id, made.sync.sync_id)
            assert sync is not None
            found = await explainer.explain(sync)
            assert found.quota is not None
            assert found.requests[0].at >= found.requests[-1].at
            assert {request.work for request in found.requests} >= {"feed", f"backfill:{CUSTOMER}"}
            assert found.collections[CUSTOMER].waits == ()
        # It has stopped and given its lease back: nobody is asked.
        found = await explainer.explain(sync)
        assert (found.worker_no, found.quota) == (None, None)
        assert found.collections[CUSTOMER].waits[0].waiting_for == "lease"


async def test_a_worker_that_does_not_answer_is_not_waited_for(
    side: StripeSide, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("springline.engine.explain.ANSWER_SECONDS", 0.1)
    made = await maker.sync(epoch=0)
    leases = LeaseStore(maker.database)
    worker_no = await leases.register_worker(Process("elsewhere", "elsewhere", "1:1"), 60)
    await maker.database.execute("UPDATE credentials SET lease_worker_no = $1", worker_no)
    sync = await maker.syncs.get(made.org_id, made.sync.sync_id)
    assert sync is not None
    async with another_process(maker.database) as owners:
        explainer = Explainer(leases, HoldStore(maker.database), elsewhere=RunQuestions(owners, runs_elsewhere).ask)
        found = await explainer.explain(sync)
    assert found.worker_no == worker_no
    assert found.collections[CUSTOMER].says.startswith(f"Worker {worker_no} holds the lease")
