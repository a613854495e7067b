"""What a working process counts of itself."""

from tests.support.driven import working
from tests.support.made import Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.domain.records import Outcome
from springline.engine.page_commit import StreamWriters
from springline.metrics import LEASES_HELD, SYNCS_RUNNING, Metrics
from springline.store.database import Database
from springline.store.pages import Page, PageStore


async def test_what_a_sync_does_is_counted(side: StripeSide, database: Database) -> None:
    ids = await side.seed("customer", 5)
    made = await Maker(database).sync(
        epoch=0, rate_limit={"allowed_requests": 5, "interval": 1.0, "max_concurrent_requests": 0}
    )
    metrics = Metrics()
    async with working(database, side, metrics=metrics) as work:
        await work.until_backfilled(made)
        assert metrics.records[Outcome.created.name] == 5
        assert metrics.commits > 0
        assert metrics.leases_taken == metrics.gauges[LEASES_HELD]() == metrics.gauges[SYNCS_RUNNING]() == 1
        # The sweep that follows finds them as they are.
        await until(lambda: metrics.records[Outcome.unchanged.name] >= 5)
        await side.update("customer", ids[0], name="changed")
        await until(lambda: metrics.records[Outcome.updated.name] == 1)
        await side.fault("status", match={"path": "/v1/*"}, status=503)
        await until(lambda: metrics.requests["stripe", "5xx"] > 3)
        # Tried again faster than five a second allow.
        await until(lambda: metrics.quota_waits["stripe"] > 0)
    assert metrics.requests["stripe", "2xx"] == sum(arrival.status == 200 for arrival in side.arrivals)
    assert metrics.requests["stripe", "5xx"] <= sum(arrival.status == 503 for arrival in side.arrivals)
    assert metrics.quota_wait_seconds["stripe"] > 0
    assert metrics.pages_fenced_off == metrics.leases_lost == 0


async def test_a_refused_page_is_counted_though_nobody_waits_for_it(database: Database) -> None:
    made = await Maker(database).sync(epoch=2)
    metrics = Metrics()
    writers = StreamWriters(PageStore(database), on_commit=lambda _: None, metrics=metrics)
    writer = writers.writer(made.stream_no)
    committed = await writer.commit(Page(sync_no=made.sync_no, epoch=1, checkpoints={"feed": b"{}"}))
    assert committed.fenced_off
    assert (metrics.pages_fenced_off, metrics.commits) == (1, 1)
    await writers.close()
