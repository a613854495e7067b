"""The description of one kind of object: where it is read, in which order, what its writes take and do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from springline.sandbox.github.params import Param, Params
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World

if TYPE_CHECKING:
    from springline.sandbox.github.answers import Answer
    from springline.sandbox.github.tokens import Token

Object = dict[str, Any]
Shape = Callable[[World, Row], Object]
SortKey = Callable[[Row], Any]
Direction = Literal["asc", "desc"]


@dataclass(slots=True)
class Call:
    """One request as descriptions see it: who asks, for which rows, with what."""

    world: World
    now: int
    """Unix seconds: what a write is dated."""
    actor: Row
    """The user who asks, or the app's own user."""
    token: "Token"
    rows: dict[str, Row] = field(default_factory=dict)
    """What the path names, by collection."""
    parts: dict[str, str] = field(default_factory=dict)
    """What the path holds that names no row."""
    params: Params = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = ""

    @property
    def repository(self) -> Row:
        return self.rows["repository"]

    @property
    def organization(self) -> Row:
        return self.rows["organization"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A list parameter: how it is read (raises GithubError), and which rows it lets through."""

    accepts: Callable[[World, Row, Any], bool]
    parse: Callable[[str], Any] = str
    default: Any = None
    """The value where the request has none; None lets everything through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list: which rows, in which order, in which pages.

    `sorts` are the values of `?sort=`, the first is the default; with `sorted_by_caller` false the order is
    fixed. `paging`: `page` numbers only, `both` numbers (up to a depth) and cursors, `cursor` only, or `since`
    an id.
    """

    path: str
    rows: Callable[[Call], Iterable[Row]]
    sorts: Mapping[str, SortKey] = field(default_factory=lambda: {"id": lambda row: row["id"]})
    direction: Direction = "asc"
    sorted_by_caller: bool = False
    directions: Mapping[str, Direction] = field(default_factory=dict)
    """The default direction where it depends on `?sort=`."""
    filters: Mapping[str, Filter] = field(default_factory=dict)
    envelope: str | None = None
    paging: Literal["page", "both", "cursor", "since"] = "page"
    most: int | None = None
    """The list ends after so many, whatever there is."""
    most_when_filtered: int | None = None
    """It does so only when a filter is given."""
    view: str = "list"
    show: Callable[[Call, Row], bytes] | None = None
    """Where what is shown depends on the request."""
    empty_status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A request that writes. `run` returns the row to show, or None; `status` is that of success."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    path: str
    run: "Callable[[Call], Row | Answer | None]"
    takes: Mapping[str, Param] = field(default_factory=dict)
    status: int = 200
    kind: Literal["create", "update", "delete", "action"] = "action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A read of one object, or (`answer`) of something that is none."""

    path: str
    answer: "Callable[[Call], Row | Answer | None] | None" = None
    view: str = "detail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One kind of object. A missing operation is one that the API does not have."""

    name: str
    docs: str
    """The page of GitHub's reference, as errors name it."""
    permission: str
    """What an app or a fine-grained token needs."""
    parent: str | None
    """The collection that it belongs to: what is deleted takes what belongs to it along."""
    shape: Shape
    """What lists show."""
    write_permission: str | None = None
    """What writes need, where that is another one."""
    detail: Shape | None = None
    """What a read by id shows, where that is more."""
    views: Mapping[str, Shape] = field(default_factory=dict)
    key: str = "id"
    """The field that paths name it by, unique in its repository or organization."""
    find: Callable[[World, Row | None, str], Row | None] | None = None
    """Finds it by the text in a path; without, by its key and then by nothing."""
    rows_of: Callable[[World, Row], list[Row]] | None = None
    """It is derived from other rows: what there is below a parent."""
    listings: tuple[Listing, ...] = ()
    reads: tuple[Read, ...] = ()
    operations: tuple[Operation, ...] = ()
    first_id: int = 1_000_000
    seed: Callable[[Call, Random], Row | None] | None = None
    """Make one plausible object below the call's rows; None where nothing fits there."""
    sample_update: Callable[[Call, Row, Random], Row | None] | None = None
    """Change one plausibly; None where this one cannot be changed."""
    remove: Callable[[Call, Row], bool] | None = None
    """Delete one, by the API or as its owner can on the website; False where GitHub would not."""

    @property
    def scoped_by_parent(self) -> bool:
        """Its key is unique below its parent, rather than in the scope that it shares with its parent."""
        return self.parent in {"organization", "repository", "team"}

    def view(self, name: str) -> Shape:
        if name == "list":
            return self.shape
        if name == "detail":
            return self.detail or self.shape
        return self.views[name]

    def rows(self, world: World, parent: Row) -> list[Row]:
        """What there is below this parent."""
        return self.rows_of(world, parent) if self.rows_of is not None else world[self.name].children(parent["id"])


def remove_row(name: str) -> Callable[[Call, Row], bool]:
    """Deleting, where nothing else follows from it."""

    def remove(call: Call, row: Row) -> bool:
        call.world.remove(name, row)
        return True

    return remove
