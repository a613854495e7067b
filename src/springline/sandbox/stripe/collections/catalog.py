"""What a sale is made of besides products and prices: promotion codes, tax rates, shipping rates."""

from decimal import Decimal
from random import Random

from springline.sandbox.stripe.collection import Collection, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import creation, modification, seeding
from springline.sandbox.stripe.errors import StripeError, parameter_missing
from springline.sandbox.stripe.params import (
    Params,
    boolean,
    choice,
    decimal,
    hash_of,
    integer,
    metadata,
    text,
    timestamp,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

_CURRENCY = text(unsettable=False, max_length=3)


def _complete_code(write: Write, code: Object, params: Params) -> None:
    promotion = params["promotion"]
    coupon = promotion.get("coupon")
    if coupon is None:
        raise parameter_missing("promotion[coupon]")
    write.named("coupon", coupon, param="promotion[coupon]")
    code["promotion"] = {"coupon": coupon, "type": promotion["type"]}
    code["code"] = params.get("code") or write.new_id("", 8).upper()
    if any(other["active"] for other in write.having("promotion_code", code=code["code"])):
        raise StripeError(f"An active promotion code with `code: {code['code']}` already exists.")


_CODE = creation(
    "promotion_code",
    {
        "active": boolean(),
        "code": text(unsettable=False, max_length=500),
        "customer": text(),
        "expires_at": timestamp(),
        "max_redemptions": integer(least=1),
        "metadata": metadata(),
        "promotion": hash_of({"coupon": text(unsettable=False), "type": choice("coupon")}, needs=("type",)),
        "restrictions": hash_of(
            {
                "first_time_transaction": boolean(),
                "minimum_amount": integer(least=1),
                "minimum_amount_currency": _CURRENCY,
            }
        ),
    },
    needs=("promotion",),
    complete=_complete_code,
    unsupported=("customer_account",),
)

PROMOTION_CODE = Collection(
    name="promotion_code",
    path="promotion_codes",
    id_prefix="promo_1",
    id_length=23,
    event_prefix="promotion_code",
    events=("created", "updated"),
    fields={
        "active": True,
        "code": "",
        "created": Given.NOW,
        "customer": None,
        "customer_account": None,
        "expires_at": None,
        "livemode": Given.LIVEMODE,
        "max_redemptions": None,
        "metadata": {},
        "promotion": {"coupon": None, "type": "coupon"},
        "restrictions": {
            "first_time_transaction": False,
            "minimum_amount": None,
            "minimum_amount_currency": None,
        },
        "times_redeemed": 0,
    },
    filters={
        "active": equals("active", boolean()),
        "code": equals("code", text(unsettable=False)),
        "customer": equals("customer", text(unsettable=False)),
    },
    unsupported_filters=frozenset({"coupon", "customer_account"}),
    create=_CODE,
    update=modification("promotion_code", {"active": boolean(), "metadata": metadata()}, unsupported=("restrictions",)),
    seed=seeding(
        _CODE,
        lambda write, rng: {
            "metadata": samples.crm_metadata(rng),
            "promotion": {"coupon": samples.some_id(write, "coupon", rng), "type": "coupon"},
        },
    ),
    sample_update=lambda rng: {"active": rng.random() < 0.5, "metadata": samples.crm_metadata(rng)},
)


def _complete_rate(_: Write, rate: Object, params: Params) -> None:
    percentage: Decimal | float | None = params.get("percentage")
    if percentage is not None:
        rate["percentage"] = float(percentage)
    rate["effective_percentage"] = rate["percentage"]


_RATE_UPDATES = {
    "active": boolean(),
    "country": text(max_length=2),
    "description": text(),
    "display_name": text(unsettable=False, max_length=50),
    "jurisdiction": text(max_length=200),
    "metadata": metadata(),
    "state": text(),
    "tax_type": choice("gst", "hst", "jct", "pst", "qst", "rst", "sales_tax", "vat"),
}
_RATE = creation(
    "tax_rate",
    {**_RATE_UPDATES, "inclusive": boolean(), "percentage": decimal(most=100)},
    needs=("display_name", "inclusive", "percentage"),
    complete=_complete_rate,
)


def _sample_rate(_: Write, rng: Random) -> Params:
    return {
        "country": rng.choice(("DE", "FR", "PT")),
        "display_name": rng.choice(("VAT", "Sales tax")),
        "inclusive": rng.random() < 0.5,
        "jurisdiction": samples.label(rng),
        "metadata": samples.crm_metadata(rng),
        "percentage": rng.choice((7, 19.5, 23)),
    }


TAX_RATE = Collection(
    name="tax_rate",
    path="tax_rates",
    id_prefix="txr_1",
    id_length=23,
    event_prefix="tax_rate",
    events=("created", "updated"),
    fields={
        "active": True,
        "country": None,
        "created": Given.NOW,
        "description": None,
        "display_name": "",
        "effective_percentage": None,
        "flat_amount": None,
        "inclusive": False,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "percentage": 0.0,
        "rate_type": "percentage",
        "state": None,
        "tax_type": None,
    },
    filters={"active": equals("active", boolean()), "inclusive": equals("inclusive", boolean())},
    create=_RATE,
    update=modification("tax_rate", _RATE_UPDATES),
    seed=seeding(_RATE, _sample_rate),
    sample_update=samples.described,
)

_SHIPPING = creation(
    "shipping_rate",
    {
        "display_name": text(unsettable=False, max_length=100),
        "fixed_amount": hash_of({"amount": integer(least=0), "currency": _CURRENCY}, needs=("amount", "currency")),
        "metadata": metadata(),
        "tax_behavior": choice("exclusive", "inclusive", "unspecified"),
        "tax_code": text(),
        "type": choice("fixed_amount"),
    },
    needs=("display_name",),
    unsupported=("delivery_estimate",),
)

SHIPPING_RATE = Collection(
    name="shipping_rate",
    path="shipping_rates",
    id_prefix="shr_1",
    id_length=23,
    event_prefix="shipping_rate",
    events=(),
    fields={
        "active": True,
        "created": Given.NOW,
        "delivery_estimate": None,
        "display_name": None,
        "fixed_amount": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "tax_behavior": "unspecified",
        "tax_code": None,
        "type": "fixed_amount",
    },
    filters={"active": equals("active", boolean())},
    unsupported_filters=frozenset({"currency"}),
    create=_SHIPPING,
    update=modification(
        "shipping_rate",
        {
            "active": boolean(),
            "metadata": metadata(),
            "tax_behavior": choice("exclusive", "inclusive", "unspecified"),
        },
        unsupported=("fixed_amount",),
    ),
    seed=seeding(
        _SHIPPING,
        lambda _, rng: {
            "display_name": samples.label(rng),
            "fixed_amount": {"amount": rng.randrange(0, 5_000), "currency": "usd"},
            "metadata": samples.crm_metadata(rng),
        },
    ),
    sample_update=lambda rng: {"active": rng.random() < 0.5, "metadata": samples.crm_metadata(rng)},
)
