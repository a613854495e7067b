"""Which description answers a path, and which rows the path names."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from springline.sandbox.github.collection import Collection, Listing, Operation, Read
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World

_PLACE = re.compile(r"\{(\w+)(:id)?(\.\.\.)?\}")

# The same places under their numbers: what a redirect after a rename leads to.
_BY_NUMBER = (
    ("repos/{repository}", "repositories/{repository:id}"),
    ("orgs/{organization}/teams/{team}", "organizations/{organization:id}/team/{team:id}"),
    ("orgs/{organization}", "organizations/{organization:id}"),
    ("users/{user}", "user/{user:id}"),
)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, and what stands behind them."""

    method: str
    path: str
    pattern: re.Pattern[str]
    collection: Collection
    behind: Listing | Operation | Read


@dataclass(frozen=True, slots=True)
class Found:
    route: Route
    places: dict[str, str]
    """What stands at each placeholder of the path, decoded."""


class Router:
    """All routes of all descriptions, the more literal ones first."""

    def __init__(self, collections: Mapping[str, Collection]) -> None:
        self._routes: dict[str, list[Route]] = {}
        for kind in collections.values():
            for listing in kind.listings:
                self._add("GET", listing.path, kind, listing)
            for read in kind.reads:
                self._add("GET", read.path, kind, read)
            for operation in kind.operations:
                self._add(operation.method, operation.path, kind, operation)
        for routes in self._routes.values():
            routes.sort(key=lambda route: _generality(route.path))

    def find(self, method: str, raw_path: str) -> Found:
        """The route of this (still encoded) path. Raises GithubError 404."""
        path = raw_path.strip("/")
        for route in self._routes.get("GET" if method == "HEAD" else method, ()):
            match = route.pattern.fullmatch(path)
            if match is not None:
                return Found(route, {name: unquote(text) for name, text in match.groupdict().items()})
        raise not_found()

    def _add(self, method: str, path: str, kind: Collection, behind: Listing | Operation | Read) -> None:
        paths = {path, *(by_number + path.removeprefix(name) for name, by_number in _BY_NUMBER if _below(path, name))}
        for each in paths:
            route = Route(method, each, re.compile(_expression(each)), kind, behind)
            self._routes.setdefault(method, []).append(route)


def rows_of_path(
    world: World, found: Found, *, may_see: Callable[[Row], bool], hides: Callable[[Row], bool]
) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows that the path names, by collection, and its other parts. Only what is asked for itself can be hidden.

    Raises GithubError: 404 (also for what the token may not see), 410 for a deleted issue, 301 for what has moved.
    """
    rows: dict[str, Row] = {}
    parts: dict[str, str] = {}
    docs = found.route.collection.docs
    above: tuple[str, Row] | None = None
    for place, by_id, _ in _PLACE.findall(found.route.path):
        text = found.places[place]
        if place not in world.collections:
            parts[place] = text
            continue
        kind = world.collections[place]
        row = _row_at(world, kind, text, above=above, by_id=bool(by_id))
        if row is None and place == "repository":
            _refuse_moved(world, text, may_see=may_see)
        if row is None and place in {"issue", "pull_request"} and above is not None:
            _refuse_gone_issue(world, above[1], text, docs=docs)
        is_hidden = row is not None and place == found.route.collection.name and hides(row)
        if row is None or is_hidden or (place == "repository" and not may_see(row)):
            raise not_found(docs)
        rows[place] = row
        above = (place, row)
    return rows, parts


def _row_at(world: World, kind: Collection, text: str, *, above: tuple[str, Row] | None, by_id: bool) -> Row | None:
    table = world[kind.name]
    if by_id:
        row = table.get(int(text)) if text.isdecimal() else None
    elif kind.name == "repository":
        owner, _, name = text.partition("/")
        row = world.repository_named(owner, name)
    elif kind.find is not None:
        row = kind.find(world, above[1] if above is not None else None, text)
    elif kind.key == "id":
        row = table.get(int(text)) if text.isdecimal() else None
    else:
        row = table.find(0 if kind.parent is None else _scope(above), text)
    if row is None or above is None:
        return row
    belongs = row["parent"] == above[1]["id"] if above[0] == kind.parent else row["scope"] in (_scope(above), 0)
    return row if belongs else None


def _scope(above: tuple[str, Row] | None) -> int:
    if above is None:
        return 0
    name, row = above
    scope: int = row["id"] if name in {"organization", "repository", "team"} else row["scope"]
    return scope


def _refuse_moved(world: World, text: str, *, may_see: Callable[[Row], bool]) -> None:
    target = world["repository"].get(world.moved.get(text.casefold()))
    if target is not None and may_see(target):
        raise Moved(target["id"])


def _refuse_gone_issue(world: World, repository: Row, text: str, *, docs: str) -> None:
    if not text.isdecimal():
        return
    key = (repository["id"], int(text))
    issue = world["issue"].get(world.moved_issues.get(key))
    if issue is not None:
        raise Moved(issue["scope"], issue=issue["number"])
    if key in world.deleted_issues:
        raise GithubError("This issue was deleted", status=410, docs=docs)


class Moved(Exception):
    """What the path names is elsewhere now: in the repository of this id, maybe as another issue."""

    def __init__(self, repository_id: int, *, issue: int | None = None) -> None:
        super().__init__(repository_id)
        self.repository_id = repository_id
        self.issue = issue

    def path(self, path: str) -> str:
        """The same path where it leads now."""
        rest = path.strip("/").split("/")
        rest = rest[2:] if rest[0] == "repositories" else rest[3:]
        if self.issue is not None:
            rest[1] = str(self.issue)
        return "/".join(["", "repositories", str(self.repository_id), *rest])


def _below(path: str, above: str) -> bool:
    return path == above or path.startswith(above + "/")


def _expression(path: str) -> str:
    def place(match: re.Match[str]) -> str:
        name, by_id, rest = match.groups()
        if name == "repository" and not by_id:
            return r"(?P<repository>[^/]+/[^/]+)"
        return f"(?P<{name}>{'.+' if rest else '[^/]+'})"

    return _PLACE.sub(place, path)


def _generality(path: str) -> tuple[int, ...]:
    """Sorts literal segments before places, and places before rests; of two alike the longer first."""
    kinds = [2 if "...}" in part else 1 if part.startswith("{") else 0 for part in path.split("/")]
    return (*kinds, 3)
