"""Issuing: cardholders, their cards, what is asked of the cards, paid with them and disputed."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Filter, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.balance import book
from springline.sandbox.stripe.collections.operations import creation, modification, require_status, seeding
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, choice, email, hash_of, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

_ADDRESS = hash_of({name: text() for name in ("city", "country", "line1", "line2", "postal_code", "state")})
_MERCHANT = {
    "category": "computer_software_stores",
    "category_code": "5734",
    "city": "Lisboa",
    "country": "PT",
    "name": "Harbour Software",
    "network_id": "1234567890",
    "postal_code": "1100-148",
    "state": None,
    "tax_id": None,
    "terminal_id": None,
    "url": None,
}
_CONTROLS: Object = {
    "allowed_categories": None,
    "allowed_merchant_countries": None,
    "blocked_categories": None,
    "blocked_merchant_countries": None,
    "spending_limits": [],
    "spending_limits_currency": None,
}


def _filters(*names: str) -> dict[str, Filter]:
    return {name: equals(name, text(unsettable=False)) for name in names}


_CARDHOLDER_UPDATES = {
    "billing": hash_of({"address": _ADDRESS}, needs=("address",)),
    "email": email(),
    "metadata": metadata(),
    "phone_number": text(),
    "status": choice("active", "blocked", "inactive"),
}
_CARDHOLDER = creation(
    "issuing_cardholder",
    {**_CARDHOLDER_UPDATES, "name": text(unsettable=False, max_length=24), "type": choice("company", "individual")},
    needs=("billing", "name"),
    unsupported=("company", "individual", "preferred_locales", "spending_controls"),
)


def _sample_cardholder(_: Write, rng: Random) -> Params:
    city, country, postal_code = rng.choice(samples.CITIES)
    address = {"city": city, "country": country, "line1": rng.choice(samples.STREETS), "postal_code": postal_code}
    return {
        "billing": {"address": {**address, "line2": None, "state": None}},
        "email": f"holder.{rng.randrange(10**6)}@example.com",
        "metadata": samples.crm_metadata(rng),
        "name": samples.person(rng),
        "type": "individual",
    }


ISSUING_CARDHOLDER = Collection(
    name="issuing_cardholder",
    object_type="issuing.cardholder",
    path="issuing/cardholders",
    feature="issuing",
    id_prefix="ich_1",
    id_length=23,
    event_prefix="issuing_cardholder",
    events=("created", "updated"),
    fields={
        "billing": {"address": {}},
        "company": None,
        "created": Given.NOW,
        "email": None,
        "individual": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "name": "",
        "phone_number": None,
        "preferred_locales": [],
        "requirements": {"disabled_reason": None, "past_due": []},
        "spending_controls": _CONTROLS,
        "status": "active",
        "type": "individual",
    },
    filters=_filters("email", "phone_number", "status", "type"),
    create=_CARDHOLDER,
    update=modification(
        "issuing_cardholder",
        _CARDHOLDER_UPDATES,
        unsupported=("company", "individual", "preferred_locales", "spending_controls"),
    ),
    seed=seeding(_CARDHOLDER, _sample_cardholder),
    sample_update=samples.labelled,
)


def _complete_card(write: Write, card: Object, params: Params) -> None:
    if "cardholder" in params:
        card["cardholder"] = write.named("issuing_cardholder", params["cardholder"], param="cardholder")
        card["currency"] = card["currency"].lower()
        card["last4"] = f"{write.account.rng.randrange(10_000):04d}"
    elif card["status"] == "canceled" and params.get("status", "canceled") != "canceled":
        raise StripeError("You cannot activate a canceled card.", param="status")


_CARD_UPDATES = {
    "cancellation_reason": choice("lost", "stolen"),
    "metadata": metadata(),
    "status": choice("active", "canceled", "inactive"),
}
_CARD = creation(
    "issuing_card",
    {
        "cardholder": text(unsettable=False),
        "currency": text(unsettable=False, max_length=3),
        "metadata": metadata(),
        "status": choice("active", "inactive"),
        "type": choice("physical", "virtual"),
    },
    needs=("currency", "type"),
    complete=_complete_card,
    unsupported=("financial_account", "replacement_for", "replacement_reason", "shipping", "spending_controls"),
)


def _sample_card(write: Write, rng: Random) -> Params:
    return {
        "cardholder": samples.some_id(write, "issuing_cardholder", rng),
        "currency": "usd",
        "metadata": samples.crm_metadata(rng),
        "status": rng.choice(("active", "inactive")),
        "type": rng.choice(("physical", "virtual")),
    }


ISSUING_CARD = Collection(
    name="issuing_card",
    object_type="issuing.card",
    path="issuing/cards",
    feature="issuing",
    id_prefix="ic_1",
    id_length=23,
    event_prefix="issuing_card",
    events=("created", "updated"),
    fields={
        "brand": "Visa",
        "cancellation_reason": None,
        "cardholder": {},
        "created": Given.NOW,
        "currency": "usd",
        "exp_month": 8,
        "exp_year": 2030,
        "last4": "0000",
        "latest_fraud_warning": None,
        "lifecycle_controls": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "personalization_design": None,
        "replaced_by": None,
        "replacement_for": None,
        "replacement_reason": None,
        "second_line": None,
        "shipping": None,
        "spending_controls": _CONTROLS,
        "status": "inactive",
        "type": "virtual",
        "wallets": {
            "apple_pay": {"eligible": True, "ineligible_reason": None},
            "google_pay": {"eligible": True, "ineligible_reason": None},
            "primary_account_identifier": None,
        },
    },
    filters=_filters("last4", "status", "type"),
    unsupported_filters=frozenset({"cardholder", "exp_month", "exp_year", "personalization_design"}),
    create=_CARD,
    update=modification(
        "issuing_card", _CARD_UPDATES, complete=_complete_card, unsupported=("pin", "spending_controls")
    ),
    seed=seeding(_CARD, _sample_card),
    sample_update=lambda rng: {"metadata": samples.crm_metadata(rng), "status": rng.choice(("active", "inactive"))},
    may_update=lambda _, card: card["status"] != "canceled",
)


def _ask(write: Write, rng: Random) -> Object:
    """A merchant asks for money, and the card lets it have it."""
    card, amount = samples.some_value(write, "issuing_card", rng), rng.randrange(100, 20_000)
    asked = write.blank("issuing_authorization") | {
        "amount": amount,
        "card": card,
        "cardholder": card["cardholder"]["id"],
        "currency": card["currency"],
        "merchant_amount": amount,
        "merchant_currency": card["currency"],
    }
    return write.insert("issuing_authorization", asked)


def _decide(write: Write, asked: Object, *, approved: bool) -> Object:
    require_status(asked, "pending", action="decide on")
    asked |= {"approved": approved, "status": "pending" if approved else "closed"}
    return write.replace("issuing_authorization", asked)


def _evolve_authorization(write: Write, asked: Object, rng: Random) -> Object:
    """The merchant takes the money, or lets it be."""
    if rng.random() < 0.7:
        _pay(write, asked)
        return asked
    return write.replace("issuing_authorization", asked | {"amount": 0, "status": "reversed"})


ISSUING_AUTHORIZATION = Collection(
    name="issuing_authorization",
    object_type="issuing.authorization",
    path="issuing/authorizations",
    feature="issuing",
    id_prefix="iauth_1",
    id_length=23,
    event_prefix="issuing_authorization",
    events=("created", "request", "updated"),
    fields={
        "amount": 0,
        "amount_details": {"atm_fee": None, "cashback_amount": None},
        "approved": True,
        "authorization_method": "online",
        "balance_transactions": [],
        "card": {},
        "cardholder": None,
        "created": Given.NOW,
        "currency": "usd",
        "fleet": None,
        "fraud_challenges": None,
        "fuel": None,
        "livemode": Given.LIVEMODE,
        "merchant_amount": 0,
        "merchant_currency": "usd",
        "merchant_data": _MERCHANT,
        "metadata": {},
        "network_data": None,
        "pending_request": None,
        "request_history": [],
        "status": "pending",
        "token": None,
        "transactions": [],
        "verification_data": {
            "address_line1_check": "not_provided",
            "address_postal_code_check": "not_provided",
            "authentication_exemption": None,
            "cvc_check": "match",
            "expiry_check": "match",
            "postal_code": None,
            "three_d_secure": None,
        },
        "verified_by_fraud_challenge": None,
        "wallet": None,
    },
    filters=_filters("cardholder", "status"),
    unsupported_filters=frozenset({"card"}),
    update=modification("issuing_authorization", {"metadata": metadata()}),
    actions={
        "approve": Operation(
            run=lambda write, asked, _: _decide(write, asked, approved=True),
            takes={"metadata": metadata()},
            unsupported=frozenset({"amount"}),
        ),
        "decline": Operation(
            run=lambda write, asked, _: _decide(write, asked, approved=False), takes={"metadata": metadata()}
        ),
    },
    seed=_ask,
    sample_update=samples.labelled,
    evolve=_evolve_authorization,
    may_update=lambda _, asked: asked["status"] == "pending",
)


def _pay(write: Write, asked: Object) -> Object:
    """What was asked for is taken."""
    paid = write.blank("issuing_transaction") | {
        "amount": -asked["amount"],
        "authorization": asked["id"],
        "card": asked["card"]["id"],
        "cardholder": asked["cardholder"],
        "currency": asked["currency"],
        "merchant_amount": -asked["merchant_amount"],
        "merchant_currency": asked["merchant_currency"],
        "merchant_data": asked["merchant_data"],
    }
    paid["balance_transaction"] = book(
        write, "issuing_transaction", amount=paid["amount"], source=paid["id"], currency=paid["currency"]
    )
    write.insert("issuing_transaction", paid)
    shown = [*asked["transactions"], paid]
    write.replace("issuing_authorization", asked | {"amount": 0, "status": "closed", "transactions": shown})
    return paid


def seed_transaction(write: Write, rng: Random) -> Object:
    """A payment with a card: asked for and taken."""
    return _pay(write, _ask(write, rng))


ISSUING_TRANSACTION = Collection(
    name="issuing_transaction",
    object_type="issuing.transaction",
    path="issuing/transactions",
    feature="issuing",
    id_prefix="ipi_1",
    id_length=23,
    event_prefix="issuing_transaction",
    events=("created", "updated"),
    fields={
        "amount": 0,
        "amount_details": {"atm_fee": None, "cashback_amount": None},
        "authorization": None,
        "balance_transaction": None,
        "card": "",
        "cardholder": None,
        "created": Given.NOW,
        "currency": "usd",
        "dispute": None,
        "livemode": Given.LIVEMODE,
        "merchant_amount": 0,
        "merchant_currency": "usd",
        "merchant_data": _MERCHANT,
        "metadata": {},
        "network_data": None,
        "token": None,
        "type": "capture",
        "wallet": None,
    },
    filters=_filters("card", "cardholder", "type"),
    update=modification("issuing_transaction", {"metadata": metadata()}),
    seed=seed_transaction,
    sample_update=samples.labelled,
)
