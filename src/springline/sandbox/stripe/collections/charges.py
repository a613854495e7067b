"""Charges and their refunds. A charge succeeds at once unless it is asked not to."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.balance import book
from springline.sandbox.stripe.collections.operations import (
    modification,
    require_status,
    seeding,
)
from springline.sandbox.stripe.collections.payment_methods import card_details
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, boolean, choice, email, hash_of, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

DECLINED = "tok_chargeDeclined"
"""The source whose charges fail, as in Stripe's test mode."""
_CURRENCY = text(unsettable=False, max_length=3)
_UPDATES = {
    "customer": text(unsettable=False),
    "description": text(),
    "fraud_details": hash_of({"user_report": choice("fraudulent", "safe")}),
    "metadata": metadata(),
    "receipt_email": email(),
    "transfer_group": text(),
}


def fee_of(amount: int) -> int:
    """What Stripe keeps of a card payment: 2.9 % and 30 cents."""
    return round(amount * 0.029) + 30 if amount else 0


def charge(write: Write, params: Params) -> Object:
    """Store a charge with its balance transaction. Raises StripeError 402 where the card is declined."""
    made = write.blank("charge")
    for name in made.keys() & params.keys() - {"metadata"}:
        made[name] = params[name]
    made["metadata"] = {name: value for name, value in (params.get("metadata") or {}).items() if value}
    made["currency"] = made["currency"].lower()
    made["payment_method_details"] = {"card": card_details(write), "type": "card"}
    if params.get("source") == DECLINED:
        _decline(write, made)
    made["captured"] = params.get("capture", True)
    made["receipt_url"] = f"https://pay.stripe.com/receipts/{made['id']}"
    if made["captured"]:
        _settle(write, made)
    write.insert("charge", made, "succeeded")
    return made


def _decline(write: Write, made: Object) -> None:
    made |= {
        "failure_code": "card_declined",
        "failure_message": "Your card was declined.",
        "outcome": {**made["outcome"], "network_status": "declined_by_network", "type": "issuer_declined"},
        "paid": False,
        "status": "failed",
    }
    write.insert("charge", made, "failed")
    raise StripeError("Your card was declined.", status=402, code="card_declined", kind="card_error")


def _settle(write: Write, made: Object) -> None:
    made["amount_captured"] = made["amount_captured"] or made["amount"]
    made["balance_transaction"] = book(
        write,
        "charge",
        amount=made["amount_captured"],
        source=made["id"],
        currency=made["currency"],
        fee=fee_of(made["amount_captured"]),
    )


def capture(write: Write, made: Object, params: Params) -> Object:
    """Take what a charge has authorized so far."""
    if made["captured"] or made["refunded"]:
        raise StripeError(f"Charge {made['id']} has already been captured.", code="charge_already_captured")
    made["captured"] = True
    made["amount_captured"] = params.get("amount", made["amount"])
    _settle(write, made)
    return write.replace("charge", made, "captured", "updated")


def _capture_alone(write: Write, made: Object, params: Params) -> Object:
    if made["payment_intent"] is not None:
        raise StripeError(
            f"This charge ({made['id']}) belongs to a PaymentIntent: capture {made['payment_intent']} instead.",
            param="id",
        )
    return capture(write, made, params)


def release(write: Write, made: Object) -> None:
    """Let go what was authorized and never captured."""
    made |= {"amount_refunded": made["amount"], "refunded": True}
    write.replace("charge", made, "refunded", "updated")


def _sample(write: Write, rng: Random) -> Params:
    return {
        "amount": rng.randrange(100, 90_000),
        "capture": rng.random() < 0.9,
        "currency": "usd",
        "customer": samples.some_id(write, "customer", rng),
        "description": samples.label(rng),
        "metadata": samples.crm_metadata(rng),
    }


def _evolve(write: Write, made: Object, rng: Random) -> Object:
    """An authorized charge is captured, a captured one refunded in part."""
    if made["status"] == "succeeded" and not made["captured"] and made["payment_intent"] is None:
        return capture(write, made, {})
    if _refundable(made) > 100:
        return refund(write, {"charge": made["id"], "amount": rng.randrange(1, _refundable(made))})
    made["metadata"]["seen"] = samples.last_digits(rng)
    return write.replace("charge", made)


def _create(write: Write, _: Object, params: Params) -> Object:
    if params.get("customer") is not None:
        write.named("customer", params["customer"], param="customer")
    return charge(write, params)


_CHARGE = Operation(
    run=_create,
    takes={
        **_UPDATES,
        "amount": integer(least=1),
        "capture": boolean(),
        "currency": _CURRENCY,
        "source": text(unsettable=False),
        "statement_descriptor": text(max_length=22),
        "statement_descriptor_suffix": text(),
    },
    needs=("amount", "currency"),
    unsupported=frozenset(
        {"application_fee_amount", "destination", "on_behalf_of", "radar_options", "shipping", "transfer_data"}
    ),
)

CHARGE = Collection(
    name="charge",
    path="charges",
    id_prefix="ch_3",
    id_length=23,
    event_prefix="charge",
    events=("captured", "expired", "failed", "pending", "refunded", "succeeded", "updated"),
    fields={
        "amount": 0,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "calculated_statement_descriptor": "SPRINGLINE",
        "captured": False,
        "created": Given.NOW,
        "currency": "usd",
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": None,
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    },
    filters={
        "customer": equals("customer", text(unsettable=False)),
        "payment_intent": equals("payment_intent", text(unsettable=False)),
        "transfer_group": equals("transfer_group", text(unsettable=False)),
    },
    create=_CHARGE,
    update=modification("charge", _UPDATES, unsupported=("shipping",)),
    actions={
        "capture": Operation(
            run=_capture_alone,
            takes={"amount": integer(least=1), "receipt_email": email(), "statement_descriptor": text()},
            unsupported=frozenset({"application_fee_amount", "transfer_data", "transfer_group"}),
        )
    },
    seed=seeding(_CHARGE, _sample),
    sample_update=samples.described,
    evolve=_evolve,
)


def _refundable(made: Object) -> int:
    if made["status"] != "succeeded" or made["disputed"]:
        return 0
    return int(made["amount_captured"] - made["amount_refunded"])


def refund(write: Write, params: Params) -> Object:
    """Give back a part of a charge, or the rest of it."""
    made = _refunded_charge(write, params)
    amount = params.get("amount", _refundable(made))
    if made["amount_refunded"] == made["amount"]:
        raise StripeError(f"Charge {made['id']} has already been refunded.", code="charge_already_refunded")
    if amount > _refundable(made) or not amount:
        raise StripeError(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({_refundable(made)})",
            param="amount",
        )
    back = write.blank("refund") | {
        "amount": amount,
        "charge": made["id"],
        "currency": made["currency"],
        "customer": made["customer"],
        "metadata": {name: value for name, value in (params.get("metadata") or {}).items() if value},
        "payment_intent": made["payment_intent"],
        "payment_method": made["payment_method"],
        "reason": params.get("reason"),
    }
    back["balance_transaction"] = book(write, "refund", amount=-amount, source=back["id"], currency=made["currency"])
    write.insert("refund", back)
    made["amount_refunded"] += amount
    made["refunded"] = made["amount_refunded"] == made["amount"]
    write.replace("charge", made, "refunded", "updated")
    return back


def _refunded_charge(write: Write, params: Params) -> Object:
    if params.get("charge") is not None:
        return write.named("charge", params["charge"], param="charge")
    if params.get("payment_intent") is None:
        raise StripeError("One of the following params should be provided for this request: payment_intent or charge.")
    intent = write.named("payment_intent", params["payment_intent"], param="payment_intent")
    if intent["latest_charge"] is None:
        raise StripeError(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
    return write.named("charge", intent["latest_charge"], param="payment_intent")


def _tell_charge_refund_updated(write: Write, back: Object, _: Params) -> None:
    """Refunds of charges are told of twice."""
    record = write.account.tables["refund"].get(back["id"])
    if record is not None:
        write.emit("charge.refund.updated", "refund", record)


def _seed_refund(write: Write, rng: Random) -> Object:
    for _ in range(5):
        made = samples.some_value(write, "charge", rng)
        if _refundable(made) > 100:
            break
    else:
        made = charge(write, {**_sample(write, rng), "capture": True})
    params = {
        "charge": made["id"],
        "amount": rng.randrange(1, _refundable(made)),
        "metadata": samples.crm_metadata(rng),
    }
    return refund(write, {**params, "reason": rng.choice(("duplicate", "requested_by_customer"))})


def _cancel_refund(write: Write, back: Object, _: Params) -> Object:
    require_status(back, "requires_action", action="cancel")
    back["status"] = "canceled"
    write.replace("refund", back)
    _tell_charge_refund_updated(write, back, {})
    return back


def _evolve_refund(write: Write, back: Object, rng: Random) -> Object:
    """A refund bounces: the money is back with the account."""
    if back["status"] != "succeeded" or rng.random() < 0.5:
        back["metadata"]["seen"] = samples.last_digits(rng)
        write.replace("refund", back)
    else:
        back |= {"failure_reason": "expired_or_canceled_card", "status": "failed"}
        back["failure_balance_transaction"] = book(
            write, "refund_failure", amount=back["amount"], source=back["id"], currency=back["currency"]
        )
        write.replace("refund", back, "failed", "updated")
    _tell_charge_refund_updated(write, back, {})
    return back


REFUND = Collection(
    name="refund",
    path="refunds",
    id_prefix="re_3",
    id_length=23,
    event_prefix="refund",
    events=("created", "failed", "updated"),
    fields={
        "amount": 0,
        "balance_transaction": None,
        "charge": None,
        "created": Given.NOW,
        "currency": "usd",
        "customer": None,
        "destination_details": {"card": {"type": "pending"}, "type": "card"},
        "metadata": {},
        "payment_intent": None,
        "payment_method": None,
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    },
    filters={
        "charge": equals("charge", text(unsettable=False)),
        "payment_intent": equals("payment_intent", text(unsettable=False)),
    },
    create=Operation(
        run=lambda write, _, params: refund(write, params),
        takes={
            "amount": integer(least=1),
            "charge": text(unsettable=False),
            "metadata": metadata(),
            "payment_intent": text(unsettable=False),
            "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
        },
        unsupported=frozenset(
            {"currency", "customer", "instructions_email", "origin", "refund_application_fee", "reverse_transfer"}
        ),
    ),
    update=modification("refund", {"metadata": metadata()}, after=_tell_charge_refund_updated),
    actions={"cancel": Operation(run=_cancel_refund)},
    seed=_seed_refund,
    sample_update=samples.labelled,
    evolve=_evolve_refund,
)
