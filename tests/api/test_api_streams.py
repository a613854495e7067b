"""Streams over HTTP."""

import uuid

from tests.support.api import RunningApi
from tests.support.records import write_records

from springline.store.database import Database
from springline.store.departures import DepartureStore


async def test_create_then_read_back(api: RunningApi) -> None:
    reply = await api.ours.post("/v1/streams", {"slug": "crm"})
    made = reply.expect(201)
    assert reply.headers["Location"] == f"/v1/streams/{made['id']}"
    counts = {name: made[name] for name in ("head_idx", "record_count", "sync_count", "consumer_count")}
    assert counts == {"head_idx": 0, "record_count": 0, "sync_count": 0, "consumer_count": 0}
    assert (made["slug"], made["event_retention_days"], made["tombstone_days"]) == ("crm", 7, 30)
    assert b'"event_retention_days":7,' in reply.body
    assert made["created_at"].endswith("Z")
    assert uuid.UUID(made["id"]).version == 7
    assert (await api.ours.get(f"/v1/streams/{made['id']}")).expect(200) == made
    assert (await api.ours.get("/v1/streams")).expect(200) == {"data": [made], "next_cursor": None}


async def test_slug_must_be_a_slug(api: RunningApi) -> None:
    sentence = "must be 1 to 63 characters of a–z, 0–9, _ and -, beginning with a letter or digit"
    for slug in ("", "-a", "_a", "A", "a b", "ä", "a" * 64, "a\n", "a/b", 5, None):
        reply = await api.ours.post("/v1/streams", {"slug": slug})
        assert (reply.status, reply.fields) == (422, {"slug": [sentence]}), slug


async def test_slug_is_unique_in_its_organisation(api: RunningApi) -> None:
    await api.ours.stream("crm")
    await api.theirs.stream("crm")
    other = await api.ours.stream("a" * 63)
    for reply in (
        await api.ours.post("/v1/streams", {"slug": "crm"}),
        await api.ours.patch(f"/v1/streams/{other['id']}", {"slug": "crm"}),
    ):
        assert (reply.status, reply.code) == (409, "stream.slug_taken")


async def test_update_leaves_the_rest_as_it_is(api: RunningApi, database: Database) -> None:
    made = await api.ours.stream("crm")
    path = f"/v1/streams/{made['id']}"
    changed = (await api.ours.patch(path, {"slug": "crm-2", "event_retention_days": 0})).expect(200)
    assert (changed["slug"], changed["event_retention_days"], changed["tombstone_days"]) == ("crm-2", 0, 30)
    assert changed["updated_at"] > made["updated_at"]
    keeps = "SELECT keeps_history FROM stream_heads"
    assert await database.fetch_value(keeps) is False
    changed = (await api.ours.patch(path, {"event_retention_days": 0.5})).expect(200)
    assert (changed["slug"], changed["event_retention_days"]) == ("crm-2", 0.5)
    assert await database.fetch_value(keeps) is True
    assert (await api.ours.patch(path, {})).expect(200) == changed


async def test_counts(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync()
    await api.ours.consumer(stream_id=sync["stream_id"])
    await write_records(database, sync["id"], ["cus_1", "cus_2", "cus_3"])
    stream = (await api.ours.get(f"/v1/streams/{sync['stream_id']}")).expect(200)
    assert [stream[name] for name in ("head_idx", "record_count", "sync_count", "consumer_count")] == [3, 3, 1, 1]


async def test_a_stream_with_syncs_stays(api: RunningApi) -> None:
    sync = await api.ours.sync()
    path = f"/v1/streams/{sync['stream_id']}"
    reply = await api.ours.delete(path)
    assert (reply.status, reply.code) == (409, "stream.in_use")
    # Its records are still leaving.
    (await api.ours.delete(f"/v1/syncs/{sync['id']}")).expect(204)
    reply = await api.ours.delete(path)
    assert (reply.status, reply.code) == (409, "stream.in_use")
    (await api.ours.get(path)).expect(200)


async def test_delete_takes_everything_with_it(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync(collection_ids=["stripe:customer", "stripe:plan"])
    consumer = await api.ours.consumer(stream_id=sync["stream_id"])
    kept = await api.ours.sync(stream_id=(await api.ours.stream("other"))["id"], credential_id=sync["credential_id"])
    await write_records(database, sync["id"], [f"cus_{number}" for number in range(30)])
    await write_records(database, kept["id"], ["cus_1"])
    (await api.ours.get(f"/v1/http-consumers/{consumer['id']}/next", batch_size=10)).expect(200)
    (await api.ours.delete(f"/v1/syncs/{sync['id']}", keep_records="true")).expect(204)

    woken = api.woken["maintenance"]
    (await api.ours.delete(f"/v1/streams/{sync['stream_id']}")).expect(204)
    assert api.woken["maintenance"] == woken + 1
    for path in (f"/v1/streams/{sync['stream_id']}", f"/v1/http-consumers/{consumer['id']}"):
        assert (await api.ours.get(path)).status == 404
    assert (await api.ours.delete(f"/v1/streams/{sync['stream_id']}")).status == 404

    assert await DepartureStore(database).remove_departed() == 1
    assert await DepartureStore(database).remove_departed() == 0
    kept_no = await database.fetch_value("SELECT stream_no FROM streams")
    for row in await database.fetch(
        "SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_name) "
        "WHERE c.column_name = 'stream_no' AND t.table_type = 'BASE TABLE'"
    ):
        left = await database.fetch(f"SELECT DISTINCT stream_no FROM {row[0]}")
        assert {number for (number,) in left} <= {kept_no}, row[0]
    assert await database.fetch_value("SELECT count(*) FROM payloads") == 1
