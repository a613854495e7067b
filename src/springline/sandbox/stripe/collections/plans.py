"""Plans."""

from decimal import Decimal
from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.prices import changed_price, price_of
from springline.sandbox.stripe.collections.products import create_product
from springline.sandbox.stripe.errors import StripeError, already_exists, parameter_missing
from springline.sandbox.stripe.params import (
    Params,
    Parser,
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
from springline.sandbox.stripe.writes import Write

_NEW_PRODUCT = hash_of(
    {
        "active": boolean(),
        "id": text(),
        "metadata": metadata(),
        "name": text(unsettable=False),
        "statement_descriptor": text(max_length=22),
        "tax_code": text(),
        "unit_label": text(max_length=12),
    },
    needs=("name",),
)


def _product_or_id() -> Parser:
    by_id = text(unsettable=False)
    return lambda value, name: _NEW_PRODUCT(value, name) if isinstance(value, dict) else by_id(value, name)


def _create(write: Write, _: Object, params: Params) -> Object:
    plan_id = params.pop("id", None) or write.new_id("plan_", 14)
    if plan_id in write.account.tables["plan"]:
        raise already_exists("plan")
    amount, exact = _amounts(params)
    plan: Object = {
        "id": plan_id,
        "object": "plan",
        "active": True,
        "amount": amount,
        "amount_decimal": exact,
        "billing_scheme": "per_unit",
        "created": write.now,
        "currency": params["currency"].lower(),
        "interval": params["interval"],
        "interval_count": 1,
        "livemode": write.account.livemode,
        "metadata": {},
        "meter": None,
        "nickname": None,
        "product": _product(write, params),
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
    direct = ("active", "interval_count", "metadata", "meter", "nickname", "trial_period_days", "usage_type")
    assign(plan, params, only=direct)
    write.insert("plan", plan)
    write.insert("price", price_of(plan))
    return plan


def _amounts(params: Params) -> tuple[int | None, str]:
    """`amount` in whole cents (None where it is not whole) and `amount_decimal`."""
    if "amount" in params and "amount_decimal" in params:
        raise StripeError(
            "You may only specify one of these parameters: amount, amount_decimal.",
            code="parameters_exclusive",
            param="amount",
        )
    if "amount_decimal" in params:
        exact: Decimal = params["amount_decimal"]
        whole = exact == exact.to_integral_value()
        return (int(exact) if whole else None), format(exact.normalize(), "f")
    if params.get("amount") is None:
        raise parameter_missing("amount")
    return params["amount"], str(params["amount"])


def _product(write: Write, params: Params) -> str:
    given = params.get("product")
    if given is None:
        raise parameter_missing("product")
    if isinstance(given, dict):
        return str(create_product(write, {}, dict(given))["id"])
    return str(write.named("product", given, param="product")["id"])


def _update(write: Write, plan: Object, params: Params) -> Object:
    if "product" in params:
        write.named("product", params["product"], param="product")
    assign(plan, params)
    write.replace("plan", plan)
    changed_price(write, plan)
    return plan


def _delete(write: Write, plan: Object, _: Params) -> Object:
    stub = write.remove("plan", plan)
    if plan["id"] in write.account.tables["price"]:
        write.remove("price", plan)
    return stub


def _seed(write: Write, rng: Random) -> Object:
    amount = rng.randrange(500, 50_000, 50)
    params: Params = {
        "amount": amount,
        "currency": "usd",
        "interval": rng.choice(("month", "month", "year")),
        "metadata": samples.crm_metadata(rng),
        "nickname": f"{rng.choice(samples.TIERS)} {rng.randrange(10_000)}",
        "product": samples.some_id(write, "product", rng),
    }
    return _create(write, {}, params)


def _sample_update(rng: Random) -> Params:
    return {
        "nickname": f"{rng.choice(samples.TIERS)} {rng.randrange(10**9)}",
        "metadata": samples.crm_metadata(rng),
    }


PLAN = Collection(
    name="plan",
    path="plans",
    id_prefix="plan_",
    id_length=14,
    event_prefix="plan",
    filter_fields=("active", "product"),
    filters={
        "active": equals("active", boolean()),
        "product": equals("product", text(unsettable=False)),
    },
    create=Operation(
        run=_create,
        takes={
            "active": boolean(),
            "amount": integer(least=0),
            "amount_decimal": decimal(),
            "billing_scheme": choice("per_unit"),
            "currency": text(unsettable=False, max_length=3),
            "id": text(max_length=200),
            "interval": choice("day", "month", "week", "year"),
            "interval_count": integer(least=1, most=1095),
            "metadata": metadata(),
            "meter": text(),
            "nickname": text(),
            "product": _product_or_id(),
            "trial_period_days": integer(least=1),
            "usage_type": choice("licensed", "metered"),
        },
        needs=("currency", "interval"),
        unsupported=frozenset({"tiers", "tiers_mode", "transform_usage"}),
    ),
    update=Operation(
        run=_update,
        takes={
            "active": boolean(),
            "metadata": metadata(),
            "nickname": text(),
            "product": text(unsettable=False),
            "trial_period_days": integer(least=1, unsettable=True),
        },
    ),
    delete=Operation(run=_delete),
    seed=_seed,
    sample_update=_sample_update,
)
