"""Awkward cases, against a Stripe (and a GitHub) that goes wrong. Those of lists by repository are in
test_awkward_lists.py and test_awkward_answers.py, those of one means of detection in test_walks.py and test_feeds.py.
"""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.driven import Driver, Held, driver, working
from tests.support.github_side import github_side
from tests.support.made import Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.domain.errors import ProviderBroken
from springline.engine import feeds
from springline.store.database import Database

LIST = "/v1/customers"


async def seed_at_once(side: StripeSide, count: int) -> list[str]:
    """So many customers of one second."""
    now = int(side.running.sandbox.clock.now()) - 1000
    order = {"collection": "customer", "count": count, "created_from": now, "created_until": now}
    ids: list[str] = (await side.control("POST", "/seed", order))["ids"]
    return ids


async def test_three_thousand_rows_with_one_timestamp(side: StripeSide, drive: Driver) -> None:
    ids = await seed_at_once(side, 3000)
    sync = await drive.sync()
    held = await side.fault("latency", match={"path": LIST, "nth": 16}, ms=60_000)
    walking = asyncio.create_task(sync.backfill())
    await side.fault_fired(held)
    # The object that the cursor names is gone: no bound by time takes up the walk inside one second.
    (arrival,) = side.arrivals[15:16]
    cursor = next(key for key in ids if key in arrival.query)
    await side.delete("customer", cursor, events=False)
    await side.mend(held)
    await walking
    assert set(await sync.live()) == set(ids)
    await sync.sweep().run()
    assert await sync.is_equal(side)
    assert await sync.gone() == {cursor}


@pytest.mark.parametrize("walk", ["backfill", "sweep"])
async def test_a_list_whose_every_cursor_is_lost(side: StripeSide, drive: Driver, walk: str) -> None:
    await seed_at_once(side, 250)
    sync = await drive.sync()
    error = {"type": "invalid_request_error", "code": "resource_missing", "param": "starting_after", "message": "gone"}
    fault = await side.fault(
        "status",
        match={"path": LIST, "query": {"starting_after": "*"}},
        status=400,
        body=json.dumps({"error": error}),
    )
    run = sync.backfill if walk == "backfill" else sync.sweep().run
    with pytest.raises(ProviderBroken, match="its cursor is lost"):
        await run()
    assert len(side.arrivals) < 50
    await side.mend(fault)
    await run()
    assert await sync.is_equal(side)


@pytest.mark.parametrize("quiet", [60, 14_400], ids=["a minute", "four hours"])
@pytest.mark.parametrize("step", [3600, -3600], ids=["forward", "back"])
async def test_a_clock_that_jumps_an_hour(
    side: StripeSide, drive: Driver, monkeypatch: pytest.MonkeyPatch, step: int, quiet: int
) -> None:
    passed = 0.0
    monkeypatch.setattr(feeds, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed, time=time.time))
    monkeypatch.setattr(feeds, "FULL_OVERLAP_EVERY_SECONDS", float("inf"))  # not found by chance
    sync = await drive.sync()
    await sync.feed.run()
    await sync.backfill()
    for direction in (step, -step):
        await side.time_passes(direction)
        await side.create("customer", name="made after the jump")
        await side.time_passes(quiet)
        passed += quiet
        await sync.feed.run()
        assert await sync.is_equal(side)
    again = await drive.open(sync.made)
    await side.time_passes(-3600)
    await side.create("customer", name="made before anybody looked")
    await again.feed.run()
    assert await again.is_equal(side)


async def test_a_page_that_is_answered_thirty_seconds_late(database: Database) -> None:  # I11
    """The poll brings newer versions meanwhile, and a read by id could not: it has another shape than the list."""
    async with github_side() as side, driver(database, side) as drive:
        await side.seed("repository", 1)
        (first, second) = await side.seed("issue", 2)
        sync = await drive.sync("github:repository", "github:issue")
        await sync.backfill("repository")
        await sync.poll("issue").run()
        await sync.backfill("issue")
        held = await side.fault("late_page", match={"path": "*/issues", "times": 1})
        sweeping = asyncio.create_task(sync.sweep("issue").run())
        await side.fault_fired(held)
        await side.time_passes(15)
        await side.update("issue", first, title="newer")
        await sync.poll("issue").run()
        assert (await sync.live("issue"))[str(first)]["title"] == "newer"
        await side.time_passes(15)
        await side.mend(held)
        await sweeping
        assert await sync.is_equal(side, "issue")
        changes = [change for change in await sync.events() if change[0] in (str(first), str(second))]
        assert [key for key, _ in changes].count(str(first)) == 2
        # Nor does a remembered answer hide that it was left out.
        await side.update("issue", second, title="later")
        await sync.sweep("issue").run()
        assert await sync.is_equal(side, "issue")


async def test_a_collection_that_answers_empty_for_a_minute(database: Database) -> None:
    """No read by id tells that labels are still there: the list has to stay empty for long."""
    async with github_side() as side, driver(database, side) as drive:
        await side.seed("repository", 2)
        await side.seed("label", 30)
        sync = await drive.sync("github:repository", "github:label")
        await sync.backfill("repository")
        await sync.backfill("label")
        sweep = sync.sweep("label")
        await sweep.run()
        empty = await side.fault("empty_page", match={"path": "*/labels"})
        for _ in range(4):
            await sweep.run()
            await side.time_passes(15)
        await side.mend(empty)
        await sweep.run()
        assert await sync.gone("label") == set()
        assert await sync.is_equal(side, "label")


async def test_max_age_is_asked_for(side: StripeSide, drive: Driver) -> None:
    await side.seed("customer", 50)  # over the last year
    sync = await drive.sync(max_age_days=100)
    await sync.backfill()
    await sync.sweep().run()
    asked = [arrival for arrival in side.arrivals if arrival.path == LIST]
    assert asked
    assert all("created%5Bgte%5D=" in arrival.query for arrival in asked)


# with a worker: what is held or left, and what health says of it ------------------------------


async def health_of(held: Held, collection_id: str) -> dict[str, Any]:
    health = (await held.sync())["health"]
    parts: dict[str, Any] = (json.loads(health) if isinstance(health, str) else health or {}).get("collections") or {}
    part: dict[str, Any] = parts.get(collection_id) or {}
    return part


@pytest.mark.parametrize(
    ("kind", "fields", "says"),
    [
        ("html", {"status": 200}, "no list"),
        ("half_json", {}, "no list"),
        ("bad_record", {"defect": "no_id"}, "held"),
        ("endless_page", {}, "leads back"),
        ("empty_page", {"has_more": True}, "more follows"),
    ],
)
async def test_a_provider_that_answers_nonsense(
    side: StripeSide, database: Database, kind: str, fields: dict[str, object], says: str
) -> None:
    await side.seed("customer", 150)
    await side.seed("product", 5)
    fault = await side.fault(kind, match={"path": LIST}, **fields)
    held = Held(database, await Maker(database).sync("stripe:customer", "stripe:product", epoch=0))
    async with working(database, side):

        async def is_told() -> bool:
            part = await health_of(held, "stripe:customer")
            return part.get("status") in ("warn", "error") and says in str(part)

        async def goes_on() -> bool:
            return await held.is_equal(side, "product")

        await until(goes_on, within_seconds=20, what="the other collection")
        await until(is_told, within_seconds=20, what="health that says what is seen")
        part = await health_of(held, "stripe:customer")
        assert part["time"]
        await side.update("product", next(iter(side.objects("product"))), name="changed meanwhile")
        await until(goes_on, within_seconds=20, what="a change in the other collection")
        await side.mend(fault)
        await until(lambda: held.is_equal(side, "customer", "product"), within_seconds=40, what="all there is")
    assert await held.gone() == set()


async def test_a_tenth_of_all_requests_fails(side: StripeSide, database: Database) -> None:
    ids = await side.seed("customer", 450)
    await side.seed("product", 20)
    for kind, probability, fields in (
        ("status", 0.03, {"status": 500}),
        ("status", 0.02, {"status": 429}),
        ("status", 0.02, {"status": 503, "retry_after": "0"}),
        ("reset", 0.02, {}),
        ("cut", 0.01, {}),
    ):
        await side.fault(kind, match={"probability": probability}, **fields)
    held = Held(database, await Maker(database).sync("stripe:customer", "stripe:product", epoch=0))
    async with working(database, side) as worker:
        await worker.until_backfilled(held.made, within_seconds=60)
        for key in ids[:40]:
            await side.update("customer", key, name="changed")
        for key in ids[40:60]:
            await side.delete("customer", key)
        for _ in range(10):
            await side.create("product", name="new")
        await until(lambda: held.is_equal(side, "customer", "product"), within_seconds=60, what="an equal view")
    assert await held.gone() == set(ids[40:60])
