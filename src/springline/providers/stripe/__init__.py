"""Stripe: its v1 objects over REST, found by lists, the events feed and sweeps.

Facts from docs.stripe.com (api, rate-limits, api/events), as collected in November 2026.
"""

from datetime import timedelta

from springline.providers.stripe.answers import classify, read_limits
from springline.providers.stripe.keys import STRIPE_KEY
from springline.providers.vocabulary import (
    Collection,
    CursorById,
    Detection,
    EventFeed,
    FeedMembership,
    ListEndpoint,
    Provider,
    ReadById,
)

#: Every answer has this version's shape, whatever the account's own default.
VERSION = "2026-09-30.endive"

# Newest first, at most 100 objects a page. docs.stripe.com/api/pagination
PAGES = CursorById(after="starting_after", size=("limit", 100))

# Some changes write no event (background fixes, and what a fake or a proxy leaves out), so a sweep follows everywhere.
BY_FEED_THEN_SWEEP = Detection(inserts=("feed", "sweep"), updates=("feed", "sweep"), deletes=("feed", "sweep"))


def _collection(
    name: str,
    description: str,
    *,
    path: str,
    events: tuple[str, ...],
    query: tuple[tuple[str, str], ...] = (),
) -> Collection:
    return Collection(
        name=name,
        description=description,
        listing=ListEndpoint(path=path, query=query, pagination=PAGES, until="created[lte]"),
        # A deleted customer answers 200 with `deleted: true`; other deleted objects answer 404.
        read=ReadById(path=path + "/{id}", gone_field="deleted"),
        created="created",
        feed=FeedMembership(types=events),
        detection=BY_FEED_THEN_SWEEP,
    )


stripe = Provider(
    name="stripe",
    title="Stripe",
    base_url="https://api.stripe.com",
    credential_kinds=(STRIPE_KEY,),
    request_headers=(("Stripe-Version", VERSION),),
    request_id_header="request-id",
    classify=classify,
    read_limits=read_limits,
    feed=EventFeed(
        path="/v1/events",
        pagination=PAGES,
        since="created[gte]",
        # Events can be read for 30 days; order within a second is not promised. docs.stripe.com/api/events
        retention=timedelta(days=30),
        late_arrival=timedelta(minutes=5),
        types="types[]",
        types_limit=20,
        subject=("data", "object", "id"),
    ),
    collections=(
        _collection(
            "customer",
            "Someone who is charged or invoiced.",
            path="/v1/customers",
            events=("customer.created", "customer.updated", "customer.deleted"),
        ),
        _collection(
            "product",
            "Goods or services that are offered.",
            path="/v1/products",
            events=("product.created", "product.updated", "product.deleted"),
        ),
        _collection(
            "plan",
            "A recurring price, in the older form.",
            path="/v1/plans",
            events=("plan.created", "plan.updated", "plan.deleted"),
        ),
        _collection(
            "coupon",
            "A discount that can be redeemed.",
            path="/v1/coupons",
            events=("coupon.created", "coupon.updated", "coupon.deleted"),
        ),
        _collection(
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
        ),
        _collection(
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
                "invoice.paid",
                "invoice.payment_action_required",
                "invoice.payment_failed",
                "invoice.payment_succeeded",
                "invoice.sent",
                "invoice.updated",
                "invoice.voided",
                "invoice.will_be_due",
            ),
        ),
    ),
)
