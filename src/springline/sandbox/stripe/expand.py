"""`expand[]`: an id in an answer becomes the object that it names."""

from collections.abc import Mapping
from typing import Any, Protocol

from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.texts import Object

MOST_LEVELS = 4

_EXPANDABLE: Mapping[str, tuple[str, ...]] = {
    "account": ("account",),
    "application_fee": ("application_fee",),
    "authorization": ("issuing_authorization",),
    "balance_transaction": ("balance_transaction",),
    "card": ("issuing_card",),
    "cardholder": ("issuing_cardholder",),
    "charge": ("charge",),
    "coupon": ("coupon",),
    "credit_note": ("credit_note",),
    "customer": ("customer",),
    "customer_balance_transaction": ("customer_balance_transaction",),
    "default_payment_method": ("payment_method",),
    "default_price": ("price",),
    "destination": ("account",),
    "dispute": ("dispute", "issuing_dispute"),
    "failure_balance_transaction": ("balance_transaction",),
    "file": ("file",),
    "invoice": ("invoice",),
    "latest_charge": ("charge",),
    "latest_invoice": ("invoice",),
    "original_payout": ("payout",),
    "payment_intent": ("payment_intent",),
    "payment_link": ("payment_link",),
    "payment_method": ("payment_method",),
    "price": ("price",),
    "product": ("product",),
    "review": ("review",),
    "schedule": ("subscription_schedule",),
    "setup_intent": ("setup_intent",),
    "source": (
        "charge", "refund", "payout", "transfer", "transfer_reversal", "topup", "dispute", "application_fee",
        "issuing_transaction", "issuing_dispute",
    ),
    "subscription": ("subscription",),
    "subscription_schedule": ("subscription_schedule",),
    "transaction": ("issuing_transaction",),
    "transfer": ("transfer",),
}  # fmt: skip
"""Fields that hold an id, and the collections that it may be from."""

INCLUDABLE: Mapping[tuple[str, str], str] = {
    ("charge", "refunds"): "refund",
    ("checkout.session", "line_items"): "checkout_session_line_item",
}
"""Lists that an object shows only when asked: its `object`, the field, whose objects."""


class Related(Protocol):
    """What an object's fields lead to."""

    def find(self, collection: str, object_id: str) -> Object | None:
        """The object of this id, None where there is none."""

    def listing(self, collection: str, owner: Object) -> Object:
        """The owner's objects of a collection, as a list within it."""


def expand(value: Any, paths: list[str], *, related: Related) -> None:
    """Expand each dotted path within `value`, in place.

    Raises StripeError for a path that is too deep or leads nowhere.
    """
    for path in paths:
        steps = path.split(".")
        if len(steps) > MOST_LEVELS:
            raise StripeError(
                f"You cannot expand more than {MOST_LEVELS} levels of a property. You attempted to expand: {path}"
            )
        _walk(value, steps, related)


def _walk(value: Any, steps: list[str], related: Related) -> None:
    if isinstance(value, list):
        for entry in value:
            _walk(entry, steps, related)
        return
    if not isinstance(value, dict) or not steps:
        return
    step, rest = steps[0], steps[1:]
    included = INCLUDABLE.get((str(value.get("object")), step))
    if included is not None and step not in value:
        value[step] = related.listing(included, value)
    if step not in value:
        raise StripeError(f"This property cannot be expanded because it doesn't exist: {step}.")
    inner = value[step]
    if isinstance(inner, str):
        candidates = (related.find(collection, inner) for collection in _collections_of(step))
        found = next((candidate for candidate in candidates if candidate is not None), None)
        if found is None:
            return
        value[step] = inner = found
    elif not _leads_on(inner, rest):
        raise StripeError(f"This property cannot be expanded ({step}).")
    if rest:
        _walk(inner, rest, related)


def _collections_of(step: str) -> tuple[str, ...]:
    if step not in _EXPANDABLE:
        raise StripeError(f"This property cannot be expanded ({step}).")
    return _EXPANDABLE[step]


def _leads_on(inner: Any, rest: list[str]) -> bool:
    """A structure is only passed through; null and what an earlier path expanded may also be the end."""
    if inner is None or (isinstance(inner, dict) and "object" in inner):
        return True
    return bool(rest) and isinstance(inner, (dict, list))
