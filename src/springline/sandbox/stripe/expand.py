"""`expand[]`: an id in an answer becomes the object that it names."""

from collections.abc import Callable
from typing import Any

from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.texts import Object

MOST_LEVELS = 4

_EXPANDABLE = {
    "customer": "customer",
    "default_price": "price",
    "latest_invoice": "invoice",
    "price": "price",
    "product": "product",
    "subscription": "subscription",
}


def expand(value: Any, paths: list[str], *, find: Callable[[str, str], Object | None]) -> None:
    """Expand each dotted path within `value`, in place; `find(collection, id)` gives the objects.

    Raises StripeError for a path that is too deep or leads nowhere.
    """
    for path in paths:
        steps = path.split(".")
        if len(steps) > MOST_LEVELS:
            raise StripeError(
                f"You cannot expand more than {MOST_LEVELS} levels of a property. You attempted to expand: {path}"
            )
        _walk(value, steps, find)


def _walk(value: Any, steps: list[str], find: Callable[[str, str], Object | None]) -> None:
    if isinstance(value, list):
        for entry in value:
            _walk(entry, steps, find)
        return
    if not isinstance(value, dict) or not steps:
        return
    step, rest = steps[0], steps[1:]
    if step not in value:
        raise StripeError(f"This property cannot be expanded because it doesn't exist: {step}.")
    inner = value[step]
    if isinstance(inner, str):
        collection = _EXPANDABLE.get(step)
        if collection is None:
            raise StripeError(f"This property cannot be expanded ({step}).")
        found = find(collection, inner)
        if found is None:
            return
        value[step] = inner = found
    elif not _leads_on(inner, rest):
        raise StripeError(f"This property cannot be expanded ({step}).")
    if rest:
        _walk(inner, rest, find)


def _leads_on(inner: Any, rest: list[str]) -> bool:
    """A structure is only passed through; null and what an earlier path expanded may also be the end."""
    if inner is None or (isinstance(inner, dict) and "object" in inner):
        return True
    return bool(rest) and isinstance(inner, (dict, list))
