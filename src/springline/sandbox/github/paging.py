"""Pages of a list: by number, by cursor, or by the last id seen."""

import base64
import binascii
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from springline.sandbox.github.answers import Page
from springline.sandbox.github.collection import Listing
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.tables import Row

# docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api, seen 2026-11.
DEFAULT_PER_PAGE, MOST_PER_PAGE = 30, 100

Position = Callable[[Row], tuple[Any, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One page's rows, and what the requests for its neighbours add to the query."""

    rows: list[Row]
    total: int
    neighbours: dict[str, dict[str, Any]]

    def page(self, chunks: list[bytes], *, url: str, query: Mapping[str, str], envelope: str | None) -> Page:
        kept = {name: value for name, value in query.items() if name not in {"page", "after", "before"}}
        links = {rel: f"{url}?{urlencode({**kept, **more})}" for rel, more in self.neighbours.items()}
        return Page(chunks, links, envelope, self.total)


def cut(
    rows: list[Row],
    query: Mapping[str, str],
    listing: Listing,
    *,
    position: Position,
    descending: bool,
    deepest_rows: int,
    most: int | None,
) -> Slice:
    """The page that `query` asks for, out of `rows` in ascending order of `position`.

    Raises GithubError 422 for a number that reaches `deepest_rows` where a list takes cursors too.
    """
    size = _number(query.get("per_page"), default=DEFAULT_PER_PAGE, most=MOST_PER_PAGE)
    if listing.paging == "since":
        return _since(rows, query, size=size)
    if listing.paging != "page" and ("after" in query or "before" in query or listing.paging == "cursor"):
        return _keyset(rows, query, listing, size=size, position=position, descending=descending)
    number = _number(query.get("page"), default=1, most=10**9)
    total = len(rows) if most is None else min(len(rows), most)
    if listing.paging == "both" and number * size >= deepest_rows:
        raise GithubError(
            "Pagination with the page parameter is not supported for large datasets, please use cursor based "
            "pagination (after/before)"
        )
    # Only the page is turned round: lists are long and pages are short.
    start, end = (number - 1) * size, min(number * size, total)
    chosen = rows[max(len(rows) - end, 0) : max(len(rows) - start, 0)][::-1] if descending else rows[start:end]
    last = max(-(-total // size), 1)
    neighbours: dict[str, dict[str, Any]] = {}
    if number > 1:
        neighbours |= {"prev": {"page": min(number - 1, last)}, "first": {"page": 1}}
    if number < last:
        neighbours |= {"next": {"page": number + 1}, "last": {"page": last}}
        if listing.paging == "both":
            neighbours["next"] = {"after": _cursor(position(chosen[-1])), "page": number + 1}
            if last * size >= deepest_rows:
                del neighbours["last"]
    return Slice(rows=chosen if start < total else [], total=total, neighbours=neighbours)


def _keyset(
    rows: list[Row], query: Mapping[str, str], listing: Listing, *, size: int, position: Position, descending: bool
) -> Slice:
    """Rows beyond a cursor: what is inserted or moved before it shifts nothing."""
    low, high = 0, len(rows)
    backwards = "before" in query and "after" not in query
    if "after" in query or "before" in query:
        mark = _mark(query["after"] if not backwards else query["before"])
        if descending == backwards:
            low = bisect_right(rows, mark, key=position)
        else:
            high = bisect_left(rows, mark, key=position)
    # The rows nearest to the cursor, then in the order of the list.
    from_start = descending == backwards if ("after" in query or backwards) else not descending
    start, end = (low, min(low + size, high)) if from_start else (max(high - size, low), high)
    chosen = rows[start:end][::-1] if descending else rows[start:end]
    neighbours: dict[str, dict[str, Any]] = {}
    if chosen:
        more_below, more_above = start > 0, end < len(rows)
        if more_below if descending else more_above:
            neighbours["next"] = {"after": _cursor(position(chosen[-1]))}
        if more_above if descending else more_below:
            neighbours["prev"] = {"before": _cursor(position(chosen[0]))}
        page = query.get("page", "")
        if listing.paging == "both" and "next" in neighbours and page.isdigit():
            neighbours["next"]["page"] = int(page) + 1
    return Slice(rows=chosen, total=len(rows), neighbours=neighbours)


def _since(rows: list[Row], query: Mapping[str, str], *, size: int) -> Slice:
    since = _number(query.get("since"), default=0, most=2**63)
    low = bisect_right(rows, since, key=lambda row: row["id"])
    chosen = rows[low : low + size]
    more = {"next": {"since": chosen[-1]["id"]}} if low + size < len(rows) else {}
    return Slice(rows=chosen, total=len(rows), neighbours=more)


def _number(given: str | None, *, default: int, most: int) -> int:
    try:
        number = int(given or default)
    except ValueError:
        return default
    return min(number, most) if number > 0 else default


def _cursor(position: tuple[Any, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _mark(cursor: str) -> tuple[Any, int]:
    try:
        key, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return key, int(row_id)
    except (binascii.Error, ValueError, TypeError):
        raise GithubError("Invalid cursor", status=422) from None
