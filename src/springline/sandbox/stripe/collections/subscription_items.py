"""The plans within a subscription, and the invoice that bills them."""

from springline.sandbox.stripe.collections.invoice_shape import Line, new_invoice, with_lines
from springline.sandbox.stripe.collections.invoices import finalize, pay
from springline.sandbox.stripe.collections.periods import period_end
from springline.sandbox.stripe.collections.prices import price_of
from springline.sandbox.stripe.errors import StripeError, parameter_missing, resource_missing
from springline.sandbox.stripe.params import Params, assign, boolean, hash_of, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write

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
