"""The writes that most collections have, made from their parameters."""

from collections.abc import Callable, Iterable, Mapping
from random import Random

from springline.sandbox.stripe.collection import Operation
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.params import Params, Parser, assign
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write

Completion = Callable[[Write, Object, Params], None]
"""Puts onto an object what follows from the parameters; may raise StripeError or write to other collections."""


def creation(
    name: str,
    takes: Mapping[str, Parser],
    *,
    needs: tuple[str, ...] = (),
    complete: Completion | None = None,
    changes: tuple[str, ...] = (),
    after: Completion | None = None,
    unsupported: Iterable[str] = (),
) -> Operation:
    """A new object: its collection's fields, then the parameters of the same names, then `complete`.

    `changes` are its events (default: `created`); `after` follows once the object is stored.
    """

    def run(write: Write, _: Object, params: Params) -> Object:
        value = write.blank(name)
        assign(value, params, only=tuple(value))
        if complete is not None:
            complete(write, value, params)
        parent = write.collection(name).parent
        write.insert(name, value, *changes, parent=None if parent is None else params.get(parent.param))
        if after is not None:
            after(write, value, params)
        return value

    return Operation(run=run, takes=takes, needs=needs, unsupported=frozenset(unsupported))


def modification(
    name: str,
    takes: Mapping[str, Parser],
    *,
    needs: tuple[str, ...] = (),
    complete: Completion | None = None,
    changes: tuple[str, ...] = (),
    after: Completion | None = None,
    unsupported: Iterable[str] = (),
) -> Operation:
    """A change of an object: the parameters of the same names, then `complete`; `changes` default to `updated`."""

    def run(write: Write, value: Object, params: Params) -> Object:
        assign(value, params, only=tuple(value))
        if complete is not None:
            complete(write, value, params)
        write.replace(name, value, *changes)
        if after is not None:
            after(write, value, params)
        return value

    return Operation(run=run, takes=takes, needs=needs, unsupported=frozenset(unsupported))


def removal(name: str, *, check: Completion | None = None) -> Operation:
    """A deletion, unless `check` refuses it."""

    def run(write: Write, value: Object, params: Params) -> Object:
        if check is not None:
            check(write, value, params)
        return write.remove(name, value)

    return Operation(run=run)


def seeding(operation: Operation, sample: Callable[[Write, Random], Params]) -> Callable[[Write, Random], Object]:
    """Objects made as this operation makes them, with sample parameters."""
    return lambda write, rng: operation.run(write, {}, sample(write, rng))


def require_status(value: Object, *allowed: str, action: str) -> None:
    """Raises StripeError unless the object is in one of these states."""
    if value["status"] not in allowed:
        raise StripeError(
            f"You cannot {action} this {value['object'].replace('_', ' ')} because it has a status of "
            f"{value['status']}. Only {' or '.join(allowed)} will do.",
            code=f"{value['object']}_unexpected_state" if value["object"].endswith("_intent") else None,
        )


def empty_list(url: str) -> Object:
    """An embedded list without entries."""
    return {"object": "list", "data": [], "has_more": False, "total_count": 0, "url": url}
