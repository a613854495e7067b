"""Walks over a collection's list: the backfill, and the sweeps that find what nothing else reports."""

import asyncio
import time
from typing import Final

from springline.domain.bitmaps import RecordBitmap
from springline.domain.checkpoints import (
    BackfillState,
    ListPlace,
    SweepPlace,
    SweepState,
    decode,
    encode,
    place_name,
    saved_pieces,
    seen_name,
)
from springline.domain.errors import CursorLost, ProviderBroken, ProviderError
from springline.domain.records import DetectedBy, Evidence
from springline.engine.quotas import Priority
from springline.engine.record_writes import Reading
from springline.engine.rereads import BATCH, Rereader, first_page
from springline.engine.session import CollectionSession, SyncSession, parse_page
from springline.providers.pages import ParsedPage
from springline.providers.vocabulary import CursorById, Request

#: Sweeps follow each other no closer than this …
SHORTEST_PAUSE_SECONDS: Final = 5.0
#: … rest so many times as long as they took, so that they leave the quota to what is more urgent …
REST_FACTOR: Final = 4.0
#: … and the longer nothing changes, the rarer they are, down to this.
LONGEST_PAUSE_SECONDS: Final = 3600.0
#: A pause is this share of the time since the last change.
QUIET_SHARE: Final = 0.05
_COMPARED_AT_ONCE: Final = 2000
#: A sweep that goes on for longer than this is saved so often: another process can take it up.
SAVE_EVERY_SECONDS: Final = 5.0
#: A list that leaves out more than half of so many records is not believed at once.
_MANY: Final = 2 * BATCH


class BackfillWalk:
    """The first walk over a collection. Each page is saved with the place that it leads to; the next one is fetched
    while it is written."""

    def __init__(self, session: SyncSession, part: CollectionSession) -> None:
        self._session = session
        self._part = part
        self._name = part.backfill_name
        self.state = decode(session.checkpoints.get(self._name), BackfillState) or BackfillState()
        self._mostly_known = False
        part.phase = "live" if self.state.done else "backfill"

    @property
    def is_done(self) -> bool:
        return self.state.done

    async def run(self) -> None:
        """Walks from where it stands to the end. Raises the errors of `domain.errors`, and can then be run again."""
        saved = decode(self._session.checkpoints.get(self._name), BackfillState)
        # A walk that begins anew, after a gap in the feed, meets what is there already.
        self._mostly_known = saved is not None and saved.records == 0
        self.state = saved or BackfillState()
        place: ListPlace = self.state
        writing: asyncio.Task[None] | None = None
        try:
            while not self.state.done:
                reading = self._session.records.begin_reading()
                try:
                    page = await self._fetch(place)
                except ProviderError as error:
                    if writing is not None:
                        await writing
                        writing = None
                    if not isinstance(error, CursorLost):
                        raise
                    place = _without_cursor(self.state, self._part)
                    continue
                if writing is not None:
                    await writing
                place = place.after_page(page.next_cursor, [record.created_us for record in page.records])
                writing = asyncio.create_task(self._write(page, reading=reading, place=place))
                if page.next_cursor is None:
                    await writing
                    writing = None
        finally:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
        self._part.phase = "live"

    async def _fetch(self, place: ListPlace) -> ParsedPage:
        self._part.requests += 1
        answer = await self._session.fetcher.fetch(page_request(self._part, place), Priority.backfill)
        return parse_page(self._part, answer, cursor=place.cursor)

    async def _write(self, page: ParsedPage, *, reading: Reading, place: ListPlace) -> None:
        state = BackfillState(
            cursor=place.cursor,
            until=place.until,
            last_created=place.last_created,
            newest_first=place.newest_first,
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


class SweepWalk:
    """A walk over everything, to find what is gone and what no feed reported. One that is broken off is taken up where
    it stood, also by another process: what was seen is saved with the place (I1)."""

    def __init__(self, session: SyncSession, part: CollectionSession, rereader: Rereader) -> None:
        self._session = session
        self._part = part
        self._rereader = rereader
        self._name = part.sweep_name
        self._place = ListPlace()
        self._met = 0
        self._is_walked = False
        self._first_as_of: int | None = None
        self._seen = RecordBitmap()
        self._took = 0.0
        self._place_saved_at = float("-inf")
        self._pieces_saved: set[int] = set()
        self._restore()
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
            self._met = 0
            self._took = 0.0
            self._place_saved_at = began  # a short one is not saved at all
        try:
            if not self._is_walked:
                await self._walk()
                self._is_walked = True
            await self._look_for_missing(self._first_as_of)
        finally:
            self._took += time.monotonic() - began
        await self._complete()

    async def _walk(self) -> None:
        while True:
            reading = self._session.records.begin_reading()
            self._part.requests += 1
            try:
                answer = await self._session.fetcher.fetch(page_request(self._part, self._place), Priority.sweep)
            except CursorLost:
                # What this walk has seen stays seen.
                self._place = _without_cursor(self._place, self._part)
                continue
            page = parse_page(self._part, answer, cursor=self._place.cursor)
            written = await self._session.write_page(
                self._part, page, reading=reading, detected_by=DetectedBy.sweep, mostly_known=True
            )
            for record_no in written.seen:
                self._seen.add(record_no)
            self._met += len(page.records)
            self._place = self._place.after_page(page.next_cursor, [record.created_us for record in page.records])
            if page.next_cursor is None:
                self._place = ListPlace()
                return
            if time.monotonic() - self._place_saved_at > SAVE_EVERY_SECONDS:
                await self._save_place()

    async def _look_for_missing(self, as_of: int) -> None:
        """Not seen, and not changed since the sweep began: read by id, and gone if the API says so (I5)."""
        session = self._session
        after = ""
        while True:
            live = await session.stored.list_live(
                session.sync.stream_no, self._part.source_no, after=after, as_of=as_of, limit=_COMPARED_AT_ONCE
            )
            missing = [record.upstream_id for record in live if record.record_no not in self._seen]
            if after == "" and self._leaves_out_most() and len(missing) > BATCH:
                some, missing = missing[:BATCH], missing[BATCH:]
                found = await self._rereader.reread(
                    self._part, some, DetectedBy.sweep, evidence=Evidence.sweep_and_read
                )
                if found.deleted == 0:
                    self._is_walked = False
                    raise ProviderBroken("lists only a few records, but answers the others when they are read by id")
            if missing:
                await self._rereader.reread(self._part, missing, DetectedBy.sweep, evidence=Evidence.sweep_and_read)
            if len(live) < _COMPARED_AT_ONCE:
                return
            after = live[-1].upstream_id

    def _leaves_out_most(self) -> bool:
        return self._part.records > max(_MANY, 2 * self._met)

    async def _complete(self) -> None:
        now = time.monotonic()
        self._first_as_of = None
        self._is_walked = False
        self._seen = RecordBitmap()
        self._part.last_sweep_at = time.time()
        ended: dict[str, bytes | None] = {seen_name(self._name, number): None for number in self._pieces_saved}
        if ended:
            ended[place_name(self._name)] = None
            self._pieces_saved.clear()
        quiet = now - self._part.changed_at
        pause = min(max(SHORTEST_PAUSE_SECONDS, QUIET_SHARE * quiet), LONGEST_PAUSE_SECONDS)
        self.due_at = now + max(pause, REST_FACTOR * self._took)
        if self._part.last_sweep_at - self._saved_at > LONGEST_PAUSE_SECONDS:
            self._saved_at = self._part.last_sweep_at
            ended[self._name] = encode(SweepState(completed_at=self._part.last_sweep_at))
        if ended:
            await self._session.records.save(ended)

    async def _save_place(self) -> None:
        assert self._first_as_of is not None
        now = time.monotonic()
        place = SweepPlace(
            cursor=self._place.cursor,
            until=self._place.until,
            last_created=self._place.last_created,
            newest_first=self._place.newest_first,
            first_as_of=self._first_as_of,
            met=self._met,
            took=self._took,
        )
        pieces = self._seen.unsaved()
        states = {seen_name(self._name, number): packed for number, packed in pieces.items()}
        await self._session.records.save(states | {place_name(self._name): encode(place)})
        self._seen.note_saved()
        self._pieces_saved |= pieces.keys()
        self._place_saved_at = now

    def _restore(self) -> None:
        """Takes up what another process left."""
        checkpoints = self._session.checkpoints
        place = decode(checkpoints.pop(place_name(self._name), None), SweepPlace)
        pieces = saved_pieces(self._name, checkpoints)
        for number in pieces:
            del checkpoints[seen_name(self._name, number)]
        self._pieces_saved = set(pieces)
        if place is not None:
            self._place, self._first_as_of = place, place.first_as_of
            self._met, self._took = place.met, place.took
            self._seen.restore(pieces)


def page_request(part: CollectionSession, place: ListPlace) -> Request:
    """The request for the page at a place."""
    listing = part.collection.listing
    request = first_page(part)
    query = request.query
    if place.until is not None and listing.until is not None:
        query = (*query, (listing.until, str(place.until)))
    if place.cursor is not None and isinstance(listing.pagination, CursorById):
        query = (*query, (listing.pagination.after, place.cursor))
    return Request(path=request.path, query=query)


def _without_cursor(place: ListPlace, part: CollectionSession) -> ListPlace:
    """The object that the cursor named is gone. Raises ProviderBroken if there was no cursor."""
    if place.cursor is None:
        raise ProviderBroken("says of the first page that its cursor is lost")
    return place.after_lost_cursor(can_bound=part.collection.listing.until is not None)
