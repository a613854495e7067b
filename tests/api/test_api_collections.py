"""Collections per credential, and backfills."""

import pytest
from tests.support.api import RunningApi
from tests.support.records import write_records

from springline.domain.checkpoints import BackfillState, backfill_name, encode

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_collections_of_a_credential(shared_api: RunningApi) -> None:
    client = shared_api.ours
    credential = await client.credential("sk_test_collections")
    path = f"/v1/collections/{credential['id']}"
    listed = (await client.get(path)).expect(200)
    described = (await client.get("/v1/providers/stripe")).expect(200)
    assert [each["id"] for each in listed["data"]] == [each["id"] for each in described["collections"]]
    one = (await client.get(f"{path}/stripe:customer", include="upstream_metadata")).expect(200)
    assert one in listed["data"]
    assert (one["id"], one["upstream_id"], one["name"], one["links"]) == ("stripe:customer", "customer", "customer", [])
    assert one["fields"] == [
        {
            "id": "stripe:customer.id",
            "name": "id",
            "accessor": "id",
            "type": "string",
            "primary_key": True,
            "metadata": {},
        },
        {
            "id": "stripe:customer.created",
            "name": "created",
            "accessor": "created",
            "type": "timestamp",
            "primary_key": False,
            "metadata": {},
        },
    ]
    unknown = await client.get(f"{path}/stripe:custmer")
    assert (unknown.status, unknown.code) == (404, "collection.not_found")
    assert "did you mean `stripe:customer`?" in unknown.value["error"]
    assert "include" in (await client.get(path, include="everything")).fields


async def test_a_refresh_is_remembered(shared_api: RunningApi) -> None:
    client = shared_api.ours
    credential = await client.credential("sk_test_refreshed")
    path = f"/v1/collections/{credential['id']}/refresh"
    before = (await client.get(f"{path}/status")).expect(200)
    started = (await client.post(f"{path}/start", None)).expect(200)
    assert (started["credential_id"], started["status"], started["error"]) == (credential["id"], "succeeded", None)
    assert started["last_succeeded_at"] > before["last_started_at"]
    assert (await client.get(f"{path}/status")).expect(200) == started


async def test_backfills_are_started_and_followed(shared_api: RunningApi) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync = await client.another_sync(collection_ids=["stripe:customer", "stripe:plan"])
    path = f"/v1/syncs/{sync['id']}/backfills"
    waiting = {"number": 1, "status": "waiting", "records": 0, "updated_at": None}
    listed = (await client.get(path)).expect(200)
    assert listed["data"] == [
        {"collection_id": "stripe:customer", **waiting},
        {"collection_id": "stripe:plan", **waiting},
    ]
    await write_records(database, sync["id"], ["cus_1"])
    for collection_id, state in (
        ("stripe:customer", BackfillState(records=100)),
        ("stripe:plan", BackfillState(records=7, done=True)),
    ):
        await database.execute(
            """INSERT INTO checkpoints SELECT stream_no, sync_no, $2, $3, now_us() FROM sources
            WHERE sync_id::text = $1 LIMIT 1""",
            sync["id"],
            backfill_name(collection_id, 0),
            encode(state),
        )
    customers, plans = (await client.get(path)).expect(200)["data"]
    assert (customers["status"], customers["records"]) == ("running", 100)
    assert (plans["status"], plans["records"]) == ("completed", 7)
    assert plans["updated_at"] is not None
    woken = shared_api.woken["syncs"]
    reply = await client.post(path, {"collection_ids": ["stripe:plan", "stripe:plan"]})
    started = reply.expect(201)
    assert reply.headers["Location"] == path
    assert started["data"] == [customers, {"collection_id": "stripe:plan", **waiting, "number": 2}]
    assert shared_api.woken["syncs"] == woken + 1
    again = (await client.post(path, {})).expect(201)
    assert [each["number"] for each in again["data"]] == [2, 3]
    refused = await client.post(path, {"collection_ids": ["stripe:plant", "stripe:invoice"]})
    assert refused.fields["collection_ids"] == [
        "holds `stripe:plant`, which is no collection of this sync; did you mean `stripe:plan`?",
        "holds `stripe:invoice`, which is no collection of this sync",
    ]
    # Records stay.
    assert (await client.get(f"/v1/streams/{sync['stream_id']}")).expect(200)["record_count"] == 1
    version = await database.fetch_value("SELECT config_version FROM syncs WHERE sync_id::text = $1", sync["id"])
    assert version == 3
