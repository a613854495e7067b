"""The account's balance and how it changes; Connect."""

from datetime import timedelta
from typing import Final

from springline.providers.stripe.shapes import CREATED_ONLY, listing, read_by_id, with_events
from springline.providers.vocabulary import Collection, Detection, Incremental, Parent

COLLECTIONS: Final = (
    Collection(
        name="balance_transaction",
        description="A change of the account's balance, with its fees.",
        listing=listing("/v1/balance_transactions"),
        read=read_by_id("/v1/balance_transactions"),
        created="created",
        # No event names one. All of it is fixed but `status`, which goes from pending to available within days
        # (docs.stripe.com/payouts#payout-speed, November 2026).
        incremental=Incremental(late_arrival=timedelta(days=10)),
        detection=Detection(inserts=("incremental", "sweep"), updates=("incremental", "sweep"), deletes=("sweep",)),
    ),
    with_events(
        "payout",
        "Money that goes to the account's bank.",
        path="/v1/payouts",
        events=(
            "payout.canceled",
            "payout.created",
            "payout.failed",
            "payout.paid",
            "payout.reconciliation_completed",
            "payout.updated",
        ),
    ),
    with_events(
        "topup",
        "Money that is added to the balance from a bank.",
        path="/v1/topups",
        events=("topup.canceled", "topup.created", "topup.failed", "topup.reversed", "topup.succeeded"),
    ),
    with_events(
        "transfer",
        "Money that goes to a connected account.",
        path="/v1/transfers",
        events=("transfer.created", "transfer.reversed", "transfer.updated"),
    ),
    Collection(
        name="transfer_reversal",
        description="Money that comes back from a connected account.",
        listing=listing("/v1/transfers/{transfer.id}/reversals", by_created=False),
        read=read_by_id("/v1/transfers/{transfer.id}/reversals"),
        # transfer.reversed names the transfer, whose `amount_reversed` changes.
        parent=Parent(collection="transfer", field="transfer", tells=True),
        created="created",
        # Only the metadata of one can change, which its transfer embeds for the first ten only.
        detection=Detection(inserts=("parent", "sweep"), updates=("sweep",), deletes=("sweep",)),
    ),
    with_events(
        "application_fee",
        "A platform's share of a connected account's charge.",
        path="/v1/application_fees",
        events=("application_fee.created", "application_fee.refunded"),
    ),
    Collection(
        name="account",
        description="An account that is connected to this platform (Connect).",
        listing=listing("/v1/accounts"),
        read=read_by_id("/v1/accounts"),
        created="created",
        # account.updated and account.application.deauthorized belong to the connected account: the platform's own list
        # of events has only those about itself. docs.stripe.com/connect/webhooks, November 2026
        incremental=Incremental(late_arrival=timedelta(minutes=5)),
        detection=CREATED_ONLY,
    ),
)
