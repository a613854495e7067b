"""`springline syncs why` names what a sync waits for, in each way of waiting that there is."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import psutil
import pytest
from tests.support.api import KEY, Client
from tests.support.postgres import TestPostgres
from tests.support.processes import Place, Springline, assert_one_line, postgres_processes
from tests.support.stripe_side import StripeSide, stripe_side
from tests.support.waiting import until

CUSTOMER = "stripe:customer"


@dataclass
class Somebody:
    """Somebody at three in the morning: a server, its provider, and a shell."""

    place: Place
    server: Springline
    side: StripeSide
    client: Client

    async def why(self, sync: dict[str, Any]) -> str:
        settings = {"SPRINGLINE_URL": self.server.url, "SPRINGLINE_API_TOKEN": self.server.token}
        ended = await self.place.run("syncs", "why", sync["id"], settings=settings)
        assert ended.code == 0, ended.err
        return ended.out

    async def until_waiting_for(self, sync: dict[str, Any], reason: str) -> dict[str, Any]:
        """What the API says of the customers, once it names this reason."""

        async def looked() -> dict[str, Any] | None:
            explained = (await self.client.get(f"/v1/syncs/{sync['id']}/explain")).expect(200)
            customers: dict[str, Any] = explained["collections"][CUSTOMER]
            return customers if customers["waiting_for"] == reason else None

        found: dict[str, Any] = await until(looked, within_seconds=20, what=f"waiting for {reason}", every=0.05)
        return found

    async def backfilled(self, **fields: Any) -> dict[str, Any]:
        sync = await self.client.sync(**fields)

        async def is_backfilled() -> bool:
            found = (await self.client.get(f"/v1/syncs/{sync['id']}")).expect(200)
            return found["initial_backfill_completed_at"] is not None

        await until(is_backfilled, within_seconds=20, every=0.05)
        return sync


@asynccontextmanager
async def at_three(place: Place, connect_to: dict[str, Any]) -> AsyncIterator[Somebody]:
    async with stripe_side() as side, aiohttp.ClientSession() as session:
        await side.key(KEY)
        at = urlencode({"host": connect_to["host"], "port": connect_to["port"]})
        settings = {
            "SPRINGLINE_STRIPE_BASE_URL": side.url,
            "SPRINGLINE_DATABASE_URL": f"postgresql://{connect_to['user']}@/{connect_to['database']}?{at}",
        }
        server = await (await place.start(settings=settings)).until_ready()
        yield Somebody(place, server, side, Client(session, server.url, server.token))
        await server.terminate()


@pytest.fixture
async def somebody(place: Place, postgres: TestPostgres) -> AsyncIterator[Somebody]:
    name = await postgres.migrated_database()
    try:
        async with at_three(place, postgres.connect_to(name)) as made:
            yield made
    finally:
        await postgres.drop_database(name)


async def test_the_quota(somebody: Somebody) -> None:
    await somebody.side.seed("customer", 300)
    sync = await somebody.client.sync(rate_limit={"allowed_requests": 1, "interval": 30})
    found = await somebody.until_waiting_for(sync, "quota")
    assert found["until"] is not None
    said = await somebody.why(sync)
    assert f"{CUSTOMER}  waits for quota, since " in said
    assert ", until " in said
    assert "The quota of 1 request in any 30 s is used up for now." in said
    assert "quota  1 of 1 requests in any 30 s used: poll 1" in said
    assert "GET /v1/events" in said


async def test_the_time_that_the_provider_names(somebody: Somebody) -> None:
    await somebody.side.seed("customer", 3)
    sync = await somebody.backfilled()
    await somebody.side.fault("status", status=429, retry_after="120")
    found = await somebody.until_waiting_for(sync, "provider")
    assert found["until"] > found["since"]
    said = await somebody.why(sync)
    assert f"{CUSTOMER}  waits for provider, since " in said
    assert "by itself" in said
    assert "  429  " in said


async def test_a_dead_credential(somebody: Somebody) -> None:
    await somebody.side.seed("customer", 3)
    sync = await somebody.backfilled()
    await somebody.side.key(KEY, state="revoked")
    await somebody.until_waiting_for(sync, "credential")
    said = await somebody.why(sync)
    assert f"{CUSTOMER}  waits for credential, since " in said
    assert "Stripe no longer accepts this credential: " in said
    assert "Replace its key." in said
    await somebody.side.key(KEY)
    patched = {"properties": {"kind": "stripe_key", "secret": KEY}}
    (await somebody.client.patch(f"/v1/credentials/{sync['credential_id']}", patched)).expect(200)

    async def is_well() -> bool:
        explained = (await somebody.client.get(f"/v1/syncs/{sync['id']}/explain")).expect(200)
        return explained["collections"][CUSTOMER]["waiting_for"] is None

    await until(is_well, within_seconds=20, every=0.05)


async def test_a_held_deletion(somebody: Somebody) -> None:
    ids = await somebody.side.seed("customer", 300)
    sync = await somebody.backfilled(rate_limit={"allowed_requests": 300, "interval": 1})
    for key in ids[:200]:
        await somebody.side.delete("customer", key, events=False, vanish=True)
    await somebody.until_waiting_for(sync, "held")
    said = await somebody.why(sync)
    assert f"{CUSTOMER}  waits for held, since " in said
    assert "200 deletions are held: 200 of 300 records are not there any more" in said
    settings = {"SPRINGLINE_URL": somebody.server.url, "SPRINGLINE_API_TOKEN": somebody.server.token}
    listed = await somebody.place.run("syncs", "holds", sync["id"], "--json", settings=settings)
    (held,) = json.loads(listed.out)["data"]
    assert (held["kind"], held["count"]) == ("deletion", 200)
    assert json.loads(held["sample"])[0] in ids[:200]
    command = f"springline syncs hold apply {sync['id']} {held['id']}"
    assert command in said
    decided = await somebody.place.run(*command.split()[1:], "--yes", settings=settings)
    assert decided.code == 0, decided.err

    async def are_gone() -> bool:
        stream = (await somebody.client.get(f"/v1/streams/{sync['stream_id']}")).expect(200)
        return bool(stream["record_count"] == 100)

    await until(are_gone, within_seconds=30, every=0.1)
    assert "held" not in await somebody.why(sync)


async def test_a_disabled_sync(somebody: Somebody) -> None:
    sync = await somebody.client.sync()
    (await somebody.client.patch(f"/v1/syncs/{sync['id']}", {"status": "disabled"})).expect(200)
    said = await somebody.why(sync)
    assert f"{CUSTOMER}  waits for disabled, since " in said
    assert "springline syncs enable" in said


async def test_the_database(place: Place) -> None:
    async with stripe_side() as side, aiohttp.ClientSession() as session:
        server = await (await place.start(settings={"SPRINGLINE_STRIPE_BASE_URL": side.url})).until_ready()
        client = Client(session, server.url, server.token)
        sync = await client.sync()
        settings = {"SPRINGLINE_URL": server.url, "SPRINGLINE_API_TOKEN": server.token}
        stopped = postgres_processes(place.data_dir)
        try:
            _signal(stopped, signal.SIGSTOP)
            ended = await place.run("syncs", "why", sync["id"], settings=settings)
            assert ended.code == 1
            assert_one_line(ended.err, "every sync waits for the database", "go on by themselves")
            assert ended.out == ""
        finally:
            _signal(stopped, signal.SIGCONT)
        ended = await place.run("syncs", "why", sync["id"], settings=settings)
        assert ended.code == 0, ended.err
        await server.terminate()


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        if process.is_running():
            os.kill(process.pid, number)
