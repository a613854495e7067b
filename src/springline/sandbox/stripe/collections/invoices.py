"""Invoices: drafts by hand or from a subscription, finalized, then paid, voided or given up."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.invoice_shape import (
    Line,
    line_of,
    new_invoice,
    totalled,
    with_lines,
)
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import (
    Params,
    assign,
    boolean,
    choice,
    hash_of,
    integer,
    list_of,
    metadata,
    text,
    timestamp,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write

_METHODS = ("charge_automatically", "send_invoice")
_STATUSES = ("draft", "open", "paid", "uncollectible", "void")

_TAKES = {
    "auto_advance": boolean(),
    "collection_method": choice(*_METHODS),
    "custom_fields": list_of(
        hash_of({"name": text(unsettable=False), "value": text(unsettable=False)}), most=4, unsettable=True
    ),
    "days_until_due": integer(least=0),
    "default_payment_method": text(),
    "description": text(),
    "due_date": timestamp(),
    "footer": text(),
    "metadata": metadata(),
    "number": text(max_length=26),
    "statement_descriptor": text(max_length=22),
}
_UNSUPPORTED = frozenset(
    {
        "account_tax_ids", "application_fee_amount", "automatic_tax", "automatically_finalizes_at",
        "default_source", "default_tax_rates", "discounts", "effective_at", "issuer", "on_behalf_of",
        "payment_settings", "rendering", "shipping_cost", "shipping_details", "transfer_data",
    }
)  # fmt: skip
_EDITABLE_LATER = frozenset({"metadata", "auto_advance", "default_payment_method"})


def _create(write: Write, _: Object, params: Params) -> Object:
    if params.get("customer") is None:
        raise StripeError("You must specify a customer or a from_invoice to create an invoice.", param="customer")
    customer = write.named("customer", params["customer"], param="customer")
    currency = (params.get("currency") or customer["currency"] or "usd").lower()
    invoice = new_invoice(write, customer, currency=currency, reason="manual")
    _apply(write, invoice, params)
    write.insert("invoice", with_lines(write, invoice, params.get("lines", ())))
    return _with_pending_items(write, invoice) if params.get("pending_invoice_items_behavior") == "include" else invoice


def _with_pending_items(write: Write, invoice: Object) -> Object:
    """Put on the invoice what the customer owes besides."""
    pending = write.having("invoice_item", customer=invoice["customer"], invoice=None)
    for owed in reversed(pending):
        if owed["currency"] == invoice["currency"]:
            invoice["lines"]["data"].append(line_of(write, invoice, line_for(owed)))
            write.replace("invoice_item", owed | {"invoice": invoice["id"]})
    return write.replace("invoice", totalled(invoice))


def line_for(owed: Object) -> Line:
    """The line that bills an invoice item."""
    return Line(
        amount=owed["amount"],
        description=owed["description"],
        quantity=owed["quantity"],
        period=(owed["period"]["start"], owed["period"]["end"]),
        invoice_item=owed["id"],
    )


def editable(write: Write, invoice_id: str) -> Object:
    """The draft whose lines may change. Raises StripeError `invoice_not_editable` for what is none."""
    invoice = write.named("invoice", invoice_id, param="invoice")
    if invoice["status"] != "draft":
        raise StripeError("This invoice is no longer editable", code="invoice_not_editable", param="invoice")
    return invoice


def _add_lines(write: Write, invoice: Object, params: Params) -> Object:
    editable(write, invoice["id"])
    for given in params["lines"]:
        amount, quantity = given.get("amount", 0), given.get("quantity", 1)
        line = Line(amount=amount, description=given.get("description"), quantity=quantity)
        invoice["lines"]["data"].append(line_of(write, invoice, line))
    return write.replace("invoice", totalled(invoice))


def remove_lines(write: Write, invoice: Object, params: Params) -> Object:
    """Take lines off a draft."""
    editable(write, invoice["id"])
    named = {given["id"] for given in params["lines"]}
    entries = invoice["lines"]["data"]
    invoice["lines"]["data"] = [entry for entry in entries if entry["id"] not in named]
    return write.replace("invoice", totalled(invoice))


def _apply(write: Write, invoice: Object, params: Params) -> None:
    given = {name: value for name, value in params.items() if name in _TAKES and name != "days_until_due"}
    assign(invoice, given)
    sent = invoice["collection_method"] == "send_invoice"
    for name in ("days_until_due", "due_date"):
        if params.get(name) is not None and not sent:
            raise StripeError(
                f"You can only set {name} on invoices with collection_method set to send_invoice.", param=name
            )
    if params.get("days_until_due") is not None:
        invoice["due_date"] = write.now + params["days_until_due"] * 86_400


def _update(write: Write, invoice: Object, params: Params) -> Object:
    locked = params.keys() - _EDITABLE_LATER
    if invoice["status"] != "draft" and locked:
        raise StripeError(
            "Finalized invoices can't be updated in this way", code="invoice_not_editable", param=min(locked)
        )
    _apply(write, invoice, params)
    return write.replace("invoice", invoice)


def _delete(write: Write, invoice: Object, _: Params) -> Object:
    if invoice["status"] != "draft":
        raise StripeError("You can only delete draft invoices.", code="invoice_not_editable")
    if invoice["parent"] is not None:
        raise StripeError("You can't delete invoices created by subscriptions.", code="invoice_not_editable")
    return write.remove("invoice", invoice)


def finalize(write: Write, invoice: Object, _: Params) -> Object:
    """Give a draft its number and open it; one over nothing is paid at once."""
    if invoice["status"] != "draft":
        raise StripeError(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    account, mode = write.account.id, "live" if write.account.livemode else "test"
    page = f"https://invoice.stripe.com/i/{account}/{mode}_{invoice['id'][3:]}"
    invoice |= {
        "status": "open",
        "number": invoice["number"] or _next_number(write, invoice),
        "effective_at": write.now,
        "ending_balance": 0,
        "hosted_invoice_url": page,
        "invoice_pdf": f"https://pay.stripe.com/invoice/{account}/{mode}_{invoice['id'][3:]}/pdf",
        "period_end": max(invoice["period_end"], invoice["period_start"]),
    }
    invoice["status_transitions"] = {**invoice["status_transitions"], "finalized_at": write.now}
    write.replace("invoice", invoice, "finalized", "updated")
    return _settle(write, invoice) if invoice["amount_due"] == 0 else invoice


def _next_number(write: Write, invoice: Object) -> str:
    record = write.account.tables["customer"].get(invoice["customer"])
    if record is None:
        return f"{invoice['id'][-8:].upper()}-0001"
    customer = record.value()
    sequence = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = sequence + 1
    customer["currency"] = customer["currency"] or invoice["currency"]
    write.replace("customer", customer)
    return f"{customer['invoice_prefix']}-{sequence:04d}"


def pay(write: Write, invoice: Object, _: Params) -> Object:
    """Payments always succeed here. A draft is finalized first, as Stripe does."""
    if invoice["status"] == "draft":
        invoice = finalize(write, invoice, {})
        if invoice["status"] == "paid":
            return invoice
    if invoice["status"] == "paid":
        raise StripeError("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] == "void":
        raise StripeError("Voided invoices can't be paid.", code="invoice_not_editable")
    return _settle(write, invoice)


def _settle(write: Write, invoice: Object) -> Object:
    invoice |= {
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "attempt_count": 1 if invoice["amount_due"] else 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
    }
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": write.now}
    return write.replace("invoice", invoice, "updated", "paid", "payment_succeeded")


def _void(write: Write, invoice: Object, _: Params) -> Object:
    if invoice["status"] not in {"open", "uncollectible"}:
        raise StripeError(
            f"You can only pass in open or uncollectible invoices. This invoice isn't one: it is {invoice['status']}.",
            code="invoice_not_editable",
        )
    invoice |= {"auto_advance": False, "next_payment_attempt": None, "status": "void"}
    invoice["status_transitions"] = {**invoice["status_transitions"], "voided_at": write.now}
    return write.replace("invoice", invoice, "updated", "voided")


def _mark_uncollectible(write: Write, invoice: Object, _: Params) -> Object:
    if invoice["status"] != "open":
        raise StripeError("You can only mark open invoices as uncollectible.", code="invoice_not_editable")
    invoice |= {"auto_advance": False, "status": "uncollectible"}
    invoice["status_transitions"] = {**invoice["status_transitions"], "marked_uncollectible_at": write.now}
    return write.replace("invoice", invoice, "updated", "marked_uncollectible")


def _seed(write: Write, rng: Random) -> Object:
    lines = [
        Line(
            amount=rng.randrange(500, 20_000),
            description=f"{rng.choice(samples.TIERS)} seats",
            quantity=rng.randrange(1, 20),
        )
        for _ in range(rng.randrange(1, 4))
    ]
    params: Params = {
        "collection_method": rng.choice(_METHODS),
        "customer": samples.some_id(write, "customer", rng),
        "description": f"{rng.choice(samples.COMPANIES)} {rng.randrange(10**6)}",
        "lines": lines,
        "metadata": samples.crm_metadata(rng),
    }
    invoice = _create(write, {}, params)
    fate = rng.random()
    if fate < 0.1:
        return invoice
    if fate < 0.75:
        return pay(write, invoice, {})
    invoice = finalize(write, invoice, {})
    return _void(write, invoice, {}) if fate > 0.95 else invoice


def _sample_update(rng: Random) -> Params:
    return {"metadata": samples.crm_metadata(rng)}


INVOICE = Collection(
    name="invoice",
    path="invoices",
    id_prefix="in_1",
    id_length=23,
    event_prefix="invoice",
    events=(
        "created", "deleted", "finalization_failed", "finalized", "marked_uncollectible", "overdue", "paid",
        "payment_action_required", "payment_failed", "payment_succeeded", "sent", "updated", "voided", "will_be_due",
    ),
    filter_fields=("collection_method", "customer", "status", "subscription"),
    filters={
        "collection_method": equals("collection_method", choice(*_METHODS)),
        "customer": equals("customer", text(unsettable=False)),
        "status": equals("status", choice(*_STATUSES)),
    },
    unsupported_filters=frozenset({"customer_account", "due_date", "subscription"}),
    create=Operation(
        run=_create,
        takes={
            **_TAKES,
            "currency": text(unsettable=False, max_length=3),
            "customer": text(unsettable=False),
            "pending_invoice_items_behavior": choice("exclude", "include"),
        },
        unsupported=_UNSUPPORTED
        | {"customer_account", "from_invoice", "subscription"},
    ),
    update=Operation(run=_update, takes=_TAKES, unsupported=_UNSUPPORTED),
    delete=Operation(run=_delete),
    actions={
        "finalize": Operation(run=finalize, takes={"auto_advance": boolean()}),
        "pay": Operation(
            run=pay,
            takes={"off_session": boolean(), "paid_out_of_band": boolean(), "payment_method": text()},
            unsupported=frozenset({"forgive", "mandate", "source"}),
        ),
        "void": Operation(run=_void),
        "add_lines": Operation(
            run=_add_lines,
            takes={
                "lines": list_of(
                    hash_of({"amount": integer(), "description": text(), "quantity": integer(least=0)}), most=250
                )
            },
            needs=("lines",),
        ),
        "remove_lines": Operation(
            run=remove_lines,
            takes={
                "lines": list_of(
                    hash_of({"behavior": choice("delete", "unassign"), "id": text(unsettable=False)}, needs=("id",))
                )
            },
            needs=("lines",),
        ),
        "mark_uncollectible": Operation(run=_mark_uncollectible),
    },
    seed=_seed,
    sample_update=_sample_update,
    may_delete=lambda _, invoice: invoice["status"] == "draft" and invoice["parent"] is None,
)  # fmt: skip
