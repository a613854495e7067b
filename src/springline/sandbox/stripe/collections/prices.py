"""Prices, as far as plans are visible through them: every plan is also a recurring price of the same id."""

from springline.sandbox.stripe.collection import Collection, equals
from springline.sandbox.stripe.params import boolean, choice, text
from springline.sandbox.stripe.texts import Object


def price_of(plan: Object) -> Object:
    """The price that shows this plan."""
    return {
        "id": plan["id"],
        "object": "price",
        "active": plan["active"],
        "billing_scheme": plan["billing_scheme"],
        "created": plan["created"],
        "currency": plan["currency"],
        "custom_unit_amount": None,
        "livemode": plan["livemode"],
        "lookup_key": None,
        "metadata": plan["metadata"],
        "nickname": plan["nickname"],
        "product": plan["product"],
        "recurring": {
            "interval": plan["interval"],
            "interval_count": plan["interval_count"],
            "meter": plan["meter"],
            "trial_period_days": plan["trial_period_days"],
            "usage_type": plan["usage_type"],
        },
        "tax_behavior": "unspecified",
        "tiers_mode": plan["tiers_mode"],
        "transform_quantity": plan["transform_usage"],
        "type": "recurring",
        "unit_amount": plan["amount"],
        "unit_amount_decimal": plan["amount_decimal"],
    }


PRICE = Collection(
    name="price",
    path="prices",
    id_prefix="price_1",
    id_length=23,
    event_prefix="price",
    filter_fields=("active", "currency", "product", "type"),
    filters={
        "active": equals("active", boolean()),
        "currency": equals("currency", text(unsettable=False)),
        "product": equals("product", text(unsettable=False)),
        "type": equals("type", choice("one_time", "recurring")),
    },
)
