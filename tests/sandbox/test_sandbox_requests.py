"""Requests: keys, accounts, versions, encoding, errors, idempotency."""

import asyncio
import base64
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from tests.sandbox.sandbox_client import KEY, NOW, SandboxClient

from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.forms import read_form


async def test_headers(stripe: SandboxClient) -> None:
    reply = await stripe.get("/v1/customers", headers={"Stripe-Version": "2025-03-31.basil"})
    assert reply.headers["Stripe-Version"] == "2025-03-31.basil"
    assert reply.headers["Request-Id"].startswith("req_")
    assert reply.headers["Content-Type"] == "application/json"
    assert parsedate_to_datetime(reply.headers["Date"]).timestamp() == NOW
    assert (await stripe.get("/v1/customers")).headers["Stripe-Version"] == "2026-09-30.endive"
    await stripe.control("POST", "/clock", {"shift_seconds": 3600})
    later = await stripe.get("/v1/customers")
    assert parsedate_to_datetime(later.headers["Date"]).timestamp() == NOW + 3600


@pytest.mark.parametrize("version", ["yesterday", "2025-3-1", "2025-03-31.Basil", "2025-03-31.basil; x"])
async def test_a_version_that_is_none(stripe: SandboxClient, version: str) -> None:
    reply = await stripe.get("/v1/customers", headers={"Stripe-Version": version})
    assert (reply.status, reply.error["message"]) == (400, f"Invalid Stripe API version: {version}")


async def test_keys(stripe: SandboxClient) -> None:
    none = await stripe.get("/v1/customers", key=None)
    assert (none.status, none.headers["WWW-Authenticate"]) == (401, 'Basic realm="Stripe"')
    for key in ("sk_live_1", "rk_test_1", "pk_test_1", "nonsense", "sk_test_"):
        assert (await stripe.get("/v1/customers", key=key)).status == 401, key
    invalid = await stripe.get("/v1/customers", key="sk_live_abcdefgh1234")
    assert invalid.error == {
        "message": "Invalid API Key provided: sk_live_****1234",
        "type": "invalid_request_error",
    }
    basic = {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}
    assert (await stripe.get("/v1/customers", key=None, headers=basic)).status == 200


async def test_a_key_expires_and_comes_back(stripe: SandboxClient) -> None:
    await stripe.control("POST", "/keys", {"key": KEY, "state": "expired"})
    expired = await stripe.get("/v1/customers")
    assert (expired.status, expired.error["code"]) == (401, "api_key_expired")
    await stripe.control("POST", "/keys", {"key": KEY, "state": "revoked"})
    assert (await stripe.get("/v1/customers")).status == 401
    await stripe.control("POST", "/keys", {"key": KEY})
    assert (await stripe.get("/v1/customers")).status == 200


async def test_a_key_loses_one_permission(stripe: SandboxClient) -> None:
    restricted = "rk_test_reader0001"
    permissions = {"customer": "read", "invoice": "none"}
    await stripe.control("POST", "/keys", {"key": restricted, "permissions": permissions})
    assert (await stripe.get("/v1/customers", key=restricted)).status == 200
    assert (await stripe.get("/v1/products", key=restricted)).status == 200
    refused = await stripe.get("/v1/invoices", key=restricted)
    assert refused.status == 403
    assert refused.error["message"].startswith("The provided key 'rk_test_****0001' does not have the required")
    assert "'rak_invoice_read'" in refused.error["message"]
    writing = await stripe.request("POST", "/v1/customers", form={"name": "x"}, key=restricted)
    assert (writing.status, "'rak_customer_write'" in writing.error["message"]) == (403, True)
    await stripe.control("POST", "/keys", {"key": restricted, "permissions": {"event": "none"}})
    assert (await stripe.get("/v1/events", key=restricted)).status == 403


async def test_accounts_and_modes_are_separate(stripe: SandboxClient) -> None:
    await stripe.control("POST", "/accounts", {"id": "acct_other", "name": "Other"})
    await stripe.control("POST", "/keys", {"key": "sk_live_1"})
    mine = (await stripe.post("/v1/customers", name="Mine")).value
    connected = {"Stripe-Account": "acct_other"}
    theirs = (await stripe.post("/v1/customers", name="Theirs", headers=connected)).value
    assert (await stripe.get("/v1/customers")).ids == [mine["id"]]
    assert (await stripe.get("/v1/customers", headers=connected)).ids == [theirs["id"]]
    assert (await stripe.get("/v1/customers", headers={"Stripe-Context": "acct_other"})).ids == [theirs["id"]]
    assert (await stripe.get("/v1/customers", key="sk_live_1")).ids == []
    live = await stripe.request("POST", "/v1/customers", form={"name": "Live"}, key="sk_live_1")
    assert (live.value["livemode"], mine["livemode"]) == (True, False)
    unknown = await stripe.get("/v1/customers", headers={"Stripe-Account": "acct_nobody"})
    assert (unknown.status, unknown.error["code"]) == (403, "account_invalid")
    account = (await stripe.get("/v1/account")).value
    assert account["id"].startswith("acct_1")
    assert (await stripe.get(f"/v1/accounts/{account['id']}")).value == account
    assert (await stripe.get("/v1/account", headers=connected)).value["id"] == "acct_other"
    assert (await stripe.get("/v1/balance")).value["object"] == "balance"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", {}),
        ("a=1&b=", {"a": "1", "b": ""}),
        ("metadata[k]=v&metadata[k 2]=w", {"metadata": {"k": "v", "k 2": "w"}}),
        ("expand[]=x&expand[]=y", {"expand": ["x", "y"]}),
        ("expand[0]=x", {"expand": {"0": "x"}}),
        ("items[0][price]=p&items[0][quantity]=2", {"items": {"0": {"price": "p", "quantity": "2"}}}),
        (
            "items[][price]=p&items[][quantity]=2&items[][price]=q",
            {"items": [{"price": "p", "quantity": "2"}, {"price": "q"}]},
        ),
        ("a%5Bb%5D=%C3%A9+%2B", {"a": {"b": "é +"}}),
        ("a[b=1", {"a[b": "1"}),
        ("[a]=1", {"[a]": "1"}),
    ],
)
def test_form_encoding(text: str, form: dict[str, Any]) -> None:
    assert read_form(text)[0] == form


@pytest.mark.parametrize("text", ["a=1&a[b]=2", "a[]=1&a[b]=2", "a[b]=1&a[]=2", "a=%ff"])
def test_form_encoding_that_contradicts_itself(text: str) -> None:
    with pytest.raises(StripeError):
        read_form(text)


async def test_errors_of_writes(stripe: SandboxClient) -> None:
    cases: list[tuple[str, dict[str, Any], str | None, str | None]] = [
        ("/v1/products", {}, "parameter_missing", "name"),
        ("/v1/products", {"name": ""}, "parameter_invalid_empty", "name"),
        ("/v1/products", {"name": "x", "active": "maybe"}, None, "active"),
        (
            "/v1/products",
            {"name": "x", "package_dimensions[height]": "1"},
            "parameter_missing",
            "package_dimensions[length]",
        ),
        ("/v1/customers", {"colour": "blue", "size": "xl"}, "parameter_unknown", "colour"),
        ("/v1/customers", {"email": "nobody"}, "email_invalid", "email"),
        ("/v1/customers", {"balance": "1.5"}, "parameter_invalid_integer", "balance"),
        ("/v1/customers", {"address[planet]": "Mars"}, "parameter_unknown", "address[planet]"),
        ("/v1/customers", {"metadata": "text"}, None, "metadata"),
        ("/v1/customers", {"metadata[" + "k" * 41 + "]": "v"}, None, "metadata"),
        ("/v1/customers", {"source": "tok_visa"}, "sandbox_unsupported", "source"),
        (
            "/v1/plans",
            {"currency": "usd", "interval": "month", "product": "prod_no", "amount": 1},
            "resource_missing",
            "product",
        ),
        ("/v1/plans", {"currency": "usd", "interval": "month", "product": "prod_no"}, "parameter_missing", "amount"),
        ("/v1/plans", {"currency": "usd", "interval": "fortnight", "amount": 1}, None, "interval"),
        ("/v1/coupons", {}, None, "percent_off"),
        ("/v1/coupons", {"percent_off": 101}, None, "percent_off"),
        ("/v1/coupons", {"percent_off": 5, "amount_off": 5}, "parameters_exclusive", None),
        ("/v1/coupons", {"percent_off": 5, "duration": "repeating"}, "parameter_missing", "duration_in_months"),
        ("/v1/coupons", {"amount_off": 5}, None, "currency"),
        ("/v1/coupons", {"percent_off": 5, "redeem_by": 1}, None, "redeem_by"),
        ("/v1/subscriptions", {"customer": "cus_no"}, "parameter_missing", "items"),
        ("/v1/subscriptions", {"customer": "cus_no", "items[0][price]": "p"}, "resource_missing", "customer"),
        ("/v1/invoices", {}, None, "customer"),
        ("/v1/invoices", {"customer": "cus_no"}, "resource_missing", "customer"),
    ]
    for path, form, code, param in cases:
        reply = await stripe.post(path, form)
        found = (reply.status, reply.error.get("code"), reply.error.get("param"))
        assert found == (400, code, param), (path, form, reply.body)
    assert await stripe.events() == []


async def test_objects_and_urls_that_are_not_there(stripe: SandboxClient) -> None:
    for path, noun in [("customers", "customer"), ("subscriptions", "subscription"), ("coupons", "coupon")]:
        for method in ("GET", "POST", "DELETE"):
            reply = await stripe.request(method, f"/v1/{path}/x_1")
            assert reply.status == 404
            assert reply.error == {
                "code": "resource_missing",
                "doc_url": "https://stripe.com/docs/error-codes/resource-missing",
                "message": f"No such {noun}: 'x_1'",
                "param": "id",
                "type": "invalid_request_error",
            }
    for method, path in [
        ("GET", "/v1/unicorns"),
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v2/core/events"),
        ("PUT", "/v1/customers"),
        ("POST", "/v1/events"),
        ("POST", "/v1/balance_transactions"),
        ("DELETE", "/v1/prices/x"),
        ("POST", "/v1/invoices/in_1/shred"),
    ]:
        reply = await stripe.request(method, path)
        assert reply.status == 404, path
        assert reply.error["message"].startswith(("Unrecognized request URL", "No such")), path


async def test_an_idempotency_key_gives_the_first_answer_again(stripe: SandboxClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await stripe.post("/v1/customers", name="A", headers=headers)
    again = await stripe.post("/v1/customers", name="A", headers=headers)
    assert again.body == first.body
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"] != again.headers["Request-Id"]
    assert (await stripe.get("/v1/customers")).ids == [first.value["id"]]
    [event] = await stripe.events()
    assert event["request"] == {"id": first.headers["Request-Id"], "idempotency_key": "k1"}


async def test_an_idempotency_key_with_another_request(stripe: SandboxClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    await stripe.post("/v1/customers", name="A", headers=headers)
    for path, form in [("/v1/customers", {"name": "B"}), ("/v1/products", {"name": "A"})]:
        reply = await stripe.post(path, form, headers=headers)
        assert (reply.status, reply.error["type"]) == (400, "idempotency_error")
    stripe.clock.now += 25 * 3600
    assert (await stripe.post("/v1/customers", name="B", headers=headers)).status == 200


async def test_a_refused_request_leaves_its_idempotency_key_free(stripe: SandboxClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    assert (await stripe.post("/v1/products", headers=headers)).status == 400
    assert (await stripe.post("/v1/products", name="A", headers=headers)).status == 200


async def test_an_idempotency_key_in_use(stripe: SandboxClient) -> None:
    fault = await stripe.control("POST", "/faults", {"kind": "latency", "ms": 60_000, "match": {"times": 1}})
    headers = {"Idempotency-Key": "k1"}
    slow = asyncio.create_task(stripe.post("/v1/customers", name="A", headers=headers))
    await stripe.control("GET", f"/faults/{fault['id']}/wait")
    busy = await stripe.post("/v1/customers", name="A", headers=headers)
    assert (busy.status, busy.error["code"]) == (409, "idempotency_key_in_use")
    assert busy.headers["Stripe-Should-Retry"] == "true"
    await stripe.control("DELETE", "/faults")
    assert (await slow).status == 200
    assert (await stripe.post("/v1/customers", name="A", headers=headers)).body == (await slow).body


async def test_a_bad_expansion_of_a_write_changes_nothing(stripe: SandboxClient) -> None:
    reply = await stripe.post("/v1/customers", {"name": "A", "expand[]": "nonsense"})
    assert reply.status == 400
    assert (await stripe.get("/v1/customers")).ids == []
    assert await stripe.events() == []
