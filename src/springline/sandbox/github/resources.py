"""The API's reads and writes, carried out as the descriptions say."""

from collections.abc import Mapping
from typing import Any

from springline.sandbox.github.answers import Answer, Page
from springline.sandbox.github.collection import Call, Collection, Listing, Operation, Read
from springline.sandbox.github.errors import invalid
from springline.sandbox.github.paging import Position, cut
from springline.sandbox.github.params import read_params
from springline.sandbox.github.sight import Sight
from springline.sandbox.github.tables import Row


def read_list(kind: Collection, listing: Listing, call: Call, *, sight: Sight, url: str, deepest_rows: int) -> Answer:
    """One page of a list; `url` is the list's own. Raises GithubError."""
    sort = next(iter(listing.sorts))
    if listing.sorted_by_caller:
        sort = call.query.get("sort", sort)
    if sort not in listing.sorts:
        raise invalid(_resource(kind), "sort")
    by = listing.sorts[sort]
    descending = _descending(listing, call.query, sort=sort)

    def position(row: Row) -> tuple[Any, int]:
        return by(row), row["id"]

    rows = _chosen(kind, listing, call, sort=sort, position=position)
    if not sight.is_clear:
        rows = [row for row in rows if not sight.hides(row)]
    is_filtered = not listing.filters.keys().isdisjoint(call.query)
    found = cut(
        rows,
        call.query,
        listing,
        position=position,
        descending=descending,
        deepest_rows=deepest_rows,
        most=listing.most_when_filtered if is_filtered else listing.most,
    )
    show = listing.show
    chunks = [
        show(call, row) if show is not None else call.world.text(kind.name, row, listing.view) for row in found.rows
    ]
    page = found.page(chunks, url=url, query=call.query, envelope=listing.envelope)
    if not found.total and listing.empty_status != 200:
        return Answer(status=listing.empty_status)
    return Answer(page=page)


def read_one(kind: Collection, read: Read, call: Call) -> Answer:
    """One object. Raises GithubError."""
    found: Row | Answer | None = call.rows.get(kind.name) if read.answer is None else read.answer(call)
    if isinstance(found, Answer):
        return found
    if found is None:
        return Answer(status=204)
    return Answer(body=call.world.text(kind.name, found, read.view))


def write(kind: Collection, operation: Operation, call: Call, body: Any) -> Answer:
    """Carry out a write and show what it made. Raises GithubError."""
    call.params = read_params(body, operation.takes, resource=_resource(kind))
    found = operation.run(call)
    if isinstance(found, Answer):
        return found
    if found is None:
        return Answer(status=operation.status)
    return Answer(status=operation.status, body=call.world.text(kind.name, found, "detail"))


def first_page_query(query: Mapping[str, str]) -> dict[str, str]:
    """The query without what says which page."""
    return {name: value for name, value in query.items() if name not in {"page", "after", "before"}}


def without_rows(page: Page) -> Page:
    return Page([], page.links, page.envelope, page.total)


def _chosen(kind: Collection, listing: Listing, call: Call, *, sort: str, position: Position) -> list[Row]:
    """The rows that pass the filters, ascending; kept until something is written."""
    wanted = {
        name: filter_.default if call.query.get(name) is None else filter_.parse(call.query[name])
        for name, filter_ in listing.filters.items()
    }
    named = tuple((name, row["id"]) for name, row in call.rows.items())
    key = (kind.name, listing.path, named, tuple(call.parts.items()), sort, repr(wanted), call.token.text)

    def rows() -> list[Row]:
        return [
            row
            for row in listing.rows(call)
            if all(
                value is None or listing.filters[name].accepts(call.world, row, value) for name, value in wanted.items()
            )
        ]

    return call.world.ordered(key, rows, position)


def _descending(listing: Listing, query: Mapping[str, str], *, sort: str) -> bool:
    default = listing.directions.get(sort, listing.direction)
    given = query.get("direction") if listing.sorted_by_caller else None
    return (given if given in {"asc", "desc"} else default) == "desc"


def _resource(kind: Collection) -> str:
    return "".join(part.capitalize() for part in kind.name.split("_"))
