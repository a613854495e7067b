"""Consumers over HTTP, and what each change does to the rows that receive goes by."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.api import RunningApi
from tests.support.records import write_records

from springline.store.database import Database, Row
from springline.store.departures import DepartureStore


async def position(database: Database) -> Row:
    row = await database.fetch_row("SELECT * FROM consumer_positions")
    assert row is not None
    return row


async def test_create_with_defaults(api: RunningApi, database: Database) -> None:
    stream = await api.ours.stream()
    reply = await api.ours.post("/v1/http-consumers", {"stream_id": stream["id"]})
    made = reply.expect(201)
    assert reply.headers["Location"] == f"/v1/http-consumers/{made['id']}"
    defaults = {
        "kind": "record", "status": "active", "deliver_policy": "all", "ack_wait_ms": 30000, "max_deliver": -1,
        "max_ack_pending": 1000, "filters": {"provider": "*", "sync_id": "*", "collection_id": "*"}, "metadata": {},
        "stream_id": stream["id"], "org_id": stream["org_id"],
    }  # fmt: skip
    assert {name: made[name] for name in defaults} == defaults
    assert made["name"].startswith("consumer-")
    assert (await api.ours.get(f"/v1/http-consumers/{made['id']}")).expect(200) == made
    assert (await api.ours.get("/v1/http-consumers")).expect(200) == {"data": [made], "next_cursor": None}
    row = await position(database)
    assert (row["position"], row["filter"], row["sources_version"], row["paused"]) == (0, None, -1, False)
    assert (row["ack_wait_us"], row["max_deliver"], row["max_ack_pending"]) == (30_000_000, -1, 1000)


async def test_create_with_every_field(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync()
    fields: dict[str, Any] = {
        "stream_id": sync["stream_id"], "name": "crm", "kind": "record", "deliver_policy": "new", "ack_wait_ms": 1,
        "max_deliver": 5, "max_ack_pending": 100_000, "metadata": {"a": 1},
        "filters": {"provider": "stripe", "sync_id": [sync["id"].upper()], "collection_id": ["stripe:plan", "*"]},
    }  # fmt: skip
    made = await api.ours.consumer(**fields)
    fields["filters"]["sync_id"] = [sync["id"]]
    assert {name: made[name] for name in fields} == fields
    row = await position(database)
    assert row["filter"] == {"provider": ["stripe"], "sync_id": [sync["id"]]}
    assert (row["ack_wait_us"], row["max_deliver"], row["max_ack_pending"]) == (1000, 5, 100_000)


async def test_names_that_were_documented_once(api: RunningApi) -> None:
    stream = await api.ours.stream()
    reply = await api.ours.post(
        "/v1/http-consumers",
        {
            "stream_id": stream["id"],
            "ack_wait": 5000,
            "filter_collection_id": "stripe:plan",
            "filters": {"provider": "stripe", "resource_id": "*"},
        },
    )
    made = reply.expect(201)
    assert made["ack_wait_ms"] == 5000
    assert made["filters"] == {"provider": "stripe", "sync_id": "*", "collection_id": "stripe:plan"}
    assert reply.headers["Warning"] == '299 springline "filters.resource_id is no longer used and was ignored"'
    path = f"/v1/http-consumers/{made['id']}"
    assert (await api.ours.patch(path, {"ack_wait": 6000})).expect(200)["ack_wait_ms"] == 6000
    for body, fields in (
        ({"ack_wait": 1, "ack_wait_ms": 2}, {"ack_wait": ["is the older name of `ack_wait_ms`: give one of the two"]}),
        ({"ack_wait": "1"}, {"ack_wait_ms": ["must be a whole number from 1 to 604800000"]}),
        (
            {"filter_collection_id": "stripe:plan", "filters": {"collection_id": "*"}},
            {"filter_collection_id": ["is the older name of `filters.collection_id`: give one of the two"]},
        ),
        # Ignored, it would let more through than was asked for.
        (
            {"filters": {"resource_id": "stripe:plan"}},
            {"filters.resource_id": ["has no meaning any more; leave it out"]},
        ),
    ):
        reply = await api.ours.patch(path, body)
        assert (reply.status, reply.fields) == (422, fields)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stream_id": str(uuid.uuid4())}, "stream_id"),
    ({"stream_id": None}, "stream_id"),
    ({"name": ""}, "name"),
    ({"kind": "event"}, "kind"),
    ({"kind": "x"}, "kind"),
    ({"deliver_policy": "first"}, "deliver_policy"),
    ({"deliver_policy": "1w"}, "deliver_policy"),
    ({"deliver_policy": "2026-01-01T00:00:00"}, "deliver_policy"),
    ({"deliver_policy": "2999-01-01T00:00:00Z"}, "deliver_policy"),
    ({"ack_wait_ms": 0}, "ack_wait_ms"),
    ({"ack_wait_ms": 1.5}, "ack_wait_ms"),
    ({"ack_wait_ms": True}, "ack_wait_ms"),
    ({"ack_wait_ms": 604_800_001}, "ack_wait_ms"),
    ({"max_deliver": 0}, "max_deliver"),
    ({"max_deliver": -2}, "max_deliver"),
    ({"max_deliver": 2**31}, "max_deliver"),
    ({"max_ack_pending": 0}, "max_ack_pending"),
    ({"max_ack_pending": 100_001}, "max_ack_pending"),
    ({"filters": []}, "filters"),
    ({"filters": {"provider": "strip"}}, "filters.provider"),
    ({"filters": {"provider": []}}, "filters.provider"),
    ({"filters": {"provider": [1]}}, "filters.provider"),
    ({"filters": {"collection": "stripe:plan"}}, "filters.collection"),
    ({"filters": {"collection_id": ["stripe:plan", "stripe:plans"]}}, "filters.collection_id"),
    ({"filters": {"sync_id": "x"}}, "filters.sync_id"),
    ({"filters": {"sync_id": ["*", str(uuid.uuid4())]}}, "filters.sync_id"),
    ({"metadata": None}, "metadata"),
    ({"status": "paused"}, "status"),
]


async def test_wrong_fields(api: RunningApi) -> None:
    stream = await api.ours.stream()
    for body, field in WRONG:
        reply = await api.ours.post("/v1/http-consumers", {"stream_id": stream["id"], **body})
        assert (reply.status, list(reply.fields)) == (422, [field]), body


async def test_a_filter_by_a_sync_of_another_stream_passes_nothing(api: RunningApi) -> None:
    sync = await api.ours.sync()
    stream = await api.ours.stream()
    body = {"stream_id": stream["id"], "filters": {"sync_id": sync["id"]}}
    reply = await api.ours.post("/v1/http-consumers", body)
    assert reply.fields == {"filters.sync_id": [f"holds `{sync['id']}`, a sync that writes to another stream"]}


async def test_where_it_starts(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync()

    async def starts(policy: str) -> int:
        consumer = await api.ours.consumer(stream_id=sync["stream_id"], deliver_policy=policy)
        row = await database.fetch_row(
            "SELECT position FROM consumer_positions p JOIN consumers c USING (consumer_no) WHERE c.consumer_id = $1",
            uuid.UUID(consumer["id"]),
        )
        assert row is not None
        return int(row["position"])

    for policy in ("all", "new", "last", "1h", "2026-01-01T00:00:00Z"):
        assert await starts(policy) == 0, policy
    # Three records, an hour apart, the last one just now.
    await write_records(database, sync["id"], ["cus_1", "cus_2", "cus_3"])
    await database.execute("UPDATE payloads SET inserted_us = inserted_us - (3 - idx) * 3600 * 1000000::bigint")
    now = datetime.now(UTC)
    assert await starts("all") == 0
    assert await starts("new") == 3
    assert await starts("last") == 2
    assert await starts("30m") == 2
    assert await starts("90m") == 1
    assert await starts("1d") == 0
    assert await starts((now - timedelta(minutes=90)).isoformat()) == 1
    assert await starts((now - timedelta(minutes=90)).astimezone().isoformat()) == 1
    assert await starts((now + timedelta(seconds=30)).isoformat()) == 3


async def test_update(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync()
    made = await api.ours.consumer(stream_id=sync["stream_id"], filters={"provider": "stripe"}, metadata={"a": 1})
    path = f"/v1/http-consumers/{made['id']}"
    changes: dict[str, Any] = {
        "name": "other", "status": "paused", "ack_wait_ms": 100, "max_deliver": 2, "max_ack_pending": 3, "metadata": {},
        "filters": {"provider": "*", "sync_id": sync["id"], "collection_id": ["stripe:customer"]},
    }  # fmt: skip
    expected = dict(made)
    for name, value in changes.items():
        changed = (await api.ours.patch(path, {name: value})).expect(200)
        expected |= {name: value, "updated_at": changed["updated_at"]}
        assert changed == expected
    row = await position(database)
    assert (row["paused"], row["ack_wait_us"], row["max_deliver"], row["max_ack_pending"]) == (True, 100_000, 2, 3)
    assert row["filter"] == {"sync_id": [sync["id"]], "collection_id": ["stripe:customer"]}
    assert (await api.ours.patch(path, changes)).expect(200) == expected
    reply = await api.ours.patch(path, {"stream_id": sync["stream_id"], "kind": "record", "deliver_policy": "all"})
    assert (reply.status, set(reply.fields)) == (422, {"stream_id", "kind", "deliver_policy"})


async def test_a_filter_counts_from_then_on(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync(collection_ids=["stripe:customer", "stripe:plan"])
    made = await api.ours.consumer(stream_id=sync["stream_id"], filters={"collection_id": "stripe:customer"})
    path = f"/v1/http-consumers/{made['id']}"

    async def received() -> list[str]:
        messages = (await api.ours.get(f"{path}/next", batch_size=10)).expect(200)["data"]
        return [message["record"]["upstream_id"] for message in messages]

    await write_records(database, sync["id"], ["cus_1"])
    await write_records(database, sync["id"], ["plan_1"], collection_id="stripe:plan")
    assert await received() == ["cus_1"]
    (await api.ours.patch(path, {"filters": {}})).expect(200)
    await write_records(database, sync["id"], ["plan_2"], collection_id="stripe:plan")
    assert (await received())[-1] == "plan_2"
    (await api.ours.patch(path, {"filters": {"collection_id": "stripe:plan"}})).expect(200)
    await write_records(database, sync["id"], ["cus_2"])
    await write_records(database, sync["id"], ["plan_3"], collection_id="stripe:plan")
    assert await received() == ["plan_3"]


async def test_list_by_stream(api: RunningApi) -> None:
    one = await api.ours.consumer()
    await api.ours.consumer()
    listed = (await api.ours.get("/v1/http-consumers", stream_id=one["stream_id"])).expect(200)["data"]
    assert listed == [one]


async def test_delete(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync()
    made = await api.ours.consumer(stream_id=sync["stream_id"])
    other = await api.ours.consumer(stream_id=sync["stream_id"])
    await write_records(database, sync["id"], ["cus_1", "cus_2"])
    for consumer in (made, other):
        (await api.ours.get(f"/v1/http-consumers/{consumer['id']}/next", batch_size=10)).expect(200)
    path = f"/v1/http-consumers/{made['id']}"
    woken = api.woken["maintenance"]
    (await api.ours.delete(path)).expect(204)
    assert api.woken["maintenance"] == woken + 1
    for method, suffix in (("GET", ""), ("DELETE", ""), ("GET", "/next")):
        assert (await api.ours.request(method, path + suffix)).code == "consumer.not_found"
    assert await DepartureStore(database).remove_departed() == 1
    assert await database.fetch_value("SELECT count(*) FROM deliveries") == 2
    assert (await position(database))["ack_pending"] == 2
