"""What an account has and a key may: restricted keys, Connect, Issuing, and what no event tells of."""

import pytest
from tests.sandbox.sandbox_client import NOW, SandboxClient

from springline.sandbox.stripe.collections import COLLECTIONS

RESTRICTED = "rk_test_reader"
SILENT = ("balance_transaction", "customer_balance_transaction", "file_link", "shipping_rate", "webhook_endpoint")


@pytest.mark.parametrize("name", [kind.name for kind in COLLECTIONS])
async def test_a_restricted_key_lacks_one_resource_only(stripe: SandboxClient, name: str) -> None:
    kind = next(kind for kind in COLLECTIONS if kind.name == name)
    [object_id] = await stripe.seed(name, 1)
    await stripe.control("POST", "/keys", {"key": RESTRICTED, "permissions": {name: "none"}})
    path = kind.path
    if path is None:
        assert kind.parent is not None
        above = next(other.path for other in COLLECTIONS if other.name == kind.parent.collection)
        path = f"{above}/x/{kind.parent.segment}"
    for url in (f"/v1/{path}", f"/v1/{path}/{object_id}"):
        reply = await stripe.get(url, key=RESTRICTED)
        assert reply.status == 403
        assert f"Having the 'rak_{name}_read' permission" in reply.error["message"]
    assert (await stripe.get("/v1/events", key=RESTRICTED)).status == 200
    assert (await stripe.get("/v1/customers" if name != "customer" else "/v1/charges", key=RESTRICTED)).status == 200


async def test_a_nested_path_needs_its_parents_permission_too(stripe: SandboxClient) -> None:
    customer = await stripe.new_customer()
    await stripe.control("POST", "/keys", {"key": RESTRICTED, "permissions": {"customer": "none"}})
    reply = await stripe.get(f"/v1/customers/{customer}/tax_ids", key=RESTRICTED)
    assert (reply.status, "rak_customer_read" in reply.error["message"]) == (403, True)
    await stripe.control("POST", "/keys", {"key": RESTRICTED, "permissions": {"tax_id": "read", "customer": "read"}})
    assert (await stripe.get(f"/v1/customers/{customer}/tax_ids", key=RESTRICTED)).status == 200
    reply = await stripe.request("POST", f"/v1/customers/{customer}/tax_ids", form={}, key=RESTRICTED)
    assert "rak_tax_id_write" in reply.error["message"]


async def test_an_account_without_issuing(stripe: SandboxClient) -> None:
    assert await stripe.control("GET", "/features") == {"connect": True, "issuing": True}
    await stripe.control("POST", "/features", {"issuing": False})
    for name in ("cards", "cardholders", "authorizations", "transactions", "disputes"):
        reply = await stripe.get(f"/v1/issuing/{name}")
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert reply.error["message"].startswith("Your account is not set up to use Issuing.")
    assert (await stripe.get("/v1/accounts")).status == 200
    assert await stripe.control("POST", "/features", {"issuing": True}) == {"connect": True, "issuing": True}
    assert (await stripe.get("/v1/issuing/cards")).status == 200


async def test_an_account_that_is_no_platform(stripe: SandboxClient) -> None:
    own = (await stripe.get("/v1/account")).value["id"]
    await stripe.control("POST", "/features", {"connect": False})
    for path in ("accounts", "application_fees"):
        reply = await stripe.get(f"/v1/{path}")
        assert (reply.status, "Only Stripe Connect platforms" in reply.error["message"]) == (403, True)
    assert (await stripe.get(f"/v1/accounts/{own}")).value["id"] == own


async def test_events_of_connected_accounts_name_them(stripe: SandboxClient) -> None:
    account = (await stripe.make("/v1/accounts", type="express", country="DE"))["id"]
    await stripe.make(f"/v1/accounts/{account}", email="shop@example.com")
    assert (await stripe.delete(f"/v1/accounts/{account}")).value["deleted"] is True
    assert (await stripe.get("/v1/accounts")).ids == []
    assert (await stripe.get(f"/v1/accounts/{account}")).error["code"] == "account_invalid"
    events = await stripe.events()
    assert [(event["type"], event["account"]) for event in events] == [
        ("account.updated", account),
        ("account.application.deauthorized", account),
    ]
    assert events[1]["data"]["object"]["object"] == "application"


async def test_what_no_event_tells_of(stripe: SandboxClient) -> None:
    file = (await stripe.control("POST", "/objects/file", {"set": {"filename": "a.pdf"}}))["id"]
    customer = await stripe.new_customer()
    since = len(await stripe.told())
    link = await stripe.make("/v1/file_links", file=file)
    await stripe.make(f"/v1/file_links/{link['id']}", expires_at="now")
    assert (await stripe.get("/v1/file_links", expired="true")).ids == [link["id"]]
    rate = await stripe.make("/v1/shipping_rates", display_name="By boat")
    await stripe.make(f"/v1/shipping_rates/{rate['id']}", active="false")
    form = {"url": "https://example.com", "enabled_events[]": "*"}
    endpoint = await stripe.make("/v1/webhook_endpoints", form)
    assert endpoint["secret"].startswith("whsec_")
    assert "secret" not in (await stripe.get(f"/v1/webhook_endpoints/{endpoint['id']}")).value
    await stripe.delete(f"/v1/webhook_endpoints/{endpoint['id']}")
    assert await stripe.told(since=since) == []
    await stripe.make(f"/v1/customers/{customer}/balance_transactions", amount=5, currency="usd")
    assert await stripe.told(since=since) == ["customer.updated"]
    for name in SILENT:
        assert next(kind.events for kind in COLLECTIONS if kind.name == name) == ()


async def test_events_of_every_collection_are_kept_for_thirty_days(stripe: SandboxClient) -> None:
    for kind in COLLECTIONS:
        await stripe.seed(kind.name, 1, created_from=int(NOW), created_until=int(NOW), events=True)
    types = {event["type"] for event in await stripe.events()}
    for kind in COLLECTIONS:
        if "created" in kind.events:
            assert f"{kind.event_prefix}.created" in types
    stripe.clock.now += 30 * 86_400
    assert await stripe.events() != []
    stripe.clock.now += 1
    assert await stripe.events() == []


async def test_an_entry_set_by_the_control_api_changes_its_parent(stripe: SandboxClient) -> None:
    [line] = await stripe.seed("invoice_line_item", 1)
    url = f"/objects/invoice_line_item/{line}"
    put = await stripe.control("POST", url, {"set": {"description": "by hand"}})
    invoice = (await stripe.get(f"/v1/invoices/{put['invoice']}")).value
    assert [entry["description"] for entry in invoice["lines"]["data"] if entry["id"] == line] == ["by hand"]
    assert (await stripe.told())[-1] == "invoice.updated"
    await stripe.control("DELETE", f"{url}?mode=vanish")
    assert line not in (await stripe.get(f"/v1/invoices/{put['invoice']}/lines", limit=100)).ids
    assert (await stripe.control_reply("GET", url)).status == 404


async def test_a_limit_on_an_endpoint_counts_what_is_alike(stripe: SandboxClient) -> None:
    for path in ("/issuing/cards/ic_1", "/customers/cus_1/tax_ids", "/customers/cus_2/tax_ids/txi_1", "/issuing/cards"):
        await stripe.get(f"/v1{path}")
    await stripe.post("/v1/checkout/sessions/cs_1/expire")
    assert [arrival["endpoint"] for arrival in await stripe.control("GET", "/arrivals")] == [
        "GET /v1/issuing/cards/:id",
        "GET /v1/customers/:id/tax_ids",
        "GET /v1/customers/:id/tax_ids/:id",
        "GET /v1/issuing/cards",
        "POST /v1/checkout/sessions/:id/expire",
    ]
