"""Payment intents and setup intents: what a customer means to pay, and how."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.charges import capture as capture_charge
from springline.sandbox.stripe.collections.charges import charge, release
from springline.sandbox.stripe.collections.operations import creation, modification, require_status, seeding
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import (
    Params,
    boolean,
    choice,
    email,
    hash_of,
    integer,
    list_of,
    metadata,
    text,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

_WAITING = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELABLE = (*_WAITING, "requires_capture", "processing")
_CURRENCY = text(unsettable=False, max_length=3)
_METHODS = list_of(text(unsettable=False))
_AUTOMATIC = hash_of({"allow_redirects": choice("always", "never"), "enabled": boolean()})

_TAKES = {
    "amount": integer(least=1),
    "capture_method": choice("automatic", "automatic_async", "manual"),
    "currency": _CURRENCY,
    "customer": text(),
    "description": text(),
    "metadata": metadata(),
    "payment_method": text(),
    "payment_method_types": _METHODS,
    "receipt_email": email(),
    "setup_future_usage": choice("off_session", "on_session"),
    "statement_descriptor": text(max_length=22),
    "statement_descriptor_suffix": text(max_length=22),
    "transfer_group": text(),
}
_UNSUPPORTED = (
    "amount_details", "application_fee_amount", "hooks", "payment_details", "payment_method_data",
    "payment_method_options", "shipping", "transfer_data",
)  # fmt: skip


def _prepare(write: Write, intent: Object, params: Params) -> None:
    if "currency" in intent:
        intent["currency"] = intent["currency"].lower()
    intent["client_secret"] = intent["client_secret"] or f"{intent['id']}_secret_{write.new_id('', 25)}"
    if params.get("customer") is not None:
        write.named("customer", params["customer"], param="customer")
    if params.get("payment_method") is not None:
        write.named("payment_method", params["payment_method"], param="payment_method")
    if params.get("automatic_payment_methods") and intent["automatic_payment_methods"]:
        intent["automatic_payment_methods"].setdefault("allow_redirects", "always")
    if intent["status"] in _WAITING:
        intent["status"] = "requires_confirmation" if intent["payment_method"] else "requires_payment_method"


def _created(write: Write, intent: Object, params: Params) -> None:
    if params.get("confirm"):
        _confirm(write, intent, params)


def _confirm(write: Write, intent: Object, params: Params) -> Object:
    """Charge. Without a way to pay, the intent goes on waiting for one."""
    require_status(intent, *_WAITING, action="confirm")
    intent["payment_method"] = params.get("payment_method") or intent["payment_method"]
    if intent["payment_method"] is None:
        raise StripeError(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )
    by_hand = intent["capture_method"] == "manual"
    made = charge(
        write,
        {
            "amount": intent["amount"],
            "capture": not by_hand,
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "metadata": dict(intent["metadata"]),
            "payment_intent": intent["id"],
            "payment_method": intent["payment_method"],
        },
    )
    intent |= {"last_payment_error": None, "latest_charge": made["id"]}
    if by_hand:
        intent |= {"amount_capturable": intent["amount"], "status": "requires_capture"}
        return write.replace("payment_intent", intent, "amount_capturable_updated")
    intent |= {"amount_received": intent["amount"], "status": "succeeded"}
    return write.replace("payment_intent", intent, "succeeded")


def _capture(write: Write, intent: Object, params: Params) -> Object:
    require_status(intent, "requires_capture", action="capture")
    taken = params.get("amount_to_capture", intent["amount_capturable"])
    capture_charge(write, write.find("charge", intent["latest_charge"]), {"amount": taken})
    intent |= {"amount_capturable": 0, "amount_received": taken, "status": "succeeded"}
    return write.replace("payment_intent", intent, "succeeded")


def _cancel(write: Write, intent: Object, params: Params) -> Object:
    require_status(intent, *_CANCELABLE, action="cancel")
    if intent["status"] == "requires_capture":
        release(write, write.find("charge", intent["latest_charge"]))
    intent |= {"cancellation_reason": params.get("cancellation_reason"), "status": "canceled"}
    if "canceled_at" in intent:
        intent |= {"amount_capturable": 0, "canceled_at": write.now}
    return write.replace(intent["object"], intent, "canceled")


def _sample(write: Write, rng: Random) -> Params:
    params: Params = {
        "amount": rng.randrange(100, 90_000),
        "capture_method": rng.choice(("automatic", "automatic", "automatic_async", "manual")),
        "currency": "usd",
        "customer": samples.some_id(write, "customer", rng),
        "description": samples.label(rng),
        "metadata": samples.crm_metadata(rng),
    }
    if rng.random() < 0.7:
        return params
    return params | {"payment_method": _method(write, rng), "confirm": True}


def _method(write: Write, rng: Random) -> str:
    return samples.some_id(write, "payment_method", rng)


def _evolve(write: Write, intent: Object, rng: Random) -> Object:
    """A waiting intent is paid, fails or is given up; an authorized one is captured."""
    if intent["status"] == "requires_capture":
        return _capture(write, intent, {}) if rng.random() < 0.8 else _cancel(write, intent, {})
    chance = rng.random()
    if chance < 0.6:
        return _confirm(write, intent, {"payment_method": _method(write, rng)})
    if chance < 0.8:
        return _cancel(write, intent, {"cancellation_reason": "abandoned"})
    intent["last_payment_error"] = {
        "code": "card_declined",
        "decline_code": "generic_decline",
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": f"Your card was declined. (attempt {rng.randrange(10**6)})",
        "type": "card_error",
    }
    return write.replace("payment_intent", intent, "payment_failed")


_CREATION = creation(
    "payment_intent",
    {
        **_TAKES,
        "automatic_payment_methods": _AUTOMATIC,
        "confirm": boolean(),
        "confirmation_method": choice("automatic", "manual"),
        "off_session": boolean(),
        "return_url": text(),
    },
    needs=("amount", "currency"),
    complete=_prepare,
    after=_created,
    unsupported=(*_UNSUPPORTED, "confirmation_token", "error_on_requires_action", "mandate", "on_behalf_of"),
)

PAYMENT_INTENT = Collection(
    name="payment_intent",
    path="payment_intents",
    id_prefix="pi_3",
    id_length=23,
    event_prefix="payment_intent",
    events=(
        "amount_capturable_updated", "canceled", "created", "partially_funded", "payment_failed", "processing",
        "requires_action", "succeeded",
    ),
    fields={
        "amount": 0,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": Given.NOW,
        "currency": "usd",
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    },
    filters={"customer": equals("customer", text(unsettable=False))},
    unsupported_filters=frozenset({"customer_account"}),
    create=_CREATION,
    update=modification("payment_intent", _TAKES, complete=_prepare, unsupported=_UNSUPPORTED),
    actions={
        "cancel": Operation(
            run=_cancel,
            takes={
                "cancellation_reason": choice("abandoned", "duplicate", "fraudulent", "requested_by_customer")
            },
        ),
        "capture": Operation(run=_capture, takes={"amount_to_capture": integer(least=1), "metadata": metadata()}),
        "confirm": Operation(
            run=_confirm,
            takes={"off_session": boolean(), "payment_method": text(unsettable=False), "return_url": text()},
        ),
    },
    seed=seeding(_CREATION, _sample),
    sample_update=samples.described,
    evolve=_evolve,
    may_update=lambda _, intent: intent["status"] in _CANCELABLE,
)  # fmt: skip


def _confirm_setup(write: Write, intent: Object, params: Params) -> Object:
    require_status(intent, *_WAITING, action="confirm")
    intent["payment_method"] = params.get("payment_method") or intent["payment_method"]
    if intent["payment_method"] is None:
        raise StripeError(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
        )
    intent["status"] = "succeeded"
    return write.replace("setup_intent", intent, "succeeded")


def _setup_created(write: Write, intent: Object, params: Params) -> None:
    if params.get("confirm"):
        _confirm_setup(write, intent, params)


def _evolve_setup(write: Write, intent: Object, rng: Random) -> Object:
    if rng.random() < 0.7:
        return _confirm_setup(write, intent, {"payment_method": _method(write, rng)})
    return _cancel(write, intent, {"cancellation_reason": "abandoned"})


_SETUP_TAKES = {
    "customer": text(),
    "description": text(),
    "metadata": metadata(),
    "payment_method": text(),
    "payment_method_types": _METHODS,
}
_SETUP_CREATION = creation(
    "setup_intent",
    {
        **_SETUP_TAKES,
        "automatic_payment_methods": _AUTOMATIC,
        "confirm": boolean(),
        "return_url": text(),
        "usage": choice("off_session", "on_session"),
    },
    complete=_prepare,
    after=_setup_created,
    unsupported=("attach_to_self", "flow_directions", "mandate_data", "on_behalf_of", "payment_method_options"),
)

SETUP_INTENT = Collection(
    name="setup_intent",
    path="setup_intents",
    id_prefix="seti_1",
    id_length=23,
    event_prefix="setup_intent",
    events=("canceled", "created", "requires_action", "setup_failed", "succeeded"),
    fields={
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": None,
        "created": Given.NOW,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": Given.LIVEMODE,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
    },
    filters={
        "customer": equals("customer", text(unsettable=False)),
        "payment_method": equals("payment_method", text(unsettable=False)),
    },
    unsupported_filters=frozenset({"attach_to_self", "customer_account"}),
    create=_SETUP_CREATION,
    update=modification(
        "setup_intent", _SETUP_TAKES, complete=_prepare, unsupported=("flow_directions", "payment_method_options")
    ),
    actions={
        "cancel": Operation(
            run=_cancel,
            takes={"cancellation_reason": choice("abandoned", "duplicate", "requested_by_customer")},
        ),
        "confirm": Operation(
            run=_confirm_setup, takes={"payment_method": text(unsettable=False), "return_url": text()}
        ),
    },
    seed=seeding(
        _SETUP_CREATION,
        lambda write, rng: {
            "customer": samples.some_id(write, "customer", rng),
            "description": samples.label(rng),
            "metadata": samples.crm_metadata(rng),
        },
    ),
    sample_update=samples.described,
    evolve=_evolve_setup,
    may_update=lambda _, intent: intent["status"] in _WAITING,
)
