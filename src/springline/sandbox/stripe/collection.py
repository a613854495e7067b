"""The description of one kind of object: where it lives, what it takes, what its writes do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from springline.sandbox.stripe.params import Params, Parser
from springline.sandbox.stripe.texts import Object

if TYPE_CHECKING:
    from springline.sandbox.stripe.writes import Write

Accepts = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A list parameter: how it is read, and which objects (by their filter fields) it lets through."""

    parse: Parser
    accepts: Callable[[Any, Mapping[str, Any]], bool]


def equals(name: str, parse: Parser) -> Filter:
    """The parameter's value is the field's."""
    return Filter(parse=parse, accepts=lambda wanted, fields: bool(fields.get(name) == wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A write: the parameters it takes and the function that carries it out.

    `run` gets the write, the object as it is (for a creation: an empty one) and the read parameters; it
    stores what changes and returns the object to answer.
    """

    run: "Callable[[Write, Object, Params], Object]"
    takes: Mapping[str, Parser] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    unsupported: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One kind of object. A missing operation is one that the API does not have."""

    name: str
    """The object's `object`."""
    path: str
    """The list's path below /v1."""
    id_prefix: str
    id_length: int
    event_prefix: str
    """`customer.subscription` for `customer.subscription.updated`."""
    filter_fields: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = field(default_factory=dict)
    accepts_by_default: Mapping[str, Accepts] = field(default_factory=dict)
    """What a list leaves out unless the named parameter is given."""
    unsupported_filters: frozenset[str] = frozenset()
    create: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    actions: Mapping[str, Operation] = field(default_factory=dict)
    """`POST /v1/{path}/{id}/{action}`."""
    stub_after_deletion: bool = False
    """A read of a deleted object answers 200 `{"id", "object", "deleted": true}` instead of 404."""
    seed: "Callable[[Write, Random], Object] | None" = None
    """Create one plausible object, as somebody's program would."""
    sample_update: Callable[[Random], Params] | None = None
    """Parameters of a plausible update."""
    may_update: "Callable[[Write, Object], bool]" = lambda _write, _value: True
    may_delete: "Callable[[Write, Object], bool]" = lambda _write, _value: True
    """Whether the API would let this one go."""
