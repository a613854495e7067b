"""Sweeps: walks over everything, to find what is gone and what nothing else reported."""

import time
from array import array
from collections.abc import Awaitable, Callable, Collection
from typing import Final, NamedTuple

from springline.domain.bitmaps import RecordBitmap
from springline.domain.checkpoints import (
    ListPlace,
    SweepPlace,
    SweepState,
    decode,
    encode,
    place_name,
    saved_pieces,
    seen_name,
)
from springline.domain.errors import CursorLost, ProviderBroken
from springline.domain.records import DetectedBy
from springline.engine.deletions import Deletions, Walked
from springline.engine.lists import ListReader, age_bound, place_after, place_without_cursor
from springline.engine.partition_faults import PartitionFaults
from springline.engine.partitions import WHOLE, Partition
from springline.engine.quotas import Priority
from springline.engine.session import CollectionSession, SyncSession
from springline.providers.vocabulary import ListEndpoint

#: Sweeps follow each other no closer than this …
SHORTEST_PAUSE_SECONDS: Final = 5.0
#: … rest so many times as long as they took, so that they leave the quota to what is more urgent …
REST_FACTOR: Final = 4.0
#: … and the longer nothing changes, the rarer they are, down to this.
LONGEST_PAUSE_SECONDS: Final = 3600.0
#: A pause is this share of the time since the last change.
QUIET_SHARE: Final = 0.05
#: A sweep that goes on for longer than this is saved so often: another process can take it up.
SAVE_EVERY_SECONDS: Final = 5.0
#: So many pages are remembered, so that they can be asked for again only if they have changed.
_MOST_REMEMBERED_PAGES: Final = 5000
_PARENTS_AT_ONCE: Final = 100

OnPage = Callable[[], Awaitable[None]]


class _KnownPage(NamedTuple):
    """What a page held when its `etag` was given: record numbers, and where it led. `dropped`: what
    `CollectionSession.deleted_dropped` was then."""

    etag: str
    record_nos: "array[int]"
    next_cursor: str | None
    dropped: int

    def is_as_stored(self, part: CollectionSession) -> bool:
        """None of its records has been published as gone since: then what the page says is wanted in full."""
        return self.dropped == part.deleted_dropped and part.deleted.isdisjoint(self.record_nos)


class KnownPages:
    """Pages that can be asked for again only if they have changed, by their addresses. Of a process's own reading."""

    def __init__(self) -> None:
        self._pages: dict[str, _KnownPage] = {}

    def get(self, address: str) -> _KnownPage | None:
        return self._pages.get(address)

    def remember(self, address: str, page: _KnownPage | None) -> None:
        self._pages.pop(address, None)
        if page is not None:
            self._pages[address] = page
            if len(self._pages) > _MOST_REMEMBERED_PAGES:
                del self._pages[next(iter(self._pages))]


class PartitionSweep:
    """One walk over one partition. It can be taken up where it was broken off."""

    def __init__(
        self,
        session: SyncSession,
        part: CollectionSession,
        partition: Partition,
        *,
        deletions: Deletions,
        pages: KnownPages,
        detected_by: DetectedBy,
        ids: ListEndpoint | None = None,
    ) -> None:
        self._session = session
        self._part = part
        self._ids = ids
        self.partition = partition
        self._deletions = deletions
        self._pages = pages
        self._detected_by = detected_by
        self.place = ListPlace()
        self.met = 0
        self.first_as_of: int | None = None
        self.seen = RecordBitmap()
        self._is_walked = False

    async def run(self, on_page: OnPage | None = None) -> None:
        """To the end; then what was not seen is settled. Raises the errors of `domain.errors`."""
        if self.first_as_of is None:
            # A stream has other writers too; what entered before the first request is what this walk must see.
            self.first_as_of = await self._session.records.writer.refresh_head()
        if not self._is_walked:
            await self._walk(on_page)
            self._is_walked = True
        if self._part.collection.detection.deletes == ("none",):
            return  # leaving the list says nothing of a record
        try:
            walked = Walked(self.first_as_of, self.seen, self.met)
            await self._deletions.settle(self.partition, walked, self._detected_by)
        except ProviderBroken:
            self._is_walked = False
            raise

    async def _walk(self, on_page: OnPage | None) -> None:
        priority = Priority.sweep if self._detected_by is DetectedBy.sweep else Priority.urgent
        bounds = age_bound(self._session, self._part) if self._ids is None else ()
        reader = ListReader(self._session, self._part, self.partition, priority=priority, bounds=bounds, ids=self._ids)
        read_page = self._read_page if self._ids is None else self._read_ids
        while True:
            try:
                next_cursor = await read_page(reader)
            except CursorLost:
                # What this walk has seen stays seen.
                self.place = place_without_cursor(self.place, self._part)
                continue
            if next_cursor is None:
                self.place = ListPlace()
                return
            if on_page is not None:
                await on_page()

    async def _read_page(self, reader: ListReader) -> str | None:
        """Reads and writes the page at the place; returns where it leads."""
        part = self._part
        address = _address(reader, self.place) if part.listing.conditional else ""
        known = self._pages.get(address) if address else None
        if known is not None and not known.is_as_stored(part):
            known = None
        page = await reader.read(self.place, etag=known.etag if known is not None else None)
        if page.is_unmodified and known is not None:
            if known.next_cursor is not None:
                reader.look_for_way_back(known.next_cursor, self.place)
            self._see(known.record_nos)
            self._meet(len(known.record_nos))
            self.place = self.place.after_page(known.next_cursor, [])
            return known.next_cursor
        written = await self._session.write_page(
            part,
            page.parsed,
            partition=self.partition,
            reading=page.reading,
            detected_by=self._detected_by,
            mostly_known=True,
        )
        part.deleted.difference_update(written.seen)
        self._see(written.seen)
        self._meet(len(page.parsed.records))
        if address:
            # A new record's number is known only when it is seen again.
            is_whole = len(written.seen) == len(page.parsed.records) and not page.parsed.rejected
            memory = None
            if page.etag and is_whole:
                record_nos = array("q", written.seen)
                memory = _KnownPage(page.etag, record_nos, page.parsed.next_cursor, part.deleted_dropped)
            self._pages.remember(address, memory)
        self.place = place_after(self.place, page.parsed)
        return page.parsed.next_cursor

    async def _read_ids(self, reader: ListReader) -> str | None:
        """Reads the page of ids at the place; those that are not stored are read by id. Returns where it leads."""
        page = (await reader.read(self.place)).parsed
        keys = [record.upstream_id for record in page.records]
        known = await self._session.records.live_numbers(self._part.source_no, keys)
        self._see(known.values())
        self._meet(len(keys))
        unknown = [key for key in keys if key not in known]
        if unknown:
            await self._session.reread(self._part, unknown, self._detected_by)
        self.place = place_after(self.place, page)
        return page.next_cursor

    def _meet(self, records: int) -> None:
        self.met += records
        if records:
            self._part.met_at = time.monotonic()

    def _see(self, record_nos: Collection[int]) -> None:
        for record_no in record_nos:
            self.seen.add(record_no)
        if self._part.missed:
            self._part.missed.difference_update(record_nos)


class SweepWalk:
    """The sweep of one collection, partition after partition; with `ids` over its list of ids. One that is broken off
    is taken up where it stood, also by another process: what was seen is saved with the place (I1)."""

    def __init__(
        self, session: SyncSession, part: CollectionSession, deletions: Deletions, *, ids: ListEndpoint | None = None
    ) -> None:
        self._session = session
        self._part = part
        self._deletions = deletions
        self._ids = ids
        self._name = part.sweep_name if ids is None else part.ids_name
        self._pages = KnownPages()
        self._faults = PartitionFaults(session, part)
        self._after = ""
        self._current: PartitionSweep | None = None
        self._is_under_way = False
        self._took = 0.0
        self._place_saved_at = float("-inf")
        self._pieces_saved: set[int] = set()
        self._saved_of: PartitionSweep | None = None
        self._saved: tuple[SweepPlace, dict[int, bytes]] | None = None
        self._find_saved()
        self.due_at = time.monotonic() + SHORTEST_PAUSE_SECONDS
        state = decode(session.checkpoints.get(self._name), SweepState)
        self._saved_at = state.completed_at if state else 0.0
        if ids is None:
            part.last_sweep_at = state.completed_at if state else None

    async def run(self) -> None:
        """Walks to the end, then reads by id what was not seen. Raises the errors of `domain.errors`."""
        began = time.monotonic()
        if not self._is_under_way:
            self._is_under_way = True
            self._took = 0.0
            self._place_saved_at = began  # a short one is not saved at all
            self._faults.begin()
            self._deletions.begin_round()
        await self._restore()
        try:
            if self._part.collection.parent is None:
                await self._sweep(WHOLE)
            else:
                await self._sweep_all()
        finally:
            self._took += time.monotonic() - began
        await self._complete()
        self._faults.end()

    async def rewalk(self, partition: Partition, detected_by: DetectedBy) -> None:
        """Reads one partition's list again, to its end, and settles what it no longer holds."""
        await self._walk_over(partition, detected_by).run()

    def _walk_over(self, partition: Partition, detected_by: DetectedBy = DetectedBy.sweep) -> PartitionSweep:
        return PartitionSweep(
            self._session,
            self._part,
            partition,
            deletions=self._deletions,
            pages=self._pages,
            detected_by=detected_by,
            ids=self._ids,
        )

    async def _sweep_all(self) -> None:
        of = self._part.lineage
        if of is None:
            return
        if self._current is not None:
            # It was broken off inside a partition.
            await self._sweep_one(self._current.partition)
        while True:
            found = await self._session.partitions.live(of, after=self._after, limit=_PARENTS_AT_ONCE)
            for partition in found:
                await self._sweep_one(partition)
            if len(found) < _PARENTS_AT_ONCE:
                self._after = ""
                return

    async def _sweep_one(self, partition: Partition) -> None:
        async with self._faults.of(partition):
            await self._sweep(partition)
        self._current = None
        self._after = partition.parent_id
        await self._save_now_and_then()

    async def _sweep(self, partition: Partition) -> None:
        if self._current is None:
            self._current = self._walk_over(partition)
        await self._current.run(self._save_now_and_then)
        self._current = None

    async def _save_now_and_then(self) -> None:
        if time.monotonic() - self._place_saved_at > SAVE_EVERY_SECONDS:
            await self._save_place()

    async def _complete(self) -> None:
        now = time.monotonic()
        self._is_under_way = False
        self._deletions.end_round()
        self._after = ""
        completed_at = time.time()
        if self._ids is None:
            self._part.last_sweep_at = completed_at
        ended: dict[str, bytes | None] = {seen_name(self._name, number): None for number in self._pieces_saved}
        if place_name(self._name) in self._session.checkpoints or ended:
            ended[place_name(self._name)] = None
        self._pieces_saved.clear()
        quiet = now - self._part.changed_at
        pause = min(max(SHORTEST_PAUSE_SECONDS, QUIET_SHARE * quiet), LONGEST_PAUSE_SECONDS)
        self.due_at = now + max(pause, REST_FACTOR * self._took)
        if completed_at - self._saved_at > LONGEST_PAUSE_SECONDS:
            self._saved_at = completed_at
            ended[self._name] = encode(SweepState(completed_at=completed_at))
        if ended:
            await self._session.save(ended)

    # where it stands -----------------------------------------------------------------------------

    async def _save_place(self) -> None:
        now, sweep = time.monotonic(), self._current
        place = SweepPlace(first_as_of=-1, took=self._took, after=self._after)
        pieces: dict[int, bytes] = {}
        if sweep is not None and sweep.first_as_of is not None:
            place = SweepPlace(
                cursor=sweep.place.cursor,
                until=sweep.place.until,
                last_created=sweep.place.last_created,
                newest_first=sweep.place.newest_first,
                first_as_of=sweep.first_as_of,
                met=sweep.met,
                took=self._took,
                after=self._after,
                parent_no=sweep.partition.parent_no,
            )
            pieces = sweep.seen.unsaved()
        states: dict[str, bytes | None] = {}
        if self._saved_of is not sweep:
            # They are of a partition that is done.
            states = {seen_name(self._name, number): None for number in self._pieces_saved}
            self._pieces_saved.clear()
            self._saved_of = sweep
        states |= {seen_name(self._name, number): packed for number, packed in pieces.items()}
        states[place_name(self._name)] = encode(place)
        await self._session.records.save(states)
        self._session.checkpoints[place_name(self._name)] = b""  # there is one, to be removed at the end
        if sweep is not None:
            sweep.seen.note_saved()
        self._pieces_saved |= pieces.keys()
        self._place_saved_at = now

    def _find_saved(self) -> None:
        """Takes note of what another process left."""
        checkpoints = self._session.checkpoints
        place = decode(checkpoints.get(place_name(self._name)), SweepPlace)
        pieces = saved_pieces(self._name, checkpoints)
        for number in pieces:
            del checkpoints[seen_name(self._name, number)]
        self._pieces_saved = set(pieces)
        if place is not None:
            self._saved = (place, pieces)

    async def _restore(self) -> None:
        """Takes up what another process left."""
        if self._saved is None:
            return
        (place, pieces), self._saved = self._saved, None
        self._took, self._after = place.took, place.after
        if place.first_as_of < 0:
            return
        of = self._part.lineage
        partition: Partition | None = WHOLE
        if of is not None:
            partition = await self._session.partitions.get(of, place.parent_no)
        if partition is None:
            return
        sweep = self._walk_over(partition)
        sweep.place, sweep.first_as_of, sweep.met = place, place.first_as_of, place.met
        sweep.seen.restore(pieces)
        self._current = self._saved_of = sweep


def _address(reader: ListReader, place: ListPlace) -> str:
    request = reader.request(place)
    return f"{request.path}?{request.query}"
