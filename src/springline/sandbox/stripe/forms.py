"""Stripe's form encoding: `metadata[k]=v`, `items[0][price]=p`, `expand[]=x` become nested values."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from springline.sandbox.stripe.errors import StripeError

Form = dict[str, Any]
"""Names to strings, forms, or lists of either. Numbered entries stay a form with digits as names."""


def read_form(text: str) -> tuple[Form, tuple[tuple[str, str], ...]]:
    """The nested form, and its flat pairs in a canonical order (to compare two requests).

    Raises StripeError where the text is no form encoding or two names contradict each other.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=False, errors="strict")
    except ValueError as error:
        raise StripeError("Invalid request: the parameters are not valid form encoding.") from error
    form: Form = {}
    for name, value in pairs:
        _place(form, _steps(name), value, name)
    return form, tuple(sorted(pairs))


def flatten(values: Mapping[str, Any]) -> Form:
    """JSON values as a client would send them in a form: every leaf a string, null an empty one."""
    return {name: _leaf(value) for name, value in values.items()}


def _leaf(value: Any) -> Any:
    if isinstance(value, Mapping):
        return flatten(value)
    if isinstance(value, list):
        return [_leaf(item) for item in value]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _steps(name: str) -> list[str]:
    """`a[b][]` → `["a", "b", ""]`; a name with unbalanced brackets is taken as it stands."""
    head, bracket, rest = name.partition("[")
    if not head or not bracket or not rest.endswith("]"):
        return [name]
    return [head, *rest[:-1].split("][")]


def _place(form: Form, steps: list[str], value: str, name: str) -> None:
    step, rest = steps[0], steps[1:]
    if not rest:
        form[step] = value
        return
    if rest[0] == "":
        entries = form.setdefault(step, [])
        if not isinstance(entries, list):
            raise _contradiction(name)
        _append(entries, rest[1:], value, name)
        return
    inner = form.setdefault(step, {})
    if not isinstance(inner, dict):
        raise _contradiction(name)
    _place(inner, rest, value, name)


def _append(entries: list[Any], rest: list[str], value: str, name: str) -> None:
    """`items[][price]=a&items[][quantity]=2`: a name seen again begins the next entry."""
    if not rest:
        entries.append(value)
        return
    last = entries[-1] if entries else None
    if not isinstance(last, dict) or rest[0] in last:
        last = {}
        entries.append(last)
    _place(last, rest, value, name)


def _contradiction(name: str) -> StripeError:
    return StripeError("Invalid request: the same parameter is both a value and a structure.", param=name)
