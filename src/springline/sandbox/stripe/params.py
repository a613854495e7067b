"""The parameters of a request: what a collection takes, checked and turned into values.

A parser takes what the form held and the parameter's full name (`items[0][price]`), and returns a value or
raises the StripeError that the real API would answer. None stands for "unset".
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from springline.sandbox.stripe.errors import (
    StripeError,
    parameter_empty,
    parameter_missing,
    parameter_unknown,
    parameter_unsupported,
)
from springline.sandbox.stripe.forms import Form

Params = dict[str, Any]
Parser = Callable[[Any, str], Any]

_INTEGER = re.compile(r"-?\d{1,18}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def read_params(
    form: Form,
    takes: Mapping[str, Parser],
    *,
    needs: tuple[str, ...] = (),
    unsupported: frozenset[str] = frozenset(),
    within: str = "",
) -> Params:
    """The form's values by name; raises StripeError for unknown, missing or malformed parameters.

    `within` is the name of the surrounding parameter, for messages about nested ones.
    """
    known = takes.keys() | unsupported
    unknown = [_full(within, name) for name in form if name not in known]
    if unknown:
        raise parameter_unknown(unknown)
    for name in form:
        if name in unsupported:
            raise parameter_unsupported(_full(within, name))
    for name in needs:
        if name not in form:
            raise parameter_missing(_full(within, name))
    return {name: takes[name](value, _full(within, name)) for name, value in form.items()}


def _full(within: str, name: str) -> str:
    return f"{within}[{name}]" if within else name


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise StripeError("Invalid string: expected a single value", param=name)
    return value


def text(*, unsettable: bool = True, max_length: int = 5000) -> Parser:
    def parse(value: Any, name: str) -> str | None:
        given = _string(value, name)
        if not given:
            if unsettable:
                return None
            raise parameter_empty(name)
        if len(given) > max_length:
            raise StripeError(
                f"Invalid string: {given[:5]}...{given[-5:]}; must be at most {max_length} characters",
                param=name,
            )
        return given

    return parse


def email() -> Parser:
    plain = text(max_length=512)

    def parse(value: Any, name: str) -> str | None:
        given: str | None = plain(value, name)
        if given is not None and not _EMAIL.fullmatch(given):
            raise StripeError(f"Invalid email address: {given}", code="email_invalid", param=name)
        return given

    return parse


def integer(*, least: int | None = None, most: int | None = None, unsettable: bool = False) -> Parser:
    def parse(value: Any, name: str) -> int | None:
        given = _string(value, name)
        if not given:
            if unsettable:
                return None
            raise parameter_empty(name)
        if not _INTEGER.fullmatch(given):
            raise StripeError(f"Invalid integer: {given}", code="parameter_invalid_integer", param=name)
        number = int(given)
        if least is not None and number < least:
            raise StripeError(
                f"This value must be greater than or equal to {least}.",
                code="parameter_invalid_integer",
                param=name,
            )
        if most is not None and number > most:
            raise StripeError(
                f"This value must be less than or equal to {most} (it currently is '{number}').",
                code="parameter_invalid_integer",
                param=name,
            )
        return number

    return parse


def decimal(*, least: int = 0, most: int | None = None) -> Parser:
    def parse(value: Any, name: str) -> Decimal:
        given = _string(value, name)
        try:
            number = Decimal(given)
        except InvalidOperation:
            raise StripeError(f"Invalid decimal: {given}", param=name) from None
        if not number.is_finite() or number < least or (most is not None and number > most):
            bounds = f"at least {least}" if most is None else f"between {least} and {most}"
            raise StripeError(f"Invalid decimal: {given}; must be {bounds}", param=name)
        return number

    return parse


def boolean() -> Parser:
    def parse(value: Any, name: str) -> bool:
        given = _string(value, name)
        if given not in {"true", "false"}:
            raise StripeError(f"Invalid boolean: {given}", param=name)
        return given == "true"

    return parse


def choice(*allowed: str) -> Parser:
    def parse(value: Any, name: str) -> str:
        given = _string(value, name)
        if given not in allowed:
            listed = (
                f"{', '.join(allowed[:-1])}{',' if len(allowed) > 2 else ''} or {allowed[-1]}"
                if len(allowed) > 1
                else allowed[0]
            )
            raise StripeError(f"Invalid {name}: must be one of {listed}", param=name)
        return given

    return parse


def timestamp(*, now_allowed: bool = False) -> Parser:
    number = integer(least=0, unsettable=True)

    def parse(value: Any, name: str) -> int | str | None:
        if now_allowed and value == "now":
            return "now"
        seconds: int | None = number(value, name)
        return seconds

    return parse


def metadata() -> Parser:
    """Names to values; a None value deletes the name, None altogether deletes them all."""

    def parse(value: Any, name: str) -> dict[str, str | None] | None:
        if value == "":
            return None
        if not isinstance(value, dict):
            raise StripeError("Invalid metadata: expected a set of names and values", param=name)
        if len(value) > 50:
            raise StripeError("Metadata can have at most 50 keys.", param=name)
        for key, given in value.items():
            if len(key) > 40:
                raise StripeError("Metadata keys can be up to 40 characters long.", param=name)
            if len(_string(given, f"{name}[{key}]")) > 500:
                raise StripeError(
                    "Metadata values can have up to 500 characters, but you passed in a value that is "
                    f"{len(given)} characters.",
                    param=f"{name}[{key}]",
                )
        return {key: given or None for key, given in value.items()}

    return parse


def hash_of(takes: Mapping[str, Parser], *, needs: tuple[str, ...] = (), unsettable: bool = False) -> Parser:
    def parse(value: Any, name: str) -> Params | None:
        if value == "" and unsettable:
            return None
        if not isinstance(value, dict):
            raise StripeError("Invalid object", param=name)
        return read_params(value, takes, needs=needs, within=name)

    return parse


def list_of(entry: Parser, *, most: int = 100, unsettable: bool = False) -> Parser:
    def parse(value: Any, name: str) -> list[Any] | None:
        if value == "" and unsettable:
            return None
        if isinstance(value, dict) and all(key.isdigit() for key in value):
            value = [value[key] for key in sorted(value, key=int)]
        if not isinstance(value, list):
            raise StripeError("Invalid array", param=name)
        if len(value) > most:
            raise StripeError(f"Array too long: {name} can have at most {most} entries", param=name)
        return [entry(given, f"{name}[{index}]") for index, given in enumerate(value)]

    return parse


def time_range() -> Parser:
    """`created=1722470400` or `created[gte]=…`: the inclusive bounds (earliest, latest), None where open."""
    bound = integer()
    bounds = {"gt": bound, "gte": bound, "lt": bound, "lte": bound}

    def parse(value: Any, name: str) -> tuple[int | None, int | None]:
        if isinstance(value, str):
            exact = bound(value, name)
            return exact, exact
        given = read_params(value, bounds, within=name)
        earliest = [given["gte"]] if "gte" in given else []
        earliest += [given["gt"] + 1] if "gt" in given else []
        latest = [given["lte"]] if "lte" in given else []
        latest += [given["lt"] - 1] if "lt" in given else []
        return max(earliest, default=None), min(latest, default=None)

    return parse


def assign(current: dict[str, Any], params: Params, *, only: tuple[str, ...] | None = None) -> None:
    """Put given params onto an object: metadata merges by name, hashes by field, the rest is replaced."""
    for name, value in params.items():
        if only is not None and name not in only:
            continue
        before = current.get(name)
        if name == "metadata":
            current[name] = _merged_metadata(before or {}, value)
        elif isinstance(value, dict) and isinstance(before, dict):
            current[name] = {**before, **value}
        else:
            current[name] = value


def _merged_metadata(before: Mapping[str, str], change: Mapping[str, str | None] | None) -> dict[str, str]:
    if change is None:
        return {}
    merged: dict[str, str | None] = {**before, **change}
    return {name: value for name, value in merged.items() if value is not None}
