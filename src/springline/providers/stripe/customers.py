"""Customers, and what is theirs."""

from typing import Final

from springline.providers.stripe.shapes import EVENTS, listing, read_by_id, with_events
from springline.providers.vocabulary import Collection, Detection, FeedMembership, Parent, ReadById

COLLECTIONS: Final = (
    with_events(
        "customer",
        "Someone who is charged or invoiced.",
        path="/v1/customers",
        events=("customer.created", "customer.updated", "customer.deleted"),
        detection=EVENTS,
    ),
    Collection(
        name="payment_method",
        description="A customer's card, bank account or wallet. One that was detached is gone for good.",
        # Without `type` every kind is listed but `custom`. The account-wide list is Treasury's alone.
        # docs.stripe.com/api/payment_methods/customer_list, November 2026
        listing=listing("/v1/customers/{customer.id}/payment_methods", by_created=False),
        # A detached one can still be read, belongs to nobody, and can't be attached again.
        # docs.stripe.com/api/payment_methods/detach, November 2026
        read=ReadById(path="/v1/payment_methods/{id}", gone_when_null="customer"),
        parent=Parent(collection="customer", field="customer"),
        created="created",
        feed=FeedMembership(
            types=(
                "payment_method.attached",
                "payment_method.automatically_updated",
                "payment_method.detached",
                "payment_method.updated",
            )
        ),
        detection=EVENTS,
    ),
    Collection(
        name="tax_id",
        description="A customer's tax number.",
        listing=listing("/v1/customers/{customer.id}/tax_ids", by_created=False),
        read=read_by_id("/v1/customers/{customer.id}/tax_ids"),
        parent=Parent(collection="customer", field="customer"),
        created="created",
        feed=FeedMembership(
            types=("customer.tax_id.created", "customer.tax_id.updated", "customer.tax_id.deleted"),
            parent=("data", "object", "customer"),
        ),
        detection=EVENTS,
    ),
    Collection(
        name="customer_balance_transaction",
        description="A change of the credit or debt that is set off against a customer's next invoice.",
        listing=listing("/v1/customers/{customer.id}/balance_transactions", by_created=False),
        read=read_by_id("/v1/customers/{customer.id}/balance_transactions"),
        # No event names one, but it changes the customer's `balance`, and that one's event comes.
        parent=Parent(collection="customer", field="customer", tells=True),
        created="created",
        # Only the description and the metadata of one can change, which the customer does not show.
        detection=Detection(inserts=("parent", "sweep"), updates=("sweep",), deletes=("sweep",)),
    ),
)
