"""Quotes: drafted, finalized, then accepted or not."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import creation, modification, require_status, seeding
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, choice, hash_of, integer, list_of, metadata, text, timestamp
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write


def _complete_quote(write: Write, quote: Object, params: Params) -> None:
    if params.get("customer") is not None:
        write.named("customer", params["customer"], param="customer")
    if "line_items" in params:
        total = 0
        for index, entry in enumerate(params["line_items"]):
            price = write.named("price", entry["price"], param=f"line_items[{index}][price]")
            total += (price["unit_amount"] or 0) * entry.get("quantity", 1)
            quote["currency"] = price["currency"]
        quote |= {"amount_subtotal": total, "amount_total": total}
    quote["expires_at"] = quote["expires_at"] or write.now + 30 * 86_400


def _finalize_quote(write: Write, quote: Object, _: Params) -> Object:
    require_status(quote, "draft", action="finalize")
    quote |= {"number": f"QT-{write.new_id('', 8).upper()}-0001-1", "status": "open"}
    return _pass(write, quote, "finalized")


def _accept_quote(write: Write, quote: Object, _: Params) -> Object:
    """The customer says yes: what was offered is put on an invoice."""
    require_status(quote, "open", action="accept")
    if quote["customer"] is None:
        raise StripeError("You cannot accept a quote without a customer.")
    create = write.collection("invoice").create
    assert create is not None
    invoice = create.run(write, {}, {"customer": quote["customer"], "description": quote["number"]})
    quote |= {"invoice": invoice["id"], "status": "accepted"}
    return _pass(write, quote, "accepted")


def _cancel_quote(write: Write, quote: Object, _: Params) -> Object:
    require_status(quote, "draft", "open", action="cancel")
    quote["status"] = "canceled"
    return _pass(write, quote, "canceled")


def _pass(write: Write, quote: Object, change: str) -> Object:
    quote["status_transitions"] = {**quote["status_transitions"], f"{change}_at": write.now}
    return write.replace("quote", quote, change)


def _evolve_quote(write: Write, quote: Object, rng: Random) -> Object:
    if quote["status"] == "draft":
        return _finalize_quote(write, quote, {})
    if quote["customer"] in write.account.tables["customer"] and rng.random() < 0.7:
        return _accept_quote(write, quote, {})
    return _cancel_quote(write, quote, {})


_QUOTE_TAKES = {
    "collection_method": choice("charge_automatically", "send_invoice"),
    "customer": text(unsettable=False),
    "description": text(max_length=500),
    "expires_at": timestamp(),
    "footer": text(max_length=500),
    "header": text(max_length=50),
    "line_items": list_of(
        hash_of({"price": text(unsettable=False), "quantity": integer(least=0)}, needs=("price",)), most=20
    ),
    "metadata": metadata(),
}
_QUOTE_UNSUPPORTED = (
    "application_fee_amount", "application_fee_percent", "automatic_tax", "customer_account", "default_tax_rates",
    "discounts", "from_quote", "invoice_settings", "on_behalf_of", "subscription_data", "transfer_data",
)  # fmt: skip
_QUOTE = creation("quote", _QUOTE_TAKES, complete=_complete_quote, unsupported=(*_QUOTE_UNSUPPORTED, "test_clock"))

QUOTE = Collection(
    name="quote",
    path="quotes",
    id_prefix="qt_1",
    id_length=23,
    event_prefix="quote",
    events=("accepted", "canceled", "created", "finalized"),
    fields={
        "amount_subtotal": 0,
        "amount_total": 0,
        "application": None,
        "application_fee_amount": None,
        "application_fee_percent": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collection_method": "charge_automatically",
        "computed": {"recurring": None, "upfront": {"amount_subtotal": 0, "amount_total": 0}},
        "created": Given.NOW,
        "currency": "usd",
        "customer": None,
        "customer_account": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "expires_at": None,
        "footer": None,
        "from_quote": None,
        "header": None,
        "invoice": None,
        "invoice_settings": {"days_until_due": None, "issuer": {"type": "self"}},
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "number": None,
        "on_behalf_of": None,
        "status": "draft",
        "status_transitions": {"accepted_at": None, "canceled_at": None, "finalized_at": None},
        "subscription": None,
        "subscription_data": {"description": None, "effective_date": None, "metadata": {}, "trial_period_days": None},
        "subscription_schedule": None,
        "test_clock": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "transfer_data": None,
    },
    created_filter=False,
    filters={
        "customer": equals("customer", text(unsettable=False)),
        "status": equals("status", choice("accepted", "canceled", "draft", "open")),
    },
    unsupported_filters=frozenset({"customer_account", "test_clock"}),
    create=_QUOTE,
    update=modification("quote", _QUOTE_TAKES, complete=_complete_quote, unsupported=_QUOTE_UNSUPPORTED),
    actions={
        "accept": Operation(run=_accept_quote),
        "cancel": Operation(run=_cancel_quote),
        "finalize": Operation(run=_finalize_quote, takes={"expires_at": timestamp()}),
    },
    seed=seeding(
        _QUOTE,
        lambda write, rng: {
            "customer": samples.some_id(write, "customer", rng),
            "description": samples.label(rng),
            "line_items": [{"price": samples.some_id(write, "price", rng), "quantity": rng.randrange(1, 9)}],
            "metadata": samples.crm_metadata(rng),
        },
    ),
    sample_update=samples.described,
    evolve=_evolve_quote,
    may_update=lambda _, quote: quote["status"] in {"draft", "open"},
)
