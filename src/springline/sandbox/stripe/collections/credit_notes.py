"""Credit notes: what is taken back of an invoice."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.customer_parts import note_balance
from springline.sandbox.stripe.collections.invoice_shape import Line
from springline.sandbox.stripe.collections.invoices import finalize
from springline.sandbox.stripe.collections.operations import creation, modification
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, choice, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write


def _complete_note(write: Write, note: Object, params: Params) -> None:
    invoice = write.named("invoice", params["invoice"], param="invoice")
    if invoice["status"] not in {"open", "paid"}:
        raise StripeError("Credit notes can only be made for open or paid invoices.", param="invoice")
    paid, amount = invoice["status"] == "paid", params.get("amount")
    earlier = invoice["post_payment_credit_notes_amount"] + invoice["pre_payment_credit_notes_amount"]
    if amount is None or not 0 < amount <= invoice["total"] - earlier:
        raise StripeError(f"The credit note amount must be between 1 and {invoice['total'] - earlier}.", param="amount")
    own = invoice["number"] or invoice["id"]
    note |= {
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "number": f"{own}-CN-{write.new_id('', 4).upper()}",
        "pdf": f"https://pay.stripe.com/credit_notes/{write.account.id}/{note['id']}/pdf",
        "type": "post_payment" if paid else "pre_payment",
        "post_payment_amount": amount if paid else 0,
        "pre_payment_amount": 0 if paid else amount,
    }
    for name in ("amount", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"):
        note[name] = amount
    note["lines"] = {"object": "list", "data": [_note_line(write, note)], "has_more": False}
    note["lines"]["url"] = f"/v1/credit_notes/{note['id']}/lines"
    _credit(write, note, params)


def _note_line(write: Write, note: Object) -> Object:
    return {
        "id": write.new_id("cnli_1", 23),
        "object": "credit_note_line_item",
        "amount": note["total"],
        "description": note["memo"] or "Credit",
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": note["livemode"],
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": 1,
        "tax_rates": [],
        "taxes": [],
        "type": "custom_line_item",
        "unit_amount": note["total"],
        "unit_amount_decimal": str(note["total"]),
    }


def _credit(write: Write, note: Object, params: Params) -> None:
    """The invoice says what was taken back; a paid one's money goes to the customer's balance if asked."""
    invoice = write.find("invoice", note["invoice"])
    if note["type"] == "pre_payment":
        invoice["pre_payment_credit_notes_amount"] += note["amount"]
        invoice["amount_due"] -= note["amount"]
        invoice["amount_remaining"] -= note["amount"]
    else:
        invoice["post_payment_credit_notes_amount"] += note["amount"]
    write.replace("invoice", invoice)
    if params.get("credit_amount") and invoice["customer"] in write.account.tables["customer"]:
        customer = write.find("customer", invoice["customer"])
        customer["balance"] -= params["credit_amount"]
        write.replace("customer", customer)
        moved = note_balance(
            write, customer, amount=-params["credit_amount"], kind="credit_note", credit_note=note["id"]
        )
        note["customer_balance_transaction"] = moved["id"]


def _void(write: Write, note: Object, _: Params) -> Object:
    if note["status"] == "void" or note["type"] != "pre_payment":
        raise StripeError("You can only void issued credit notes of open invoices.")
    invoice = write.find("invoice", note["invoice"])
    if invoice["status"] != "open":
        raise StripeError("You can only void credit notes of open invoices.")
    invoice["pre_payment_credit_notes_amount"] -= note["amount"]
    invoice["amount_due"] += note["amount"]
    invoice["amount_remaining"] += note["amount"]
    write.replace("invoice", invoice)
    return write.replace("credit_note", note | {"status": "void", "voided_at": write.now}, "voided")


def _seed_note(write: Write, rng: Random) -> Object:
    """A credit on an open invoice that is large enough; one is made where there is none."""
    for _ in range(5):
        invoice = samples.some_value(write, "invoice", rng)
        if invoice["status"] == "open" and invoice["amount_due"] > 100:
            break
    else:
        create = write.collection("invoice").create
        assert create is not None
        lines = [Line(amount=10_000, description=samples.label(rng), quantity=1)]
        customer = samples.some_id(write, "customer", rng)
        invoice = finalize(write, create.run(write, {}, {"customer": customer, "lines": lines}), {})
    params = {
        "amount": rng.randrange(1, 100),
        "invoice": invoice["id"],
        "memo": samples.label(rng),
        "metadata": samples.crm_metadata(rng),
        "reason": rng.choice(("duplicate", "order_change")),
    }
    return _NOTE.run(write, {}, params)


def _evolve_note(write: Write, note: Object, rng: Random) -> Object:
    invoice = write.account.tables["invoice"].get(note["invoice"])
    is_open = invoice is not None and invoice.fields["status"] == "open"
    if note["type"] == "pre_payment" and note["status"] == "issued" and is_open:
        return _void(write, note, {})
    return write.replace("credit_note", note | {"memo": samples.label(rng)})


_NOTE = creation(
    "credit_note",
    {
        "amount": integer(least=1),
        "credit_amount": integer(least=0),
        "invoice": text(unsettable=False),
        "memo": text(),
        "metadata": metadata(),
        "out_of_band_amount": integer(least=0),
        "reason": choice("duplicate", "fraudulent", "order_change", "product_unsatisfactory"),
    },
    needs=("invoice",),
    complete=_complete_note,
    unsupported=("effective_at", "email_type", "lines", "refund_amount", "refunds", "shipping_cost"),
)

CREDIT_NOTE = Collection(
    name="credit_note",
    path="credit_notes",
    id_prefix="cn_1",
    id_length=23,
    event_prefix="credit_note",
    events=("created", "updated", "voided"),
    fields={
        "amount": 0,
        "amount_shipping": 0,
        "created": Given.NOW,
        "currency": "usd",
        "customer": "",
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": Given.NOW,
        "invoice": "",
        "lines": {},
        "livemode": Given.LIVEMODE,
        "memo": None,
        "metadata": {},
        "number": "",
        "out_of_band_amount": None,
        "pdf": "",
        "post_payment_amount": 0,
        "pre_payment_amount": 0,
        "pretax_credit_amounts": [],
        "reason": None,
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": 0,
        "subtotal_excluding_tax": None,
        "total": 0,
        "total_excluding_tax": None,
        "total_taxes": [],
        "type": "pre_payment",
        "voided_at": None,
    },
    filters={
        "customer": equals("customer", text(unsettable=False)),
        "invoice": equals("invoice", text(unsettable=False)),
    },
    unsupported_filters=frozenset({"customer_account"}),
    create=_NOTE,
    update=modification("credit_note", {"memo": text(), "metadata": metadata()}),
    actions={"void": Operation(run=_void)},
    seed=_seed_note,
    sample_update=lambda rng: {"memo": samples.label(rng), "metadata": samples.crm_metadata(rng)},
    evolve=_evolve_note,
)
