"""Stripe: its v1 objects over REST, found by lists, the events feed and sweeps.

Facts from docs.stripe.com (api, rate-limits, api/events), and from the types, event names and list parameters in
Stripe's own Python library (16.1), as collected in November 2026.
"""

from datetime import timedelta

from springline.providers.stripe import balance, billing, catalog, customers, issuing, payments, platform
from springline.providers.stripe.answers import classify, read_limits
from springline.providers.stripe.keys import STRIPE_KEY
from springline.providers.stripe.shapes import PAGES
from springline.providers.vocabulary import EventFeed, Provider

#: Every answer has this version's shape, whatever the account's own default.
VERSION = "2026-09-30.endive"

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
        *customers.COLLECTIONS,
        *catalog.COLLECTIONS,
        *billing.COLLECTIONS,
        *payments.COLLECTIONS,
        *balance.COLLECTIONS,
        *issuing.COLLECTIONS,
        *platform.COLLECTIONS,
    ),
)
