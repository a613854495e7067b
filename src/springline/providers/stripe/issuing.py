"""Cards that the account issues. Where Issuing is off, Stripe refuses these lists, and they are left."""

from typing import Final

from springline.providers.stripe.shapes import with_events

COLLECTIONS: Final = (
    with_events(
        "issuing_cardholder",
        "Someone who holds an issued card.",
        path="/v1/issuing/cardholders",
        events=("issuing_cardholder.created", "issuing_cardholder.updated"),
    ),
    with_events(
        "issuing_card",
        "An issued card.",
        path="/v1/issuing/cards",
        events=("issuing_card.created", "issuing_card.updated"),
    ),
    with_events(
        "issuing_authorization",
        "A purchase with an issued card that asks to be allowed.",
        path="/v1/issuing/authorizations",
        # issuing_authorization.request is asked in real time, before there is an object to read.
        events=("issuing_authorization.created", "issuing_authorization.updated"),
    ),
    with_events(
        "issuing_transaction",
        "Money that an issued card has moved.",
        path="/v1/issuing/transactions",
        events=(
            "issuing_transaction.created",
            "issuing_transaction.purchase_details_receipt_updated",
            "issuing_transaction.updated",
        ),
    ),
    with_events(
        "issuing_dispute",
        "A transaction of an issued card that is questioned.",
        path="/v1/issuing/disputes",
        events=(
            "issuing_dispute.closed",
            "issuing_dispute.created",
            "issuing_dispute.funds_reinstated",
            "issuing_dispute.funds_rescinded",
            "issuing_dispute.submitted",
            "issuing_dispute.updated",
        ),
    ),
)
