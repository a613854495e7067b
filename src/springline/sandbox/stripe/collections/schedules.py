"""Subscription schedules: subscriptions that are planned in phases."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import creation, modification, require_status, seeding
from springline.sandbox.stripe.collections.periods import period_end
from springline.sandbox.stripe.errors import parameter_missing
from springline.sandbox.stripe.params import (
    Params,
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
from springline.sandbox.stripe.writes import Given, Write

_PHASE = hash_of(
    {
        "end_date": timestamp(),
        "items": list_of(
            hash_of({"plan": text(unsettable=False), "price": text(unsettable=False), "quantity": integer(least=0)}),
            most=20,
        ),
        "metadata": metadata(),
        "start_date": timestamp(now_allowed=True),
    },
    needs=("items",),
)


def _new_subscription(write: Write, customer: str, entries: list[Params]) -> Object:
    create = write.collection("subscription").create
    assert create is not None
    return create.run(write, {}, {"customer": customer, "items": entries})


def _complete_schedule(write: Write, schedule: Object, params: Params) -> None:
    if params.get("from_subscription") is not None:
        subscription = write.named("subscription", params["from_subscription"], param="from_subscription")
        entries = [
            {"price": entry["price"]["id"], "quantity": entry.get("quantity", 1)}
            for entry in subscription["items"]["data"]
        ]
        _start(schedule, write.now, subscription, _phases(write, [{"items": entries}], start=write.now))
        return
    if params.get("customer") is None:
        raise parameter_missing("customer")
    if not params.get("phases"):
        raise parameter_missing("phases")
    write.named("customer", params["customer"], param="customer")
    given = params.get("start_date", "now")
    start = write.now if given in {"now", None} else int(given)
    phases = _phases(write, params["phases"], start=start)
    if start > write.now:
        schedule["phases"] = phases
        return
    _start(schedule, start, _new_subscription(write, params["customer"], params["phases"][0]["items"]), phases)


def _start(schedule: Object, start: int, subscription: Object, phases: list[Object]) -> None:
    schedule |= {
        "current_phase": {"end_date": phases[0]["end_date"], "start_date": start},
        "customer": subscription["customer"],
        "phases": phases,
        "status": "active",
        "subscription": subscription["id"],
    }


def _phases(write: Write, given: list[Params], *, start: int) -> list[Object]:
    """The phases one after another; one without an end takes a month."""
    phases = []
    for params in given:
        end = params.get("end_date") or period_end(start, interval="month", count=1)
        phases.append(_phase(params, start=start, end=end))
        start = end
    return phases


def _phase(params: Params, *, start: int, end: int) -> Object:
    entries = [
        {
            "billing_thresholds": None,
            "discounts": [],
            "metadata": {},
            "plan": entry.get("plan") or entry.get("price"),
            "price": entry.get("price") or entry.get("plan"),
            "quantity": entry.get("quantity", 1),
            "tax_rates": [],
        }
        for entry in params["items"]
    ]
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "billing_cycle_anchor": None,
        "collection_method": None,
        "currency": "usd",
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "end_date": end,
        "invoice_settings": None,
        "items": entries,
        "metadata": {name: value for name, value in (params.get("metadata") or {}).items() if value},
        "on_behalf_of": None,
        "proration_behavior": "create_prorations",
        "start_date": start,
        "transfer_data": None,
        "trial_end": None,
    }


def _note_schedule(write: Write, schedule: Object, _: Params) -> None:
    """A running schedule's subscription names it."""
    if schedule["subscription"] is not None:
        subscription = write.find("subscription", schedule["subscription"])
        write.replace("subscription", subscription | {"schedule": schedule["id"]})


def _check_changeable(write: Write, schedule: Object, params: Params) -> None:
    require_status(schedule, "not_started", "active", action="update")
    if "phases" in params:
        start = schedule["phases"][0]["start_date"] if schedule["phases"] else write.now
        schedule["phases"] = _phases(write, params["phases"], start=start)


def _cancel_schedule(write: Write, schedule: Object, _: Params) -> Object:
    require_status(schedule, "not_started", "active", action="cancel")
    if schedule["subscription"] is not None:
        subscription = write.find("subscription", schedule["subscription"])
        delete = write.collection("subscription").delete
        if subscription["status"] != "canceled" and delete is not None:
            delete.run(write, subscription, {})
    return _end(write, schedule, "canceled")


def _release(write: Write, schedule: Object, _: Params) -> Object:
    require_status(schedule, "not_started", "active", action="release")
    if schedule["subscription"] is not None:
        subscription = write.find("subscription", schedule["subscription"])
        write.replace("subscription", subscription | {"schedule": None})
    schedule |= {"released_subscription": schedule["subscription"], "subscription": None}
    return _end(write, schedule, "released")


def _end(write: Write, schedule: Object, status: str) -> Object:
    schedule |= {"current_phase": None, "status": status, f"{status}_at": write.now}
    return write.replace("subscription_schedule", schedule, status)


def _evolve_schedule(write: Write, schedule: Object, rng: Random) -> Object:
    if schedule["status"] == "active" and rng.random() < 0.4:
        return _end(write, schedule, "completed")
    return rng.choice((_cancel_schedule, _release))(write, schedule, {})


def _sample_schedule(write: Write, rng: Random) -> Params:
    entry = {"price": samples.some_id(write, "plan", rng), "quantity": rng.randrange(1, 9)}
    params: Params = {
        "customer": samples.some_id(write, "customer", rng),
        "metadata": samples.crm_metadata(rng),
        "phases": [{"items": [entry]}],
    }
    # Half of them begin some day: those have no subscription yet.
    return params if rng.random() < 0.5 else params | {"start_date": write.now + rng.randrange(1, 90) * 86_400}


_SCHEDULE_UPDATES = {
    "end_behavior": choice("cancel", "release"),
    "metadata": metadata(),
    "phases": list_of(_PHASE),
    "proration_behavior": text(),
}
_SCHEDULE = creation(
    "subscription_schedule",
    {
        **_SCHEDULE_UPDATES,
        "customer": text(unsettable=False),
        "from_subscription": text(unsettable=False),
        "start_date": timestamp(now_allowed=True),
    },
    complete=_complete_schedule,
    after=_note_schedule,
    unsupported=("billing_mode", "customer_account", "default_settings"),
)

SUBSCRIPTION_SCHEDULE = Collection(
    name="subscription_schedule",
    path="subscription_schedules",
    id_prefix="sub_sched_1",
    id_length=23,
    event_prefix="subscription_schedule",
    events=("aborted", "canceled", "completed", "created", "expiring", "released", "updated"),
    fields={
        "application": None,
        "billing_mode": {"type": "classic"},
        "canceled_at": None,
        "completed_at": None,
        "created": Given.NOW,
        "current_phase": None,
        "customer": "",
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None,
            "billing_cycle_anchor": "automatic",
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "default_source": None,
            "description": None,
            "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": "release",
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "pause_schedules": [],
        "phases": [],
        "released_at": None,
        "released_subscription": None,
        "status": "not_started",
        "subscription": None,
        "test_clock": None,
    },
    filters={"customer": equals("customer", text(unsettable=False))},
    unsupported_filters=frozenset({"canceled_at", "completed_at", "customer_account", "released_at", "scheduled"}),
    create=_SCHEDULE,
    update=modification(
        "subscription_schedule",
        _SCHEDULE_UPDATES,
        complete=_check_changeable,
        unsupported=("default_settings",),
    ),
    actions={
        "cancel": Operation(run=_cancel_schedule, takes={"invoice_now": boolean(), "prorate": boolean()}),
        "release": Operation(run=_release, takes={"preserve_cancel_date": boolean()}),
    },
    seed=seeding(_SCHEDULE, _sample_schedule),
    sample_update=samples.labelled,
    evolve=_evolve_schedule,
    may_update=lambda _, schedule: schedule["status"] in {"active", "not_started"},
)
