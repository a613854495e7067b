"""OAuth apps over HTTP, and credentials that are made with one."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.api import RunningApi, running_api
from tests.support.hub_side import APP_ID, INSTALLATION, HubSide, app_pem, hub_side, pem_of

from springline.store.database import Database

MASK = "************"


@pytest.fixture
async def side() -> AsyncIterator[HubSide]:
    async with hub_side() as opened:
        yield opened


@pytest.fixture
async def api(database: Database, side: HubSide) -> AsyncIterator[RunningApi]:
    async with running_api(database, stripe_url="http://127.0.0.1:1", hub_url=side.url) as running:
        yield running


def hub_app(**fields: Any) -> dict[str, Any]:
    key = {"app_id": APP_ID, "private_key": app_pem()}
    return {"provider": "hub", "name": "ours", "client_id": "Iv1.ours", **key, **fields}


def installed(installation_id: int = INSTALLATION, **more: Any) -> dict[str, Any]:
    return {"properties": {"kind": "hub_app", "installation_id": installation_id, **more}}


async def test_create_then_read_back(api: RunningApi, database: Database) -> None:
    given = hub_app(client_secret="canary-secret", redirect_uris=["https://us.example/back"], metadata={"a": 1})
    reply = await api.ours.post("/v1/oauth-apps", given)
    made = reply.expect(201)
    assert reply.headers["Location"] == f"/v1/oauth-apps/{made['id']}"
    assert made["health"]["status"] == "ok"
    masked = {**given, "client_secret": MASK, "private_key": MASK}
    assert {name: made[name] for name in given} == masked
    assert (await api.ours.get(f"/v1/oauth-apps/{made['id']}")).expect(200) == made
    assert (await api.ours.get("/v1/oauth-apps")).expect(200)["data"] == [made]
    # In clear only where it is asked for, and nothing between may keep it.
    for path in (f"/v1/oauth-apps/{made['id']}", "/v1/oauth-apps"):
        clear = await api.ours.get(path, truncate_secrets="false")
        value = clear.expect(200)
        value = value["data"][0] if "data" in value else value
        assert {name: value[name] for name in given} == given
        assert clear.headers["Cache-Control"] == "no-store"
    row = await database.fetch_row("SELECT * FROM oauth_apps")
    assert row is not None
    assert "canary-secret" not in str(dict(row))
    assert app_pem()[40:80] not in str(dict(row))


async def test_an_app_of_another_kind(api: RunningApi) -> None:
    made = await api.ours.oauth_app()
    assert made["client_secret"] == MASK
    assert "app_id" not in made
    assert "private_key" not in made
    assert (made["redirect_uris"], made["metadata"]) == ([], {})


async def test_what_cannot_be_an_app(api: RunningApi) -> None:
    ed25519 = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    stripe = {"provider": "stripe", "name": "s", "client_id": "ca_1"}
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({}, {"provider": "is required", "name": "is required", "client_id": "is required"}),
        ({**stripe, "provider": "strip"}, {"provider": "must be one of"}),
        (stripe, {"client_secret": "is required"}),
        ({**stripe, "client_secret": MASK}, {"client_secret": "is our mask"}),
        ({**stripe, "client_secret": ""}, {"client_secret": "must not be empty"}),
        ({**stripe, "client_secret": "s", "app_id": 1}, {"app_id": "is not a field of Stripe's"}),
        ({**stripe, "client_secret": "s", "private_key": "k"}, {"private_key": "is not a field of Stripe's"}),
        ({"provider": "hub", "name": "h", "client_id": "i"}, {"client_secret": "is required, or else app_id and"}),
        (hub_app(private_key="nonsense"), {"private_key": "is no private key in PEM"}),
        (hub_app(private_key=ed25519), {"private_key": "is no RSA key"}),
        (hub_app(app_id="acme"), {"app_id": "is no app id"}),
        (hub_app(redirect_uris=["http://us.example"]), {"redirect_uris": "must be https"}),
        (hub_app(redirect_uris=["https://u@us.example"]), {"redirect_uris": "is no https URL"}),
        (hub_app(redirect_uris=["javascript:alert(1)"]), {"redirect_uris": "is no https URL"}),
        (hub_app(webhook="x"), {"webhook": "is unknown"}),
    ]
    for body, expected in cases:
        reply = await api.ours.post("/v1/oauth-apps", body)
        assert reply.status == 422, body
        for field, words in expected.items():
            assert words in " ".join(reply.fields[field]), (body, reply.fields)
        assert set(reply.fields) == set(expected), body
    half = {name: value for name, value in hub_app().items() if name != "app_id"}
    assert (await api.ours.post("/v1/oauth-apps", half)).fields == {"app_id": ["is required"]}
    assert (await api.ours.get("/v1/oauth-apps")).expect(200)["data"] == []
    local = hub_app(redirect_uris=["http://127.0.0.1:3000/back", "http://localhost/back"])
    (await api.ours.post("/v1/oauth-apps", local)).expect(201)


async def test_change_an_app(api: RunningApi) -> None:
    made = (await api.ours.post("/v1/oauth-apps", hub_app())).expect(201)
    path = f"/v1/oauth-apps/{made['id']}"
    changes = {"name": "two", "metadata": {"b": 2}, "redirect_uris": ["https://us.example/b"], "client_secret": "new"}
    changed = (await api.ours.patch(path, changes)).expect(200)
    assert {name: changed[name] for name in changes} == {**changes, "client_secret": MASK}
    clear = (await api.ours.get(path, truncate_secrets="false")).expect(200)
    assert (clear["client_secret"], clear["private_key"], clear["app_id"]) == ("new", app_pem(), APP_ID)
    for field in ("provider", "client_id", "app_id"):
        reply = await api.ours.patch(path, {field: "x"})
        assert reply.fields == {field: ["cannot change; create another OAuth app"]}
    assert "private_key" in (await api.ours.patch(path, {"private_key": "x"})).fields
    other = await api.ours.oauth_app()
    reply = await api.ours.patch(f"/v1/oauth-apps/{other['id']}", {"private_key": app_pem()})
    assert "which this app lacks" in reply.fields["private_key"][0]


async def test_lists_are_filtered(api: RunningApi) -> None:
    hub = (await api.ours.post("/v1/oauth-apps", hub_app(metadata={"plan": "gold"}))).expect(201)
    stripe = await api.ours.oauth_app()
    for query, found in (
        ({"provider": "hub"}, [hub]),
        ({"metadata": '{"plan":"gold"}'}, [hub]),
        ({"health.status": "ok"}, [hub, stripe]),
        ({"health.status": "error"}, []),
    ):
        assert (await api.ours.request("GET", "/v1/oauth-apps", query=query)).expect(200)["data"] == found
    first = (await api.ours.get("/v1/oauth-apps", limit=1)).expect(200)
    assert first["data"] == [hub]
    assert (await api.ours.get("/v1/oauth-apps", cursor=first["next_cursor"])).expect(200)["data"] == [stripe]


async def test_a_credential_is_tried_with_its_app(api: RunningApi, side: HubSide, database: Database) -> None:
    app = (await api.ours.post("/v1/oauth-apps", hub_app())).expect(201)
    body = {**installed(account_login="acme"), "oauth_app_id": app["id"]}
    made = (await api.ours.post("/v1/credentials", body)).expect(201)
    assert made["properties"] == {"kind": "hub_app", "installation_id": INSTALLATION, "account_login": "acme"}
    assert made["oauth_app_id"] == app["id"]
    assert made["health"]["status"] == "ok"
    # The token that it was tried with is kept for its syncs.
    assert side.asked_times == 1
    assert await database.fetch_value("SELECT count(*) FROM grants WHERE secrets IS NOT NULL") == 1
    again = (await api.ours.post("/v1/credentials", body)).expect(200)
    assert again["id"] == made["id"]
    # Another installation of the same app is another credential, though neither has a secret of its own.
    side.installations[18] = "active"
    other = {**installed(18), "oauth_app_id": app["id"]}
    assert (await api.ours.post("/v1/credentials", other)).expect(201)["id"] != made["id"]
    reply = await api.ours.delete(f"/v1/oauth-apps/{app['id']}")
    assert (reply.status, reply.code) == (409, "oauth_app.in_use")
    for credential in (await api.ours.get("/v1/credentials")).expect(200)["data"]:
        (await api.ours.delete(f"/v1/credentials/{credential['id']}")).expect(204)
    (await api.ours.delete(f"/v1/oauth-apps/{app['id']}")).expect(204)
    (await api.ours.get(f"/v1/oauth-apps/{app['id']}")).expect(404)


async def test_an_installation_moves_to_another_app_object(api: RunningApi, side: HubSide) -> None:
    one, two = [(await api.ours.post("/v1/oauth-apps", hub_app())).expect(201) for _ in range(2)]
    first = (await api.ours.post("/v1/credentials", {**installed(), "oauth_app_id": one["id"]})).expect(201)
    moved = (await api.ours.post("/v1/credentials", {**installed(), "oauth_app_id": two["id"]})).expect(200)
    assert (moved["id"], moved["oauth_app_id"]) == (first["id"], two["id"])
    kept = (await api.ours.patch(f"/v1/credentials/{first['id']}", {"properties": {"account_login": "acme"}})).expect(
        200
    )
    assert (kept["oauth_app_id"], kept["properties"]["account_login"]) == (two["id"], "acme")


async def test_a_credential_needs_the_right_app(api: RunningApi, side: HubSide) -> None:
    stripe = await api.ours.oauth_app()
    plain = (await api.ours.post("/v1/oauth-apps", {**stripe_like("hub")})).expect(201)
    theirs = (await api.theirs.post("/v1/oauth-apps", hub_app())).expect(201)
    cases = [
        (None, "is required for `hub_app`"),
        (stripe["id"], "is an app of stripe, not of hub"),
        (plain["id"], "is an app without app_id and private_key"),
        (theirs["id"], "is not the id of an OAuth app of this organisation"),
        (str(uuid.uuid4()), "is not the id of an OAuth app of this organisation"),
    ]
    for app_id, words in cases:
        reply = await api.ours.post("/v1/credentials", {**installed(), "oauth_app_id": app_id})
        assert reply.status == 422
        assert words in reply.fields["oauth_app_id"][0]
        stream = await api.ours.stream()
        sync = {"provider": "hub", "name": "s", "collection_ids": ["hub:repository"], "stream_id": stream["id"]}
        reply = await api.ours.post("/v1/syncs", {**sync, "credential": {**installed(), "oauth_app_id": app_id}})
        assert words in reply.fields["credential.oauth_app_id"][0]
    key = {"properties": {"kind": "stripe_key", "secret": "sk_test_x"}, "oauth_app_id": stripe["id"]}
    reply = await api.ours.post("/v1/credentials", key, verify="false")
    assert reply.fields == {"oauth_app_id": ["is not used by `stripe_key`; leave it out"]}
    assert side.asked_times == 0


def stripe_like(provider: str) -> dict[str, Any]:
    return {"provider": provider, "name": "plain", "client_id": "c", "client_secret": "s"}


async def test_what_the_provider_refuses(api: RunningApi, side: HubSide) -> None:
    app = (await api.ours.post("/v1/oauth-apps", hub_app())).expect(201)
    body = {**installed(), "oauth_app_id": app["id"]}
    side.installations[INSTALLATION] = "suspended"
    reply = await api.ours.post("/v1/credentials", body)
    assert (reply.status, reply.code) == (422, "credential.rejected")
    assert "suspended" in reply.fields["properties"][0]
    assert "unsuspend" in reply.fields["properties"][0]
    side.installations.clear()
    reply = await api.ours.post("/v1/credentials", body)
    assert (reply.status, reply.code) == (422, "credential.rejected")
    assert "not installed there any more" in reply.fields["properties"][0]
    # Just installed, and one replica does not know it yet.
    side.installations[INSTALLATION] = "active"
    side.failing = [404]
    (await api.ours.post("/v1/credentials", body)).expect(201)
    side.failing = [502]
    reply = await api.ours.post("/v1/credentials", {**installed(account_login="x"), "oauth_app_id": app["id"]})
    assert (reply.status, reply.code) == (502, "provider.nonsense")
    wrong = pem_of(generate_private_key(65537, 2048))
    (await api.ours.patch(f"/v1/oauth-apps/{app['id']}", {"private_key": wrong})).expect(200)
    reply = await api.ours.post("/v1/credentials", body)
    assert reply.status == 422
    assert "private key" in reply.fields["properties"][0]
    reply = await api.ours.post("/v1/credentials", {**installed(0), "oauth_app_id": app["id"]})
    assert "installation_id" in reply.fields["properties"][0]


async def test_a_refresh_token_that_has_rotated_is_what_a_change_goes_on_with(api: RunningApi, side: HubSide) -> None:
    app = (await api.ours.post("/v1/oauth-apps", stripe_like("hub"))).expect(201)
    side.refresh_tokens.add("ghr_first")
    user = {"kind": "hub_user", "login": "ana", "refresh_token": "ghr_first"}
    made = (await api.ours.post("/v1/credentials", {"properties": user, "oauth_app_id": app["id"]})).expect(201)
    assert made["properties"] == {**user, "refresh_token": MASK}
    for verify in ("true", "false", "true"):
        path = f"/v1/credentials/{made['id']}"
        (await api.ours.patch(path, {"properties": {"login": "ana"}}, verify=verify)).expect(200)
    assert side.refusals == []
    reply = await api.ours.post("/v1/credentials", {"properties": user, "oauth_app_id": app["id"]})
    assert (reply.status, reply.code) == (422, "credential.rejected")
    assert "Connect the account again" in reply.fields["properties"][0]


async def test_many_callers_make_one_credential(api: RunningApi, side: HubSide) -> None:
    app = (await api.ours.post("/v1/oauth-apps", hub_app())).expect(201)
    body = {**installed(), "oauth_app_id": app["id"]}
    replies = await asyncio.gather(*(api.ours.post("/v1/credentials", body) for _ in range(6)))
    assert sorted(reply.status for reply in replies) == [200] * 5 + [201]
    assert len({reply.value["id"] for reply in replies}) == 1


async def test_providers_say_which_kinds_need_an_app(api: RunningApi) -> None:
    shown = (await api.ours.get("/v1/providers/hub")).expect(200)
    assert {kind["name"]: kind["needs_oauth_app"] for kind in shown["credential_kinds"]} == {
        "hub_app": True,
        "hub_user": True,
    }
    stripe = (await api.ours.get("/v1/providers/stripe")).expect(200)
    assert [kind["needs_oauth_app"] for kind in stripe["credential_kinds"]] == [False]
