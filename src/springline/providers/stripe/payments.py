"""What is paid: intents, charges, checkouts, and what comes after them."""

from datetime import timedelta
from typing import Final

from springline.providers.stripe.shapes import lines_of, listing, read_by_id, with_events
from springline.providers.vocabulary import Collection, Detection, FeedMembership, Incremental

COLLECTIONS: Final = (
    with_events(
        "payment_intent",
        "A payment that is being collected, with all its attempts.",
        path="/v1/payment_intents",
        events=(
            "payment_intent.amount_capturable_updated",
            "payment_intent.canceled",
            "payment_intent.created",
            "payment_intent.partially_funded",
            "payment_intent.payment_failed",
            "payment_intent.processing",
            "payment_intent.requires_action",
            "payment_intent.succeeded",
        ),
    ),
    with_events(
        "charge",
        "One attempt to move money, successful or not.",
        path="/v1/charges",
        events=(
            "charge.captured",
            "charge.expired",
            "charge.failed",
            "charge.pending",
            "charge.refunded",
            "charge.succeeded",
            "charge.updated",
        ),
    ),
    with_events(
        "refund",
        "Money that goes back to who paid it.",
        path="/v1/refunds",
        # The last is an older name that is still sent; its object is the refund.
        events=("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"),
    ),
    with_events(
        "dispute",
        "A charge that its payer questions at the bank.",
        path="/v1/disputes",
        events=(
            "charge.dispute.created",
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
        ),
    ),
    with_events(
        "setup_intent",
        "A payment method that is being set up for later.",
        path="/v1/setup_intents",
        events=(
            "setup_intent.canceled",
            "setup_intent.created",
            "setup_intent.requires_action",
            "setup_intent.setup_failed",
            "setup_intent.succeeded",
        ),
    ),
    Collection(
        name="checkout_session",
        description="One customer's visit to a hosted payment page.",
        listing=listing("/v1/checkout/sessions"),
        read=read_by_id("/v1/checkout/sessions"),
        created="created",
        # No event says that one was made.
        feed=FeedMembership(
            types=(
                "checkout.session.async_payment_failed",
                "checkout.session.async_payment_succeeded",
                "checkout.session.completed",
                "checkout.session.expired",
            )
        ),
        incremental=Incremental(late_arrival=timedelta(minutes=5)),
        detection=Detection(inserts=("incremental", "feed", "sweep"), updates=("feed", "sweep"), deletes=("sweep",)),
    ),
    lines_of(
        "checkout_session",
        "checkout_session_line_item",
        "What is bought in a checkout session.",
        path="/v1/checkout/sessions/{checkout_session.id}/line_items",
    ),
    with_events(
        "payment_link",
        "A reusable address of a payment page. It is never deleted, but switched off with `active: false`.",
        path="/v1/payment_links",
        events=("payment_link.created", "payment_link.updated"),
        created=None,  # it has no time at all
        by_created=False,
    ),
    with_events(
        "early_fraud_warning",
        "A card network's warning that a charge may be fraudulent.",
        path="/v1/radar/early_fraud_warnings",
        events=("radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"),
    ),
    with_events(
        "review",
        "A payment that someone should look at. Those closed before the sync cannot be listed.",
        path="/v1/reviews",
        events=("review.opened", "review.closed"),
        # One that is closed leaves the list and can still be read: leaving it says nothing.
        # docs.stripe.com/api/radar/reviews/list, November 2026
        detection=Detection(inserts=("feed", "sweep"), updates=("feed", "sweep"), deletes=("none",)),
    ),
)
