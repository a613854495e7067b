"""What stands on invoices: lines, and the invoice items that become lines."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, Parent, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.invoice_shape import line_of, totalled
from springline.sandbox.stripe.collections.invoices import editable, line_for, remove_lines
from springline.sandbox.stripe.collections.operations import creation, modification, seeding
from springline.sandbox.stripe.errors import StripeError, parameter_missing
from springline.sandbox.stripe.params import (
    Params,
    assign,
    boolean,
    hash_of,
    integer,
    metadata,
    text,
    timestamp,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write


def _some_draft(write: Write, rng: Random) -> Object:
    for _ in range(5):
        invoice = samples.some_value(write, "invoice", rng)
        if invoice["status"] == "draft":
            return invoice
    create = write.collection("invoice").create
    assert create is not None
    customer = samples.some_id(write, "customer", rng)
    return create.run(write, {}, {"customer": customer, "description": samples.label(rng)})


def _seed_line(write: Write, rng: Random) -> Object:
    invoice = _some_draft(write, rng)
    given = {"amount": rng.randrange(100, 9_000), "description": samples.label(rng), "quantity": 1}
    write.collection("invoice").actions["add_lines"].run(write, invoice, {"lines": [given]})
    last: Object = invoice["lines"]["data"][-1]
    return last


def _update_line(write: Write, line: Object, params: Params) -> Object:
    invoice = editable(write, line["invoice"])
    assign(line, params, only=tuple(line))
    line["subtotal"] = line["amount"]
    entries = invoice["lines"]["data"]
    invoice["lines"]["data"] = [line if entry["id"] == line["id"] else entry for entry in entries]
    write.replace("invoice", totalled(invoice))
    return line


def _drop_line(write: Write, line: Object, _: Params) -> Object:
    return remove_lines(write, editable(write, line["invoice"]), {"lines": [line]})


def _on_draft(write: Write, line: Object) -> bool:
    invoice = write.account.tables["invoice"].get(line["invoice"])
    return invoice is not None and invoice.fields["status"] == "draft"


INVOICE_LINE_ITEM = Collection(
    name="invoice_line_item",
    object_type="line_item",
    path=None,
    parent=Parent(collection="invoice", field="invoice", segment="lines", embedded_as="lines"),
    id_prefix="il_1",
    id_length=23,
    event_prefix="invoice_line_item",
    events=(),
    created_field=None,
    created_filter=False,
    oldest_first=True,
    readable=False,
    update=Operation(
        run=_update_line,
        takes={
            "amount": integer(),
            "description": text(),
            "discountable": boolean(),
            "metadata": metadata(),
            "quantity": integer(least=0),
        },
        unsupported=frozenset({"discounts", "period", "price_data", "pricing", "tax_amounts", "tax_rates"}),
    ),
    departure=Operation(run=_drop_line),
    seed=_seed_line,
    sample_update=lambda rng: {"amount": rng.randrange(100, 9_000), "description": samples.label(rng)},
    may_update=_on_draft,
    may_delete=_on_draft,
)


def _complete_item(write: Write, owed: Object, params: Params) -> None:
    customer = write.named("customer", params["customer"], param="customer")
    if params.get("amount") is None and params.get("unit_amount_decimal") is None:
        raise parameter_missing("amount")
    owed["currency"] = (params.get("currency") or customer["currency"] or "usd").lower()
    if params.get("invoice") is not None:
        editable(write, params["invoice"])
    period = params.get("period")
    owed["period"] = period or {"end": write.now, "start": write.now}
    owed["quantity_decimal"] = str(owed["quantity"])


def _bill(write: Write, owed: Object, _: Params) -> None:
    """An item for a certain invoice is a line of it at once."""
    if owed["invoice"] is not None:
        invoice = editable(write, owed["invoice"])
        invoice["lines"]["data"].append(line_of(write, invoice, line_for(owed)))
        write.replace("invoice", totalled(invoice))


def _line_of_item(owed: Object, entries: list[Object]) -> Object | None:
    for entry in entries:
        details = (entry["parent"] or {}).get("invoice_item_details")
        if details is not None and details["invoice_item"] == owed["id"]:
            return entry
    return None


def _rebill(write: Write, owed: Object, _: Params) -> None:
    if owed["invoice"] is None or not _on_draft(write, owed):
        return
    invoice = editable(write, owed["invoice"])
    line = _line_of_item(owed, invoice["lines"]["data"])
    if line is not None:
        line |= {"amount": owed["amount"], "description": owed["description"], "subtotal": owed["amount"]}
        write.replace("invoice", totalled(invoice))


def _check_item(write: Write, owed: Object, _: Params) -> None:
    if owed["invoice"] is not None and not _on_draft(write, owed):
        raise StripeError(
            "You cannot change an invoice item that is attached to an invoice that is no longer editable.",
            code="invoice_not_editable",
        )


def _delete_item(write: Write, owed: Object, _: Params) -> Object:
    _check_item(write, owed, {})
    if owed["invoice"] is not None:
        invoice = editable(write, owed["invoice"])
        line = _line_of_item(owed, invoice["lines"]["data"])
        if line is not None:
            remove_lines(write, invoice, {"lines": [line]})
    return write.remove("invoice_item", owed)


_ITEM_TAKES = {
    "amount": integer(),
    "description": text(),
    "discountable": boolean(),
    "metadata": metadata(),
    "period": hash_of({"end": timestamp(), "start": timestamp()}, needs=("end", "start")),
    "quantity": integer(least=0),
}
_ITEM_UNSUPPORTED = (
    "discounts", "price_data", "pricing", "quantity_decimal", "tax_behavior", "tax_code", "tax_rates",
    "unit_amount_decimal",
)  # fmt: skip
_ITEM = creation(
    "invoice_item",
    {
        **_ITEM_TAKES,
        "currency": text(unsettable=False, max_length=3),
        "customer": text(unsettable=False),
        "invoice": text(unsettable=False),
    },
    needs=("customer",),
    complete=_complete_item,
    after=_bill,
    unsupported=(*_ITEM_UNSUPPORTED, "customer_account", "subscription"),
)


def _sample_item(write: Write, rng: Random) -> Params:
    params: Params = {
        "amount": rng.randrange(100, 9_000),
        "currency": "usd",
        "description": samples.label(rng),
        "metadata": samples.crm_metadata(rng),
    }
    if rng.random() < 0.5:
        return params | {"customer": samples.some_id(write, "customer", rng)}
    draft = _some_draft(write, rng)
    if draft["customer"] not in write.account.tables["customer"]:
        return params | {"customer": samples.some_id(write, "customer", rng)}
    return params | {"customer": draft["customer"], "invoice": draft["id"]}


INVOICE_ITEM = Collection(
    name="invoice_item",
    object_type="invoiceitem",
    path="invoiceitems",
    id_prefix="ii_1",
    id_length=23,
    event_prefix="invoiceitem",
    events=("created", "deleted"),
    fields={
        "amount": 0,
        "currency": "usd",
        "customer": "",
        "customer_account": None,
        "date": Given.NOW,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "net_amount": None,
        "parent": None,
        "period": {},
        "pricing": None,
        "proration": False,
        "proration_details": None,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
    },
    created_field="date",
    filters={
        "customer": equals("customer", text(unsettable=False)),
        "invoice": equals("invoice", text(unsettable=False)),
    },
    unsupported_filters=frozenset({"customer_account", "pending"}),
    create=_ITEM,
    update=modification(
        "invoice_item", _ITEM_TAKES, complete=_check_item, after=_rebill, unsupported=_ITEM_UNSUPPORTED
    ),
    delete=Operation(run=_delete_item),
    seed=seeding(_ITEM, _sample_item),
    sample_update=lambda rng: {"amount": rng.randrange(100, 9_000), "description": samples.label(rng)},
    may_update=lambda write, owed: owed["invoice"] is None or _on_draft(write, owed),
    may_delete=lambda write, owed: owed["invoice"] is None or _on_draft(write, owed),
)
