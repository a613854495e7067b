"""The feed: an event is a hint, a hint is followed once, and what a hint cannot tell is found otherwise."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.driven import Driven, Driver
from tests.support.stripe_side import StripeSide

from springline.domain.errors import NotPermitted, ProviderBroken, RetryLater
from springline.engine import feeds
from springline.engine.rereads import BATCH
from springline.providers.access import RateLimit
from springline.store.database import Database

FEED = "/v1/events"


@pytest.fixture
async def sync(drive: Driver) -> Driven:
    return await drive.sync("stripe:customer", "stripe:product")


async def followed(sync: Driven, side: StripeSide, count: int = 5) -> list[str]:
    """A sync whose feed is followed and whose customers are backfilled; their ids."""
    ids = await side.seed("customer", count)
    await sync.feed.run()
    await sync.backfill()
    await sync.backfill("product")
    assert await sync.is_equal(side)
    return ids


# joining -------------------------------------------------------------------------------------


async def test_the_cutoff_is_taken_by_the_servers_clock_before_anything_else(side: StripeSide, sync: Driven) -> None:
    await side.time_passes(1_000_000)
    had_cutoff = sync.feed.has_cutoff
    await sync.feed.run()
    assert (had_cutoff, sync.feed.has_cutoff) == (False, True)
    (arrival,) = side.arrivals
    assert arrival.path == FEED
    checkpoint = await sync.checkpoint("feed")
    assert checkpoint is not None
    assert abs(checkpoint["cutoff"] - arrival.clock) <= 1


async def test_what_changes_between_cutoff_and_backfill_is_not_lost(side: StripeSide, sync: Driven) -> None:
    ids = await side.seed("customer", 3)
    await sync.feed.run()
    await side.update("customer", ids[0], name="between")
    await sync.backfill()
    await side.update("customer", ids[1], name="after")
    created = await side.create("customer", name="new")
    await sync.feed.run()
    assert await sync.is_equal(side)
    assert created in await sync.live()


# hints ---------------------------------------------------------------------------------------


async def test_a_record_is_read_once_however_many_events_name_it(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side)
    for number in range(20):
        await side.update("customer", ids[0], name=f"name {number}")
    before = len(side.arrivals)
    await sync.feed.run()
    assert side.count(f"/v1/customers/{ids[0]}", since=before) == 1
    assert await sync.is_equal(side)
    # Polls overlap, but an event is followed once.
    before = len(side.arrivals)
    await sync.feed.run()
    assert [arrival.path for arrival in side.arrivals[before:]] == [FEED]


async def test_many_events_over_many_pages(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side, 2 * BATCH + 10)
    for key in ids:
        await side.update("customer", key, name="again")
        await side.update("customer", key, name="and again")
    before = len(side.arrivals)
    await sync.feed.run()
    assert await sync.is_equal(side)
    assert side.count(FEED, since=before) == 3
    assert sum(arrival.path.startswith("/v1/customers/") for arrival in side.arrivals[before:]) == len(ids)


async def test_deletions_are_published_with_their_proof(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side)
    products = await side.seed("product", 2)
    await sync.sweep("product").run()
    await side.delete("customer", ids[0])  # answers 200, "deleted": true
    await side.delete("product", products[0])  # answers 404
    await sync.feed.run()
    assert await sync.gone() == {ids[0]}
    assert await sync.gone("product") == {products[0]}


async def test_events_of_other_collections_are_left_alone(side: StripeSide, sync: Driven) -> None:
    await followed(sync, side)
    await side.seed("coupon", 3, events=True)
    before = len(side.arrivals)
    await sync.feed.run()
    assert [arrival.path for arrival in side.arrivals[before:]] == [FEED]


async def test_an_event_that_comes_late_is_followed(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side)
    await sync.feed.run()  # looks over the whole bound; the next ones a few seconds back
    await side.fault("late_rows", match={"path": FEED}, seconds=60)
    await side.update("customer", ids[0], name="late")
    for seconds in (20, 50):
        await side.time_passes(seconds)
        await sync.feed.run()
    assert not await sync.is_equal(side)
    sync.feed._full_at = float("-inf")  # as after half a minute
    await sync.feed.run()
    assert await sync.is_equal(side)


async def test_a_new_process_looks_back_over_the_whole_bound(side: StripeSide, sync: Driven, drive: Driver) -> None:
    ids = await followed(sync, side)
    await side.time_passes(60)
    await sync.feed.run()
    hidden = await side.fault("late_rows", match={"path": FEED}, seconds=10)
    await side.update("customer", ids[0], name="late")
    await sync.feed.run()
    await side.mend(hidden)
    again = await drive.open(sync.made)
    await again.feed.run()
    assert await again.is_equal(side)


# checkpoints ---------------------------------------------------------------------------------


async def test_an_idle_poll_writes_nothing(side: StripeSide, sync: Driven, database: Database) -> None:
    await followed(sync, side)
    await sync.feed.run()
    tables = ("checkpoints", "sync_fences", "stream_heads", "syncs", "credentials", "sources")

    async def state() -> list[str]:
        return [
            await database.fetch_value(f"SELECT array_agg((ctid, xmin, xmax)::text)::text FROM {t}") for t in tables
        ]

    before = await state()
    for _ in range(3):
        await side.time_passes(60)
        await sync.feed.run()
    assert await state() == before
    await side.time_passes(feeds.IDLE_SAVE_SECONDS + 10)
    await sync.feed.run()
    assert await state() != before


async def test_the_checkpoint_stays_until_every_hint_is_followed(side: StripeSide, sync: Driven, drive: Driver) -> None:
    ids = await followed(sync, side)
    before = await sync.checkpoint("feed")
    await side.time_passes(60)
    for key in ids[:2]:
        await side.update("customer", key, name="changed")
    fault = await side.fault("status", match={"path": f"/v1/customers/{ids[1]}"}, status=401)
    with pytest.raises(Exception, match="Invalid API Key"):
        await sync.feed.run()
    assert await sync.checkpoint("feed") == before  # I1
    assert (await sync.live())[ids[0]]["name"] == "changed"  # what could be read has been written
    await side.mend(fault)
    again = await drive.open(sync.made)
    await again.feed.run()
    assert await again.is_equal(side)
    assert await again.checkpoint("feed") != before


# what a feed cannot tell ---------------------------------------------------------------------


async def test_a_gap_is_answered_by_a_new_backfill(side: StripeSide, sync: Driven, drive: Driver) -> None:
    ids = await followed(sync, side, 250)
    await side.update("customer", ids[0], name="before the gap")
    await sync.feed.run()
    await side.update("customer", ids[1], events=False, name="forgotten")
    await side.update("product", *await side.seed("product", 1), events=False)
    await side.time_passes(timedelta(days=31).total_seconds())
    await side.update("customer", ids[2], name="lately")
    again = await drive.open(sync.made)
    before = len(side.arrivals)
    await again.feed.run()
    assert side.count(FEED, since=before) == 1  # told from the first page
    assert again.part().phase == "backfill"
    state = await again.checkpoint("backfill:stripe:customer:0")
    assert state is not None
    assert not state["done"]
    written = len(await again.events())
    await again.backfill()
    await again.backfill("product")
    assert await again.is_equal(side, "customer", "product")
    assert len(await again.events()) == written + 3  # what had not changed is not written
    await side.update("customer", ids[3], name="after the gap")
    await again.feed.run()
    assert await again.is_equal(side)


async def test_more_events_than_a_walk_is_worth_are_answered_like_a_gap(
    side: StripeSide, sync: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await followed(sync, side, 150)
    monkeypatch.setattr(feeds, "MOST_EVENTS", 50)
    for key in ids:
        await side.update("customer", key, name="changed")
    before = len(side.arrivals)
    await sync.feed.run()
    assert len(side.arrivals) - before == 1
    assert sync.part().phase == "backfill"
    await sync.backfill()
    assert await sync.is_equal(side)


async def test_a_feed_that_takes_no_names_of_types_is_read_whole(side: StripeSide, drive: Driver) -> None:
    sync = await drive.sync("stripe:customer")
    await side.fault("status", match={"path": FEED, "query": {"types[]": "*"}}, status=400)
    ids = await side.seed("customer", 2)
    await sync.feed.run()
    await sync.backfill()
    await side.update("customer", ids[0], name="changed")
    await side.seed("product", 2, events=True)
    await sync.feed.run()
    assert await sync.is_equal(side)


# faults --------------------------------------------------------------------------------------


async def test_a_collection_that_may_not_be_read_stops_no_other(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side)
    products = await side.seed("product", 3)
    await sync.sweep("product").run()
    await side.key("sk_test_springline", product="none")
    for key in products:
        await side.update("product", key, name="unseen")
    await side.update("customer", ids[0], name="seen")
    await sync.feed.run()
    assert await sync.is_equal(side, "customer")
    ((part, (error, _)),) = sync.feed.denied.items()
    assert (part.collection_id, type(error)) == ("stripe:product", NotPermitted)
    # It is not asked again for every event …
    await side.update("product", products[0], name="still unseen")
    before = len(side.arrivals)
    await sync.feed.run()
    assert [arrival.path for arrival in side.arrivals[before:]] == [FEED]
    # … and its next sweep finds what was dropped.
    await side.key("sk_test_springline")
    await sync.sweep("product").run()
    assert await sync.is_equal(side, "customer", "product")


async def test_a_record_that_cannot_be_read_stops_no_other_for_ever(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side)
    await side.fault("html", match={"path": f"/v1/customers/{ids[0]}"}, status=200)
    for key in ids[:3]:
        await side.update("customer", key, name="changed")
    for _ in range(2):
        with pytest.raises(ProviderBroken):
            await sync.feed.run()
        # The others were written all the same.
        assert (await sync.live())[ids[1]]["name"] == "changed"
    await sync.feed.run()
    assert sync.part().held[0] == 1
    await side.update("customer", ids[4], name="later")
    await sync.feed.run()
    assert (await sync.live())[ids[4]]["name"] == "later"


async def test_where_nothing_can_be_read_hints_stay(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side)
    fault = await side.fault("html", match={"path": "/v1/customers/*"}, status=200)
    for key in ids[:3]:
        await side.update("customer", key, name="changed")
    for _ in range(5):
        with pytest.raises(ProviderBroken):
            await sync.feed.run()
    assert sync.part().held[0] == 0
    await side.mend(fault)
    await sync.feed.run()
    assert await sync.is_equal(side)


@pytest.mark.parametrize("kind", ["html", "half_json", "endless_page"])
async def test_a_feed_that_answers_nonsense_costs_nothing_but_time(side: StripeSide, sync: Driven, kind: str) -> None:
    ids = await followed(sync, side)
    before = await sync.checkpoint("feed")
    fault = await side.fault(kind, match={"path": FEED})
    await side.update("customer", ids[0], name="changed")
    arrived = len(side.arrivals)
    with pytest.raises(ProviderBroken):
        await sync.feed.run()
    assert len(side.arrivals) - arrived <= 3
    assert await sync.checkpoint("feed") == before
    await side.mend(fault)
    await sync.feed.run()
    assert await sync.is_equal(side)


async def test_an_answer_that_breaks_off_is_asked_for_again(side: StripeSide, sync: Driven) -> None:
    ids = await followed(sync, side)
    await side.update("customer", ids[0], name="changed")
    await side.fault("cut", match={"path": FEED, "times": 1})
    await side.fault("reset", match={"path": "/v1/customers/*", "times": 2})
    await sync.feed.run()
    assert await sync.is_equal(side)


async def test_a_fault_that_stays_is_left_to_a_later_poll(side: StripeSide, sync: Driven) -> None:
    await followed(sync, side)
    await side.fault("status", match={"path": FEED}, status=503, retry_after="30")
    with pytest.raises(RetryLater) as caught:
        await sync.feed.run()
    assert caught.value.after_seconds == 30


# pace ----------------------------------------------------------------------------------------


async def test_polls_take_their_share_of_a_small_quota(side: StripeSide, drive: Driver) -> None:
    made = await drive.maker.sync(
        epoch=0, rate_limit={"allowed_requests": 2, "interval": 1.0, "max_concurrent_requests": 0}
    )
    sync = await drive.open(made)
    await sync.feed.run()
    assert sync.part().poll_interval == 5.0  # a tenth of two a second, while its backfill is not done
    await sync.backfill()
    await sync.feed.run()
    assert sync.part().poll_interval == 1.0
    wide = await drive.open(made, limit=RateLimit(allowed_requests=100, interval=1.0))
    wide.part().phase = "live"
    await wide.feed.run()
    assert wide.part().poll_interval == 0.5


async def test_the_longer_nothing_changes_the_rarer_are_polls(side: StripeSide, sync: Driven) -> None:
    await followed(sync, side)
    intervals = []
    for quiet in (0, 60, 600, 36_000):
        for part in sync.session.collections.values():
            part.changed_at -= quiet
        await sync.feed.run()
        intervals.append(sync.part().poll_interval)
    assert intervals == sorted(intervals, key=lambda each: each or 0.0)
    assert (intervals[0], intervals[-1]) == (0.5, 60.0)


def test_what_is_no_event_is_left_out(sync: Driven) -> None:
    read = sync.feed._read_event
    for data in (b"null", b'"text"', b"{}", b'{"id":1}', b'{"id":"evt","created":"x","type":"y"}', b"\xff", b"["):
        assert read(data) is None
    event = read(b'{"id":"evt_1","created":5,"type":"invoice.upcoming","data":{"object":{"object":"invoice"}}}')
    assert (event.event_id, event.at, event.subjects) == ("evt_1", 5, {})
    assert read(msgspec.json.encode({"id": "e", "created": 1, "type": "t", "data": None})).subjects == {}
