"""Walks over a collection's list: the backfill, and the sweeps that find what nothing else reports."""

import asyncio
import time
from typing import Final

from springline.domain.bitmaps import RecordBitmap
from springline.domain.checkpoints import BackfillState, SweepState, decode, encode
from springline.domain.errors import CursorLost, ProviderBroken
from springline.domain.records import DetectedBy, Evidence
from springline.engine.quotas import Priority
from springline.engine.record_writes import Reading
from springline.engine.rereads import Rereader, first_page
from springline.engine.session import CollectionSession, SyncSession, parse_page
from springline.providers.pages import ParsedPage
from springline.providers.vocabulary import Request

#: Sweeps follow each other no closer than this …
SHORTEST_PAUSE_SECONDS: Final = 5.0
#: … rest so many times as long as they took, so that they leave the quota to what is more urgent …
REST_FACTOR: Final = 4.0
#: … and the longer nothing changes, the rarer they are, down to this.
LONGEST_PAUSE_SECONDS: Final = 3600.0
#: A pause is this share of the time since the last change.
QUIET_SHARE: Final = 0.05
_COMPARED_AT_ONCE: Final = 2000


class BackfillWalk:
    """The first walk over a collection. Each page is saved with the place that it leads to; the next one is fetched
    while it is written."""

    def __init__(self, session: SyncSession, part: CollectionSession) -> None:
        self._session = session
        self._part = part
        self._name = part.backfill_name
        state = decode(session.checkpoints.get(self._name), BackfillState)
        # Records that are there already came from an interrupted walk, or from the feed meanwhile.
        self._mostly_known = state is not None and state.records == 0
        self.state = state or BackfillState()
        part.phase = "live" if self.state.done else "backfill"

    @property
    def is_done(self) -> bool:
        return self.state.done

    async def run(self) -> None:
        """Walks from where it stands to the end. Raises the errors of `domain.errors`, and can then be run again."""
        self.state = decode(self._session.checkpoints.get(self._name), BackfillState) or BackfillState()
        cursor, until = self.state.cursor, self.state.until
        writing: asyncio.Task[None] | None = None
        try:
            while not self.state.done:
                reading = self._session.records.begin_reading()
                try:
                    page = await self._fetch(cursor, until)
                except CursorLost:
                    if writing is not None:
                        await writing
                        writing = None
                    cursor, until = None, self._bound()
                    continue
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._write(page, reading=reading, until=until))
                if page.next_cursor is None:
                    await writing
                    writing = None
                cursor = page.next_cursor
        finally:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
        self._part.phase = "live"

    async def _fetch(self, cursor: str | None, until: int | None) -> ParsedPage:
        self._part.requests += 1
        answer = await self._session.fetcher.fetch(page_request(self._part, cursor, until), Priority.backfill)
        return parse_page(self._part, answer, cursor=cursor)

    async def _write(self, page: ParsedPage, *, reading: Reading, until: int | None) -> None:
        created = [record.created_us for record in page.records if record.created_us is not None]
        state = BackfillState(
            cursor=page.next_cursor,
            until=until,
            last_created=created[-1] // 1_000_000 if created else self.state.last_created,
            done=page.next_cursor is None,
            records=self.state.records + len(page.records),
        )
        await self._session.write_page(
            self._part,
            page,
            reading=reading,
            detected_by=DetectedBy.backfill,
            mostly_known=self._mostly_known,
            checkpoints={self._name: encode(state)},
        )
        self.state = state

    def _bound(self) -> int | None:
        """The object that the cursor named is gone: walk on from its time, or from the start."""
        if self.state.cursor is None and self.state.until is None:
            raise ProviderBroken("says of the first page that its cursor is lost")
        return self.state.last_created if self._part.collection.listing.until else None


class SweepWalk:
    """A walk over everything, to find what is gone and what no feed reported. One lives as long as the process; a walk
    that is broken off is taken up where it stood."""

    def __init__(self, session: SyncSession, part: CollectionSession, rereader: Rereader) -> None:
        self._session = session
        self._part = part
        self._rereader = rereader
        self._name = part.sweep_name
        self._cursor: str | None = None
        self._first_as_of: int | None = None
        self._seen = RecordBitmap()
        self._took = 0.0
        self.due_at = time.monotonic() + SHORTEST_PAUSE_SECONDS
        state = decode(session.checkpoints.get(self._name), SweepState)
        part.last_sweep_at = state.completed_at if state else None
        self._saved_at = part.last_sweep_at or 0.0

    async def run(self) -> None:
        """Walks to the end, then reads by id what was not seen. Raises the errors of `domain.errors`."""
        began = time.monotonic()
        if self._first_as_of is None:
            # A stream has other writers too; what entered before the first request is what this sweep must see.
            self._first_as_of = await self._session.records.writer.refresh_head()
            self._seen = RecordBitmap()
            self._took = 0.0
        try:
            await self._walk()
            await self._look_for_missing(self._first_as_of)
        finally:
            self._took += time.monotonic() - began
        await self._complete()

    async def _walk(self) -> None:
        while True:
            reading = self._session.records.begin_reading()
            self._part.requests += 1
            try:
                answer = await self._session.fetcher.fetch(page_request(self._part, self._cursor, None), Priority.sweep)
            except CursorLost:
                # What this walk has seen stays seen; it goes over the list once more from the start.
                self._cursor = None
                continue
            page = parse_page(self._part, answer, cursor=self._cursor)
            written = await self._session.write_page(
                self._part, page, reading=reading, detected_by=DetectedBy.sweep, mostly_known=True
            )
            for record_no in written.seen:
                self._seen.add(record_no)
            self._cursor = page.next_cursor
            if self._cursor is None:
                return

    async def _look_for_missing(self, as_of: int) -> None:
        """Not seen, and not changed since the sweep began: read by id, and gone if the API says so (I5)."""
        session = self._session
        after = ""
        while True:
            live = await session.stored.list_live(
                session.sync.stream_no, self._part.source_no, after=after, as_of=as_of, limit=_COMPARED_AT_ONCE
            )
            missing = [record.upstream_id for record in live if record.record_no not in self._seen]
            if missing:
                await self._rereader.reread(self._part, missing, DetectedBy.sweep, evidence=Evidence.sweep_and_read)
            if len(live) < _COMPARED_AT_ONCE:
                return
            after = live[-1].upstream_id

    async def _complete(self) -> None:
        now = time.monotonic()
        self._first_as_of = None
        self._cursor = None
        self._seen = RecordBitmap()
        self._part.last_sweep_at = time.time()
        quiet = now - self._part.changed_at
        pause = min(max(SHORTEST_PAUSE_SECONDS, QUIET_SHARE * quiet), LONGEST_PAUSE_SECONDS)
        self.due_at = now + max(pause, REST_FACTOR * self._took)
        if self._part.last_sweep_at - self._saved_at > LONGEST_PAUSE_SECONDS:
            self._saved_at = self._part.last_sweep_at
            await self._session.save({self._name: encode(SweepState(completed_at=self._part.last_sweep_at))})


def page_request(part: CollectionSession, cursor: str | None, until: int | None) -> Request:
    """The request for the page after a cursor, of records created up to a time."""
    listing = part.collection.listing
    request = first_page(part)
    query = request.query
    if until is not None and listing.until is not None:
        query = (*query, (listing.until, str(until)))
    if cursor is not None:
        query = (*query, (listing.pagination.after, cursor))
    return Request(path=request.path, query=query)
