"""Prices. Every plan is also a recurring price of the same id, and the other way round."""

from decimal import Decimal
from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import modification, seeding
from springline.sandbox.stripe.errors import StripeError, parameter_missing
from springline.sandbox.stripe.params import (
    Params,
    assign,
    boolean,
    choice,
    decimal,
    hash_of,
    integer,
    metadata,
    text,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

_SHARED = ("active", "metadata", "nickname", "product")
"""Fields that a plan and its price have in common, and that can change."""


def changed_price(write: Write, plan: Object) -> None:
    """Let the price follow its plan."""
    if plan["id"] not in write.account.tables["price"]:
        return
    price = write.find("price", plan["id"]) | {name: plan[name] for name in _SHARED}
    price["recurring"] = {**price["recurring"], "trial_period_days": plan["trial_period_days"]}
    write.replace("price", price)


def _plan_of(price: Object) -> Object:
    """The plan that shows this recurring price."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }


def price_of(plan: Object) -> Object:
    """The price that shows this plan."""
    return {
        "id": plan["id"],
        "object": "price",
        "active": plan["active"],
        "billing_scheme": plan["billing_scheme"],
        "created": plan["created"],
        "currency": plan["currency"],
        "custom_unit_amount": None,
        "livemode": plan["livemode"],
        "lookup_key": None,
        "metadata": plan["metadata"],
        "nickname": plan["nickname"],
        "product": plan["product"],
        "recurring": {
            "interval": plan["interval"],
            "interval_count": plan["interval_count"],
            "meter": plan["meter"],
            "trial_period_days": plan["trial_period_days"],
            "usage_type": plan["usage_type"],
        },
        "tax_behavior": "unspecified",
        "tiers_mode": plan["tiers_mode"],
        "transform_quantity": plan["transform_usage"],
        "type": "recurring",
        "unit_amount": plan["amount"],
        "unit_amount_decimal": plan["amount_decimal"],
    }


def _create(write: Write, _: Object, params: Params) -> Object:
    price = write.blank("price")
    assign(price, params, only=("active", "billing_scheme", "lookup_key", "metadata", "nickname", "tax_behavior"))
    price["currency"] = params["currency"].lower()
    price["unit_amount"], price["unit_amount_decimal"] = _amounts(params)
    price["product"] = _product(write, params)
    if params.get("recurring") is not None:
        price["type"] = "recurring"
        price["recurring"] = {
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
            **params["recurring"],
        }
    write.insert("price", price)
    if price["recurring"] is not None:
        write.insert("plan", _plan_of(price))
    return price


def _amounts(params: Params) -> tuple[int | None, str]:
    """`unit_amount` (None where it is not whole) and `unit_amount_decimal`."""
    exact: Decimal | None = params.get("unit_amount_decimal")
    if exact is not None:
        whole = exact == exact.to_integral_value()
        return (int(exact) if whole else None), format(exact.normalize(), "f")
    if params.get("unit_amount") is None:
        raise parameter_missing("unit_amount")
    return params["unit_amount"], str(params["unit_amount"])


def _product(write: Write, params: Params) -> str:
    if params.get("product") is not None:
        return str(write.named("product", params["product"], param="product")["id"])
    if params.get("product_data") is None:
        raise StripeError("You must specify either `product` or `product_data` when creating a price.", param="product")
    create = write.collection("product").create
    assert create is not None
    return str(create.run(write, {}, dict(params["product_data"]))["id"])


def _change_plan(write: Write, price: Object, _: Params) -> None:
    """Let the plan follow its price."""
    if price["id"] in write.account.tables["plan"]:
        write.replace("plan", write.find("plan", price["id"]) | {name: price[name] for name in _SHARED})


def _sample(write: Write, rng: Random) -> Params:
    params: Params = {
        "currency": "usd",
        "metadata": samples.crm_metadata(rng),
        "nickname": samples.label(rng),
        "product": samples.some_id(write, "product", rng),
        "unit_amount": rng.randrange(100, 50_000, 50),
    }
    return params if rng.random() < 0.5 else params | {"recurring": {"interval": rng.choice(("month", "year"))}}


_UPDATES = {
    "active": boolean(),
    "lookup_key": text(),
    "metadata": metadata(),
    "nickname": text(),
    "tax_behavior": choice("exclusive", "inclusive", "unspecified"),
}
_CREATION = Operation(
    run=_create,
    takes={
        **_UPDATES,
        "billing_scheme": choice("per_unit"),
        "currency": text(unsettable=False, max_length=3),
        "product": text(unsettable=False),
        "product_data": hash_of(
            {
                "active": boolean(),
                "id": text(unsettable=False),
                "metadata": metadata(),
                "name": text(unsettable=False),
                "statement_descriptor": text(max_length=22),
                "unit_label": text(max_length=12),
            },
            needs=("name",),
        ),
        "recurring": hash_of(
            {
                "interval": choice("day", "month", "week", "year"),
                "interval_count": integer(least=1, most=1095),
                "meter": text(),
                "trial_period_days": integer(least=1),
                "usage_type": choice("licensed", "metered"),
            },
            needs=("interval",),
        ),
        "unit_amount": integer(least=0),
        "unit_amount_decimal": decimal(),
    },
    needs=("currency",),
    unsupported=frozenset(
        {"currency_options", "custom_unit_amount", "tiers", "tiers_mode", "transfer_lookup_key", "transform_quantity"}
    ),
)

PRICE = Collection(
    name="price",
    path="prices",
    id_prefix="price_1",
    id_length=23,
    event_prefix="price",
    fields={
        "active": True,
        "billing_scheme": "per_unit",
        "created": Given.NOW,
        "currency": "usd",
        "custom_unit_amount": None,
        "livemode": Given.LIVEMODE,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": "",
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": None,
        "unit_amount_decimal": None,
    },
    filters={
        "active": equals("active", boolean()),
        "currency": equals("currency", text(unsettable=False)),
        "product": equals("product", text(unsettable=False)),
        "type": equals("type", choice("one_time", "recurring")),
    },
    unsupported_filters=frozenset({"lookup_keys", "recurring"}),
    create=_CREATION,
    update=modification("price", _UPDATES, after=_change_plan, unsupported=("currency_options", "transfer_lookup_key")),
    seed=seeding(_CREATION, _sample),
    sample_update=lambda rng: {"metadata": samples.crm_metadata(rng), "nickname": samples.label(rng)},
)
