"""Credentials over HTTP: an upsert by account, tried against the provider."""

import asyncio
import uuid
from typing import Any

from tests.support.api import KEY, RunningApi

from springline.sandbox.common.faults import HtmlFault, Match, StatusFault, TimeoutFault
from springline.sandbox.stripe.server import RunningSandbox
from springline.store.database import Database

OTHER_KEY = "sk_test_another"


def add_key(sandbox: RunningSandbox, key: str) -> None:
    sandbox.sandbox.keys.put(key, account_id=None, state="active", permissions={})


def stripe_key(secret: str = KEY, **more: Any) -> dict[str, Any]:
    return {"properties": {"kind": "stripe_key", "secret": secret, **more}}


async def test_import_then_read_back(api: RunningApi, database: Database) -> None:
    body = {**stripe_key(test=True, name="Acme"), "name": "Acme's Stripe", "metadata": {"plan": "gold"}}
    reply = await api.ours.post("/v1/credentials", body)
    made = reply.expect(201)
    assert reply.headers["Location"] == f"/v1/credentials/{made['id']}"
    assert made["properties"] == {"kind": "stripe_key", "secret": "************", "test": True, "name": "Acme"}
    assert (made["provider"], made["kind"], made["name"]) == ("stripe", "stripe_key", "Acme's Stripe")
    assert (made["metadata"], made["oauth_app_id"], made["oauth_app"]) == ({"plan": "gold"}, None, None)
    assert (made["health"]["status"], made["health"]["notes"]) == ("ok", [])
    read = await api.ours.get(f"/v1/credentials/{made['id']}")
    assert read.expect(200) == made
    assert KEY.encode() not in read.body
    row = await database.fetch_row("SELECT * FROM credentials")
    assert row is not None
    assert KEY not in str(dict(row))


async def test_the_same_account_twice_is_one_credential(api: RunningApi) -> None:
    first = (await api.ours.post("/v1/credentials", {**stripe_key(), "name": "one", "metadata": {"a": 1}})).expect(201)
    again = (await api.ours.post("/v1/credentials", stripe_key())).expect(200)
    assert again == first
    # Another key of the same account: verified, so it takes the place of the first.
    other = (await api.ours.post("/v1/credentials", {**stripe_key(OTHER_KEY, test=True), "name": "two"})).expect(200)
    assert (other["id"], other["name"], other["metadata"]) == (first["id"], "two", {"a": 1})
    assert other["properties"]["test"] is True
    properties = await _secrets(api, first["id"])
    assert properties == {"secret": OTHER_KEY, "test": True}


async def test_one_account_many_callers(api: RunningApi) -> None:
    replies = await asyncio.gather(*(api.ours.post("/v1/credentials", stripe_key()) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200] * 9 + [201]
    assert len({reply.value["id"] for reply in replies}) == 1


async def test_what_was_not_verified_replaces_nothing(api: RunningApi) -> None:
    desk = {"kind": "desk_token", "token": "one", "desk_id": "d1"}
    first = (await api.ours.post("/v1/credentials", {"properties": desk}, verify="false")).expect(201)
    (await api.ours.post("/v1/credentials", {"properties": desk}, verify="false")).expect(200)
    reply = await api.ours.post("/v1/credentials", {"properties": {**desk, "token": "two"}}, verify="false")
    assert (reply.status, reply.code) == (409, "credential.unverified_replacement")
    assert await _secrets(api, first["id"]) == {"token": "one", "desk_id": "d1"}
    woken = api.woken["syncs"]
    replaced = await api.ours.post(
        "/v1/credentials", {"properties": {**desk, "token": "two"}}, verify="false", replace="true"
    )
    assert replaced.expect(200)["id"] == first["id"]
    assert await _secrets(api, first["id"]) == {"token": "two", "desk_id": "d1"}
    assert api.woken["syncs"] == woken + 1


async def test_a_key_that_nobody_knows_by_account_is_known_by_itself(api: RunningApi) -> None:
    unverified = await api.ours.credential(KEY)
    # The same key, and now the provider says whose it is: one credential, not two.
    assert (await api.ours.post("/v1/credentials", stripe_key())).expect(200)["id"] == unverified["id"]
    assert (await api.ours.post("/v1/credentials", stripe_key(), verify="false")).expect(200)["id"] == unverified["id"]
    assert (await api.ours.post("/v1/credentials", stripe_key(OTHER_KEY))).expect(200)["id"] == unverified["id"]


async def test_keys_that_see_different_things_are_different(api: RunningApi, sandbox: RunningSandbox) -> None:
    add_key(sandbox, "rk_test_one")
    add_key(sandbox, "rk_test_two")
    add_key(sandbox, "sk_live_one")
    secrets = (KEY, "rk_test_one", "rk_test_two", "sk_live_one")
    made = [(await api.ours.post("/v1/credentials", stripe_key(secret))).expect(201)["id"] for secret in secrets]
    assert len(set(made)) == len(secrets)
    again = [(await api.ours.post("/v1/credentials", stripe_key(secret))).expect(200)["id"] for secret in secrets]
    assert again == made


async def test_organisations_do_not_share_accounts(api: RunningApi) -> None:
    ours = (await api.ours.post("/v1/credentials", stripe_key())).expect(201)
    theirs = (await api.theirs.post("/v1/credentials", stripe_key())).expect(201)
    assert ours["id"] != theirs["id"]


async def test_a_dead_key_is_refused_with_the_providers_words(api: RunningApi) -> None:
    reply = await api.ours.post("/v1/credentials", stripe_key("sk_live_dead"))
    assert (reply.status, reply.code) == (422, "credential.rejected")
    assert "Invalid API Key provided" in reply.value["error"]
    assert "Invalid API Key provided" in reply.fields["properties"][0]
    assert "sk_live_dead" not in reply.body.decode()
    (await api.ours.post("/v1/credentials", stripe_key("sk_live_dead"), verify="false")).expect(201)


async def test_a_provider_that_does_not_answer_well(api: RunningApi, sandbox: RunningSandbox) -> None:
    faults = sandbox.sandbox.faults
    faults.add(StatusFault(match=Match(path="/v1/*"), status=500), picture=None)
    reply = await api.ours.post("/v1/credentials", stripe_key())
    assert (reply.status, reply.code) == (502, "provider.nonsense")
    faults.clear()
    faults.add(HtmlFault(match=Match(path="/v1/*"), status=403), picture=None)
    reply = await api.ours.post("/v1/credentials", stripe_key())
    assert reply.status in {422, 502}
    assert reply.code in {"credential.rejected", "provider.nonsense"}
    faults.clear()
    faults.add(TimeoutFault(match=Match(path="/v1/*"), seconds=0.1), picture=None)
    reply = await api.ours.post("/v1/credentials", stripe_key())
    assert (reply.status, reply.code) == (504, "provider.timeout")
    # Desk is where nobody listens.
    reply = await api.ours.post("/v1/credentials", {"properties": {"kind": "desk_token", "token": "t"}})
    assert (reply.status, reply.code) == (504, "provider.timeout")
    assert (await api.ours.get("/v1/credentials")).expect(200)["data"] == []


KINDS = "must be one of `stripe_key`, `github_token`, `github_app`, `desk_token`"

WRONG_PROPERTIES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"kind": "is required"}),
    ({"kind": 5}, {"kind": KINDS}),
    ({"kind": "stripe_kei"}, {"kind": f"{KINDS}; did you mean `stripe_key`?"}),
    ({"kind": "stripe_key"}, {"secret": "is required"}),
    ({"kind": "stripe_key", "secret": None}, {"secret": "is required"}),
    (
        {"kind": "stripe_key", "secret": "*****", "test": "yes", "acount": "acct_1"},
        {
            "secret": "is our mask of a secret; send the secret itself, or leave the field out",
            "test": "must be true or false",
            "acount": "is unknown for `stripe_key`; did you mean `account`?",
        },
    ),
    ({"kind": "stripe_key", "secret": ""}, {"secret": "must not be empty"}),
    (
        {"kind": "stripe_key", "secret": "sk_test_1\n"},
        {"secret": "must not hold line breaks or other control characters"},
    ),
    (
        {"kind": "stripe_key", "secret": "sk_test_1", "secret_key": "sk_test_2"},
        {"secret_key": "is another name of `secret`: give one of the two"},
    ),
    (
        {"kind": "stripe_key", "secret": "sk_live_1", "test": True},
        {"secret": "does not fit test=true: the key's own prefix says otherwise"},
    ),
    (
        {"kind": "desk_token", "token": 1, "seats": True, "scopes": ["a", 1], "desk_id": "a\0"},
        {
            "token": "must be a string",
            "seats": "must be a whole number",
            "scopes": "must be a list of strings",
            "desk_id": "must not hold the character U+0000",
        },
    ),
]


async def test_properties_fit_their_kind(api: RunningApi) -> None:
    for properties, fields in WRONG_PROPERTIES:
        reply = await api.ours.post("/v1/credentials", {"properties": properties})
        assert reply.status == 422
        assert reply.fields == {f"properties.{name}": [sentence] for name, sentence in fields.items()}


async def test_names_that_were_documented_once(api: RunningApi) -> None:
    made = (await api.ours.post("/v1/credentials", {"properties": {"kind": "stripe", "secret_key": KEY}})).expect(201)
    assert made["properties"] == {"kind": "stripe_key", "secret": "************"}


async def test_filters(api: RunningApi, database: Database) -> None:
    stripe = await api.ours.credential()
    desk = (
        await api.ours.post("/v1/credentials", {"properties": {"kind": "desk", "token": "t"}}, verify="false")
    ).expect(201)
    await database.execute(
        """UPDATE credentials SET health = '{"status": "error", "notes": ["x"]}' WHERE provider = 'desk'"""
    )
    for query, found in (
        ({"provider": "stripe"}, [stripe]),
        ({"provider": "nothing"}, []),
        ({"kind": "desk_token"}, [desk]),
        ({"health.status": "error"}, [desk]),
        ({"health.status": "ok"}, [stripe]),
        ({"health.status": "ok", "provider": "desk"}, []),
    ):
        listed = (await api.ours.get("/v1/credentials", **query)).expect(200)["data"]
        assert [each["id"] for each in listed] == [each["id"] for each in found]
    reply = await api.ours.get("/v1/credentials", **{"health.status": "healthy"})
    assert (reply.status, list(reply.fields)) == (422, ["health.status"])


async def test_change_name_and_metadata(api: RunningApi) -> None:
    made = await api.ours.credential(name="one", metadata={"a": 1})
    path = f"/v1/credentials/{made['id']}"
    changed = (await api.ours.patch(path, {"name": "two"})).expect(200)
    assert (changed["name"], changed["metadata"], changed["properties"]) == ("two", {"a": 1}, made["properties"])
    changed = (await api.ours.patch(path, {"name": None, "metadata": {}})).expect(200)
    assert (changed["name"], changed["metadata"]) == (None, {})
    reply = await api.ours.patch(path, {"provider": "desk", "kind": "desk_token", "oauth_app_id": None})
    assert set(reply.fields) == {"provider", "kind", "oauth_app_id"}
    assert all(sentences == ["cannot change; create another credential"] for sentences in reply.fields.values())


async def test_replace_a_dead_key(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync(credential=stripe_key(KEY, name="Acme"))
    path = f"/v1/credentials/{sync['credential_id']}"
    await database.execute("""UPDATE credentials SET health = '{"status": "error", "notes": ["dead"]}'""")
    version = await database.fetch_value("SELECT config_version FROM syncs")
    woken = api.woken["syncs"]
    changed = (await api.ours.patch(path, {"properties": {"secret": OTHER_KEY}})).expect(200)
    assert changed["properties"] == {"kind": "stripe_key", "secret": "************", "name": "Acme"}
    assert changed["health"]["status"] == "ok"
    assert await _secrets(api, sync["credential_id"]) == {"secret": OTHER_KEY, "name": "Acme"}
    # Its syncs take it up.
    assert await database.fetch_value("SELECT config_version FROM syncs") == version + 1
    assert api.woken["syncs"] == woken + 1
    changed = (await api.ours.patch(path, {"properties": {"name": None}})).expect(200)
    assert changed["properties"] == {"kind": "stripe_key", "secret": "************"}


async def test_another_account_is_another_credential(api: RunningApi, sandbox: RunningSandbox) -> None:
    add_key(sandbox, "sk_live_one")
    made = (await api.ours.post("/v1/credentials", stripe_key())).expect(201)
    path = f"/v1/credentials/{made['id']}"
    reply = await api.ours.patch(path, {"properties": {"secret": "sk_live_one"}})
    assert (reply.status, list(reply.fields)) == (422, ["properties"])
    reply = await api.ours.patch(path, {"properties": {"kind": "desk_token", "token": "t"}})
    assert (reply.status, list(reply.fields)) == (422, ["properties.kind"])
    reply = await api.ours.patch(path, {"properties": {"secret": "************"}})
    assert (reply.status, list(reply.fields)) == (422, ["properties.secret"])
    reply = await api.ours.patch(path, {"properties": {"secret": "sk_live_dead"}})
    assert (reply.status, reply.code) == (422, "credential.rejected")
    assert await _secrets(api, made["id"]) == {"secret": KEY}


async def test_a_restricted_key_is_replaced_by_a_restricted_key(api: RunningApi, sandbox: RunningSandbox) -> None:
    for key in ("rk_test_one", "rk_test_two", "rk_test_three"):
        add_key(sandbox, key)
    made = (await api.ours.post("/v1/credentials", stripe_key("rk_test_one"))).expect(201)
    path = f"/v1/credentials/{made['id']}"
    (await api.ours.patch(path, {"properties": {"secret": "rk_test_two"}})).expect(200)
    assert (await api.ours.post("/v1/credentials", stripe_key("rk_test_two"))).expect(200)["id"] == made["id"]
    third = (await api.ours.post("/v1/credentials", stripe_key("rk_test_three"))).expect(201)
    assert third["id"] != made["id"]
    reply = await api.ours.patch(path, {"properties": {"secret": "rk_test_three"}})
    assert (reply.status, reply.code) == (409, "credential.exists")


async def test_delete(api: RunningApi, database: Database) -> None:
    sync = await api.ours.sync()
    path = f"/v1/credentials/{sync['credential_id']}"
    reply = await api.ours.delete(path)
    assert (reply.status, reply.code) == (409, "credential.in_use")
    # Its records are leaving: it counts as in use until they have.
    (await api.ours.delete(f"/v1/syncs/{sync['id']}")).expect(204)
    assert (await api.ours.delete(path)).code == "credential.in_use"
    await database.execute("UPDATE syncs SET credential_no = NULL")
    (await api.ours.delete(path)).expect(204)
    assert (await api.ours.delete(path)).code == "credential.not_found"


async def test_delete_where_the_records_are_kept(api: RunningApi) -> None:
    sync = await api.ours.sync()
    (await api.ours.delete(f"/v1/syncs/{sync['id']}", keep_records="true")).expect(204)
    (await api.ours.delete(f"/v1/credentials/{sync['credential_id']}")).expect(204)


async def _secrets(api: RunningApi, credential_id: str) -> dict[str, Any]:

    org_id = uuid.UUID((await api.ours.stream())["org_id"])
    properties = await api.services.credentials.properties(org_id, uuid.UUID(credential_id))
    assert properties is not None
    return properties.reveal()
