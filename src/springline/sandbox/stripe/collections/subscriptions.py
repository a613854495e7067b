"""Subscriptions. A new one is billed at once and its payment succeeds; nothing renews by the clock."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Filter, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.subscription_items import (
    ITEM,
    bill,
    changed_entries,
    new_entries,
    periods_of,
    put_entries,
)
from springline.sandbox.stripe.errors import StripeError, parameter_missing, resource_missing
from springline.sandbox.stripe.params import (
    Params,
    assign,
    boolean,
    choice,
    hash_of,
    integer,
    list_of,
    metadata,
    text,
    timestamp,
)
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write

_METHODS = ("charge_automatically", "send_invoice")
_STATUSES = ("active", "canceled", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid")

_TAKES = {
    "cancel_at": timestamp(),
    "cancel_at_period_end": boolean(),
    "collection_method": choice(*_METHODS),
    "days_until_due": integer(least=0),
    "default_payment_method": text(),
    "description": text(max_length=500),
    "items": list_of(ITEM, most=20),
    "metadata": metadata(),
    "off_session": boolean(),
    "payment_behavior": choice(
        "allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"
    ),
    "proration_behavior": choice("always_invoice", "create_prorations", "none"),
    "trial_end": timestamp(now_allowed=True),
}
_CANCELLATION = hash_of(
    {
        "comment": text(),
        "feedback": choice(
            "customer_service", "low_quality", "missing_features", "other", "switched_service",
            "too_complex", "too_expensive", "unused",
        ),
    }
)  # fmt: skip
_UNSUPPORTED = frozenset(
    {
        "add_invoice_items", "application_fee_percent", "automatic_tax", "billing_schedules",
        "billing_thresholds", "default_source", "default_tax_rates", "discounts", "invoice_settings",
        "on_behalf_of", "payment_settings", "pending_invoice_item_interval", "transfer_data", "trial_settings",
    }
)  # fmt: skip
_ASSIGNED = ("collection_method", "days_until_due", "default_payment_method", "description", "metadata")


def _create(write: Write, _: Object, params: Params) -> Object:
    customer = write.named("customer", params["customer"], param="customer")
    if params.get("collection_method") == "send_invoice" and params.get("days_until_due") is None:
        raise parameter_missing("days_until_due")
    trial_end = _trial_end(write, params)
    subscription = _blank(write, customer)
    entries = new_entries(write, subscription, params["items"], trial_end=trial_end)
    subscription["currency"] = entries[0]["plan"]["currency"]
    put_entries(subscription, entries)
    if trial_end is not None:
        subscription |= {"status": "trialing", "trial_start": write.now, "trial_end": trial_end}
        subscription["billing_cycle_anchor"] = trial_end
    elif params.get("payment_behavior") == "default_incomplete":
        subscription["status"] = "incomplete"
    _apply(write, subscription, params)
    invoice = bill(write, subscription, customer)
    subscription["latest_invoice"] = invoice["id"]
    return write.insert("subscription", subscription)


def _blank(write: Write, customer: Object) -> Object:
    return {
        "id": write.new_id("sub_1", 23),
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": write.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": write.now,
        "currency": "usd",
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {},
        "latest_invoice": None,
        "livemode": write.account.livemode,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": write.now,
        "status": "active",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
    }


def _trial_end(write: Write, params: Params) -> int | None:
    given = params.get("trial_end")
    if given == "now":
        return None
    if given is not None:
        if given <= write.now:
            raise StripeError("Invalid timestamp: must be an integer Unix timestamp in the future.", param="trial_end")
        return int(given)
    days = params.get("trial_period_days")
    return write.now + days * 86_400 if days else None


def _apply(write: Write, subscription: Object, params: Params) -> None:
    assign(subscription, params, only=_ASSIGNED)
    if params.get("cancel_at_period_end") is True:
        _, end = periods_of(subscription)
        subscription |= {"cancel_at": end, "cancel_at_period_end": True, "canceled_at": write.now}
        subscription["cancellation_details"]["reason"] = "cancellation_requested"
    elif "cancel_at_period_end" in params or params.get("cancel_at", 0) is None:
        subscription |= {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}
        subscription["cancellation_details"]["reason"] = None
    elif "cancel_at" in params:
        subscription |= {"cancel_at": params["cancel_at"], "canceled_at": write.now}


def _update(write: Write, subscription: Object, params: Params) -> Object:
    if subscription["status"] == "canceled" and params.keys() - {"metadata", "cancellation_details"}:
        raise StripeError("A canceled subscription can only update its cancellation_details and metadata.")
    if "items" in params:
        put_entries(subscription, changed_entries(write, subscription, params["items"]))
    if "trial_end" in params:
        end = _trial_end(write, params)
        subscription["trial_end"] = end if end is not None else write.now
        subscription["status"] = "trialing" if end is not None else "active"
    if "cancellation_details" in params:
        subscription["cancellation_details"] |= params["cancellation_details"]
    _apply(write, subscription, params)
    return write.replace("subscription", subscription)


def _cancel(write: Write, subscription: Object, params: Params) -> Object:
    if subscription["status"] == "canceled":
        raise resource_missing("subscription", subscription["id"])
    subscription["cancellation_details"] |= params.get("cancellation_details") or {}
    return end_subscription(write, subscription, reason="cancellation_requested")


def end_subscription(write: Write, subscription: Object, *, reason: str) -> Object:
    """Cancel at once: the object stays readable, the event is called `deleted`."""
    subscription |= {"canceled_at": write.now, "ended_at": write.now, "status": "canceled"}
    subscription["cancel_at_period_end"] = False
    subscription["cancellation_details"]["reason"] = reason
    return write.replace("subscription", subscription, "deleted")


def _seed(write: Write, rng: Random) -> Object:
    params: Params = {
        "customer": samples.some_id(write, "customer", rng),
        "description": f"{rng.choice(samples.COMPANIES)} {rng.randrange(10**6)}",
        "items": [{"plan": samples.some_id(write, "plan", rng), "quantity": rng.randrange(1, 30)}],
        "metadata": samples.crm_metadata(rng),
    }
    return _create(write, {}, params)


def _sample_update(rng: Random) -> Params:
    return {
        "description": f"{rng.choice(samples.COMPANIES)}, changed {rng.randrange(10**9)}",
        "metadata": samples.crm_metadata(rng),
    }


def _is_running(_: Write, subscription: Object) -> bool:
    return bool(subscription["status"] != "canceled")


def _has_status(wanted: str, status: object) -> bool:
    if wanted == "all":
        return True
    return status in {"canceled", "incomplete_expired"} if wanted == "ended" else status == wanted


SUBSCRIPTION = Collection(
    name="subscription",
    path="subscriptions",
    id_prefix="sub_1",
    id_length=23,
    event_prefix="customer.subscription",
    events=(
        "created", "deleted", "paused", "pending_update_applied", "pending_update_expired", "resumed",
        "trial_will_end", "updated",
    ),
    filter_fields=("collection_method", "customer", "status"),
    filters={
        "collection_method": equals("collection_method", choice(*_METHODS)),
        "customer": equals("customer", text(unsettable=False)),
        "status": Filter(
            parse=choice(*_STATUSES, "all", "ended"),
            accepts=lambda wanted, fields: _has_status(wanted, fields["status"]),
        ),
    },
    accepts_by_default={"status": lambda fields: fields["status"] != "canceled"},
    unsupported_filters=frozenset(
        {
            "automatic_tax", "current_period_end", "current_period_start", "customer_account", "plan",
            "price", "test_clock",
        }
    ),
    create=Operation(
        run=_create,
        takes={**_TAKES, "customer": text(unsettable=False), "trial_period_days": integer(least=0)},
        needs=("customer", "items"),
        unsupported=_UNSUPPORTED
        | {
            "backdate_start_date", "billing_cycle_anchor", "billing_cycle_anchor_config", "billing_mode",
            "currency", "customer_account", "trial_from_plan",
        },
    ),
    update=Operation(
        run=_update,
        takes={**_TAKES, "cancellation_details": _CANCELLATION},
        unsupported=_UNSUPPORTED
        | {"billing_cycle_anchor", "pause_collection", "proration_date", "trial_from_plan"},
    ),
    delete=Operation(
        run=_cancel,
        takes={"cancellation_details": _CANCELLATION, "invoice_now": boolean(), "prorate": boolean()},
    ),
    seed=_seed,
    sample_update=_sample_update,
    may_update=_is_running,
    may_delete=_is_running,
)  # fmt: skip
