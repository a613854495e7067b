"""The account's money: balance transactions, payouts to its bank, top-ups from there."""

from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, Ripening, equals, within
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.operations import (
    creation,
    modification,
    require_status,
    seeding,
)
from springline.sandbox.stripe.params import Params, choice, integer, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

SETTLED_AFTER_SECONDS = 2 * 86_400
"""How long money stays pending."""
_CATEGORIES = {"payment": "charge", "adjustment": "other_adjustment"}
_CURRENCY = text(unsettable=False, max_length=3)


def book(write: Write, kind: str, *, amount: int, source: str | None, currency: str = "usd", fee: int = 0) -> str:
    """Store a balance transaction of this type and return its id. No event tells of it."""
    entry = write.blank("balance_transaction") | {
        "amount": amount,
        "available_on": write.now + SETTLED_AFTER_SECONDS,
        "currency": currency,
        "fee": fee,
        "net": amount - fee,
        "reporting_category": _CATEGORIES.get(kind, kind),
        "source": source,
        "type": kind,
    }
    if fee:
        entry["fee_details"] = [
            {
                "amount": fee,
                "application": None,
                "currency": currency,
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        ]
    # A seeded history reaches back: what would have settled by now has.
    if entry["available_on"] <= write.account.clock.now():
        entry["status"] = "available"
    return str(write.insert("balance_transaction", entry)["id"])


def _adjust(write: Write, rng: Random) -> Object:
    made = book(write, "adjustment", amount=rng.randrange(-5_000, 5_000), source=None)
    return write.find("balance_transaction", made)


BALANCE_TRANSACTION = Collection(
    name="balance_transaction",
    path="balance_transactions",
    id_prefix="txn_1",
    id_length=23,
    event_prefix="balance_transaction",
    events=(),
    fields={
        "amount": 0,
        "available_on": Given.NOW,
        "balance_type": "payments",
        "created": Given.NOW,
        "currency": "usd",
        "description": None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": 0,
        "reporting_category": "charge",
        "source": None,
        "status": "pending",
        "type": "charge",
    },
    filters={
        "currency": equals("currency", _CURRENCY),
        "source": equals("source", text(unsettable=False)),
        "type": equals("type", text(unsettable=False)),
    },
    unsupported_filters=frozenset({"payout"}),
    ripening=Ripening(
        due=lambda entry: entry["available_on"] if entry["status"] == "pending" else None,
        ripened=lambda entry: {**entry, "status": "available"},
    ),
    seed=_adjust,
)


def _complete_payout(write: Write, payout: Object, _: Params) -> None:
    payout["arrival_date"] = write.now + SETTLED_AFTER_SECONDS
    payout["destination"] = write.new_id("ba_1", 23)
    payout["balance_transaction"] = book(
        write, "payout", amount=-payout["amount"], source=payout["id"], currency=payout["currency"]
    )


def _cancel_payout(write: Write, payout: Object, _: Params) -> None:
    require_status(payout, "pending", action="cancel")
    payout["status"] = "canceled"
    payout["failure_balance_transaction"] = book(
        write, "payout_cancel", amount=payout["amount"], source=payout["id"], currency=payout["currency"]
    )


def _reverse_payout(write: Write, payout: Object, params: Params) -> Object:
    require_status(payout, "paid", action="reverse")
    made = write.blank("payout") | {
        "amount": -payout["amount"],
        "arrival_date": write.now,
        "currency": payout["currency"],
        "metadata": {name: value for name, value in (params.get("metadata") or {}).items() if value},
        "original_payout": payout["id"],
    }
    made["balance_transaction"] = book(
        write, "payout", amount=payout["amount"], source=made["id"], currency=payout["currency"]
    )
    write.insert("payout", made)
    payout["reversed_by"] = made["id"]
    write.replace("payout", payout)
    return made


def _evolve_payout(write: Write, payout: Object, rng: Random) -> Object:
    """A pending payout arrives or bounces; one that has arrived is reconciled."""
    if payout["status"] == "paid":
        payout["reconciliation_status"] = "completed"
        return write.replace("payout", payout, "reconciliation_completed", "updated")
    if payout["status"] != "pending":
        payout["metadata"]["seen"] = samples.last_digits(rng)
        return write.replace("payout", payout)
    if rng.random() < 0.8:
        payout["status"] = "paid"
        return write.replace("payout", payout, "paid", "updated")
    payout |= {
        "failure_code": "account_closed",
        "failure_message": "The bank account has been closed",
        "status": "failed",
    }
    payout["failure_balance_transaction"] = book(
        write, "payout_failure", amount=payout["amount"], source=payout["id"], currency=payout["currency"]
    )
    return write.replace("payout", payout, "failed", "updated")


_PAYOUT = creation(
    "payout",
    {
        "amount": integer(least=1),
        "currency": _CURRENCY,
        "description": text(),
        "destination": text(),
        "metadata": metadata(),
        "method": choice("standard", "instant"),
        "source_type": choice("bank_account", "card", "fpx"),
        "statement_descriptor": text(max_length=22),
    },
    needs=("amount", "currency"),
    complete=_complete_payout,
    unsupported=("payout_method",),
)

PAYOUT = Collection(
    name="payout",
    path="payouts",
    id_prefix="po_1",
    id_length=23,
    event_prefix="payout",
    events=("canceled", "created", "failed", "paid", "reconciliation_completed", "updated"),
    fields={
        "amount": 0,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": Given.NOW,
        "automatic": False,
        "balance_transaction": None,
        "created": Given.NOW,
        "currency": "usd",
        "description": None,
        "destination": None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "pending",
        "trace_id": None,
        "type": "bank_account",
    },
    filters={
        "arrival_date": within("arrival_date"),
        "destination": equals("destination", text(unsettable=False)),
        "status": equals("status", choice("canceled", "failed", "in_transit", "paid", "pending")),
    },
    create=_PAYOUT,
    update=modification("payout", {"metadata": metadata()}),
    actions={
        "cancel": modification("payout", {}, complete=_cancel_payout, changes=("canceled", "updated")),
        "reverse": Operation(run=_reverse_payout, takes={"metadata": metadata()}),
    },
    seed=seeding(
        _PAYOUT,
        lambda _, rng: {
            "amount": rng.randrange(1_000, 900_000),
            "currency": "usd",
            "description": samples.label(rng),
            "metadata": samples.crm_metadata(rng),
        },
    ),
    sample_update=samples.labelled,
    evolve=_evolve_payout,
)


def _complete_topup(write: Write, topup: Object, _: Params) -> None:
    topup["expected_availability_date"] = write.now + SETTLED_AFTER_SECONDS
    topup["balance_transaction"] = book(
        write, "topup", amount=topup["amount"], source=topup["id"], currency=topup["currency"]
    )


def _cancel_topup(_: Write, topup: Object, __: Params) -> None:
    require_status(topup, "pending", action="cancel")
    topup["status"] = "canceled"


def _evolve_topup(write: Write, topup: Object, rng: Random) -> Object:
    """A pending top-up succeeds, fails or is canceled; one that has succeeded is taken back."""
    ends = {"pending": ("succeeded", "succeeded", "failed", "canceled"), "succeeded": ("reversed",)}
    if topup["status"] not in ends:
        topup["metadata"]["seen"] = samples.last_digits(rng)
        return write.replace("topup", topup)
    topup["status"] = rng.choice(ends[topup["status"]])
    return write.replace("topup", topup, topup["status"])


_TOPUP = creation(
    "topup",
    {
        "amount": integer(least=1),
        "currency": _CURRENCY,
        "description": text(),
        "metadata": metadata(),
        "statement_descriptor": text(max_length=15),
        "transfer_group": text(),
    },
    needs=("amount", "currency"),
    complete=_complete_topup,
    unsupported=("source", "payment_method"),
)

TOPUP = Collection(
    name="topup",
    path="topups",
    id_prefix="tu_1",
    id_length=23,
    event_prefix="topup",
    events=("canceled", "created", "failed", "reversed", "succeeded"),
    fields={
        "amount": 0,
        "balance_transaction": None,
        "created": Given.NOW,
        "currency": "usd",
        "description": None,
        "expected_availability_date": None,
        "failure_code": None,
        "failure_message": None,
        "initiated_by": "user",
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "payment_method": None,
        "payment_method_options": None,
        "source": None,
        "statement_descriptor": None,
        "status": "pending",
        "transfer_group": None,
    },
    filters={"status": equals("status", choice("canceled", "failed", "pending", "succeeded"))},
    unsupported_filters=frozenset({"amount"}),
    create=_TOPUP,
    update=modification("topup", {"description": text(), "metadata": metadata()}),
    actions={"cancel": modification("topup", {}, complete=_cancel_topup, changes=("canceled",))},
    seed=seeding(
        _TOPUP,
        lambda _, rng: {
            "amount": rng.randrange(1_000, 900_000),
            "currency": "usd",
            "description": samples.label(rng),
            "metadata": samples.crm_metadata(rng),
        },
    ),
    sample_update=samples.described,
    evolve=_evolve_topup,
)
