"""Walks over a collection's list, against a Stripe that changes meanwhile and goes wrong."""

import asyncio
import dataclasses
import json

import pytest
from tests.support.driven import Driven, Driver
from tests.support.stripe_side import StripeSide

from springline.domain.errors import CredentialDead, NotPermitted, ProviderBroken, RequestRejected
from springline.domain.records import DetectedBy, Evidence
from springline.engine import sweeps
from springline.store.database import Database

LIST = "/v1/customers"


@pytest.fixture
async def sync(drive: Driver) -> Driven:
    return await drive.sync("stripe:customer", "stripe:product")


async def backfilled(side: StripeSide, sync: Driven, count: int = 250) -> list[str]:
    ids = await side.seed("customer", count)
    await sync.backfill()
    assert await sync.is_equal(side)
    return ids


# backfill ------------------------------------------------------------------------------------


async def test_a_backfill_brings_everything_once(side: StripeSide, sync: Driven) -> None:
    await backfilled(side, sync)
    assert side.count(LIST) == 3
    assert len(await sync.events()) == 250
    assert await sync.checkpoint("backfill:stripe:customer:0") is not None
    before = side.count(LIST)
    await sync.backfill()  # it is done
    assert side.count(LIST) == before


async def test_a_walk_that_is_broken_off_goes_on_from_its_last_page(
    side: StripeSide, sync: Driven, drive: Driver
) -> None:
    await side.seed("customer", 350)
    fault = await side.fault("status", match={"path": LIST, "nth": 3}, status=400)
    with pytest.raises(Exception, match="Invalid request"):
        await sync.backfill()
    await side.mend(fault)
    # The page before the failed one was written although the next one could not be fetched.
    assert len(await sync.live()) == 200
    again = await drive.open(sync.made)
    await again.backfill()
    assert side.count(LIST) == 5
    assert await again.is_equal(side)


async def test_the_cursors_object_is_deleted_during_the_walk(side: StripeSide, sync: Driven) -> None:
    ids = await side.seed("customer", 350)
    held = await side.fault("latency", match={"path": LIST, "nth": 2}, ms=60_000)
    walking = asyncio.create_task(sync.backfill())
    await side.fault_fired(held)
    # The first page ended with the hundredth newest, which is the cursor of the request on its way.
    await side.delete("customer", ids[-100], events=False)
    await side.mend(held)
    await walking
    # A bound takes the walk up where it stood: no page is read twice, but for the last second.
    assert "created%5Blte%5D" in side.arrivals[2].query
    assert side.count(LIST) == 5
    assert await sync.live() == side.objects("customer") | {ids[-100]: (await sync.live())[ids[-100]]}


async def test_a_lost_cursor_of_a_list_that_is_not_sorted_by_time_starts_again(
    side: StripeSide, sync: Driven, drive: Driver
) -> None:
    """A bound by the last record's time would leave out whatever is younger and has not come yet."""
    ids = await side.seed("customer", 250)
    table = side.account.tables["customer"]
    for place, key in enumerate(ids):  # oldest first, as some fakes of this API list
        record = table.get(key)
        assert record is not None
        text = record.text.replace(
            f'"created": {record.created}'.encode(), f'"created": {2_000_000_000 - place}'.encode()
        )
        assert text != record.text
        table.put(dataclasses.replace(record, text=text))
    held = await side.fault("latency", match={"path": LIST, "nth": 2}, ms=60_000)
    walking = asyncio.create_task(sync.backfill())
    await side.fault_fired(held)
    await side.delete("customer", ids[-100], events=False)
    await side.mend(held)
    await walking
    assert all("created" not in arrival.query for arrival in side.arrivals)
    assert set(await sync.live()) == set(ids)


async def test_objects_that_come_and_go_during_a_walk(side: StripeSide, sync: Driven) -> None:
    """New ones shift nothing (the cursor names an object); deleted ones are found by the sweep that follows."""
    ids = await side.seed("customer", 350)
    held = await side.fault("late_page", match={"path": LIST, "nth": 2})
    walking = asyncio.create_task(sync.backfill())
    await side.fault_fired(held)
    created = [await side.create("customer", events=False, name=f"new {n}") for n in range(3)]
    deleted = [ids[-5], ids[-150], ids[5]]  # on the page before, on the one on its way, and on one to come
    for key in deleted:
        await side.delete("customer", key, events=False)
    await side.mend(held)
    await walking
    assert set(await sync.live()) == set(ids) - {ids[5]}
    await sync.sweep().run()
    assert await sync.is_equal(side)
    assert set(await sync.live()) >= set(created)
    assert await sync.gone() == {ids[-5], ids[-150]}


async def test_a_late_page_does_not_overwrite_what_is_newer(side: StripeSide, sync: Driven) -> None:  # I11
    ids = await side.seed("customer", 3)
    await sync.feed.run()
    held = await side.fault("late_page", match={"path": LIST, "nth": 1})
    walking = asyncio.create_task(sync.backfill())
    await side.fault_fired(held)
    await side.update("customer", ids[0], name="newer")
    await side.delete("customer", ids[1])
    await sync.feed.run()
    assert (await sync.live())[ids[0]]["name"] == "newer"
    await side.mend(held)
    await walking
    # The page said otherwise of two records: they were read again, and nothing went backwards.
    assert await sync.is_equal(side)
    changes = await sync.events()
    assert [key for key, _ in changes].count(ids[0]) == 1
    # The page knew of a record whose deletion the feed had reported before the stream knew of it.
    assert ids[1] not in await sync.live()


async def test_a_page_that_leads_back_to_itself_ends_the_walk(side: StripeSide, sync: Driven) -> None:
    await side.seed("customer", 150)
    await side.fault("endless_page", match={"path": LIST})
    with pytest.raises(ProviderBroken, match="leads back to where"):
        await sync.backfill()
    assert side.count(LIST) <= 3


async def test_one_bad_record_does_not_stop_its_page(side: StripeSide, sync: Driven, database: Database) -> None:
    await side.seed("customer", 150)
    await side.fault("bad_record", match={"path": LIST, "times": 1}, position=7, defect="no_id")
    await sync.backfill()
    assert len(await sync.live()) == 149
    assert sync.part().held[0] == 1
    assert await database.fetch_value("SELECT count(*) FROM holds WHERE reason LIKE '%id%'") == 1


# sweeps --------------------------------------------------------------------------------------


async def test_a_sweep_finds_what_no_event_told_of(side: StripeSide, sync: Driven) -> None:
    ids = await backfilled(side, sync)
    await side.create("customer", events=False, name="silent")
    await side.update("customer", ids[3], events=False, name="silent")
    await side.delete("customer", ids[7], events=False)
    await side.delete("customer", ids[8], events=False, vanish=True)
    await sync.sweep().run()
    assert await sync.is_equal(side)
    assert await sync.gone() == {ids[7], ids[8]}
    kinds = sorted(kind for _, kind in (await sync.events())[250:])
    assert kinds == [1, 2, 3, 3]
    evidence = await sync.database.fetch("SELECT evidence FROM events WHERE kind = 3")
    assert {row["evidence"] for row in evidence} == {Evidence.sweep_and_read}


async def test_a_sweep_that_finds_nothing_writes_nothing(side: StripeSide, sync: Driven, database: Database) -> None:
    await backfilled(side, sync)
    tables = ("stream_heads", "records", "payloads", "events", "checkpoints", "sync_fences")

    async def state() -> list[str]:
        return [
            await database.fetch_value(f"SELECT array_agg((ctid, xmin)::text)::text FROM {table}") for table in tables
        ]

    sweep = sync.sweep()
    await sweep.run()  # the first one saves when it was
    before = await state()
    await sweep.run()
    assert await state() == before


async def test_a_record_deleted_and_made_anew_under_its_id_is_the_same_record(side: StripeSide, drive: Driver) -> None:
    sync = await drive.sync("stripe:coupon")
    await side.create("coupon", id="SAVE10", percent_off=10)
    await sync.backfill("coupon")
    await side.delete("coupon", "SAVE10", events=False)
    await sync.sweep("coupon").run()
    assert await sync.gone("coupon") == {"SAVE10"}
    await side.create("coupon", events=False, id="SAVE10", percent_off=10)
    await sync.sweep("coupon").run()
    assert await sync.is_equal(side, "coupon")
    assert await sync.events() == [("SAVE10", 1), ("SAVE10", 3), ("SAVE10", 1)]
    # Both between two sweeps: an update.
    await side.delete("coupon", "SAVE10", events=False)
    await side.create("coupon", events=False, id="SAVE10", percent_off=20)
    await sync.sweep("coupon").run()
    assert (await sync.live("coupon"))["SAVE10"]["percent_off"] == 20
    assert len(await sync.events()) == 4


async def test_a_stale_page_is_found_out_by_what_was_written_meanwhile(side: StripeSide, sync: Driven) -> None:  # I11
    ids = await backfilled(side, sync, 10)
    held = await side.fault("late_page", match={"path": LIST, "times": 1})
    sweeping = asyncio.create_task(sync.sweep().run())
    await side.fault_fired(held)
    await side.update("customer", ids[0], name="newer")
    await side.delete("customer", ids[1])
    await side.delete("customer", ids[2], vanish=True)
    await sync.feed.run()  # the cutoff
    for key in ids[:3]:
        await sync.rereader.reread(sync.part(), [key], DetectedBy.feed)
    await side.mend(held)
    await sweeping
    assert await sync.is_equal(side)
    assert [change for change in await sync.events() if change[0] in ids[:3]][3:] == [
        (ids[0], 2),
        (ids[1], 3),
        (ids[2], 3),
    ]


# deletions only on proof (I5) ----------------------------------------------------------------


async def test_a_list_that_answers_empty_deletes_nothing(side: StripeSide, sync: Driven) -> None:
    await backfilled(side, sync)
    before = len(side.arrivals)
    await side.fault("empty_page", match={"path": LIST})
    with pytest.raises(ProviderBroken, match="lists only a few records"):
        await sync.sweep().run()
    assert await sync.is_equal(side)
    # It is found out by some of the records, not by reading all of them.
    assert len(side.arrivals) - before < 100


async def test_a_list_that_leaves_some_out_deletes_nothing(side: StripeSide, sync: Driven) -> None:
    ids = await backfilled(side, sync)
    await side.fault("hidden_rows", match={"path": LIST}, ids=ids[:60])
    await sync.sweep().run()
    assert await sync.is_equal(side)


async def test_not_found_for_everything_deletes_nothing(side: StripeSide, sync: Driven) -> None:
    await backfilled(side, sync, 20)
    await side.seed("product", 3)
    await sync.backfill("product")
    await side.fault("empty_page", match={"path": LIST})
    await side.fault("status", match={"path": "/v1/*/*"}, status=404)
    with pytest.raises(ProviderBroken, match="answers no record of this account"):
        await sync.sweep().run()
    assert await sync.is_equal(side)


async def test_not_found_while_the_list_says_otherwise_deletes_nothing(side: StripeSide, sync: Driven) -> None:
    ids = await backfilled(side, sync, 20)
    await side.fault("hidden_rows", match={"path": LIST}, ids=ids[:5])
    await side.fault("status", match={"path": f"{LIST}/*"}, status=404)
    with pytest.raises(ProviderBroken, match="answers none of them by id"):
        await sync.sweep().run()
    assert await sync.is_equal(side)


@pytest.mark.parametrize(
    ("state", "permissions", "error"),
    [("expired", {}, CredentialDead), ("revoked", {}, CredentialDead), ("active", {"customer": "none"}, NotPermitted)],
)
async def test_a_key_that_loses_access_deletes_nothing(
    side: StripeSide, sync: Driven, state: str, permissions: dict[str, str], error: type[Exception]
) -> None:
    await backfilled(side, sync, 20)
    await side.key("sk_test_springline", state=state, **permissions)
    with pytest.raises(error):
        await sync.sweep().run()
    assert len(await sync.live()) == 20
    assert await sync.gone() == set()


async def test_the_last_record_of_a_collection_can_go(side: StripeSide, sync: Driven) -> None:
    (key,) = await side.seed("product", 1)
    await sync.backfill("product")
    await side.delete("product", key, events=False)
    await sync.sweep("product").run()
    assert await sync.gone("product") == {key}


async def decide(sync: Driven, status: str) -> None:
    """What somebody decides about the deletions that are held."""
    tag = await sync.database.execute(
        "UPDATE holds SET status = $2 WHERE stream_no = $1 AND kind = 'deletion'", sync.made.stream_no, status
    )
    assert tag == "UPDATE 1"


async def test_everything_is_deleted_in_the_api(side: StripeSide, sync: Driven) -> None:
    ids = await backfilled(side, sync, 150)
    for key in ids:
        await side.delete("customer", key, events=False, vanish=True)
    await sync.sweep().run()
    # More than a share at once is held until someone decides (I5).
    assert await sync.gone() == set()
    (held,) = sync.part().held_deletions.values()
    assert held.status == "held"
    assert held.reason.startswith("150 of 150 records are not there any more")
    await decide(sync, "discarded")
    await sync.sweep().run()
    assert await sync.gone() == set()
    await decide(sync, "applied")
    await sync.sweep().run()
    assert await sync.gone() == set(ids)
    # A decision is about these, not about the next ones.
    assert sync.part().held_deletions == {}
    assert await sync.database.fetch_value("SELECT count(*) FROM holds") == 0


async def test_a_sweep_that_was_broken_off_deletes_nothing_and_goes_on(side: StripeSide, sync: Driven) -> None:
    ids = await backfilled(side, sync, 350)
    await side.delete("customer", ids[0], events=False)
    fault = await side.fault("status", match={"path": LIST, "nth": 3}, status=400)
    sweep = sync.sweep()
    before = side.count(LIST)
    with pytest.raises(RequestRejected):
        await sweep.run()
    assert await sync.gone() == set()
    await side.mend(fault)
    await sweep.run()
    assert await sync.is_equal(side)
    assert side.count(LIST) - before == 5


async def test_a_long_sweep_is_taken_up_by_another_process(
    side: StripeSide, sync: Driven, drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "SAVE_EVERY_SECONDS", 0.0)
    ids = await backfilled(side, sync, 550)
    await side.delete("customer", ids[-3], events=False)
    await side.delete("customer", ids[3], events=False)
    fault = await side.fault("status", match={"path": LIST, "nth": 5}, status=400)
    with pytest.raises(RequestRejected):
        await sync.sweep().run()
    await side.mend(fault)
    await side.delete("customer", ids[-5], events=False)  # it was seen already
    again = await drive.open(sync.made)
    assert [name for name in again.session.checkpoints if ":seen:" in name]
    before = len(side.arrivals)
    sweep = again.sweep()
    assert not [name for name in again.session.checkpoints if ":seen:" in name]
    await sweep.run()
    assert side.count(LIST, since=before) == 2
    assert await again.gone() == {ids[-3], ids[3]}
    saved = await sync.database.fetch("SELECT name FROM checkpoints WHERE name LIKE 'sweep:%'")
    assert [row["name"] for row in saved] == ["sweep:stripe:customer:0"]
    await sweep.run()
    assert await again.is_equal(side)


async def test_a_fault_while_missing_records_are_read_does_not_cost_another_walk(
    side: StripeSide, sync: Driven
) -> None:
    ids = await backfilled(side, sync, 350)
    await side.delete("customer", ids[0], events=False)
    fault = await side.fault("status", match={"path": f"{LIST}/*"}, status=401)
    sweep = sync.sweep()
    with pytest.raises(CredentialDead):
        await sweep.run()
    await side.mend(fault)
    before = side.count(LIST)
    await sweep.run()
    assert await sync.is_equal(side)
    assert side.count(LIST) == before


async def test_a_list_that_was_found_out_is_walked_again(side: StripeSide, sync: Driven) -> None:
    ids = await backfilled(side, sync)
    fault = await side.fault("empty_page", match={"path": LIST})
    sweep = sync.sweep()
    with pytest.raises(ProviderBroken):
        await sweep.run()
    await side.mend(fault)
    await side.delete("customer", ids[0], events=False)
    before = len(side.arrivals)
    await sweep.run()
    assert await sync.is_equal(side)
    assert len(side.arrivals) - before <= 10


async def test_a_record_that_is_too_old_is_neither_written_nor_deleted(side: StripeSide, drive: Driver) -> None:
    ids = await side.seed("customer", 50)  # over the last year
    sync = await drive.sync(max_age_days=100)
    await sync.backfill()
    live = set(await sync.live())
    assert 0 < len(live) < 50
    assert live == set(ids[-len(live) :])
    await sync.sweep().run()
    assert (set(await sync.live()), await sync.gone()) == (live, set())


async def test_what_is_read_is_written_as_it_came(side: StripeSide, sync: Driven) -> None:  # I6
    ids = await side.seed("customer", 2)
    text = (
        b'{"id":"%s","object":"customer","n":1.10,"big":9007199254740993,"s":"\\ud800","created":1}' % ids[0].encode()
    )
    async with sync.session.fetcher._client.session.put(
        f"{side.running.control_url}/raw/customer/{ids[0]}", data=text
    ) as response:
        assert response.status == 200
    await sync.backfill()
    stored = {row["upstream_id"]: row["data"] for row in await sync.versions()}
    assert stored[ids[0]] == text
    assert json.loads(stored[ids[1]])["id"] == ids[1]
