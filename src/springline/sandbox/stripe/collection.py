"""The description of one kind of object: where it lives, what it takes, what its writes do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from springline.sandbox.stripe.params import Params, Parser, time_range
from springline.sandbox.stripe.texts import Object

if TYPE_CHECKING:
    from springline.sandbox.stripe.writes import Write

Accepts = Callable[[Mapping[str, Any]], bool]
Feature = Literal["connect", "issuing"]
"""What Stripe switches on for an account before its objects can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A list parameter: how it is read, and which objects (by their filter fields) it lets through."""

    parse: Parser
    accepts: Callable[[Any, Mapping[str, Any]], bool]
    field: str | None = None
    """The field it looks at, where the collection does not name it among `filter_fields`."""


def equals(name: str, parse: Parser) -> Filter:
    """The parameter's value is the field's."""
    return Filter(parse=parse, accepts=lambda wanted, fields: bool(fields.get(name) == wanted), field=name)


def within(name: str) -> Filter:
    """A time or a range of times (`[gte]`, …) around the field's."""

    def accepts(bounds: tuple[int | None, int | None], fields: Mapping[str, Any]) -> bool:
        at, (earliest, latest) = fields.get(name), bounds
        if not isinstance(at, int):
            return False
        return (earliest is None or earliest <= at) and (latest is None or at <= latest)

    return Filter(parse=time_range(), accepts=accepts, field=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A write: the parameters it takes and the function that carries it out.

    `run` gets the write, the object as it is (for a creation: an empty one) and the read parameters; it
    stores what changes and returns the object to answer. Below a parent, the parameters hold its id too.
    """

    run: "Callable[[Write, Object, Params], Object]"
    takes: Mapping[str, Parser] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    unsupported: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Whose these objects are. They go when it is deleted."""

    collection: str
    field: str | None = None
    """The object's field with the parent's id; None: the object does not show it."""
    segment: str | None = None
    """Their list is `/v1/{the parent's path}/{its id}/{segment}`; None: they are listed at a path of their own."""
    writes: bool = True
    """Whether the nested path also takes writes."""
    embedded_as: str | None = None
    """The parent's field that shows the first ten of them as a list."""

    @property
    def param(self) -> str:
        """What the parent's id is called among parameters."""
        return self.field or self.collection


@dataclass(frozen=True, slots=True, kw_only=True)
class Ripening:
    """A change that time makes and no event tells of."""

    due: Callable[[Object], int | None]
    """When it happens, in Unix seconds; None: never (or it has happened)."""
    ripened: Callable[[Object], Object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One kind of object. A missing operation is one that the API does not have."""

    name: str
    """What the sandbox's own API and a key's permissions call it."""
    object_type: str = ""
    """The object's `object`, where it is not the name."""
    path: str | None
    """The list's path below /v1; None: there is only the one below the parent."""
    id_prefix: str
    id_length: int
    event_prefix: str
    """`customer.subscription` for `customer.subscription.updated`."""
    events: tuple[str, ...] = ("created", "updated", "deleted")
    """What can follow the prefix. A write of another name leaves no event, as with Stripe."""
    feature: Feature | None = None
    parent: Parent | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    """A new object's fields but `id` and `object`; see `Given` for values that are not plain."""
    created_field: str | None = "created"
    """Where the time of creation stands, if the object shows it."""
    created_filter: bool = True
    """Whether the list takes `created[…]`."""
    oldest_first: bool = False
    """Lists are newest first, but for the lines of a larger object."""
    filter_fields: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = field(default_factory=dict)
    list_needs: tuple[str, ...] = ()
    """Parameters without which the list is refused."""
    accepts_by_default: Mapping[str, Accepts] = field(default_factory=dict)
    """What a list leaves out unless the named parameter is given."""
    unsupported_filters: frozenset[str] = frozenset()
    readable: bool = True
    """Whether there is a read by id."""
    create: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    departure: Operation | None = None
    """What takes an object out of every list, where that is no deletion."""
    actions: Mapping[str, Operation] = field(default_factory=dict)
    """`POST /v1/{path}/{id}/{action}`."""
    stub_after_deletion: bool = False
    """A read of a deleted object answers 200 `{"id", "object", "deleted": true}` instead of 404."""
    ripening: Ripening | None = None
    seed: "Callable[[Write, Random], Object] | None" = None
    """Create one plausible object, as somebody's program (or Stripe itself) would."""
    sample_update: Callable[[Random], Params] | None = None
    """Parameters of a plausible update."""
    evolve: "Callable[[Write, Object, Random], object] | None" = None
    """A plausible change that is more than an update by the API, or not one."""
    may_update: "Callable[[Write, Object], bool]" = lambda _write, _value: True
    may_delete: "Callable[[Write, Object], bool]" = lambda _write, _value: True
    """Whether the API would let this one go."""

    @property
    def object(self) -> str:
        """The objects' `object`; messages call them so, too."""
        return self.object_type or self.name

    @property
    def removal(self) -> Operation | None:
        """What the API has to make an object leave its lists."""
        return self.delete or self.departure

    @property
    def kept_fields(self) -> frozenset[str]:
        """The fields that list filters and lookups read."""
        named = {wanted.field for wanted in self.filters.values() if wanted.field is not None}
        return frozenset({*self.filter_fields, *named})
