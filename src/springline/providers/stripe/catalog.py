"""What is sold, and at what price."""

from datetime import timedelta
from typing import Final

from springline.providers.stripe.shapes import CREATED_ONLY, EVENTS, listing, read_by_id, with_events
from springline.providers.vocabulary import Collection, Incremental

COLLECTIONS: Final = (
    with_events(
        "product",
        "Goods or services that are offered.",
        path="/v1/products",
        events=("product.created", "product.updated", "product.deleted"),
        detection=EVENTS,
    ),
    with_events(
        "price",
        "What a product costs, once or again and again.",
        # Active and inactive ones. Those made within another request (`price_data`) are not listed, only named by
        # events. docs.stripe.com/api/prices/list, November 2026
        path="/v1/prices",
        events=("price.created", "price.updated", "price.deleted"),
        detection=EVENTS,
    ),
    with_events(
        "plan",
        "A recurring price, in the older form.",
        path="/v1/plans",
        events=("plan.created", "plan.updated", "plan.deleted"),
        detection=EVENTS,
    ),
    with_events(
        "coupon",
        "A discount that can be redeemed.",
        path="/v1/coupons",
        events=("coupon.created", "coupon.updated", "coupon.deleted"),
        detection=EVENTS,
    ),
    with_events(
        "promotion_code",
        "A word that customers enter to redeem a coupon.",
        path="/v1/promotion_codes",
        events=("promotion_code.created", "promotion_code.updated"),
    ),
    with_events(
        "tax_rate",
        "A tax in percent.",
        path="/v1/tax_rates",
        events=("tax_rate.created", "tax_rate.updated"),
    ),
    Collection(
        name="shipping_rate",
        description="What shipping costs. It is never deleted, but switched off with `active: false`.",
        listing=listing("/v1/shipping_rates"),
        read=read_by_id("/v1/shipping_rates"),
        created="created",
        incremental=Incremental(late_arrival=timedelta(minutes=5)),  # no event names one
        detection=CREATED_ONLY,
    ),
)
