"""What banks and Stripe's own checks say of a charge: disputes, early fraud warnings, reviews."""

from collections.abc import Callable
from random import Random

from springline.sandbox.stripe.collection import Collection, Operation, equals
from springline.sandbox.stripe.collections import samples
from springline.sandbox.stripe.collections.balance import book
from springline.sandbox.stripe.collections.operations import modification, require_status
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, boolean, hash_of, metadata, text
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Given, Write

_EVIDENCE_FIELDS = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation",
    "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt", "refund_policy",
    "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
    "shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation",
    "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip
_DAY_SECONDS = 86_400
_OPEN = ("needs_response", "under_review")


def _dispute(write: Write, rng: Random) -> Object:
    """A bank takes a charge back."""
    made = _charge_for(write, rng, fits=lambda charge: charge["captured"] and not charge["disputed"])
    dispute = write.blank("dispute") | {
        "amount": made["amount_captured"],
        "charge": made["id"],
        "currency": made["currency"],
        "payment_intent": made["payment_intent"],
        "reason": rng.choice(("fraudulent", "product_not_received", "duplicate", "subscription_canceled")),
        "status": "needs_response",
    }
    dispute["evidence_details"] = {**dispute["evidence_details"], "due_by": write.now + 10 * _DAY_SECONDS}
    taken = book(
        write, "adjustment", amount=-dispute["amount"], source=dispute["id"], currency=dispute["currency"], fee=1_500
    )
    dispute["balance_transactions"] = [write.find("balance_transaction", taken)]
    write.insert("dispute", dispute, "created", "funds_withdrawn")
    made["disputed"] = True
    write.replace("charge", made)
    return dispute


def _charge_for(write: Write, rng: Random, *, fits: Callable[[Object], bool]) -> Object:
    """A charge that nothing has happened to yet."""
    for _ in range(5):
        made = samples.some_value(write, "charge", rng)
        if made["status"] == "succeeded" and fits(made):
            return made
    create = write.collection("charge").create
    assert create is not None
    return create.run(write, {}, {"amount": rng.randrange(100, 50_000), "currency": "usd"})


def _submit(write: Write, dispute: Object, params: Params) -> None:
    require_status(dispute, *_OPEN, action="update")
    if "evidence" in params:
        dispute["evidence_details"] = {**dispute["evidence_details"], "has_evidence": True}
    if params.get("submit", "evidence" in params):
        details = dispute["evidence_details"]
        dispute["evidence_details"] = {**details, "submission_count": details["submission_count"] + 1}
        dispute["status"] = "under_review"


def _close(_: Write, dispute: Object, __: Params) -> None:
    require_status(dispute, "needs_response", "warning_needs_response", action="close")
    dispute["status"] = "lost"


def _evolve_dispute(write: Write, dispute: Object, rng: Random) -> Object:
    """The bank decides."""
    if dispute["status"] not in _OPEN or rng.random() < 0.3:
        dispute["metadata"]["seen"] = samples.last_digits(rng)
        return write.replace("dispute", dispute)
    if rng.random() < 0.5:
        dispute["status"] = "lost"
        return write.replace("dispute", dispute, "closed")
    returned = book(write, "adjustment", amount=dispute["amount"], source=dispute["id"], currency=dispute["currency"])
    dispute["status"] = "won"
    dispute["balance_transactions"].append(write.find("balance_transaction", returned))
    return write.replace("dispute", dispute, "closed", "funds_reinstated")


DISPUTE = Collection(
    name="dispute",
    path="disputes",
    id_prefix="dp_1",
    id_length=23,
    event_prefix="charge.dispute",
    events=("closed", "created", "funds_reinstated", "funds_withdrawn", "updated"),
    fields={
        "amount": 0,
        "balance_transactions": [],
        "charge": "",
        "created": Given.NOW,
        "currency": "usd",
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(_EVIDENCE_FIELDS) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": Given.LIVEMODE,
        "metadata": {},
        "network_reason_code": None,
        "payment_intent": None,
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10"},
            "type": "card",
        },
        "reason": "general",
        "status": "needs_response",
    },
    filters={
        "charge": equals("charge", text(unsettable=False)),
        "payment_intent": equals("payment_intent", text(unsettable=False)),
    },
    update=modification(
        "dispute",
        {
            "evidence": hash_of({name: text() for name in _EVIDENCE_FIELDS}),
            "metadata": metadata(),
            "submit": boolean(),
        },
        complete=_submit,
    ),
    actions={"close": modification("dispute", {}, complete=_close, changes=("closed",))},
    seed=_dispute,
    sample_update=samples.labelled,
    evolve=_evolve_dispute,
    may_update=lambda _, dispute: dispute["status"] in _OPEN,
)


def _warn(write: Write, rng: Random) -> Object:
    made = _charge_for(write, rng, fits=lambda _: True)
    warning = write.blank("early_fraud_warning") | {
        "charge": made["id"],
        "fraud_type": rng.choice(("card_never_received", "made_with_lost_card", "misc", "unauthorized_use_of_card")),
        "payment_intent": made["payment_intent"],
    }
    return write.insert("early_fraud_warning", warning)


EARLY_FRAUD_WARNING = Collection(
    name="early_fraud_warning",
    object_type="radar.early_fraud_warning",
    path="radar/early_fraud_warnings",
    id_prefix="issfr_1",
    id_length=23,
    event_prefix="radar.early_fraud_warning",
    events=("created", "updated"),
    fields={
        "actionable": True,
        "charge": "",
        "created": Given.NOW,
        "fraud_type": "misc",
        "livemode": Given.LIVEMODE,
        "payment_intent": None,
    },
    filters={
        "charge": equals("charge", text(unsettable=False)),
        "payment_intent": equals("payment_intent", text(unsettable=False)),
    },
    seed=_warn,
    evolve=lambda write, warning, _: write.replace("early_fraud_warning", warning | {"actionable": False}),
    may_update=lambda _, warning: warning["actionable"],
)


def _open_review(write: Write, rng: Random) -> Object:
    made = _charge_for(write, rng, fits=lambda charge: charge["review"] is None)
    review = write.blank("review") | {
        "billing_zip": f"{rng.randrange(10_000, 99_999)}",
        "charge": made["id"],
        "payment_intent": made["payment_intent"],
    }
    write.insert("review", review, "opened")
    made["review"] = review["id"]
    write.replace("charge", made)
    return review


def _close_review(write: Write, review: Object, reason: str) -> Object:
    if not review["open"]:
        raise StripeError(f"This review ({review['id']}) has already been closed.")
    return write.replace("review", review | {"closed_reason": reason, "open": False, "reason": reason}, "closed")


REVIEW = Collection(
    name="review",
    path="reviews",
    id_prefix="prv_1",
    id_length=23,
    event_prefix="review",
    events=("closed", "opened"),
    fields={
        "billing_zip": None,
        "charge": None,
        "closed_reason": None,
        "created": Given.NOW,
        "ip_address": None,
        "ip_address_location": None,
        "livemode": Given.LIVEMODE,
        "open": True,
        "opened_reason": "rule",
        "payment_intent": None,
        "reason": "rule",
        "session": None,
    },
    actions={"approve": Operation(run=lambda write, review, _: _close_review(write, review, "approved"))},
    seed=_open_review,
    evolve=lambda write, review, rng: _close_review(write, review, rng.choice(("approved", "refunded_as_fraud"))),
    may_update=lambda _, review: review["open"],
)
