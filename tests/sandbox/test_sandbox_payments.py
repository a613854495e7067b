"""Money through the sandbox: charges, refunds, intents, payment methods, transfers, payouts."""

import pytest
from tests.sandbox.sandbox_client import NOW, SandboxClient

DAY = 86_400


async def seed_now(stripe: SandboxClient, collection: str) -> list[str]:
    return await stripe.seed(collection, 1, created_from=int(NOW), created_until=int(NOW), events=True)


async def new_method(stripe: SandboxClient, customer: str) -> str:
    method = await stripe.make("/v1/payment_methods", {"type": "card", "card[number]": "4242424242424242"})
    attached = await stripe.make(f"/v1/payment_methods/{method['id']}/attach", customer=customer)
    assert (attached["customer"], attached["card"]["last4"]) == (customer, "4242")
    return str(method["id"])


async def test_a_charges_money_becomes_available_with_time_and_no_event_says_so(stripe: SandboxClient) -> None:
    charge = await stripe.make("/v1/charges", amount=1_000, currency="USD", source="tok_visa")
    entry = (await stripe.get(f"/v1/balance_transactions/{charge['balance_transaction']}")).value
    assert (entry["amount"], entry["fee"], entry["net"], entry["source"]) == (1_000, 59, 941, charge["id"])
    assert (entry["status"], entry["available_on"]) == ("pending", int(NOW) + 2 * DAY)
    assert (await stripe.get("/v1/balance_transactions", source=charge["id"])).ids == [entry["id"]]
    stripe.clock.now += 2 * DAY - 1
    assert (await stripe.get(f"/v1/balance_transactions/{entry['id']}")).value == entry
    stripe.clock.now += 1
    assert (await stripe.get(f"/v1/balance_transactions/{entry['id']}")).value == {**entry, "status": "available"}
    assert (await stripe.control("GET", "/objects/balance_transaction"))[0]["status"] == "available"
    assert await stripe.told() == ["charge.succeeded"]


async def test_a_declined_charge_stays_as_failed(stripe: SandboxClient) -> None:
    reply = await stripe.post("/v1/charges", amount=1_000, currency="usd", source="tok_chargeDeclined")
    assert (reply.status, reply.error["type"], reply.error["code"]) == (402, "card_error", "card_declined")
    [charge] = (await stripe.get("/v1/charges")).value["data"]
    assert (charge["status"], charge["balance_transaction"]) == ("failed", None)
    assert await stripe.told() == ["charge.failed"]


async def test_an_authorized_charge_is_captured_later(stripe: SandboxClient) -> None:
    charge = await stripe.make("/v1/charges", amount=1_000, currency="usd", capture="false")
    assert (charge["captured"], charge["balance_transaction"]) == (False, None)
    taken = await stripe.make(f"/v1/charges/{charge['id']}/capture", amount=700)
    assert (taken["captured"], taken["amount_captured"]) == (True, 700)
    assert (await stripe.post(f"/v1/charges/{charge['id']}/capture")).error["code"] == "charge_already_captured"
    assert await stripe.told() == ["charge.succeeded", "charge.captured", "charge.updated"]


async def test_a_refund_changes_its_charge(stripe: SandboxClient) -> None:
    charge = await stripe.make("/v1/charges", amount=1_000, currency="usd")
    part = await stripe.make("/v1/refunds", charge=charge["id"], amount=300)
    assert (part["status"], part["amount"]) == ("succeeded", 300)
    assert (await stripe.post("/v1/refunds", charge=charge["id"], amount=701)).error["param"] == "amount"
    await stripe.make("/v1/refunds", charge=charge["id"])
    whole = (await stripe.get(f"/v1/charges/{charge['id']}", {"expand[]": "refunds"})).value
    assert (whole["amount_refunded"], whole["refunded"]) == (1_000, True)
    assert [entry["amount"] for entry in whole["refunds"]["data"]] == [700, 300]
    assert (await stripe.post("/v1/refunds", charge=charge["id"])).error["code"] == "charge_already_refunded"
    each = ["refund.created", "charge.refunded", "charge.updated"]
    assert await stripe.told() == ["charge.succeeded", *each, *each]
    await stripe.make(f"/v1/refunds/{part['id']}", {"metadata[a]": "1"})
    assert (await stripe.told())[-2:] == ["refund.updated", "charge.refund.updated"]


async def test_a_payment_intent_from_beginning_to_end(stripe: SandboxClient) -> None:
    customer = await stripe.new_customer()
    method = await new_method(stripe, customer)
    intent = await stripe.make(
        "/v1/payment_intents", amount=5_000, currency="usd", customer=customer, capture_method="manual"
    )
    url = f"/v1/payment_intents/{intent['id']}"
    assert intent["status"] == "requires_payment_method"
    assert (await stripe.post(f"{url}/confirm")).error["code"] == "payment_intent_unexpected_state"
    since = len(await stripe.told())
    await stripe.make(url, description="no event tells of this")
    assert len(await stripe.told()) == since
    held = await stripe.make(f"{url}/confirm", payment_method=method)
    assert (held["status"], held["amount_capturable"]) == ("requires_capture", 5_000)
    done = await stripe.make(f"{url}/capture", amount_to_capture=4_000)
    assert (done["status"], done["amount_received"]) == ("succeeded", 4_000)
    whole = (await stripe.get(url, {"expand[]": "latest_charge.balance_transaction"})).value
    assert whole["latest_charge"]["balance_transaction"]["amount"] == 4_000
    assert (await stripe.post(f"{url}/cancel")).status == 400
    assert await stripe.told(since=since) == [
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "charge.updated",
        "payment_intent.succeeded",
    ]


async def test_a_setup_intent_saves_a_way_to_pay(stripe: SandboxClient) -> None:
    customer = await stripe.new_customer()
    method = await new_method(stripe, customer)
    intent = await stripe.make("/v1/setup_intents", customer=customer)
    done = await stripe.make(f"/v1/setup_intents/{intent['id']}/confirm", payment_method=method)
    assert (done["status"], done["payment_method"]) == ("succeeded", method)
    other = await stripe.make("/v1/setup_intents")
    assert (await stripe.make(f"/v1/setup_intents/{other['id']}/cancel"))["status"] == "canceled"
    types = [name for name in await stripe.told() if name.startswith("setup_intent")]
    assert types == [f"setup_intent.{change}" for change in ("created", "succeeded", "created", "canceled")]


async def test_a_detached_payment_method_leaves_the_customer_and_stays_readable(stripe: SandboxClient) -> None:
    customer, other = await stripe.new_customer(), await stripe.new_customer()
    first, second = await new_method(stripe, customer), await new_method(stripe, customer)
    nested = f"/v1/customers/{customer}/payment_methods"
    assert (await stripe.get(nested)).ids == [second, first]
    assert (await stripe.get(nested, limit=1, starting_after=second)).ids == [first]
    assert (await stripe.get("/v1/payment_methods", customer=customer)).ids == [second, first]
    assert (await stripe.get("/v1/payment_methods")).ids == []
    assert (await stripe.get(f"{nested}/{first}")).value["id"] == first
    assert (await stripe.get(f"/v1/customers/{other}/payment_methods/{first}")).status == 404
    assert (await stripe.post(nested, type="card")).status == 404
    assert (await stripe.make(f"/v1/payment_methods/{first}/detach"))["customer"] is None
    assert (await stripe.get(nested)).ids == [second]
    assert (await stripe.get(nested, starting_after=first)).error["code"] == "resource_missing"
    assert (await stripe.get(f"/v1/payment_methods/{first}")).value["customer"] is None
    assert (await stripe.post(f"/v1/payment_methods/{first}/detach")).status == 400
    assert (await stripe.post(f"/v1/payment_methods/{first}", {"metadata[a]": "1"})).status == 400
    assert [value["id"] for value in await stripe.control("GET", "/objects/payment_method")] == [second]
    types = [name for name in await stripe.told() if name.startswith("payment_method")]
    assert types == ["payment_method.attached", "payment_method.attached", "payment_method.detached"]
    assert (await stripe.events())[-1]["data"]["previous_attributes"] == {"customer": customer}


async def test_what_a_deleted_customer_takes_along(stripe: SandboxClient) -> None:
    [subscription] = await stripe.seed("subscription", 1)
    customer = (await stripe.get(f"/v1/subscriptions/{subscription}")).value["customer"]
    method = await new_method(stripe, customer)
    await stripe.make(f"/v1/customers/{customer}/tax_ids", type="eu_vat", value="DE123")
    await stripe.make(f"/v1/customers/{customer}/balance_transactions", amount=-50, currency="usd")
    since = len(await stripe.told())
    await stripe.delete(f"/v1/customers/{customer}")
    assert await stripe.told(since=since) == ["customer.subscription.deleted", "customer.deleted"]
    for segment in ("tax_ids", "balance_transactions", "payment_methods"):
        reply = await stripe.get(f"/v1/customers/{customer}/{segment}")
        assert (reply.status, reply.error["code"]) == (404, "resource_missing")
    for name in ("tax_id", "customer_balance_transaction", "payment_method"):
        assert await stripe.control("GET", f"/objects/{name}") == []
    assert (await stripe.get(f"/v1/payment_methods/{method}")).value["customer"] is None
    assert (await stripe.get(f"/v1/subscriptions/{subscription}")).value["status"] == "canceled"


async def test_transfers_show_their_first_ten_reversals(stripe: SandboxClient) -> None:
    account = (await stripe.make("/v1/accounts", type="express"))["id"]
    transfer = await stripe.make("/v1/transfers", amount=1_000, currency="usd", destination=account)
    url = f"/v1/transfers/{transfer['id']}"
    backs = [(await stripe.make(f"{url}/reversals", amount=10))["id"] for _ in range(12)][::-1]
    shown = (await stripe.get(url)).value
    assert (shown["amount_reversed"], shown["reversed"]) == (120, False)
    listing = shown["reversals"]
    assert [entry["id"] for entry in listing["data"]] == backs[:10]
    assert (listing["has_more"], listing["url"], listing["total_count"]) == (True, f"{url}/reversals", 12)
    assert (await stripe.get(listing["url"], starting_after=backs[9])).ids == backs[10:]
    assert (await stripe.get(f"{url}/reversals/{backs[11]}")).value["transfer"] == transfer["id"]
    # The oldest is not among the ten: changing it keeps the others.
    changed = await stripe.make(f"{url}/reversals/{backs[11]}", {"metadata[a]": "1"})
    assert changed["metadata"] == {"a": "1"}
    assert len((await stripe.get(f"{url}/reversals", limit=100)).ids) == 12
    assert (await stripe.told())[:3] == ["transfer.created", "transfer.reversed", "transfer.reversed"]
    unknown = await stripe.post("/v1/transfers", amount=1, currency="usd", destination="acct_none")
    assert unknown.error["param"] == "destination"


async def test_payouts_are_found_by_when_they_arrive(stripe: SandboxClient) -> None:
    first = await stripe.make("/v1/payouts", amount=100, currency="usd")
    stripe.clock.now += 5 * DAY
    second = await stripe.make("/v1/payouts", amount=100, currency="usd")
    assert (await stripe.get("/v1/payouts", {"arrival_date[gt]": first["arrival_date"]})).ids == [second["id"]]
    assert (await stripe.get("/v1/payouts", {"arrival_date": first["arrival_date"]})).ids == [first["id"]]
    canceled = await stripe.make(f"/v1/payouts/{second['id']}/cancel")
    assert (canceled["status"], (await stripe.post(f"/v1/payouts/{second['id']}/cancel")).status) == ("canceled", 400)
    assert (await stripe.told())[-2:] == ["payout.canceled", "payout.updated"]


async def test_disputes_and_reviews_come_from_outside_and_are_answered(stripe: SandboxClient) -> None:
    [dispute], [review] = await seed_now(stripe, "dispute"), await seed_now(stripe, "review")
    charge = (await stripe.get(f"/v1/disputes/{dispute}", {"expand[]": "charge"})).value["charge"]
    assert charge["disputed"] is True
    await stripe.make(f"/v1/disputes/{dispute}", {"evidence[customer_name]": "Ana", "submit": "true"})
    assert (await stripe.get(f"/v1/disputes/{dispute}")).value["status"] == "under_review"
    closed = await stripe.make(f"/v1/reviews/{review}/approve")
    assert (closed["open"], closed["reason"]) == (False, "approved")
    assert (await stripe.post(f"/v1/reviews/{review}/approve")).status == 400
    types = await stripe.told()
    assert {"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.updated"} <= {*types}
    assert {"review.opened", "review.closed"} <= {*types}
    for path in ("disputes", "reviews", "application_fees", "balance_transactions", "files"):
        assert (await stripe.post(f"/v1/{path}")).status == 404


@pytest.mark.parametrize("status", ["succeeded", "requires_action"])
async def test_the_control_api_puts_what_no_program_can(stripe: SandboxClient, status: str) -> None:
    put = await stripe.control("POST", "/objects/refund", {"set": {"amount": 5, "status": status}})
    assert (put["object"], put["currency"], put["metadata"]) == ("refund", "usd", {})
    reply = await stripe.post(f"/v1/refunds/{put['id']}/cancel")
    assert reply.status == (200 if status == "requires_action" else 400)
