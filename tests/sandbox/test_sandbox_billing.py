"""Billing in the sandbox: what stands within an object is an object of its own."""

from tests.sandbox.sandbox_client import SandboxClient


async def test_an_invoice_shows_its_first_ten_lines(stripe: SandboxClient) -> None:
    customer = await stripe.new_customer()
    invoice = await stripe.make("/v1/invoices", customer=customer)
    url = f"/v1/invoices/{invoice['id']}"
    form = {f"lines[{index}][amount]": 100 + index for index in range(25)}
    answered = await stripe.make(f"{url}/add_lines", form)
    shown = (await stripe.get(url)).value
    assert answered == shown
    assert (shown["total"], shown["amount_due"]) == (sum(range(100, 125)),) * 2
    listing = shown["lines"]
    assert (len(listing["data"]), listing["has_more"], listing["total_count"]) == (10, True, 25)
    assert [line["amount"] for line in listing["data"]] == list(range(100, 110))
    rest = (await stripe.get(listing["url"], limit=100, starting_after=listing["data"][-1]["id"])).value
    assert [line["amount"] for line in rest["data"]] == list(range(110, 125))
    assert (rest["has_more"], rest["url"]) == (False, f"{url}/lines")
    before = (await stripe.get(f"{url}/lines", limit=5, ending_before=rest["data"][0]["id"])).value["data"]
    assert [line["amount"] for line in before] == list(range(105, 110))

    last = rest["data"][-1]["id"]
    assert (await stripe.get(f"{url}/lines/{last}")).status == 404  # the API has no such read
    assert (await stripe.make(f"{url}/lines/{last}", amount=1_000, description="more"))["amount"] == 1_000
    await stripe.make(f"{url}/remove_lines", {"lines[0][id]": listing["data"][0]["id"], "lines[0][behavior]": "delete"})
    shown = (await stripe.get(url)).value
    assert (shown["total"], shown["lines"]["total_count"]) == (sum(range(101, 124)) + 1_000, 24)
    assert (await stripe.told())[-3:] == ["invoice.updated"] * 3

    await stripe.make(url, description="the lines stay")
    assert len((await stripe.get(f"{url}/lines", limit=100)).ids) == 24
    await stripe.delete(url)
    assert (await stripe.get(f"{url}/lines")).status == 404
    assert await stripe.control("GET", "/objects/invoice_line_item") == []


async def test_a_finalized_invoices_lines_are_fixed(stripe: SandboxClient) -> None:
    invoice = await stripe.make("/v1/invoices", customer=await stripe.new_customer())
    url = f"/v1/invoices/{invoice['id']}"
    line = (await stripe.make(f"{url}/add_lines", {"lines[0][amount]": 10}))["lines"]["data"][0]["id"]
    await stripe.make(f"{url}/finalize")
    assert (await stripe.post(f"{url}/lines/{line}", amount=5)).error["code"] == "invoice_not_editable"
    assert (await stripe.post(f"{url}/add_lines", {"lines[0][amount]": 1})).error["code"] == "invoice_not_editable"


async def test_subscription_items_are_changed_one_by_one(stripe: SandboxClient) -> None:
    [subscription] = await stripe.seed("subscription", 1)
    shown = (await stripe.get(f"/v1/subscriptions/{subscription}")).value
    [first] = shown["items"]["data"]
    path = "/v1/subscription_items"
    assert (await stripe.get(path)).error["param"] == "subscription"
    assert (await stripe.get(path, subscription=subscription)).value["data"] == [first]
    recurring = {"recurring[interval]": first["plan"]["interval"], "product": first["plan"]["product"]}
    price = await stripe.make("/v1/prices", {"currency": "usd", "unit_amount": 50, **recurring})
    since = len(await stripe.told())
    second = await stripe.make(path, subscription=subscription, price=price["id"], quantity=2)
    assert (await stripe.get(path, subscription=subscription)).ids == [first["id"], second["id"]]
    changed = await stripe.make(f"{path}/{second['id']}", quantity=9)
    assert (changed["quantity"], (await stripe.get(f"{path}/{second['id']}")).value) == (9, changed)
    events = (await stripe.events())[since:]
    assert [event["type"] for event in events] == ["customer.subscription.updated"] * 2
    assert events[1]["data"]["object"]["items"]["data"][1]["quantity"] == 9
    assert "items" in events[1]["data"]["previous_attributes"]
    assert (await stripe.delete(f"{path}/{first['id']}")).value == {
        "id": first["id"], "object": "subscription_item", "deleted": True,
    }  # fmt: skip
    assert (await stripe.get(path, subscription=subscription)).ids == [second["id"]]
    assert (await stripe.delete(f"{path}/{second['id']}")).status == 400
    assert (await stripe.get(f"{path}/{first['id']}")).status == 404
    one_time = await stripe.make("/v1/prices", currency="usd", unit_amount=50, product=first["plan"]["product"])
    refused = await stripe.post(path, subscription=subscription, price=one_time["id"])
    assert "type=one_time" in refused.error["message"]


async def test_a_subscription_shows_its_first_ten_items_and_bills_them_all(stripe: SandboxClient) -> None:
    [product] = await stripe.seed("product", 1)
    form = {"currency": "usd", "recurring[interval]": "month", "product": product}
    prices = [(await stripe.make("/v1/prices", form, unit_amount=100 + count))["id"] for count in range(12)]
    items = {f"items[{index}][price]": price for index, price in enumerate(prices)}
    made = await stripe.make("/v1/subscriptions", items, customer=await stripe.new_customer())
    url = f"/v1/subscriptions/{made['id']}"
    assert [entry["price"]["id"] for entry in made["items"]["data"]] == prices[:10]
    assert (made["items"]["has_more"], made["items"]["total_count"]) == (True, 12)
    assert made["items"]["url"] == f"/v1/subscription_items?subscription={made['id']}"
    invoice = (await stripe.get(f"/v1/invoices/{made['latest_invoice']}")).value
    assert (invoice["total"], invoice["lines"]["total_count"]) == (sum(range(100, 112)), 12)
    await stripe.make(url, description="the items that are not shown stay")
    found = (await stripe.get("/v1/subscription_items", subscription=made["id"], limit=100)).value["data"]
    assert [entry["price"]["id"] for entry in found] == prices
    await stripe.make(f"/v1/subscription_items/{found[11]['id']}", quantity=3)
    event = (await stripe.events())[-1]
    assert (event["type"], len(event["data"]["object"]["items"]["data"])) == ("customer.subscription.updated", 10)
    assert (await stripe.get(f"/v1/subscription_items/{found[11]['id']}")).value["quantity"] == 3
    await stripe.make(url, {"items[0][id]": found[10]["id"], "items[0][deleted]": "true"})
    assert (await stripe.get(url)).value["items"]["total_count"] == 11
    assert (await stripe.get(f"/v1/subscription_items/{found[10]['id']}")).status == 404


async def test_a_recurring_price_is_a_plan_too(stripe: SandboxClient) -> None:
    form = {"currency": "usd", "unit_amount": 700, "recurring[interval]": "month", "product_data[name]": "Gold"}
    price = await stripe.make("/v1/prices", form)
    plan = (await stripe.get(f"/v1/plans/{price['id']}")).value
    assert (plan["amount"], plan["interval"], plan["product"]) == (700, "month", price["product"])
    await stripe.make(f"/v1/prices/{price['id']}", nickname="gold", lookup_key="gold")
    assert (await stripe.get(f"/v1/plans/{price['id']}")).value["nickname"] == "gold"
    await stripe.make(f"/v1/plans/{price['id']}", nickname="silver")
    shown = (await stripe.get(f"/v1/prices/{price['id']}")).value
    assert (shown["nickname"], shown["lookup_key"]) == ("silver", "gold")
    assert (await stripe.delete(f"/v1/prices/{price['id']}")).status == 404
    assert (await stripe.delete(f"/v1/plans/{price['id']}")).status == 200
    assert (await stripe.get(f"/v1/prices/{price['id']}")).status == 404
    assert [name for name in await stripe.told() if name.startswith("p")] == [
        "product.created", "price.created", "plan.created", "price.updated", "plan.updated", "plan.updated",
        "price.updated", "plan.deleted", "price.deleted",
    ]  # fmt: skip


async def test_invoice_items_become_lines(stripe: SandboxClient) -> None:
    customer = await stripe.new_customer()
    pending = await stripe.make("/v1/invoiceitems", customer=customer, amount=300, currency="usd")
    assert (pending["invoice"], pending["object"], "created" in pending) == (None, "invoiceitem", False)
    form = {"customer": customer, "pending_invoice_items_behavior": "include"}
    invoice = await stripe.make("/v1/invoices", form)
    assert (invoice["total"], invoice["lines"]["total_count"]) == (300, 1)
    direct = await stripe.make("/v1/invoiceitems", customer=customer, amount=200, currency="usd", invoice=invoice["id"])
    await stripe.make(f"/v1/invoiceitems/{direct['id']}", amount=250)
    assert (await stripe.get(f"/v1/invoices/{invoice['id']}")).value["total"] == 550
    assert (await stripe.get("/v1/invoiceitems", invoice=invoice["id"])).ids == [direct["id"], pending["id"]]
    assert (await stripe.delete(f"/v1/invoiceitems/{pending['id']}")).value["deleted"] is True
    assert (await stripe.get(f"/v1/invoices/{invoice['id']}")).value["total"] == 250
    assert (await stripe.get(f"/v1/invoiceitems/{pending['id']}")).status == 404
    await stripe.make(f"/v1/invoices/{invoice['id']}/finalize")
    assert (await stripe.delete(f"/v1/invoiceitems/{direct['id']}")).error["code"] == "invoice_not_editable"
    types = [name for name in await stripe.told() if name.startswith("invoiceitem")]
    assert types == ["invoiceitem.created", "invoiceitem.created", "invoiceitem.deleted"]


async def test_a_credit_note_says_what_is_no_longer_owed(stripe: SandboxClient) -> None:
    invoice = await stripe.make("/v1/invoices", customer=await stripe.new_customer())
    url = f"/v1/invoices/{invoice['id']}"
    await stripe.make(f"{url}/add_lines", {"lines[0][amount]": 1_000})
    assert (await stripe.post("/v1/credit_notes", invoice=invoice["id"], amount=10)).error["param"] == "invoice"
    await stripe.make(f"{url}/finalize")
    note = await stripe.make("/v1/credit_notes", invoice=invoice["id"], amount=400, reason="order_change")
    assert (note["type"], note["lines"]["data"][0]["amount"]) == ("pre_payment", 400)
    assert (await stripe.get(url)).value["amount_due"] == 600
    assert (await stripe.post("/v1/credit_notes", invoice=invoice["id"], amount=601)).error["param"] == "amount"
    assert (await stripe.make(f"/v1/credit_notes/{note['id']}/void"))["status"] == "void"
    assert (await stripe.get(url)).value["amount_due"] == 1_000
    types = [name for name in await stripe.told() if name.startswith("credit_note")]
    assert types == ["credit_note.created", "credit_note.voided"]


async def test_a_customers_balance_has_a_history(stripe: SandboxClient) -> None:
    customer = await stripe.new_customer()
    path = f"/v1/customers/{customer}/balance_transactions"
    first = await stripe.make(path, amount=-500, currency="usd", description="a gift")
    assert (first["ending_balance"], first["customer"]) == (-500, customer)
    await stripe.make(f"/v1/customers/{customer}", balance=-200)
    [second, again] = (await stripe.get(path)).value["data"]
    assert (second["amount"], second["ending_balance"], again) == (300, -200, first)
    changed = await stripe.make(f"{path}/{first['id']}", description="a present")
    assert changed["description"] == "a present"
    assert (await stripe.delete(f"{path}/{first['id']}")).status == 404
    assert (await stripe.get(path, {"created[gt]": 1})).error["param"] == "created"
    updates = [event for event in await stripe.events() if event["type"] == "customer.updated"]
    assert [event["data"]["previous_attributes"]["balance"] for event in updates] == [0, -500]
    assert await stripe.told() == ["customer.created", "customer.updated", "customer.updated"]


async def test_tax_ids_are_below_their_customer(stripe: SandboxClient) -> None:
    customer, other = await stripe.new_customer(), await stripe.new_customer()
    path = f"/v1/customers/{customer}/tax_ids"
    tax_id = await stripe.make(path, type="eu_vat", value="PT123")
    assert (tax_id["country"], tax_id["verification"]["status"]) == ("PT", "pending")
    assert (await stripe.get(f"{path}/{tax_id['id']}")).value == tax_id
    assert (await stripe.delete(f"/v1/customers/{other}/tax_ids/{tax_id['id']}")).status == 404
    assert (await stripe.post("/v1/customers/cus_none/tax_ids", type="eu_vat", value="PT1")).status == 404
    assert (await stripe.post(f"{path}/{tax_id['id']}", value="x")).status == 404  # the API has no update
    assert (await stripe.delete(f"{path}/{tax_id['id']}")).value["object"] == "tax_id"
    assert (await stripe.get(path)).ids == []
    types = [name for name in await stripe.told() if "tax_id" in name]
    assert types == ["customer.tax_id.created", "customer.tax_id.deleted"]


async def test_a_checkout_session_has_line_items_that_are_shown_when_asked(stripe: SandboxClient) -> None:
    [price] = await stripe.seed("price", 1)
    form = {"mode": "payment", "success_url": "https://example.com", "customer": await stripe.new_customer()}
    form |= {f"line_items[{index}][{name}]": value for index in range(12)
             for name, value in (("price", price), ("quantity", str(index + 1)))}  # fmt: skip
    since = len(await stripe.told())
    session = await stripe.make("/v1/checkout/sessions", form)
    url = f"/v1/checkout/sessions/{session['id']}"
    assert "line_items" not in session
    assert [entry["quantity"] for entry in (await stripe.get(f"{url}/line_items")).value["data"]] == list(range(1, 11))
    whole = (await stripe.get(url, {"expand[]": "line_items"})).value
    assert (len(whole["line_items"]["data"]), whole["line_items"]["has_more"]) == (10, True)
    assert len((await stripe.get(whole["line_items"]["url"], limit=100)).ids) == 12
    assert (await stripe.post(f"{url}/line_items", price=price)).status == 404
    assert await stripe.told(since=since) == []  # Stripe has no event for a new session
    assert (await stripe.make(f"{url}/expire"))["status"] == "expired"
    assert await stripe.told(since=since) == ["checkout.session.expired"]


async def test_schedules_and_quotes_make_what_they_promise(stripe: SandboxClient) -> None:
    [plan], customer = await stripe.seed("plan", 1), await stripe.new_customer()
    form = {"customer": customer, "start_date": "now", "phases[0][items][0][price]": plan}
    schedule = await stripe.make("/v1/subscription_schedules", form)
    assert (schedule["status"], schedule["phases"][0]["items"][0]["price"]) == ("active", plan)
    subscription = (await stripe.get(f"/v1/subscriptions/{schedule['subscription']}")).value
    assert (subscription["customer"], subscription["schedule"]) == (customer, schedule["id"])
    released = await stripe.make(f"/v1/subscription_schedules/{schedule['id']}/release")
    assert (released["status"], released["released_subscription"]) == ("released", subscription["id"])
    quote = await stripe.make("/v1/quotes", {"customer": customer, "line_items[0][price]": plan})
    assert (await stripe.post(f"/v1/quotes/{quote['id']}/accept")).status == 400
    await stripe.make(f"/v1/quotes/{quote['id']}/finalize")
    accepted = await stripe.make(f"/v1/quotes/{quote['id']}/accept")
    assert accepted["status"] == "accepted"
    assert (await stripe.get(f"/v1/invoices/{accepted['invoice']}")).value["customer"] == customer
    types = [name for name in await stripe.told() if name.startswith(("quote", "subscription_schedule"))]
    assert types == [
        "subscription_schedule.created", "subscription_schedule.released", "quote.created", "quote.finalized",
        "quote.accepted",
    ]  # fmt: skip
