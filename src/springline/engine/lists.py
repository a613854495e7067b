"""Reading a list page by page, wherever it stands: the request for a place, the page, and what leads nowhere."""

import time
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from yarl import URL

from springline.domain.checkpoints import ListPlace
from springline.domain.errors import CursorLost, ProviderBroken
from springline.engine.partitions import WHOLE, Partition, fill
from springline.engine.quotas import Priority
from springline.engine.record_writes import Reading
from springline.engine.session import CollectionSession, SyncSession
from springline.providers.access import Request
from springline.providers.pages import PageParser, ParsedPage
from springline.providers.vocabulary import CursorById, ListEndpoint, OneObject, TimeBound

#: So many empty pages in a row that say that more follows lead nowhere.
MOST_EMPTY_PAGES: Final = 10
#: Records leave `max_age_days` after their time, in the background: a list is bounded this much later.
_AGE_MARGIN_SECONDS: Final = 86_400
_NOT_MODIFIED: Final = 304


class ListPage(NamedTuple):
    """A page as it was answered. `is_unmodified`: it is as it was when its `etag` was given, and holds nothing here."""

    parsed: ParsedPage
    reading: Reading
    etag: str | None
    is_unmodified: bool


class ListReader:
    """Reads the list of one partition. `bounds`: what narrows it (query parameters); `size`: records per page; `ids`:
    the list of the collection's ids instead of that of its records."""

    def __init__(
        self,
        session: SyncSession,
        part: CollectionSession,
        partition: Partition,
        *,
        priority: Priority,
        bounds: tuple[tuple[str, str], ...] = (),
        size: int | None = None,
        ids: ListEndpoint | None = None,
    ) -> None:
        self._session = session
        self._part = part
        self._listing = ids or part.listing
        self._parser = part.parser if ids is None else PageParser(part.collection, ids)
        self._partition = partition
        self._priority = priority
        self._bounds = bounds
        self._size = size
        self._empty_pages = 0
        self._cursors: set[int] = set()
        self._last_keys: list[str] = []
        #: Cursors lost in a row, and the pages since the last.
        self._lost = 0
        self._pages = 0

    def request(self, place: ListPlace, *, etag: str | None = None) -> Request:
        """The request for the page at a place."""
        listing = self._listing
        answers = listing.empty_statuses
        headers = listing.headers
        if etag is not None:
            headers, answers = (*headers, ("If-None-Match", etag)), (*answers, _NOT_MODIFIED)
        pagination = listing.pagination
        if place.cursor is not None and not isinstance(pagination, CursorById):
            path, _, query = place.cursor.partition("?")
            pairs = tuple(parse_qsl(query, keep_blank_values=True))
            return Request(path=path, query=pairs, headers=headers, answers=answers)
        fields = self._session.path_fields(self._partition)
        path = fill(listing.path, fields=fields)
        pairs = tuple((name, fill(value, fields=fields, quoted=False)) for name, value in listing.query)
        pairs = (*pairs, *self._bounds)
        if not isinstance(pagination, OneObject):
            name, most = pagination.size
            pairs = (*pairs, (name, str(self._size or most)))
        if place.until is not None and listing.until is not None:
            pairs = (*pairs, (listing.until, str(place.until)))
        if place.cursor is not None and isinstance(pagination, CursorById):
            pairs = (*pairs, (pagination.after, place.cursor))
        return Request(path=path, query=pairs, headers=headers, answers=answers)

    async def read(self, place: ListPlace, *, etag: str | None = None) -> ListPage:
        """The page at a place. Raises the errors of `domain.errors`, ProviderBroken also where it leads nowhere."""
        reading = self._session.records.begin_reading()
        self._part.requests += 1
        try:
            answer = await self._session.fetcher.fetch(self.request(place, etag=etag), self._priority)
        except CursorLost:
            self._start_anew()
            raise
        self._pages += 1
        if answer.status == _NOT_MODIFIED:
            return ListPage(ParsedPage([], [], None), reading, etag, is_unmodified=True)
        parsed = self._parser.parse_page(answer, within=self._partition.within)
        parsed = parsed._replace(next_cursor=self._relative(parsed.next_cursor))
        self._look_for_loops(parsed, place)
        return ListPage(parsed, reading, answer.headers.get("etag"), is_unmodified=False)

    def _start_anew(self) -> None:
        """The walk goes back to where it has been, and may. Raises ProviderBroken where that leads nowhere."""
        self._cursors.clear()
        self._last_keys = []
        self._lost = self._lost + 1 if self._pages <= 1 else 1
        self._pages = 0
        if self._lost > MOST_EMPTY_PAGES:
            raise ProviderBroken("says of each next page that its cursor is lost")

    def _relative(self, cursor: str | None) -> str | None:
        """The address of a next page without the provider's own: what carries a credential goes nowhere else."""
        if cursor is None or isinstance(self._listing.pagination, CursorById):
            return cursor
        base = URL(self._session.fetcher.base_url, encoded=True)
        url = base.join(URL(cursor, encoded=True))
        if url.origin() != base.origin() or not url.raw_path.startswith(base.raw_path.rstrip("/") + "/"):
            raise ProviderBroken(f"names a next page on another host ({url.host})")
        return url.raw_path_qs.removeprefix(base.raw_path.rstrip("/"))

    def look_for_way_back(self, next_cursor: str, place: ListPlace) -> None:
        """Raises ProviderBroken where a page leads to where the walk has been. For a page that is only said to be as it
        was, it is asked by whoever knows where that led."""
        if place.cursor is not None:
            self._cursors.add(hash(place.cursor))
        if hash(next_cursor) in self._cursors or next_cursor == place.cursor:
            raise ProviderBroken("answered with a page that leads back to where the walk has been")

    def _look_for_loops(self, page: ParsedPage, place: ListPlace) -> None:
        if page.next_cursor is None:
            return
        self.look_for_way_back(page.next_cursor, place)
        keys = [record.upstream_id for record in page.records]
        if keys and keys == self._last_keys:
            raise ProviderBroken("answers the same page again and again, each time saying that more follows")
        self._last_keys = keys
        self._empty_pages = 0 if keys or page.rejected else self._empty_pages + 1
        if self._empty_pages > MOST_EMPTY_PAGES:
            raise ProviderBroken(f"answered {self._empty_pages} empty pages in a row that say that more follows")


def age_bound(session: SyncSession, part: CollectionSession) -> tuple[tuple[str, str], ...]:
    """Leaves out what `max_age_days` leaves out, where the list can."""
    days = session.sync.max_age_days
    if days is None or part.listing.since is None:
        return ()
    now = session.fetcher.clock.now() or time.time()
    return (time_bound(part.listing.since, int(now - days * 86_400 - _AGE_MARGIN_SECONDS)),)


def time_bound(bound: TimeBound, at: int) -> tuple[str, str]:
    """The query parameter for a time in Unix seconds."""
    at = max(0, at)
    text = str(at) if bound.format == "unix" else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return bound.parameter, text


def place_after(place: ListPlace, page: ParsedPage) -> ListPlace:
    """Where a page leads."""
    return place.after_page(page.next_cursor, [record.created_us for record in page.records])


def place_without_cursor(place: ListPlace, part: CollectionSession) -> ListPlace:
    """The object that the cursor named is gone. Raises ProviderBroken if there was no cursor."""
    if place.cursor is None:
        raise ProviderBroken("says of the first page that its cursor is lost")
    return place.after_lost_cursor(can_bound=part.listing.until is not None)


async def read_first(session: SyncSession, part: CollectionSession, *, priority: Priority, size: int) -> ListPage:
    """The start of a collection's list."""
    return await ListReader(session, part, WHOLE, priority=priority, size=size).read(ListPlace())
