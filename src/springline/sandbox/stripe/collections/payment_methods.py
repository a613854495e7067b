"""Payment methods: made alone, attached to a customer, detached from it for good."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, Parent, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import creation, modification
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, choice, email, hash_of, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

_ADDRESS = hash_of(
    {name: text() for name in ("city", "country", "line1", "line2", "postal_code", "state")}, unsettable=True
)
_BILLING_DETAILS = hash_of(
    {"address": _ADDRESS, "email": email(), "name": text(), "phone": text(), "tax_id": text()}, unsettable=True
)
_CARD = hash_of(
    {
        "cvc": text(),
        "exp_month": integer(least=1, most=12),
        "exp_year": integer(least=1970),
        "number": text(),
        "token": text(),
    }
)


def card_details(write: Write, *, last4: str = "4242", expires: tuple[int, int] = (12, 2034)) -> Object:
    """A card as payment methods and charges show it."""
    return {
        "brand": "visa",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": expires[0],
        "exp_year": expires[1],
        "fingerprint": write.new_id("", 16),
        "funding": "credit",
        "last4": last4,
        "network": "visa",
        "three_d_secure": None,
        "wallet": None,
    }


def detach_silently(write: Write, customer: str) -> None:
    """What the deletion of a customer does: its payment methods stay readable and belong to nobody."""
    for method in write.below("payment_method", customer):
        write.account.store("payment_method", method | {"customer": None})


def _complete(write: Write, method: Object, params: Params) -> None:
    given = params.get("card") or {}
    if method["type"] != "card":
        del method["card"]
        method[method["type"]] = {}
        return
    number, expires = given.get("number") or "4242", (given.get("exp_month", 12), given.get("exp_year", 2034))
    method["card"] = {
        **card_details(write, last4=number[-4:], expires=expires),
        "display_brand": "visa",
        "generated_from": None,
        "networks": {"available": ["visa"], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
    }
    del method["card"]["network"], method["card"]["three_d_secure"]


def _attach(write: Write, method: Object, params: Params) -> Object:
    write.named("customer", params["customer"], param="customer")
    if method["customer"] is not None and method["customer"] != params["customer"]:
        raise StripeError("The payment method you provided has already been attached to a customer.")
    method["customer"] = params["customer"]
    return write.replace("payment_method", method, "attached")


def _detach(write: Write, method: Object, _: Params) -> Object:
    if method["customer"] is None:
        raise StripeError("The payment method you provided is not attached to a customer so detachment is impossible.")
    method["customer"] = None
    return write.replace("payment_method", method, "detached")


def _check_attached(_: Write, method: Object, __: Params) -> None:
    if method["customer"] is None:
        raise StripeError("You must save this PaymentMethod to a customer before you can update it.")


def _seed(write: Write, rng: Random) -> Object:
    params = {
        "billing_details": {"email": None, "name": samples.person(rng)},
        "card": {
            "exp_month": rng.randrange(1, 13),
            "exp_year": rng.randrange(2028, 2036),
            "number": samples.last_digits(rng),
        },
        "metadata": samples.crm_metadata(rng),
        "type": "card",
    }
    method = _CREATION.run(write, {}, params)
    return _attach(write, method, {"customer": samples.some_id(write, "customer", rng)})


def _evolve(write: Write, method: Object, rng: Random) -> Object:
    """The card's network tells of a new expiry date."""
    method["card"] = {**method["card"], "exp_year": rng.randrange(2036, 2050)}
    return write.replace("payment_method", method, "automatically_updated")


def _sample_update(rng: Random) -> Params:
    return {"billing_details": {"name": samples.label(rng)}, "metadata": samples.crm_metadata(rng)}


_TAKES = {
    "allow_redisplay": choice("always", "limited", "unspecified"),
    "billing_details": _BILLING_DETAILS,
    "metadata": metadata(),
}
_CREATION = creation(
    "payment_method",
    {**_TAKES, "card": _CARD, "type": choice("card", "link", "cashapp")},
    needs=("type",),
    complete=_complete,
)

PAYMENT_METHOD = Collection(
    name="payment_method",
    path="payment_methods",
    parent=Parent(collection="customer", field="customer", segment="payment_methods", writes=False),
    id_prefix="pm_1",
    id_length=23,
    event_prefix="payment_method",
    events=("attached", "automatically_updated", "detached", "updated"),
    fields={
        "allow_redisplay": "unspecified",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "card": None,
        "created": Given.NOW,
        "customer": None,
        "customer_account": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "type": "card",
    },
    created_filter=False,
    filters={
        "customer": equals("customer", text(unsettable=False)),
        "type": equals("type", text(unsettable=False)),
        "allow_redisplay": equals("allow_redisplay", text(unsettable=False)),
    },
    # Without a customer the list shows what the platform itself owns, and that is nothing here.
    accepts_by_default={"customer": lambda _: False},
    create=_CREATION,
    update=modification(
        "payment_method",
        {**_TAKES, "card": hash_of({"exp_month": integer(least=1, most=12), "exp_year": integer(least=1970)})},
        complete=_check_attached,
    ),
    departure=Operation(run=_detach),
    actions={
        "attach": Operation(run=_attach, takes={"customer": text(unsettable=False)}, needs=("customer",)),
        "detach": Operation(run=_detach),
    },
    seed=_seed,
    sample_update=_sample_update,
    evolve=_evolve,
    may_update=lambda _, method: method["customer"] is not None and method.get("card") is not None,
    may_delete=lambda _, method: method["customer"] is not None,
)
