"""Subscriptions, invoices and what leads to them."""

from typing import Final

from springline.providers.stripe.shapes import EVENTS, WITH_PARENT, lines_of, listing, read_by_id, with_events
from springline.providers.vocabulary import Collection, Detection, Parent

COLLECTIONS: Final = (
    with_events(
        "subscription",
        "A customer's recurring payments. One that was canceled stays, with the status `canceled`.",
        path="/v1/subscriptions",
        # Without it the list leaves out the canceled ones.
        query=(("status", "all"),),
        events=(
            "customer.subscription.created",
            "customer.subscription.updated",
            "customer.subscription.deleted",
            "customer.subscription.paused",
            "customer.subscription.pending_update_applied",
            "customer.subscription.pending_update_expired",
            "customer.subscription.resumed",
            "customer.subscription.trial_will_end",
        ),
        detection=EVENTS,
    ),
    Collection(
        name="subscription_item",
        description="One price within a subscription, with its quantity.",
        listing=listing("/v1/subscription_items", query=(("subscription", "{subscription.id}"),), by_created=False),
        read=read_by_id("/v1/subscription_items"),
        parent=Parent(collection="subscription", field="subscription", tells=True),
        created="created",
        detection=WITH_PARENT,
    ),
    with_events(
        "subscription_schedule",
        "Planned changes of a subscription.",
        path="/v1/subscription_schedules",
        events=(
            "subscription_schedule.aborted",
            "subscription_schedule.canceled",
            "subscription_schedule.completed",
            "subscription_schedule.created",
            "subscription_schedule.expiring",
            "subscription_schedule.released",
            "subscription_schedule.updated",
        ),
    ),
    with_events(
        "invoice",
        "What a customer owes. Only drafts can be deleted.",
        path="/v1/invoices",
        # invoice.upcoming names an object without an id.
        events=(
            "invoice.created",
            "invoice.deleted",
            "invoice.finalization_failed",
            "invoice.finalized",
            "invoice.marked_uncollectible",
            "invoice.overdue",
            "invoice.overpaid",
            "invoice.paid",
            "invoice.payment_action_required",
            "invoice.payment_attempt_required",
            "invoice.payment_failed",
            "invoice.payment_succeeded",
            "invoice.sent",
            "invoice.updated",
            "invoice.voided",
            "invoice.will_be_due",
        ),
        detection=EVENTS,
    ),
    lines_of(
        "invoice",
        "invoice_line_item",
        "One line of an invoice.",
        path="/v1/invoices/{invoice.id}/lines",
        field="invoice",
    ),
    with_events(
        "invoice_item",
        "An amount that goes onto a customer's next invoice.",
        path="/v1/invoiceitems",
        events=("invoiceitem.created", "invoiceitem.deleted"),
        created="date",
        # No event says that one was changed.
        detection=Detection(inserts=("feed", "sweep"), updates=("sweep",), deletes=("feed", "sweep")),
    ),
    with_events(
        "credit_note",
        "A correction of an invoice that was sent already.",
        path="/v1/credit_notes",
        events=("credit_note.created", "credit_note.updated", "credit_note.voided"),
    ),
    with_events(
        "quote",
        "An offer that becomes a subscription or an invoice when it is accepted.",
        path="/v1/quotes",
        # What is changed in a draft, no event says.
        events=("quote.accepted", "quote.canceled", "quote.created", "quote.finalized"),
        by_created=False,
    ),
)
