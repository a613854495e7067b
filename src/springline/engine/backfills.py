"""The backfill: the first walk over a collection. Each page is saved with the place that it leads to; the next one is
fetched while it is written.

A child collection is walked parent by parent, and goes on for ever: its parents are followed in the order in which they
were written, so a new one is noticed, a changed one can be read again, and a gone one takes its children along.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from springline.domain.checkpoints import BackfillState, ListPlace, decode, encode
from springline.domain.errors import CursorLost, ProviderError
from springline.domain.records import DetectedBy, Evidence
from springline.engine.lists import ListReader, age_bound, place_after, place_without_cursor
from springline.engine.partition_faults import PartitionFaults
from springline.engine.partitions import WHOLE, ChangedParent, Partition
from springline.engine.quotas import Priority
from springline.engine.record_writes import Reading
from springline.engine.session import CollectionSession, SyncSession
from springline.providers.pages import ParsedPage

_PARENTS_AT_ONCE: Final = 100
_CHILDREN_AT_ONCE: Final = 500

#: Reads one partition's list again, to its end, and settles what it no longer holds.
Rewalk = Callable[[Partition, DetectedBy], Awaitable[None]]


class BackfillWalk:
    """The first walk over one collection."""

    def __init__(self, session: SyncSession, part: CollectionSession, *, rewalk: Rewalk) -> None:
        self._session = session
        self._part = part
        self._name = part.backfill_name
        self._rewalk = rewalk
        self._faults = PartitionFaults(session, part)
        self.state = decode(session.checkpoints.get(self._name), BackfillState) or BackfillState()
        self._mostly_known = False
        part.phase = "live" if self.state.done else "backfill"

    @property
    def is_done(self) -> bool:
        return self.state.done

    @property
    def goes_on(self) -> bool:
        """Whether there can be more to do after the end: parents are followed."""
        return self._part.lineage is not None

    async def run(self) -> None:
        """Walks from where it stands to the end. Raises the errors of `domain.errors`, and can then be run again."""
        saved = decode(self._session.checkpoints.get(self._name), BackfillState)
        # A walk that begins anew, after a gap in the feed, meets what is there already.
        self._mostly_known = saved is not None and saved.records == 0
        self.state = saved or BackfillState()
        if self._part.collection.parent is None:
            if not self.state.done:
                await self._walk(WHOLE)
        elif self._part.lineage is not None:
            await self._follow_parents()
        if self.state.done:
            self._part.phase = "live"

    # parents -------------------------------------------------------------------------------------

    async def _follow_parents(self) -> None:
        of = self._part.lineage
        assert of is not None
        self._faults.begin()
        parents = self._session.parent_of(self._part)
        all_parents_known = parents is not None and parents.phase != "backfill"
        try:
            while True:
                changed = await self._session.partitions.changes(
                    of, after_idx=self.state.parents_to, limit=_PARENTS_AT_ONCE
                )
                await self._finish_broken_off(changed)
                for parent in changed:
                    await self._follow(parent)
                if len(changed) < _PARENTS_AT_ONCE:
                    break
        except ProviderError:
            await self._save_parents()  # those before are done, also where they left nothing else to be saved
            raise
        await self._save_parents()
        self._faults.end()
        if not self.state.done and all_parents_known:
            self.state = msgspec.structs.replace(self.state, done=True)
            await self._session.save({self._name: encode(self.state)})

    async def _finish_broken_off(self, changed: list[ChangedParent]) -> None:
        """The parent in whose list the walk was broken off is the next one, unless it has been written again since:
        then it comes later, as one that was walked."""
        parent_no = self.state.parent_no
        if parent_no == 0 or (changed and changed[0].record_no == parent_no):
            return
        assert self._part.lineage is not None
        partition = await self._session.partitions.get(self._part.lineage, parent_no)
        if partition is not None:
            async with self._faults.of(partition):
                await self._walk(partition)
        self._leave_place(parents_to=self.state.parents_to)

    async def _follow(self, parent: ChangedParent) -> None:
        """One parent's turn. It is done when this returns, and saved with the next page that is."""
        if parent.partition is None:
            self._part.unread.pop(parent.parent_id, None)
            await self._let_children_go(parent.record_no)
        elif parent.record_no > self.state.parents_to or parent.record_no == self.state.parent_no:
            async with self._faults.of(parent.partition):
                await self._walk(parent.partition)
        else:
            tells = self._part.collection.parent is not None and self._part.collection.parent.tells
            if tells or not await self._has_children(parent.record_no):
                async with self._faults.of(parent.partition):
                    await self._rewalk(parent.partition, DetectedBy.poll)
        self._leave_place(parents_to=parent.idx)

    def _leave_place(self, *, parents_to: int) -> None:
        self.state = msgspec.structs.replace(
            self.state,
            parents_to=parents_to,
            parent_no=0,
            cursor=None,
            until=None,
            last_created=None,
            newest_first=True,
        )

    async def _save_parents(self) -> None:
        saved = decode(self._session.checkpoints.get(self._name), BackfillState)
        if saved is None or (saved.parents_to, saved.parent_no) != (self.state.parents_to, self.state.parent_no):
            await self._session.save({self._name: encode(self.state)})

    async def _has_children(self, parent_no: int) -> bool:
        """One that was gone and is back has none."""
        stream_no = self._session.sync.stream_no
        return await self._session.stored.count_live_of_parent(stream_no, self._part.source_no, parent_no, most=1) > 0

    async def _let_children_go(self, parent_no: int) -> None:
        """Their parent was proven to be gone, and they with it (I5)."""
        session, part = self._session, self._part
        reading = session.records.begin_reading()
        as_of = await session.records.writer.refresh_head()
        after = ""
        while True:
            live = await session.stored.list_live_of_parent(
                session.sync.stream_no, part.source_no, parent_no, after=after, as_of=as_of, limit=_CHILDREN_AT_ONCE
            )
            if not live:
                return
            gone = [record.upstream_id for record in live]
            session.records.note_gone(part.source_no, gone)
            deleted = await session.records.delete(
                part.source_no,
                gone,
                reading=Reading(max(reading.as_of, as_of), reading.gone),
                detected_by=DetectedBy.poll,
                evidence=Evidence.parent,
            )
            session.count(part, deleted)
            after = gone[-1]

    # one list ------------------------------------------------------------------------------------

    async def _walk(self, partition: Partition) -> None:
        """To the end of one list, from where the state stands."""
        bounds = age_bound(self._session, self._part)
        reader = ListReader(self._session, self._part, partition, priority=Priority.backfill, bounds=bounds)
        # Only a place inside this very partition is one.
        place: ListPlace = self.state if self.state.parent_no == partition.parent_no else ListPlace()
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                try:
                    page = await reader.read(place)
                except ProviderError as error:
                    if writing is not None:
                        await writing
                        writing = None
                    if not isinstance(error, CursorLost):
                        raise
                    place = place_without_cursor(place, self._part)
                    continue
                if writing is not None:
                    await writing
                place = place_after(place, page.parsed)
                writing = asyncio.create_task(
                    self._write(page.parsed, partition=partition, reading=page.reading, place=place)
                )
                if page.parsed.next_cursor is None:
                    await writing
                    writing = None
                    return
        finally:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, page: ParsedPage, *, partition: Partition, reading: Reading, place: ListPlace) -> None:
        is_last = page.next_cursor is None
        state = BackfillState(
            cursor=place.cursor,
            until=place.until,
            last_created=place.last_created,
            newest_first=place.newest_first,
            done=self.state.done or (is_last and partition is WHOLE),
            records=self.state.records + len(page.records),
            parents_to=self.state.parents_to,
            parent_no=partition.parent_no,
        )
        await self._session.write_page(
            self._part,
            page,
            partition=partition,
            reading=reading,
            detected_by=DetectedBy.backfill,
            mostly_known=self._mostly_known or self.state.done,
            # An empty partition leaves nothing to be saved: many of them are saved together.
            checkpoints={self._name: encode(state)} if page.records or not is_last or partition is WHOLE else None,
        )
        self.state = state
