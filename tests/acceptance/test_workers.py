"""Two workers and a server share 200 syncs: one is killed, one is paused for two leases and goes on (I3, I10)."""

import asyncio
import base64
import functools
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import pytest
from tests.support.api import Client
from tests.support.made import SECRET_KEY
from tests.support.postgres import TestPostgres
from tests.support.processes import Place, Springline
from tests.support.stripe_side import StripeSide, stripe_side
from tests.support.waiting import until

from springline.store.database import Database

SYNCS: Final = 200
LEASE_SECONDS: Final = 10.0
CUSTOMERS: Final = 20
PRODUCTS: Final = 300
#: So many syncs of the worker that is paused are in the middle of a backfill then, each with a page to be committed.
BACKFILLING: Final = 10

_HELD_BY: Final = """
SELECT s.sync_no, s.sync_id, c.lease_epoch
FROM syncs s JOIN credentials c USING (credential_no) JOIN workers w ON w.worker_no = c.lease_worker_no
WHERE split_part(w.process_start, ':', 1)::int = $1
"""
#: When a record was written, by sync.
_WRITTEN: Final = """
SELECT o.sync_no, p.inserted_us / 1e6 AS at
FROM sources o JOIN payloads p USING (stream_no, source_no)
WHERE p.upstream_id = $1
"""
#: Whoever listens for notifications loses its connection.
_CUT_LISTENERS: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND (query ILIKE 'listen%' OR query LIKE '%pg_notify%')
"""


@pytest.fixture
async def side() -> AsyncIterator[StripeSide]:
    async with stripe_side() as opened:
        yield opened


class Cluster:
    """Processes that share one database."""

    def __init__(self, place: Place, database: Database, settings: Mapping[str, str]) -> None:
        self.place = place
        self.database = database
        self._settings = settings

    async def serve(self) -> Springline:
        started = await self.place.start(settings=self._settings)
        return await started.until_ready()

    async def worker(self) -> Springline:
        started = await self.place.start("worker", settings={**self._settings, "SPRINGLINE_METRICS_PORT": "0"})
        await started.until_said("this worker runs")
        return started

    async def held_by(self, process: Springline) -> dict[int, tuple[str, int]]:
        """Sync number → (id, lease epoch) of what a process runs."""
        rows = await self.database.fetch(_HELD_BY, process.pid)
        return {row["sync_no"]: (str(row["sync_id"]), row["lease_epoch"]) for row in rows}

    async def until_written(self, upstream_id: str, syncs: Collection[int], *, within_seconds: float) -> list[float]:
        """When a record came into each of these syncs' share of the stream: seconds since 1970, in order."""

        async def are_there() -> list[float]:
            rows = await self.database.fetch(_WRITTEN, upstream_id)
            at = {row["sync_no"]: float(row["at"]) for row in rows}
            return sorted(at[sync_no] for sync_no in syncs) if at.keys() >= set(syncs) else []

        what = f"{upstream_id} in {len(syncs)} syncs"
        written: list[float] = await until(are_there, within_seconds=within_seconds, what=what, every=0.05)
        return written


@pytest.fixture
async def cluster(place: Place, postgres: TestPostgres, database: Database, side: StripeSide) -> Cluster:
    name = await database.fetch_value("SELECT current_database()")
    at = dict(postgres.connect_to(name))
    query = urlencode({key: at[key] for key in ("host", "port", "user")})
    return Cluster(
        place,
        database,
        {
            "SPRINGLINE_DATABASE_URL": f"postgresql:///{name}?{query}&sslmode=disable",
            "SPRINGLINE_SECRET_KEY": base64.urlsafe_b64encode(SECRET_KEY).decode(),
            "SPRINGLINE_STRIPE_BASE_URL": side.url,
            "SPRINGLINE_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
        },
    )


async def test_one_worker_is_killed_and_one_is_paused(cluster: Cluster, side: StripeSide) -> None:
    await side.seed("customer", CUSTOMERS)
    await side.seed("product", PRODUCTS)
    server, killed, paused = await asyncio.gather(cluster.serve(), cluster.worker(), cluster.worker())
    async with aiohttp.ClientSession() as session:
        client = Client(session, server.url, server.token)
        begun = time.monotonic()
        await _make_syncs(client, side)
        await until(lambda: _backfilled(cluster.database), within_seconds=60, what="all backfilled", every=0.1)
        backfilled_seconds = time.monotonic() - begun
        await until(lambda: _is_spread(client, 3), within_seconds=30, what="three that share everything", every=0.1)
        shares = await _shares(client)

        # One is gone. A process of this machine sees that: it need not wait for the lease.
        lost = await cluster.held_by(killed)
        killed_at = time.time()
        await killed.kill()
        news = await side.create("customer", name="after the kill")
        written = await cluster.until_written(news, lost, within_seconds=1.5 * LEASE_SECONDS)
        killed_row = ("killed", len(lost), *(f"{at - killed_at:.2f}" for at in (written[0], written[-1])))
        assert written[-1] - killed_at < 1.5 * LEASE_SECONDS

        # One is paused, with pages in its hands: it looks as one does on a machine that nobody reaches.
        await until(lambda: _is_spread(client, 2), within_seconds=20, what="two that share everything", every=0.1)
        lost = await cluster.held_by(paused)
        backfilling = list(lost)[:BACKFILLING]
        await side.fault("late_page", ms=400, match={"path": "/v1/products"})
        await _add_products(client, [lost[sync_no][0] for sync_no in backfilling])
        async with cluster.database.transaction() as connection:
            # While nobody can commit, its pages pile up; that it asks for the next ones tells that it has them.
            await connection.execute("SELECT 1 FROM stream_heads FOR UPDATE")
            await until(lambda: _second_pages(side, "/v1/products") >= BACKFILLING)
            paused_at, stopped_at = time.time(), time.monotonic()
            os.kill(paused.pid, signal.SIGSTOP)
        news = await side.create("customer", name="after the pause")
        written = await cluster.until_written(news, lost, within_seconds=1.5 * LEASE_SECONDS)
        paused_row = ("paused", len(lost), *(f"{at - paused_at:.2f}" for at in (written[0], written[-1])))
        assert written[-1] - paused_at < 1.5 * LEASE_SECONDS
        assert written[0] - paused_at > LEASE_SECONDS / 2  # not before its lease was over
        assert set(await cluster.held_by(server)) >= set(lost)

        await asyncio.sleep(stopped_at + 2 * LEASE_SECONDS - time.monotonic())  # it sleeps through two leases
        os.kill(paused.pid, signal.SIGCONT)
        refused = await until(lambda: _figure(session, paused, "commits_fenced_off"), what="a refused commit")
        # It notices, and works anew under another number.
        given_up = await until(lambda: _figure(session, paused, "leases_lost"), what="leases that are lost")
        assert given_up == len(lost)
        await until(lambda: _is_spread(client, 2), within_seconds=30, what="a share for it", every=0.1)

        everything = len(side.objects("customer"))
        await until(lambda: _is_whole(cluster.database, everything, len(backfilling)), within_seconds=30, every=0.1)
        await _check_epochs(cluster.database, lost)
        assert await cluster.database.fetch_value(_TWICE) == 0
        print(
            f"\n{SYNCS} syncs over {len(shares)} processes: {sorted(shares.values())}, "
            f"backfilled in {backfilled_seconds:.1f} s; a lease lasts {LEASE_SECONDS:g} s\n"
            f"{'worker':<8} {'syncs':>5} {'first again after s':>20} {'slowest':>8}"
        )
        for name, syncs, soonest, slowest in (killed_row, paused_row):
            print(f"{name:<8} {syncs:>5} {soonest:>20} {slowest:>8}")
        print(
            f"paused for {2 * LEASE_SECONDS:g} s: {refused:g} of its pages refused, {given_up:g} credentials lost, "
            "no row with the old epoch"
        )
        await asyncio.gather(server.terminate(), paused.terminate())


@pytest.mark.parametrize("told", ["told", "not told"])
async def test_what_is_configured_in_one_process_is_done_in_another(
    cluster: Cluster, side: StripeSide, told: str
) -> None:
    """A sync starts at once, stops within a second and goes on where it was, even if the notification is lost."""

    async def lose_notifications() -> None:
        if told == "not told":  # whoever listens has to connect anew, and takes a second for it
            await until(lambda: cluster.database.fetch_value(_CUT_LISTENERS), what="somebody who listens")

    for collection in ("customer", "product"):
        await side.seed(collection, 1200)
    server, worker = await asyncio.gather(cluster.serve(), cluster.worker())
    async with aiohttp.ClientSession() as session:
        client = Client(session, server.url, server.token)
        stream = (await client.stream("all"))["id"]
        syncs = {}
        for collection in ("customer", "product"):  # one for each worker
            credential = (await client.credential(f"sk_test_{collection}"))["id"]
            await lose_notifications()
            syncs[collection] = await client.sync(
                stream_id=stream,
                credential_id=credential,
                collection_ids=[f"stripe:{collection}"],
                rate_limit={"allowed_requests": 5, "interval": 1.0},
            )
            made_at = time.monotonic()
            await until(functools.partial(side.count, f"/v1/{collection}s"), within_seconds=10)
            # A look, the events that mark where changes are followed from, the first page.
            assert time.monotonic() - made_at < 2
        ((sync_no, (sync_id, _)),) = (await cluster.held_by(worker)).items()
        (collection,) = (name for name, sync in syncs.items() if sync["id"] == sync_id)
        path = f"/v1/{collection}s"
        await until(lambda: side.count(path) >= 4, within_seconds=10)

        await lose_notifications()
        (await client.patch(f"/v1/syncs/{sync_id}", {"status": "disabled"})).expect(200)
        disabled_at = time.monotonic()
        written = await _records_of(cluster.database, sync_no)
        await asyncio.sleep(2.5)  # that nothing happens can only be waited for
        assert await _records_of(cluster.database, sync_no) == written  # I3: at once
        assert (await client.get(f"/v1/syncs/{sync_id}")).expect(200)["initial_backfill_completed_at"] is None

        await lose_notifications()
        (await client.patch(f"/v1/syncs/{sync_id}", {"status": "active"})).expect(200)
        enabled_at = time.monotonic()
        await until(lambda: _is_backfilled(client, sync_id), within_seconds=20, every=0.05)
        assert await _records_of(cluster.database, sync_no) == 1200
        asked = [arrival.at for arrival in side.arrivals if arrival.path == path]
        assert not [at for at in asked if disabled_at + 1.0 < at < enabled_at]
        assert min(at for at in asked if at > enabled_at) - enabled_at < 2
        # It went on where it was: at most what was on its way is read again.
        first_pages = [each for each in side.arrivals if each.path == path and "starting_after" not in each.query]
        assert len(first_pages) <= 2  # one may be that of a sweep
        assert len(asked) <= 12 + 1 + 1
        await asyncio.gather(server.terminate(), worker.terminate())


async def _make_syncs(client: Client, side: StripeSide) -> None:
    """Each with a restricted key of its own, which makes it a credential of its own; all into one stream."""
    stream = (await client.stream("all"))["id"]
    numbers = iter(range(SYNCS))

    async def make_some() -> None:
        for number in numbers:
            key = f"rk_test_{number:04}"
            await side.key(key)
            credential = {"properties": {"kind": "stripe_key", "secret": key}}
            await client.sync(stream_id=stream, credential=credential, name=f"sync {number}")

    await asyncio.gather(*(make_some() for _ in range(8)))


async def _add_products(client: Client, sync_ids: Collection[str]) -> None:
    body = {"collection_ids": ["stripe:customer", "stripe:product"]}
    replies = await asyncio.gather(*(client.patch(f"/v1/syncs/{sync_id}", body) for sync_id in sync_ids))
    for reply in replies:
        reply.expect(200)


async def _records_of(database: Database, sync_no: int) -> int:
    count: int = await database.fetch_value(
        "SELECT count(*) FROM records r JOIN sources o USING (stream_no, source_no) WHERE o.sync_no = $1", sync_no
    )
    return count


async def _is_backfilled(client: Client, sync_id: str) -> bool:
    return (await client.get(f"/v1/syncs/{sync_id}")).expect(200)["initial_backfill_completed_at"] is not None


async def _backfilled(database: Database) -> bool:
    count = await database.fetch_value("SELECT count(*) FROM syncs WHERE initial_backfill_completed_at IS NOT NULL")
    return bool(count == SYNCS)


async def _shares(client: Client) -> dict[int, int]:
    """Credentials that each living worker holds, by its number."""
    found: list[dict[str, Any]] = (await client.get("/v1/workers")).expect(200)["data"]
    return {worker["number"]: worker["credentials"] for worker in found if worker["status"] == "live"}


async def _is_spread(client: Client, workers: int) -> bool:
    shares = (await _shares(client)).values()
    return len(shares) == workers and sum(shares) == SYNCS and max(shares) - min(shares) <= SYNCS / 20


def _second_pages(side: StripeSide, path: str) -> int:
    """Requests for what follows on a page."""
    return sum(arrival.path == path and "starting_after" in arrival.query for arrival in side.arrivals)


async def _figure(session: aiohttp.ClientSession, worker: Springline, name: str) -> float:
    """One that a worker shows, without labels."""
    said = re.search(r"metrics at (\S+)", worker.out)
    assert said is not None
    async with session.get(said[1]) as response:
        lines = (await response.text()).splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"springline_{name}_total "))
    return float(value)


async def _is_whole(database: Database, customers: int, with_products: int) -> bool:
    """Whether every sync holds everything, once."""
    rows = await database.fetch(
        """SELECT o.collection_id, count(*) AS records FROM sources o JOIN records r USING (stream_no, source_no)
        WHERE r.deleted_reason = 0 GROUP BY o.source_no, o.collection_id"""
    )
    held = sorted((row["collection_id"], row["records"]) for row in rows)
    wanted = [("stripe:customer", customers)] * SYNCS + [("stripe:product", PRODUCTS)] * with_products
    return held == wanted


async def _check_epochs(database: Database, lost: Mapping[int, tuple[str, int]]) -> None:
    """No row carries an epoch of the worker that was paused: its former syncs have been taken over since."""
    rows = await database.fetch(
        """SELECT f.sync_no, f.epoch, c.lease_epoch
        FROM sync_fences f JOIN syncs s USING (stream_no, sync_no) JOIN credentials c USING (credential_no)
        WHERE f.sync_no = ANY ($1)""",
        list(lost),
    )
    assert len(rows) == len(lost)
    for row in rows:
        assert row["lease_epoch"] >= row["epoch"] > lost[row["sync_no"]][1]


#: Records that the event log tells the creation of twice, and indexes that it does not tell in order.
_TWICE: Final = """
SELECT count(*) FROM (SELECT record_no FROM events WHERE kind = 1 GROUP BY record_no HAVING count(*) > 1) e
"""
