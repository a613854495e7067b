"""The plans within a subscription, the invoice that bills them, and the API that changes them one by one."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, Parent, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.invoice_shape import Line, new_invoice, with_lines
from springline.sandbox.stripe.collections.invoices import finalize, pay
from springline.sandbox.stripe.collections.periods import period_end
from springline.sandbox.stripe.collections.prices import price_of
from springline.sandbox.stripe.errors import StripeError, parameter_missing, resource_missing
from springline.sandbox.stripe.params import Params, assign, boolean, hash_of, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write, deleted_stub

ITEM = hash_of(
    {
        "deleted": boolean(),
        "id": text(unsettable=False),
        "metadata": metadata(),
        "plan": text(unsettable=False),
        "price": text(unsettable=False),
        "quantity": integer(least=0),
    }
)


def new_entries(write: Write, subscription: Object, given: list[Params], *, trial_end: int | None) -> list[Object]:
    """The entries of a new subscription; all of one currency and one interval."""
    if not given:
        raise parameter_missing("items")
    entries = [
        _new_entry(write, subscription, params, name=f"items[{index}]", trial_end=trial_end)
        for index, params in enumerate(given)
    ]
    _check(entries)
    return entries


def changed_entries(write: Write, subscription: Object, given: list[Params]) -> list[Object]:
    """The entries after an update: named ones change or go, unnamed ones are added, the rest stays."""
    entries = {entry["id"]: entry for entry in subscription["items"]["data"]}
    for index, params in enumerate(given):
        name = f"items[{index}]"
        if "id" not in params:
            entry = _new_entry(write, subscription, params, name=name, trial_end=subscription["trial_end"])
            entries[entry["id"]] = entry
            continue
        if params["id"] not in entries:
            raise resource_missing("subscription_item", params["id"], param=f"{name}[id]", status=400)
        if params.get("deleted"):
            del entries[params["id"]]
            continue
        _change_entry(write, entries[params["id"]], params, name=name)
    if not entries:
        raise StripeError("A subscription must have at least one active plan.", param="items")
    _check(list(entries.values()))
    return list(entries.values())


def put_entries(subscription: Object, entries: list[Object]) -> None:
    """Make these the subscription's entries."""
    subscription["items"] = {
        "object": "list",
        "data": entries,
        "has_more": False,
        "total_count": len(entries),
        "url": f"/v1/subscription_items?subscription={subscription['id']}",
    }


def periods_of(subscription: Object) -> tuple[int, int]:
    """Start and end of the running period: the first entry's."""
    first = subscription["items"]["data"][0]
    return first["current_period_start"], first["current_period_end"]


def bill(write: Write, subscription: Object, customer: Object) -> Object:
    """The invoice of a new subscription, as far as its collection method takes it at once."""
    invoice = new_invoice(
        write,
        customer,
        currency=subscription["currency"],
        reason="subscription_create",
        subscription=subscription,
    )
    lines = [_line(subscription, entry) for entry in subscription["items"]["data"]]
    invoice = write.insert("invoice", with_lines(write, invoice, lines))
    if subscription["collection_method"] == "send_invoice" and subscription["status"] != "trialing":
        return invoice
    if subscription["status"] == "incomplete":
        return finalize(write, invoice, {})
    return pay(write, invoice, {})


def _new_entry(write: Write, subscription: Object, params: Params, *, name: str, trial_end: int | None) -> Object:
    plan = _plan(write, params, name=name)
    end = period_end(write.now, interval=plan["interval"], count=plan["interval_count"])
    entry: Object = {
        "id": write.new_id("si_", 14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": write.now,
        "current_period_end": trial_end or end,
        "current_period_start": write.now,
        "discounts": [],
        "metadata": {},
        "plan": plan,
        "price": price_of(plan),
        "quantity": params.get("quantity", 1),
        "subscription": subscription["id"],
        "tax_rates": [],
    }
    assign(entry, params, only=("metadata",))
    if plan["usage_type"] == "metered":
        del entry["quantity"]
    return entry


def _change_entry(write: Write, entry: Object, params: Params, *, name: str) -> None:
    assign(entry, params, only=("metadata", "quantity"))
    if "plan" not in params and "price" not in params:
        return
    plan = _plan(write, params, name=name)
    if (plan["interval"], plan["interval_count"]) != (entry["plan"]["interval"], entry["plan"]["interval_count"]):
        end = period_end(write.now, interval=plan["interval"], count=plan["interval_count"])
        entry |= {"current_period_start": write.now, "current_period_end": end}
    entry |= {"plan": plan, "price": price_of(plan)}


def _plan(write: Write, params: Params, *, name: str) -> Object:
    if "plan" in params and "price" in params:
        raise StripeError(
            "You may only specify one of these parameters: plan, price.", code="parameters_exclusive", param=name
        )
    kind = "price" if "price" in params else "plan"
    if kind not in params:
        raise parameter_missing(f"{name}[price]")
    record = write.account.tables["plan"].get(params[kind])
    if record is None and params[kind] in write.account.tables["price"]:
        raise StripeError(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
            param=f"{name}[price]",
        )
    if record is None:
        raise resource_missing(kind, params[kind], param=f"{name}[{kind}]", status=400)
    plan = record.value()
    if not plan["active"]:
        raise StripeError(
            f"The {kind} specified is inactive. This field only accepts active {kind}s.", param=f"{name}[{kind}]"
        )
    return plan


def _check(entries: list[Object]) -> None:
    plans = [entry["plan"] for entry in entries]
    if len({plan["currency"] for plan in plans}) > 1:
        raise StripeError("All prices on a subscription must have the same currency.", param="items")
    if len({(plan["interval"], plan["interval_count"]) for plan in plans}) > 1:
        raise StripeError(
            "All prices on a subscription must have the same `recurring.interval` and `recurring.interval_count`.",
            param="items",
        )
    if len({plan["id"] for plan in plans}) < len(plans):
        raise StripeError("Cannot add multiple subscription items with the same plan.", param="items")


def _line(subscription: Object, entry: Object) -> Line:
    plan: Object = entry["plan"]
    quantity: int | None = entry.get("quantity")
    trial = subscription["status"] == "trialing"
    unit: int = plan["amount"] if plan["amount"] is not None else round(float(plan["amount_decimal"]))
    label = plan["nickname"] or plan["id"]
    price = f"at ${unit / 100:.2f} / {plan['interval']}"
    return Line(
        amount=0 if trial or quantity is None else unit * quantity,
        description=f"Trial period for {label}" if trial else f"{quantity or 0} × {label} ({price})",
        quantity=quantity if quantity is not None else 0,
        period=(entry["current_period_start"], entry["current_period_end"]),
        unit_amount="0" if trial else plan["amount_decimal"],
        price=plan["id"],
        product=plan["product"],
        subscription=subscription["id"],
        subscription_item=entry["id"],
    )


def _change(write: Write, subscription_id: str, change: Params) -> list[Object]:
    """Change one entry as an update of the subscription would; returns all of them."""
    subscription = write.named("subscription", subscription_id, param="subscription")
    if subscription["status"] == "canceled":
        raise StripeError("A canceled subscription can only update its cancellation_details and metadata.")
    put_entries(subscription, changed_entries(write, subscription, [change]))
    write.replace("subscription", subscription)
    return list(subscription["items"]["data"])


def _create_one(write: Write, _: Object, params: Params) -> Object:
    given = {name: value for name, value in params.items() if name in _ENTRY}
    return _change(write, params["subscription"], given)[-1]


def _update_one(write: Write, entry: Object, params: Params) -> Object:
    given = {name: value for name, value in params.items() if name in _ENTRY}
    entries = _change(write, entry["subscription"], {"id": entry["id"], **given})
    return next(other for other in entries if other["id"] == entry["id"])


def _delete_one(write: Write, entry: Object, _: Params) -> Object:
    _change(write, entry["subscription"], {"deleted": True, "id": entry["id"]})
    return deleted_stub(write.collection("subscription_item"), entry["id"])


def _is_running(write: Write, entry: Object) -> bool:
    return bool(write.find("subscription", entry["subscription"])["status"] != "canceled")


def _may_leave(write: Write, entry: Object) -> bool:
    return _is_running(write, entry) and len(write.below("subscription_item", entry["subscription"])) > 1


def _seed(write: Write, rng: Random) -> Object:
    """One more plan on a running subscription, with the interval of the others."""
    for _ in range(5):
        subscription = samples.some_value(write, "subscription", rng)
        if subscription["status"] != "canceled" and len(subscription["items"]["data"]) < MOST_ENTRIES:
            break
    else:
        seed = write.collection("subscription").seed
        assert seed is not None
        subscription = seed(write, rng)
    model = subscription["items"]["data"][0]["plan"]
    create = write.collection("plan").create
    assert create is not None
    plan = create.run(
        write,
        {},
        {
            "amount": rng.randrange(100, 5_000),
            "currency": model["currency"],
            "interval": model["interval"],
            "interval_count": model["interval_count"],
            "nickname": samples.label(rng),
            "product": model["product"],
        },
    )
    return _create_one(
        write, {}, {"plan": plan["id"], "quantity": rng.randrange(1, 20), "subscription": subscription["id"]}
    )


MOST_ENTRIES = 20
_ENTRY = {
    "metadata": metadata(),
    "plan": text(unsettable=False),
    "price": text(unsettable=False),
    "quantity": integer(least=0),
}
_TAKES = {
    **_ENTRY,
    "payment_behavior": text(),
    "proration_behavior": text(),
}

SUBSCRIPTION_ITEM = Collection(
    name="subscription_item",
    path="subscription_items",
    parent=Parent(collection="subscription", field="subscription", embedded_as="items"),
    id_prefix="si_",
    id_length=14,
    event_prefix="subscription_item",
    events=(),
    created_filter=False,
    oldest_first=True,
    filters={"subscription": equals("subscription", text(unsettable=False))},
    list_needs=("subscription",),
    create=Operation(
        run=_create_one,
        takes={**_TAKES, "subscription": text(unsettable=False)},
        needs=("subscription",),
        unsupported=frozenset({"billing_thresholds", "discounts", "price_data", "proration_date", "tax_rates"}),
    ),
    update=Operation(
        run=_update_one,
        takes={**_TAKES, "off_session": boolean()},
        unsupported=frozenset({"billing_thresholds", "discounts", "price_data", "proration_date", "tax_rates"}),
    ),
    delete=Operation(
        run=_delete_one,
        takes={"clear_usage": boolean(), "proration_behavior": text()},
        unsupported=frozenset({"payment_behavior", "proration_date"}),
    ),
    seed=_seed,
    sample_update=lambda rng: {"metadata": samples.crm_metadata(rng), "quantity": rng.randrange(1, 50)},
    may_update=_is_running,
    may_delete=_may_leave,
)
