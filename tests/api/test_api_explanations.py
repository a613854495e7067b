"""Why a sync is where it is, where no worker of this process runs it."""

from typing import Any

import pytest
from tests.support.api import RunningApi
from tests.support.records import hold_something

from springline.store.leases import LeaseStore, Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMER = "stripe:customer"


async def test_nobody_holds_the_lease(shared_api: RunningApi) -> None:
    sync = await shared_api.ours.sync()
    reply = await shared_api.ours.get(f"/v1/syncs/{sync['id']}/explain")
    explained = reply.expect(200)
    assert reply.headers["Cache-Control"] == "no-store"
    assert (explained["worker"], explained["quota"], explained["requests"]) == (None, None, [])
    customers = explained["collections"][CUSTOMER]
    assert (customers["doing"], customers["waiting_for"]) == ("stopped", "lease")
    assert "Start one: `springline serve`" in customers["says"]


async def test_another_process_holds_the_lease(shared_api: RunningApi) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync = await client.another_sync()
    leases = LeaseStore(database)
    worker_no = await leases.register_worker(Process("elsewhere", "elsewhere", "1:1"), 60)
    await leases.claim(worker_no)
    path = f"/v1/syncs/{sync['id']}/explain"
    explained = (await client.get(path)).expect(200)
    assert explained["worker"] == worker_no
    assert explained["collections"][CUSTOMER]["waiting_for"] is None
    assert "has said nothing of it yet" in explained["collections"][CUSTOMER]["says"]
    sync_no = await database.fetch_value("SELECT sync_no FROM syncs WHERE sync_id::text = $1", sync["id"])
    dead = {"status": "error", "notes": ["Replace its key."], "time": "2026-01-31T12:00:00Z"}
    fine: dict[str, Any] = {"status": "ok", "notes": [], "time": None}
    health = {
        "status": "error",
        "sync_id": sync["id"],
        "credential": dead,
        "provider": fine,
        "collections": {CUSTOMER: fine},
    }
    progress = {CUSTOMER: {"phase": "backfill", "records": 1200, "waiting_for": "quota"}}
    await leases.save_observations(sync_no, health=health, progress=progress)
    customers = (await client.get(path)).expect(200)["collections"][CUSTOMER]
    assert (customers["doing"], customers["waiting_for"]) == ("backfill", "credential")
    assert customers["since"] == "2026-01-31T12:00:00Z"
    assert customers["says"] == f"It runs on worker {worker_no}, which has last said: Replace its key."
    assert [waiting["waiting_for"] for waiting in customers["also"]] == ["quota"]
    await leases.remove_workers([worker_no])
    customers = (await client.get(path)).expect(200)["collections"][CUSTOMER]
    assert customers["waiting_for"] == "lease"


async def test_a_disabled_sync_with_held_deletions(shared_api: RunningApi) -> None:
    client = shared_api.ours
    sync = await client.another_sync(collection_ids=["stripe:customer", "stripe:plan"])
    hold_id = await hold_something(
        shared_api.services.database, sync["id"], kind="deletion", reason="half of it is gone", count=12
    )
    (await client.patch(f"/v1/syncs/{sync['id']}", {"status": "disabled"})).expect(200)
    collections = (await client.get(f"/v1/syncs/{sync['id']}/explain")).expect(200)["collections"]
    assert {name: each["waiting_for"] for name, each in collections.items()} == {
        CUSTOMER: "disabled",
        "stripe:plan": "disabled",
    }
    (also,) = collections[CUSTOMER]["also"]
    assert also["waiting_for"] == "held"
    assert also["says"].startswith("12 deletions are held: half of it is gone. ")
    assert str(hold_id) in also["says"]
    assert collections["stripe:plan"]["also"] == []
