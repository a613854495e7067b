"""Workers over HTTP: who runs the syncs, as an organisation may know it."""

from datetime import UTC, datetime, timedelta

from tests.support.api import RunningApi

from springline.engine.processes import this_process
from springline.store.database import Database
from springline.store.leases import LeaseStore, Process


async def test_workers(api: RunningApi, database: Database) -> None:
    assert (await api.ours.get("/v1/workers")).expect(200) == {"data": [], "next_cursor": None}
    leases = LeaseStore(database)
    here = await leases.register_worker(this_process(), 30)
    there = await leases.register_worker(Process("other boot", "namespace", "77:1234", "db7"), 30)
    first = await api.ours.sync(credential_id=(await api.ours.credential("sk_test_1"))["id"])
    await api.ours.sync(credential_id=first["credential_id"])
    await api.theirs.sync(credential_id=(await api.theirs.credential("sk_test_2"))["id"])
    assert len(await leases.claim(here)) == 2
    ours = (await api.ours.get("/v1/workers")).expect(200)["data"]
    theirs = (await api.theirs.get("/v1/workers")).expect(200)["data"]
    assert [worker["number"] for worker in ours] == [here, there]
    # What other organisations have there is nobody's business.
    assert [(worker["credentials"], worker["syncs"]) for worker in ours] == [(1, 2), (0, 0)]
    assert [(worker["credentials"], worker["syncs"]) for worker in theirs] == [(1, 1), (0, 0)]
    own, other = ours
    assert (own["is_this_process"], other["is_this_process"]) == (True, False)
    assert (other["host"], other["process_id"], other["process_started_at"]) == ("db7", 77, None)
    now = datetime.now(UTC)
    assert now - timedelta(days=1) < datetime.fromisoformat(own["process_started_at"]) < now
    assert datetime.fromisoformat(own["since"]) < now < datetime.fromisoformat(own["lease_until"])
    await database.execute("UPDATE workers SET expires_at = now() WHERE worker_no = $1", there)
    ours = (await api.ours.get("/v1/workers")).expect(200)["data"]
    assert [worker["status"] for worker in ours] == ["live", "lost"]


async def test_only_with_a_token(api: RunningApi) -> None:
    assert (await api.nobody.get("/v1/workers")).status == 401


async def test_metrics_without_a_token(api: RunningApi) -> None:
    await api.ours.post("/v1/credentials", {"properties": {"kind": "stripe_key", "secret": "sk_test_metrics"}})
    reply = await api.nobody.get("/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = reply.body.decode().splitlines()
    assert "springline_commits_fenced_off_total 0.0" in lines
    assert "# TYPE springline_database_oldest_snapshot_age_seconds gauge" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


async def test_metrics_show_the_oldest_snapshot(api: RunningApi, database: Database) -> None:
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM syncs")
        ages = []
        for _ in range(2):
            text = (await api.nobody.get("/metrics")).body.decode()
            (line,) = [line for line in text.splitlines() if line.startswith("springline_database_oldest")]
            ages.append(float(line.partition(" ")[2]))
    assert 0 < ages[0] < ages[1] < 30
