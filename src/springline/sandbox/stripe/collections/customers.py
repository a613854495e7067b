"""Customers."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.customer_parts import note_balance
from springline.sandbox.stripe.collections.payment_methods import detach_silently
from springline.sandbox.stripe.collections.subscriptions import end_subscription
from springline.sandbox.stripe.params import (
    Params,
    assign,
    choice,
    email,
    hash_of,
    integer,
    list_of,
    metadata,
    text,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write

_ADDRESS_FIELDS = ("city", "country", "line1", "line2", "postal_code", "state")
_ADDRESS = hash_of({name: text() for name in _ADDRESS_FIELDS}, unsettable=True)
_CUSTOM_FIELD = hash_of({"name": text(unsettable=False), "value": text(unsettable=False)})

_TAKES = {
    "address": _ADDRESS,
    "balance": integer(),
    "business_name": text(max_length=150),
    "description": text(),
    "email": email(),
    "individual_name": text(max_length=150),
    "invoice_prefix": text(unsettable=False, max_length=12),
    "invoice_settings": hash_of(
        {
            "custom_fields": list_of(_CUSTOM_FIELD, most=4, unsettable=True),
            "default_payment_method": text(),
            "footer": text(),
        }
    ),
    "metadata": metadata(),
    "name": text(max_length=256),
    "next_invoice_sequence": integer(least=1),
    "phone": text(max_length=20),
    "preferred_locales": list_of(text(unsettable=False)),
    "shipping": hash_of({"address": _ADDRESS, "name": text(), "phone": text()}, unsettable=True),
    "tax_exempt": choice("none", "exempt", "reverse"),
}
_UNSUPPORTED = frozenset(
    {"cash_balance", "default_source", "payment_method", "source", "tax", "tax_id_data", "test_clock", "validate"}
)


def _create(write: Write, _: Object, params: Params) -> Object:
    customer: Object = {
        "id": write.new_id("cus_", 14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "business_name": None,
        "created": write.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "individual_name": None,
        "invoice_prefix": write.new_id("", 8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": write.account.livemode,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    _assign(customer, params)
    return write.insert("customer", customer)


def _update(write: Write, customer: Object, params: Params) -> Object:
    before = customer["balance"]
    _assign(customer, params)
    write.replace("customer", customer)
    if customer["balance"] != before:
        note_balance(write, customer, amount=customer["balance"] - before)
    return customer


def _delete(write: Write, customer: Object, _: Params) -> Object:
    for subscription in write.having("subscription", customer=customer["id"]):
        if subscription["status"] != "canceled":
            end_subscription(write, subscription, reason="cancellation_requested")
    detach_silently(write, customer["id"])
    return write.remove("customer", customer)


def _assign(customer: Object, params: Params) -> None:
    """As `assign`, and addresses always show all their fields."""
    assign(customer, params)
    shipping = customer.get("shipping")
    if shipping is not None:
        customer["shipping"] = {
            "address": _whole_address(shipping.get("address")),
            "name": shipping.get("name"),
            "phone": shipping.get("phone"),
        }
    customer["address"] = _whole_address(customer.get("address"))


def _whole_address(address: Object | None) -> Object | None:
    return None if address is None else {name: address.get(name) for name in _ADDRESS_FIELDS}


def _seed(write: Write, rng: Random) -> Object:
    name = samples.person(rng)
    city, country, postal_code = rng.choice(samples.CITIES)
    number = rng.randrange(1, 999)
    address = {
        "city": city,
        "country": country,
        "line1": f"{rng.choice(samples.STREETS)} {number}",
        "postal_code": postal_code,
    }
    mailbox = name.lower().replace(" ", ".").encode("ascii", "ignore").decode()
    params: Params = {
        "address": address,
        "description": f"{rng.choice(samples.COMPANIES)}, {rng.choice(samples.TIERS)} since {2015 + number % 12}",
        "email": f"{mailbox}.{rng.randrange(1_000_000)}@example.com",
        "metadata": samples.crm_metadata(rng),
        "name": name,
        "phone": f"+1555{rng.randrange(10**7):07d}",
        "preferred_locales": [rng.choice(("en", "de", "es", "fr", "pt-BR"))],
    }
    return _create(write, {}, params)


def _sample_update(rng: Random) -> Params:
    return {
        "balance": rng.randrange(-50_000, 50_000),
        "description": f"{rng.choice(samples.COMPANIES)}, changed {rng.randrange(10**9)}",
        "metadata": samples.crm_metadata(rng),
    }


CUSTOMER = Collection(
    name="customer",
    path="customers",
    id_prefix="cus_",
    id_length=14,
    event_prefix="customer",
    filter_fields=("email",),
    filters={"email": equals("email", text(unsettable=False))},
    create=Operation(run=_create, takes=_TAKES, unsupported=_UNSUPPORTED),
    update=Operation(run=_update, takes=_TAKES, unsupported=_UNSUPPORTED),
    delete=Operation(run=_delete),
    stub_after_deletion=True,
    seed=_seed,
    sample_update=_sample_update,
)
