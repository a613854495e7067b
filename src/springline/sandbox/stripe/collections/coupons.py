"""Coupons."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.errors import StripeError, already_exists, parameter_missing
from springline.sandbox.stripe.params import (
    Params,
    assign,
    choice,
    decimal,
    integer,
    metadata,
    text,
    timestamp,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write


def _create(write: Write, _: Object, params: Params) -> Object:
    coupon_id = params.get("id") or write.new_id("", 8)
    if coupon_id in write.account.tables["coupon"]:
        raise already_exists("coupon")
    _check(params, now=write.now)
    coupon: Object = {
        "id": coupon_id,
        "object": "coupon",
        "amount_off": None,
        "created": write.now,
        "currency": None,
        "duration": "once",
        "duration_in_months": None,
        "livemode": write.account.livemode,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    }
    assign(coupon, {name: value for name, value in params.items() if name != "id"})
    if coupon["percent_off"] is not None:
        coupon["percent_off"] = float(coupon["percent_off"])
    return write.insert("coupon", coupon)


def _check(params: Params, *, now: int) -> None:
    percent, amount = params.get("percent_off"), params.get("amount_off")
    if percent is None and amount is None:
        raise StripeError("You must pass one of `percent_off` or `amount_off`.", param="percent_off")
    if percent is not None and amount is not None:
        raise StripeError(
            "You may only specify one of these parameters: percent_off, amount_off.",
            code="parameters_exclusive",
        )
    if percent == 0:
        raise StripeError("Invalid percent_off: must be greater than 0", param="percent_off")
    if amount is not None and "currency" not in params:
        raise StripeError("You must pass currency when passing amount_off", param="currency")
    if params.get("duration") == "repeating" and params.get("duration_in_months") is None:
        raise parameter_missing("duration_in_months")
    if params.get("redeem_by") is not None and params["redeem_by"] <= now:
        raise StripeError("The `redeem_by` timestamp must be in the future.", param="redeem_by")


def _update(write: Write, coupon: Object, params: Params) -> Object:
    assign(coupon, params)
    return write.replace("coupon", coupon)


def _delete(write: Write, coupon: Object, _: Params) -> Object:
    return write.remove("coupon", coupon)


def _seed(write: Write, rng: Random) -> Object:
    params: Params = {
        "duration": rng.choice(("once", "forever")),
        "metadata": samples.crm_metadata(rng),
        "name": f"{rng.choice(samples.COMPANIES)} {rng.randrange(10_000)}",
    }
    if rng.random() < 0.5:
        params["percent_off"] = rng.choice((5, 12.5, 20, 33.3, 50))
    else:
        params |= {"amount_off": rng.randrange(100, 10_000), "currency": "usd"}
    return _create(write, {}, params)


def _sample_update(rng: Random) -> Params:
    return {
        "name": f"{rng.choice(samples.COMPANIES)} {rng.randrange(10**9)}",
        "metadata": samples.crm_metadata(rng),
    }


COUPON = Collection(
    name="coupon",
    path="coupons",
    id_prefix="",
    id_length=8,
    event_prefix="coupon",
    create=Operation(
        run=_create,
        takes={
            "amount_off": integer(least=1),
            "currency": text(unsettable=False, max_length=3),
            "duration": choice("forever", "once", "repeating"),
            "duration_in_months": integer(least=1),
            "id": text(max_length=200),
            "max_redemptions": integer(least=1),
            "metadata": metadata(),
            "name": text(max_length=40),
            "percent_off": decimal(most=100),
            "redeem_by": timestamp(),
        },
        unsupported=frozenset({"applies_to", "currency_options"}),
    ),
    update=Operation(
        run=_update,
        takes={"metadata": metadata(), "name": text(max_length=40)},
        unsupported=frozenset({"currency_options"}),
    ),
    delete=Operation(run=_delete),
    seed=_seed,
    sample_update=_sample_update,
)
