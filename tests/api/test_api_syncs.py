"""Syncs over HTTP, and what each change does to the rows that the engine goes by."""

import json
import uuid
from typing import Any

from tests.support.api import KEY, RunningApi
from tests.support.records import write_records

from springline.domain.records import DeletedReason
from springline.store.database import Database

CREDENTIAL = {"properties": {"kind": "stripe_key", "secret": KEY}}


async def sources(database: Database, sync_id: str) -> dict[str, int]:
    """`removed_reason` of each collection."""
    rows = await database.fetch(
        "SELECT collection_id, removed_reason FROM sources WHERE sync_id = $1 ORDER BY source_no", uuid.UUID(sync_id)
    )
    return {row["collection_id"]: row["removed_reason"] for row in rows}


async def sources_version(database: Database) -> int:
    version: int = await database.fetch_value("SELECT version FROM source_versions")
    return version


async def fence(database: Database) -> tuple[int, bool]:
    row = await database.fetch_row("SELECT epoch, active FROM sync_fences")
    assert row is not None
    return row["epoch"], row["active"]


async def test_create_with_every_field(api: RunningApi, database: Database) -> None:
    stream = await api.ours.stream()
    body: dict[str, Any] = {
        "provider": "stripe",
        "stream_id": stream["id"],
        "name": "Acme",
        "collection_ids": ["stripe:invoice", "stripe:customer", "stripe:invoice"],
        "rate_limit": {"allowed_requests": 100, "interval": 60, "max_concurrent_requests": 2},
        "credential": {**CREDENTIAL, "name": "Acme's Stripe", "metadata": {"c": 1}},
        "max_age_days": 365,
        "sync_frequency": "4h",
        "metadata": {"plan": "gold"},
        "external_id": "acme-1",
        "priority": 7,
        "collection_priorities": {"stripe:invoice": 9},
    }
    reply = await api.ours.post("/v1/syncs", body)
    made = reply.expect(201)
    assert reply.headers["Location"] == f"/v1/syncs/{made['id']}"
    assert made["collection_ids"] == ["stripe:invoice", "stripe:customer"]
    for name in set(body) - {"credential", "collection_ids"}:
        assert made[name] == body[name], name
    assert b'"interval":60,' in reply.body
    assert (made["status"], made["initial_backfill_completed_at"], made["org_id"]) == ("active", None, stream["org_id"])
    credential = (await api.ours.get(f"/v1/credentials/{made['credential_id']}")).expect(200)
    assert made["credential"] == credential
    assert (credential["name"], credential["metadata"]) == ("Acme's Stripe", {"c": 1})
    assert credential["properties"]["secret"] == "************"
    fine = {"status": "ok", "notes": [], "time": made["created_at"]}
    assert made["health"] == {
        "status": "healthy",
        "sync_id": made["id"],
        "credential": fine,
        "provider": fine,
        "collections": {"stripe:invoice": fine, "stripe:customer": fine},
    }
    nothing_yet = {
        "phase": "backfill", "records": 0, "requests": 0, "poll_interval_seconds": None, "lag_seconds": None,
        "last_sweep_completed_at": None, "eta": None, "waiting_for": None,
    }  # fmt: skip
    assert made["progress"] == {"stripe:invoice": nothing_yet, "stripe:customer": nothing_yet}
    assert (await api.ours.get(f"/v1/syncs/{made['id']}")).expect(200) == made
    assert (await api.ours.get("/v1/syncs")).expect(200) == {"data": [made], "next_cursor": None}

    assert await sources(database, made["id"]) == {"stripe:invoice": 0, "stripe:customer": 0}
    assert await fence(database) == (0, True)
    assert await sources_version(database) == 1
    assert api.woken["syncs"] == 1


async def test_what_is_left_out(api: RunningApi) -> None:
    made = await api.ours.sync(rate_limit=None, max_age_days=None, external_id=None, collection_priorities={})
    assert (made["max_age_days"], made["sync_frequency"], made["external_id"]) == (None, "continuous", None)
    assert (made["metadata"], made["priority"], made["collection_priorities"]) == ({}, 5, {})
    stripe = (await api.ours.get("/v1/providers/stripe")).expect(200)
    assert made["rate_limit"] == stripe["credential_kinds"][0]["default_rate_limit"]
    live = await api.ours.credential("sk_live_one")
    of_live = await api.ours.sync(credential_id=live["id"])
    assert of_live["rate_limit"]["allowed_requests"] > made["rate_limit"]["allowed_requests"]
    part = await api.ours.sync(credential_id=live["id"], rate_limit={"allowed_requests": 5, "interval": 0.5})
    assert part["rate_limit"] == {"allowed_requests": 5, "interval": 0.5, "max_concurrent_requests": 0}


async def test_an_inline_credential_is_an_upsert_by_account(api: RunningApi) -> None:
    first = await api.ours.sync(credential=CREDENTIAL)
    second = await api.ours.sync(credential=CREDENTIAL)
    assert second["credential_id"] == first["credential_id"]
    stream = await api.ours.stream()
    body = {"provider": "stripe", "name": "a", "collection_ids": ["stripe:plan"], "stream_id": stream["id"]}
    dead = {"properties": {"kind": "stripe_key", "secret": "sk_live_dead"}}
    reply = await api.ours.post("/v1/syncs", {**body, "credential": dead})
    assert (reply.status, reply.code, list(reply.fields)) == (422, "credential.rejected", ["credential.properties"])
    (await api.ours.post("/v1/syncs", {**body, "credential": dead}, verify="false")).expect(201)


async def test_nothing_is_imported_if_anything_is_wrong(api: RunningApi) -> None:
    body = {"provider": "stripe", "name": "a", "collection_ids": ["stripe:plan"], "credential": CREDENTIAL}
    reply = await api.ours.post("/v1/syncs", {**body, "stream_id": str(uuid.uuid4())})
    assert (reply.status, list(reply.fields)) == (422, ["stream_id"])
    assert (await api.ours.get("/v1/credentials")).expect(200)["data"] == []


async def test_one_credential_and_only_one(api: RunningApi) -> None:
    stream = await api.ours.stream()
    stripe = await api.ours.credential()
    desk = (
        await api.ours.post("/v1/credentials", {"properties": {"kind": "desk_token", "token": "t"}}, verify="false")
    ).expect(201)
    body = {"provider": "stripe", "stream_id": stream["id"], "name": "a", "collection_ids": ["stripe:plan"]}
    for given, fields in (
        ({}, {"credential": ["is required, or the credential_id of one that exists"]}),
        (
            {"credential": CREDENTIAL, "credential_id": stripe["id"]},
            {
                "credential": ["and credential_id are both given: give one of the two"],
                "credential_id": ["and credential are both given: give one of the two"],
            },
        ),
        ({"credential_id": desk["id"]}, {"credential_id": ["is a credential of desk, not of stripe"]}),
        (
            {"credential_id": str(uuid.uuid4())},
            {"credential_id": ["is not the id of a credential of this organisation"]},
        ),
        ({"credential_id": "x"}, {"credential_id": ["must be a UUID, or null"]}),
        ({"credential": 5}, {"credential": ["must be an object, or null"]}),
        (
            {"credential": {"properties": {"kind": "desk_token", "token": "t"}}},
            {"credential.properties.kind": ["is a kind of desk, not of stripe"]},
        ),
    ):
        reply = await api.ours.post("/v1/syncs", {**body, **given})
        assert (reply.status, reply.fields) == (422, fields)


async def test_unknown_collections_are_each_named(api: RunningApi) -> None:
    stream = await api.ours.stream()
    body = {"provider": "stripe", "stream_id": stream["id"], "name": "a", "credential": CREDENTIAL}
    wrong = ["stripe:custmer", "invoice", "desk:ticket", "stripe:plan"]
    reply = await api.ours.post(
        "/v1/syncs", {**body, "collection_ids": wrong, "collection_priorities": {"stripe:coupon": 1}}
    )
    assert reply.fields == {
        "collection_ids": [
            "holds `stripe:custmer`, which is no collection of Stripe; did you mean `stripe:customer`?",
            "holds `invoice`, which is no collection of Stripe; did you mean `stripe:invoice`?",
            "holds `desk:ticket`, which is no collection of Stripe",
        ],
        "collection_priorities": ["names `stripe:coupon`, which is not in collection_ids"],
    }


async def test_frequencies(api: RunningApi) -> None:
    sync = await api.ours.sync(sync_frequency="4h")
    for frequency in ("continuous", "1m", "30m", "4h", "7d", "999999m"):
        changed = await api.ours.patch(f"/v1/syncs/{sync['id']}", {"sync_frequency": frequency})
        assert changed.expect(200)["sync_frequency"] == frequency
    for wrong in ("", "0m", "4", "h", "4w", "-1h", "1.5h", "4h ", "4h\n", "9999999m", "99999d", 4, None):
        reply = await api.ours.patch(f"/v1/syncs/{sync['id']}", {"sync_frequency": wrong})
        assert (reply.status, list(reply.fields)) == (422, ["sync_frequency"]), wrong


async def test_filters(api: RunningApi, database: Database) -> None:
    one = await api.ours.sync(name="one", external_id="x", metadata={"plan": "gold"})
    two = await api.ours.sync(name="two", stream_id=one["stream_id"], credential_id=one["credential_id"])
    (await api.ours.patch(f"/v1/syncs/{two['id']}", {"status": "disabled"})).expect(200)
    health = {**one["health"], "status": "error"}
    await database.execute("UPDATE syncs SET health = $1 WHERE name = 'one'", health)
    for query, found in (
        ({"provider": "stripe"}, [one, two]),
        ({"provider": "desk"}, []),
        ({"stream_id": one["stream_id"]}, [one, two]),
        ({"stream_id": str(uuid.uuid4())}, []),
        ({"status": "disabled"}, [two]),
        ({"health.status": "error"}, [one]),
        ({"health.status": "healthy"}, [two]),
        ({"name": "one"}, [one]),
        ({"external_id": "x"}, [one]),
        ({"credential_id": one["credential_id"]}, [one, two]),
        ({"metadata": json.dumps({"plan": "gold"})}, [one]),
        ({"status": "active", "name": "two"}, []),
    ):
        listed = (await api.ours.get("/v1/syncs", **query)).expect(200)["data"]
        assert [each["id"] for each in listed] == [each["id"] for each in found], query


async def test_update_leaves_the_rest_as_it_is(api: RunningApi, database: Database) -> None:
    made = await api.ours.sync(external_id="x", max_age_days=3)
    path = f"/v1/syncs/{made['id']}"
    version = "SELECT config_version FROM syncs"
    before = await database.fetch_value(version)
    changes: dict[str, Any] = {
        "name": "other", "rate_limit": {"allowed_requests": 1, "interval": 2, "max_concurrent_requests": 3},
        "max_age_days": None, "sync_frequency": "1d", "metadata": {"a": 1}, "external_id": None, "priority": 1,
        "collection_priorities": {"stripe:customer": 2},
    }  # fmt: skip
    expected = dict(made)
    for number, (name, value) in enumerate(changes.items(), start=1):
        changed = (await api.ours.patch(path, {name: value})).expect(200)
        expected |= {name: value, "updated_at": changed["updated_at"]}
        assert changed == expected
        assert await database.fetch_value(version) == before + number
    woken = api.woken["syncs"]
    # What is so already changes nothing.
    assert (await api.ours.patch(path, changes)).expect(200) == expected
    assert await database.fetch_value(version) == before + len(changes)
    assert api.woken["syncs"] == woken


async def test_what_cannot_change(api: RunningApi) -> None:
    made = await api.ours.sync()
    body = {
        "provider": "stripe",
        "stream_id": made["stream_id"],
        "credential_id": made["credential_id"],
        "credential": {},
    }
    reply = await api.ours.patch(f"/v1/syncs/{made['id']}", body)
    assert (reply.status, set(reply.fields)) == (422, set(body))
    assert all(sentences == ["cannot change; the way is a new sync"] for sentences in reply.fields.values())
    for change, field in (
        ({"name": None}, "name"),
        ({"rate_limit": None}, "rate_limit"),
        ({"rate_limit": {"interval": 5}}, "rate_limit.allowed_requests"),
        ({"status": "paused"}, "status"),
        ({"collection_ids": []}, "collection_ids"),
        ({"id": made["id"]}, "id"),
    ):
        reply = await api.ours.patch(f"/v1/syncs/{made['id']}", change)
        assert (reply.status, list(reply.fields)) == (422, [field])


async def test_disable_stops_commits(api: RunningApi, database: Database) -> None:
    """I3: the fence is closed in the transaction that disables."""
    made = await api.ours.sync()
    path = f"/v1/syncs/{made['id']}"
    assert (await api.ours.patch(path, {"status": "disabled"})).expect(200)["status"] == "disabled"
    assert await fence(database) == (0, False)
    assert (await api.ours.patch(path, {"status": "active"})).expect(200)["status"] == "active"
    assert await fence(database) == (0, True)


async def test_collections_come_and_go(api: RunningApi, database: Database) -> None:
    made = await api.ours.sync(
        collection_ids=["stripe:customer", "stripe:plan"], collection_priorities={"stripe:plan": 9}
    )
    path = f"/v1/syncs/{made['id']}"
    version = await sources_version(database)
    changed = (await api.ours.patch(path, {"collection_ids": ["stripe:invoice", "stripe:customer"]})).expect(200)
    assert changed["collection_ids"] == ["stripe:invoice", "stripe:customer"]
    assert changed["collection_priorities"] == {}
    assert list(changed["progress"]) == list(changed["health"]["collections"]) == changed["collection_ids"]
    assert await sources(database, made["id"]) == {
        "stripe:customer": 0, "stripe:plan": DeletedReason.collection_removed, "stripe:invoice": 0
    }  # fmt: skip
    assert await sources_version(database) == version + 1
    # One that comes back stays the source it was, but begins anew.
    (await api.ours.patch(path, {"collection_ids": ["stripe:customer", "stripe:plan"]})).expect(200)
    assert await sources(database, made["id"]) == {
        "stripe:customer": 0, "stripe:plan": 0, "stripe:invoice": DeletedReason.collection_removed
    }  # fmt: skip
    assert await sources_version(database) == version + 2
    generations = await database.fetch("SELECT collection_id, generation FROM sources ORDER BY source_no")
    assert {row["collection_id"]: row["generation"] for row in generations} == {
        "stripe:customer": 0,
        "stripe:plan": 1,
        "stripe:invoice": 0,
    }
    reply = await api.ours.patch(path, {"collection_ids": ["stripe:customer", "stripe:plans"]})
    assert (reply.status, list(reply.fields)) == (422, ["collection_ids"])


async def test_delete(api: RunningApi, database: Database) -> None:
    made = await api.ours.sync(collection_ids=["stripe:customer", "stripe:plan"])
    path = f"/v1/syncs/{made['id']}"
    await write_records(database, made["id"], ["cus_1"])
    woken = api.woken["syncs"]
    (await api.ours.delete(path)).expect(204)
    assert api.woken["syncs"] == woken + 1
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await api.ours.request(method, path, body)).code == "sync.not_found"
    assert (await api.ours.get("/v1/syncs")).expect(200)["data"] == []
    assert await fence(database) == (0, False)
    assert set((await sources(database, made["id"])).values()) == {DeletedReason.sync_deleted}
    assert (await api.ours.get(f"/v1/streams/{made['stream_id']}")).expect(200)["sync_count"] == 0


async def test_delete_and_keep_the_records(api: RunningApi, database: Database) -> None:
    made = await api.ours.sync()
    (record,) = await write_records(database, made["id"], ["cus_1"])
    (await api.ours.delete(f"/v1/syncs/{made['id']}", keep_records="true")).expect(204)
    assert await fence(database) == (0, False)
    assert set((await sources(database, made["id"])).values()) == {0}
    assert (await api.ours.get(f"/v1/records/{record}")).expect(200)["sync"]["id"] == made["id"]


async def test_erase_is_not_there_yet(api: RunningApi) -> None:
    made = await api.ours.sync()
    reply = await api.ours.delete(f"/v1/syncs/{made['id']}", erase="true")
    assert (reply.status, list(reply.fields)) == (422, ["erase"])
    (await api.ours.get(f"/v1/syncs/{made['id']}")).expect(200)


async def test_what_the_worker_says(api: RunningApi, database: Database) -> None:
    made = await api.ours.sync(collection_ids=["stripe:customer", "stripe:plan"])
    bad = {"status": "error", "notes": ["Stripe answers 403 since 12:00."], "time": "2026-01-31T12:00:00Z"}
    health = {**made["health"], "status": "error", "collections": {"stripe:customer": bad, "stripe:gone": bad}}
    progress = {
        "stripe:customer": {"phase": "live", "records": 7, "requests": 3, "poll_interval_seconds": 2, "more": 1},
        "stripe:plan": "nonsense",
    }
    await database.execute("UPDATE syncs SET health = $1, progress = $2", health, progress)
    read = (await api.ours.get(f"/v1/syncs/{made['id']}")).expect(200)
    assert read["health"]["status"] == "error"
    assert read["health"]["collections"] == {"stripe:customer": bad, "stripe:plan": made["health"]["provider"]}
    customer = read["progress"]["stripe:customer"]
    assert (customer["phase"], customer["records"], customer["poll_interval_seconds"]) == ("live", 7, 2)
    assert read["progress"]["stripe:plan"] == made["progress"]["stripe:plan"]
    await database.execute("UPDATE syncs SET health = '[]', progress = '5'")
    read = (await api.ours.get(f"/v1/syncs/{made['id']}")).expect(200)
    assert (read["health"], read["progress"]) == (made["health"], made["progress"])
