"""A worker and its syncs, from outside: what is configured is what runs, whatever else happens."""

import asyncio
import base64
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.engine.test_quota_windows import SHARE_OF_INTERVAL, most_in_a_window
from tests.support.driven import Held, working
from tests.support.made import SECRET_KEY, STRIPE_KEY, Made, Maker
from tests.support.postgres import TestPostgres
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.domain.credentials import Properties
from springline.domain.secrets import Secret
from springline.store.database import Database

FIVE_A_SECOND = {"allowed_requests": 5, "interval": 1.0, "max_concurrent_requests": 0}


@pytest.fixture
def maker(database: Database) -> Maker:
    return Maker(database)


async def health(held: Held) -> dict[str, Any]:
    row = await held.sync()
    return row["health"] or {}


async def until_health(held: Held, status: str, *, within_seconds: float = 15.0) -> dict[str, Any]:
    async def is_so() -> dict[str, Any] | None:
        said = await health(held)
        return said if said.get("status") == status else None

    said: dict[str, Any] = await until(is_so, within_seconds=within_seconds, what=f"health {status}")
    return said


async def change(maker: Maker, made: Made, **changes: Any) -> None:
    await maker.syncs.update(made.org_id, made.sync.sync_id, changes)


# configuration -------------------------------------------------------------------------------


async def test_a_sync_is_taken_up_followed_and_let_go(side: StripeSide, maker: Maker) -> None:
    ids = await side.seed("customer", 150)
    async with working(maker.database, side) as work:
        made = await maker.sync(epoch=0)
        work.worker.wake()
        await work.until_backfilled(made)
        held = Held(maker.database, made)
        assert await held.is_equal(side)
        await side.update("customer", ids[0], name="changed")
        await until(lambda: held.is_equal(side), within_seconds=5)
        await until_health(held, "healthy")
        await maker.syncs.delete(made.org_id, made.sync.sync_id, keep_records=True)
        work.worker.wake()
        await until(lambda: not work.worker._runs)
    left = [task for task in asyncio.all_tasks() if "springline/engine" in str(task.get_coro())]
    assert left == []
    assert await maker.database.fetch_value("SELECT count(*) FROM workers") == 0


async def test_disabling_stops_within_a_second_and_enabling_goes_on_where_it_was(
    side: StripeSide, maker: Maker
) -> None:
    await side.seed("customer", 1500)
    made = await maker.sync(epoch=0, rate_limit=FIVE_A_SECOND)
    held = Held(maker.database, made)
    async with working(maker.database, side) as work:
        await until(lambda: side.count("/v1/customers") >= 5)
        await change(maker, made, status="disabled")
        disabled_at = time.monotonic()
        work.worker.wake()
        await until(lambda: not work.worker._runs, within_seconds=1)
        walked = side.count("/v1/customers")
        saved = await held.checkpoint("backfill:stripe:customer:0")
        assert saved is not None
        await change(maker, made, status="active")
        work.worker.wake()
        await work.until_backfilled(made)
    assert all(arrival.at < disabled_at + 1 or arrival.index >= walked for arrival in side.arrivals)
    # At most the page that was on its way is read again.
    assert side.count("/v1/customers") <= 15 + 1
    assert await held.is_equal(side)
    assert most_in_a_window([arrival.at for arrival in side.arrivals], SHARE_OF_INTERVAL) <= 5


async def test_collections_come_and_go(side: StripeSide, maker: Maker) -> None:
    await side.seed("customer", 20)
    await side.seed("product", 20)
    made = await maker.sync(epoch=0)
    held = Held(maker.database, made)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)
        await change(maker, made, collection_ids=["stripe:customer", "stripe:product"])
        work.worker.wake()
        row = await maker.database.fetch_row("SELECT source_no FROM sources WHERE collection_id = 'stripe:product'")
        assert row is not None
        made.sources["stripe:product"] = row["source_no"]
        await until(lambda: held.is_equal(side, "product"))
        await change(maker, made, collection_ids=["stripe:product"])
        work.worker.wake()
        await until(
            lambda: [list(run.session.collections) for _, run in work.worker._runs.values()] == [["stripe:product"]]
        )
        names = await maker.database.fetch("SELECT name FROM checkpoints")
        assert [row["name"] for row in names if "customer" in row["name"]] == []
        before = side.count("/v1/customers")
        await side.create("customer", name="unseen")
        await side.create("product", name="seen")
        await until(lambda: held.is_equal(side, "product"))
        assert side.count("/v1/customers") == before


async def test_a_sync_that_cannot_be_taken_up_stops_no_other(side: StripeSide, maker: Maker) -> None:
    await side.seed("customer", 5)
    broken = await maker.sync(epoch=0)
    await maker.database.execute("UPDATE syncs SET rate_limit = '{}'")
    made = await maker.sync(epoch=0, beside=broken)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)


# what the provider says ----------------------------------------------------------------------


async def test_a_permission_that_is_lost_leaves_one_collection_only(side: StripeSide, maker: Maker) -> None:
    ids = await side.seed("customer", 5)
    products = await side.seed("product", 5)
    made = await maker.sync("stripe:customer", "stripe:product", epoch=0)
    held = Held(maker.database, made)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)
        await until_health(held, "healthy")
        await side.key(STRIPE_KEY, product="none")
        await side.update("product", products[0], name="unseen")
        said = await until_health(held, "error")
        assert said["collections"]["stripe:customer"]["status"] == "ok"
        assert said["credential"]["status"] == said["provider"]["status"] == "ok"
        (note,) = said["collections"]["stripe:product"]["notes"]
        assert note.startswith("Stripe does not permit this credential to read it")
        for number in range(3):
            await side.update("customer", ids[number], name="seen")
            await until(lambda: held.is_equal(side), within_seconds=5)
            # The feed goes well: that does not take back what another work says.
            assert (await health(held))["status"] == "error"
        await side.key(STRIPE_KEY)
        await until(lambda: held.is_equal(side, "product"), within_seconds=20)
        await until_health(held, "healthy")


async def test_without_its_events_a_sync_is_found_by_sweeps(side: StripeSide, maker: Maker) -> None:
    ids = await side.seed("customer", 5)
    await side.key(STRIPE_KEY, event="none")
    made = await maker.sync(epoch=0)
    held = Held(maker.database, made)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)
        said = await until_health(held, "warn")
        assert "found by sweeps alone" in said["collections"]["stripe:customer"]["notes"][0]
        await side.update("customer", ids[0], name="changed")
        await side.delete("customer", ids[1])
        await until(lambda: held.is_equal(side), within_seconds=15)


async def test_a_dead_credential_is_said_and_found_alive_again(side: StripeSide, maker: Maker) -> None:
    ids = await side.seed("customer", 5)
    made = await maker.sync("stripe:customer", "stripe:product", "stripe:plan", epoch=0)
    held = Held(maker.database, made)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)
        await until_health(held, "healthy")
        await side.key(STRIPE_KEY, state="expired")
        said = await until_health(held, "error")
        assert said["credential"]["notes"][0].startswith("Stripe no longer accepts this credential: Expired API Key")
        saved = await maker.database.fetch_value("SELECT health ->> 'status' FROM credentials")
        assert saved == "error"
        await side.update("customer", ids[0], name="meanwhile")
        await side.key(STRIPE_KEY)
        mended = len(side.arrivals)
        await until(lambda: held.is_equal(side))
        await until_health(held, "healthy")
        # Nobody hammered a door that was closed: after some seconds one work asked, then the others.
        first = side.arrivals[mended]
        assert first.at - side.arrivals[mended - 1].at > 3
        # A new key, as somebody sends it, is taken up at once.
        await side.key(STRIPE_KEY, state="expired")
        await until_health(held, "error")
        properties = Properties(shown={}, secrets={"secret": Secret("sk_test_another")})
        await maker.credentials.replace(
            made.org_id, made.credential.credential_id, account="acct", secret_print="new", properties=properties
        )
        work.worker.wake()
        await until_health(held, "healthy", within_seconds=3)


async def test_an_outage_is_told_and_passes(side: StripeSide, maker: Maker) -> None:
    await side.seed("customer", 5)
    made = await maker.sync(epoch=0)
    held = Held(maker.database, made)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)
        outage = await side.fault("status", match={"path": "/v1/*"}, status=503)
        said = await until_health(held, "warn")
        assert said["provider"]["notes"][0].startswith("Stripe cannot answer")
        await side.create("customer", name="meanwhile")
        await side.mend(outage)
        await until(lambda: held.is_equal(side), within_seconds=15)
        await until_health(held, "healthy")


# leases --------------------------------------------------------------------------------------


@asynccontextmanager
async def worker_process(
    postgres: TestPostgres, database: Database, side: StripeSide, folder: Path
) -> AsyncIterator[Any]:
    """`springline worker` as a process of its own."""
    name = await database.fetch_value("SELECT current_database()")
    at = dict(postgres.connect_to(name))
    query = urlencode({key: at[key] for key in ("host", "port", "user")})
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SPRINGLINE_")} | {
        "SPRINGLINE_DATABASE_URL": f"postgresql:///{name}?{query}&sslmode=disable",
        "SPRINGLINE_DATA_DIR": str(folder),
        "SPRINGLINE_SECRET_KEY": base64.urlsafe_b64encode(SECRET_KEY).decode(),
        "SPRINGLINE_STRIPE_BASE_URL": side.url,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "springline.cli.main", "worker", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_what_a_killed_worker_held_is_taken_at_once_on_its_machine(
    postgres: TestPostgres, database: Database, side: StripeSide, maker: Maker, tmp_path: Path
) -> None:
    await side.seed("customer", 3000)
    made = await maker.sync(epoch=0, rate_limit=FIVE_A_SECOND)
    held = Held(database, made)
    async with worker_process(postgres, database, side, tmp_path) as process:
        await until(lambda: side.count("/v1/customers") >= 5, within_seconds=20)
        async with working(database, side) as work:  # its lease would last for half a minute
            os.kill(process.pid, signal.SIGKILL)
            killed_at, walked = time.monotonic(), len(side.arrivals)
            await until(lambda: work.worker._runs, within_seconds=5)
            await until(lambda: side.count("/v1/customers", since=walked) >= 3)
    follower = next(arrival for arrival in side.arrivals[walked:] if arrival.at > killed_at + 0.2)
    assert follower.at - killed_at < 5
    assert most_in_a_window([arrival.at for arrival in side.arrivals], SHARE_OF_INTERVAL) <= 5
    assert (await held.checkpoint("backfill:stripe:customer:0") or {})["records"] >= 600


async def test_a_lease_that_was_lost_is_taken_anew(side: StripeSide, maker: Maker) -> None:
    ids = await side.seed("customer", 5)
    made = await maker.sync(epoch=0)
    held = Held(maker.database, made)
    async with working(maker.database, side, lease_seconds=1.5) as work:
        await work.until_backfilled(made)
        leasing = work.worker._leasing
        first = leasing.worker_no
        await maker.database.execute("UPDATE workers SET expires_at = now()")
        await until(lambda: leasing.worker_no not in (first, None))
        await side.update("customer", ids[0], name="afterwards")
        await until(lambda: held.is_equal(side))
    epoch = await maker.database.fetch_value("SELECT epoch FROM sync_fences")
    assert epoch == 2


async def test_a_run_that_another_fenced_off_begins_anew(side: StripeSide, maker: Maker) -> None:
    ids = await side.seed("customer", 5)
    made = await maker.sync(epoch=0)
    held = Held(maker.database, made)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)
        # As if its fence had been raised too late, or once too often: its version does not change.
        await maker.database.execute("UPDATE sync_fences SET epoch = 0")
        await side.update("customer", ids[0], name="afterwards")
        await until(lambda: held.is_equal(side), within_seconds=8)


async def test_connections_that_are_cut_cost_nothing(side: StripeSide, maker: Maker) -> None:
    await side.seed("customer", 500)
    made = await maker.sync(epoch=0)
    held = Held(maker.database, made)
    name = await maker.database.fetch_value("SELECT current_database()")
    async with working(maker.database, side) as work:
        for _ in range(5):
            async with maker.database.connection() as knife:
                await knife.execute(
                    f"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = '{name}' AND pid <> pg_backend_pid()"""
                )
        await work.until_backfilled(made)
        await until(lambda: held.is_equal(side))


async def test_superseded_entries_do_not_pile_up(side: StripeSide, maker: Maker) -> None:
    made = await maker.sync(epoch=0)
    async with working(maker.database, side) as work:
        await work.until_backfilled(made)
        ((_, run),) = work.worker._runs.values()
        for number in range(5000):  # as the feed does while the next sweep is an hour away
            work.worker._push(run, time.monotonic() + 3600 - number / 10)
        assert len(work.worker._due) < 100
        run.scheduled_at = float("inf")
        work.worker._schedule(run)
        assert min(work.worker._due)[0] == run.due_at
