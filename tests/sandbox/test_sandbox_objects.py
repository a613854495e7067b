"""What writes do to objects, collection by collection, and the events that they leave."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.sandbox.sandbox_client import NOW, SandboxClient

from springline.sandbox.stripe.collections.periods import period_end


async def new_customer(stripe: SandboxClient, **form: Any) -> str:
    made: str = (await stripe.post("/v1/customers", form)).value["id"]
    return made


async def new_plan(stripe: SandboxClient, **form: Any) -> str:
    defaults = {"amount": 1000, "currency": "usd", "interval": "month", "product[name]": "Gold"}
    made: str = (await stripe.post("/v1/plans", {**defaults, **form})).value["id"]
    return made


async def types_of(stripe: SandboxClient) -> list[str]:
    return [event["type"] for event in await stripe.events()]


async def test_customers_merge_metadata_and_unset_with_empty_values(stripe: SandboxClient) -> None:
    form = {"name": "Ana", "metadata[a]": "1", "metadata[b]": "2", "address[city]": "Madrid", "address[line1]": "x"}
    customer = await new_customer(stripe, **form)
    changed = await stripe.post(
        f"/v1/customers/{customer}",
        {"name": "", "metadata[a]": "", "metadata[c]": "3", "address[city]": "Berlin"},
    )
    assert changed.value["name"] is None
    assert changed.value["metadata"] == {"b": "2", "c": "3"}
    assert (changed.value["address"]["city"], changed.value["address"]["line1"]) == ("Berlin", "x")
    assert (await stripe.get(f"/v1/customers/{customer}")).body == changed.body
    event = (await stripe.events(type="customer.updated"))[0]
    assert event["data"]["object"] == changed.value
    assert event["data"]["previous_attributes"] == {
        "address": {"city": "Madrid"},
        "metadata": {"a": "1", "c": None},
        "name": "Ana",
    }
    cleared = await stripe.post(f"/v1/customers/{customer}", {"metadata": "", "address": ""})
    assert (cleared.value["metadata"], cleared.value["address"]) == ({}, None)


async def test_an_update_that_changes_nothing_leaves_no_event(stripe: SandboxClient) -> None:
    customer = await new_customer(stripe, name="Ana")
    product = (await stripe.post("/v1/products", name="P")).value["id"]
    stripe.clock.now += 10
    await stripe.post(f"/v1/customers/{customer}", name="Ana")
    same = await stripe.post(f"/v1/products/{product}", name="P")
    assert same.value["updated"] == NOW
    assert await types_of(stripe) == ["customer.created", "product.created"]
    assert (await stripe.post(f"/v1/products/{product}", name="Q")).value["updated"] == NOW + 10


async def test_a_deleted_customer_is_a_stub_and_takes_its_subscriptions_along(stripe: SandboxClient) -> None:
    customer = await new_customer(stripe)
    plan = await new_plan(stripe)
    form = {"customer": customer, "items[0][plan]": plan}
    subscription = (await stripe.post("/v1/subscriptions", form)).value["id"]
    stub = {"id": customer, "object": "customer", "deleted": True}
    assert (await stripe.delete(f"/v1/customers/{customer}")).value == stub
    read = await stripe.get(f"/v1/customers/{customer}")
    assert (read.status, read.value) == (200, stub)
    assert (await stripe.get("/v1/customers")).ids == []
    assert (await stripe.get(f"/v1/subscriptions/{subscription}")).value["status"] == "canceled"
    assert (await stripe.post(f"/v1/customers/{customer}", name="x")).status == 404
    assert (await stripe.delete(f"/v1/customers/{customer}")).status == 404
    assert (await stripe.post("/v1/subscriptions", form)).error["code"] == "resource_missing"
    assert (await types_of(stripe))[-2:] == ["customer.subscription.deleted", "customer.deleted"]


async def test_chosen_ids_can_be_used_again_after_a_deletion(stripe: SandboxClient) -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("coupons", {"id": "SUMMER 10%/a", "percent_off": 10}),
        ("products", {"id": "gold", "name": "Gold"}),
        ("plans", {"id": "silver", "amount": 1, "currency": "usd", "interval": "day", "product[name]": "S"}),
    ]
    for path, form in kinds:
        made = await stripe.post(f"/v1/{path}", form)
        assert made.value["id"] == form["id"]
        twice = await stripe.post(f"/v1/{path}", form)
        assert (twice.status, twice.error["code"]) == (400, "resource_already_exists")
        url = f"/v1/{path}/{str(form['id']).replace('%', '%25').replace(' ', '%20').replace('/', '%2F')}"
        deleted = await stripe.delete(url)
        assert deleted.value == {"id": form["id"], "object": path[:-1], "deleted": True}
        assert (await stripe.get(url)).status == 404
        assert (await stripe.delete(url)).status == 404
        assert (await stripe.post(f"/v1/{path}", form)).status == 200
        assert (await stripe.get(url)).value["id"] == form["id"]


async def test_a_plan_is_also_a_price(stripe: SandboxClient) -> None:
    form = {"amount_decimal": "12.50", "currency": "USD", "interval": "week", "product[name]": "G"}
    plan = (await stripe.post("/v1/plans", form)).value
    assert (plan["amount"], plan["amount_decimal"], plan["currency"]) == (None, "12.5", "usd")
    url = f"/v1/prices/{plan['id']}"
    assert (await stripe.get(url)).value["unit_amount_decimal"] == "12.5"
    await stripe.post(f"/v1/plans/{plan['id']}", nickname="weekly")
    assert (await stripe.get(url)).value["nickname"] == "weekly"
    await stripe.delete(f"/v1/plans/{plan['id']}")
    assert (await stripe.get(url)).status == 404
    changes = ["created", "updated", "deleted"]
    both = [f"{noun}.{change}" for change in changes for noun in ("plan", "price")]
    assert await types_of(stripe) == ["product.created", *both]


async def test_a_product_with_prices_stays(stripe: SandboxClient) -> None:
    plan = (await stripe.get(f"/v1/plans/{await new_plan(stripe)}")).value
    refused = await stripe.delete(f"/v1/products/{plan['product']}")
    assert refused.status == 400
    assert "one or more user-created prices" in refused.error["message"]
    changed = await stripe.post(f"/v1/products/{plan['product']}", default_price=plan["id"])
    assert changed.value["default_price"] == plan["id"]
    await stripe.delete(f"/v1/plans/{plan['id']}")
    assert (await stripe.delete(f"/v1/products/{plan['product']}")).status == 200


async def test_a_subscription_from_beginning_to_end(stripe: SandboxClient) -> None:
    customer, plan = await new_customer(stripe), await new_plan(stripe)
    made = (
        await stripe.post(
            "/v1/subscriptions",
            {"customer": customer, "items[0][price]": plan, "items[0][quantity]": 3, "metadata[a]": "1"},
        )
    ).value
    entry = made["items"]["data"][0]
    assert (made["status"], made["currency"], entry["quantity"], entry["plan"]["id"]) == ("active", "usd", 3, plan)
    assert entry["current_period_end"] == period_end(int(NOW), interval="month", count=1)
    invoice = (await stripe.get(f"/v1/invoices/{made['latest_invoice']}")).value
    assert (invoice["status"], invoice["total"], invoice["amount_paid"]) == ("paid", 3000, 3000)
    assert invoice["parent"]["subscription_details"]["subscription"] == made["id"]
    assert invoice["number"].endswith("-0001")
    line = invoice["lines"]["data"][0]
    assert (line["amount"], line["pricing"]["price_details"]["price"]) == (3000, plan)
    assert (await stripe.get(f"/v1/customers/{customer}")).value["currency"] == "usd"
    url = f"/v1/subscriptions/{made['id']}"
    await stripe.post(url, cancel_at_period_end="true")
    back = (await stripe.post(url, cancel_at_period_end="false")).value
    assert (back["cancel_at"], back["canceled_at"]) == (None, None)
    other = await new_plan(stripe, interval="year")
    moved = (await stripe.post(url, {"items[0][id]": entry["id"], "items[0][plan]": other})).value
    assert moved["items"]["data"][0]["plan"]["interval"] == "year"
    assert (await stripe.delete(url)).value["status"] == "canceled"
    assert (await stripe.delete(url)).status == 404
    assert (await stripe.post(url, {"metadata[a]": "2"})).status == 200
    assert (await stripe.post(url, description="x")).status == 400
    types = await types_of(stripe)
    assert types.count("customer.subscription.updated") == 4
    assert types.count("customer.subscription.deleted") == 1
    assert [name for name in types if name.startswith("invoice")] == [
        "invoice.created",
        "invoice.finalized",
        "invoice.updated",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


async def test_subscriptions_that_begin_otherwise(stripe: SandboxClient) -> None:
    customer, plan = await new_customer(stripe), await new_plan(stripe)
    form = {"customer": customer, "items[0][plan]": plan}
    trial = (await stripe.post("/v1/subscriptions", form, trial_period_days=14)).value
    assert (trial["status"], trial["trial_end"]) == ("trialing", NOW + 14 * 86_400)
    assert (await stripe.get(f"/v1/invoices/{trial['latest_invoice']}")).value["total"] == 0
    ended = await stripe.post(f"/v1/subscriptions/{trial['id']}", trial_end="now")
    assert ended.value["status"] == "active"
    waiting = (await stripe.post("/v1/subscriptions", form, payment_behavior="default_incomplete")).value
    assert waiting["status"] == "incomplete"
    assert (await stripe.get(f"/v1/invoices/{waiting['latest_invoice']}")).value["status"] == "open"
    sent = (await stripe.post("/v1/subscriptions", form, collection_method="send_invoice", days_until_due=7)).value
    invoice = (await stripe.get(f"/v1/invoices/{sent['latest_invoice']}")).value
    assert (invoice["status"], invoice["due_date"]) == ("draft", NOW + 7 * 86_400)
    assert (await stripe.delete(f"/v1/invoices/{invoice['id']}")).status == 400


async def test_subscriptions_that_are_refused(stripe: SandboxClient) -> None:
    customer, plan = await new_customer(stripe), await new_plan(stripe)
    euro, gone = await new_plan(stripe, currency="eur"), await new_plan(stripe, active="false")
    yearly = await new_plan(stripe, interval="year")
    before = await types_of(stripe)
    cases: list[dict[str, Any]] = [
        {"items[0][plan]": plan, "items[1][plan]": euro},
        {"items[0][plan]": plan, "items[1][plan]": yearly},
        {"items[0][plan]": plan, "items[1][plan]": plan},
        {"items[0][plan]": plan, "items[0][price]": plan},
        {"items[0][plan]": gone},
        {"items[0][plan]": "plan_no"},
        {"items[0][quantity]": 1},
        {"items": ""},
        {"items[0][plan]": plan, "collection_method": "send_invoice"},
        {"items[0][plan]": plan, "trial_end": int(NOW) - 1},
    ]
    for form in cases:
        assert (await stripe.post("/v1/subscriptions", form, customer=customer)).status == 400, form
    assert await types_of(stripe) == before
    assert (await stripe.get("/v1/invoices")).ids == []


async def test_an_invoice_from_draft_to_void(stripe: SandboxClient) -> None:
    customer, plan = await new_customer(stripe), await new_plan(stripe)
    form = {"customer": customer, "items[0][plan]": plan, "collection_method": "send_invoice", "days_until_due": 7}
    ids = [(await stripe.post("/v1/subscriptions", form)).value["latest_invoice"] for _ in range(3)]
    voided, paid, lost = (f"/v1/invoices/{invoice}" for invoice in ids)
    assert (await stripe.post(f"{voided}/void")).status == 400
    opened = (await stripe.post(f"{voided}/finalize")).value
    assert (opened["status"], opened["amount_due"], opened["amount_remaining"]) == ("open", 1000, 1000)
    assert (await stripe.post(f"{voided}/finalize")).error["code"] == "invoice_not_editable"
    assert (await stripe.post(voided, description="late")).error["code"] == "invoice_not_editable"
    assert (await stripe.post(voided, {"metadata[a]": "1"})).value["metadata"] == {"a": "1"}
    assert (await stripe.post(f"{voided}/void")).value["status"] == "void"
    assert (await stripe.post(f"{voided}/pay")).status == 400
    settled = (await stripe.post(f"{paid}/pay")).value
    assert (settled["status"], settled["amount_remaining"]) == ("paid", 0)
    assert (await stripe.post(f"{paid}/pay")).status == 400
    await stripe.post(f"{lost}/finalize")
    assert (await stripe.post(f"{lost}/mark_uncollectible")).value["status"] == "uncollectible"
    numbers = [(await stripe.get(f"/v1/invoices/{invoice}")).value["number"][-4:] for invoice in ids]
    assert numbers == ["0001", "0002", "0003"]


async def test_an_invoice_by_hand(stripe: SandboxClient) -> None:
    customer = await new_customer(stripe, email="a@x.org")
    made = (await stripe.post("/v1/invoices", customer=customer, description="x")).value
    url = f"/v1/invoices/{made['id']}"
    assert (made["status"], made["customer_email"], made["parent"]) == ("draft", "a@x.org", None)
    assert (await stripe.post(url, days_until_due=3)).status == 400
    due = await stripe.post(url, collection_method="send_invoice", days_until_due=3)
    assert due.value["due_date"] == NOW + 3 * 86_400
    assert (await stripe.delete(url)).value["deleted"] is True
    assert (await stripe.get(url)).status == 404
    empty = (await stripe.post("/v1/invoices", customer=customer)).value["id"]
    assert (await stripe.post(f"/v1/invoices/{empty}/finalize")).value["status"] == "paid"


@pytest.mark.parametrize(
    ("start", "interval", "count", "end"),
    [
        ("2026-01-31", "month", 1, "2026-02-28"),
        ("2024-02-29", "year", 1, "2025-02-28"),
        ("2026-11-15", "month", 3, "2027-02-15"),
        ("2026-12-31", "week", 2, "2027-01-14"),
        ("2026-12-31", "day", 1, "2027-01-01"),
    ],
)
def test_periods(start: str, interval: str, count: int, end: str) -> None:
    def seconds(day: str) -> int:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())

    assert period_end(seconds(start), interval=interval, count=count) == seconds(end)
