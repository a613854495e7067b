"""Polls: what is new or has changed since the last look, found by a collection's own updated (or created) time.

A look goes back behind the last one: a little each time, since clocks and replicas differ, and now and then by the
whole time that a record may appear late. What comes again unchanged costs a look-up.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from springline.domain.checkpoints import ListPlace, PollState, decode, encode
from springline.domain.errors import CursorLost, NotFound, NotPermitted, RequestRejected
from springline.domain.records import DetectedBy, PageRecord
from springline.engine.lists import ListPage, ListReader, place_after, time_bound
from springline.engine.partition_faults import PartitionFaults
from springline.engine.partitions import WHOLE, Partition
from springline.engine.quotas import Priority
from springline.engine.session import CollectionSession, SyncSession
from springline.providers.vocabulary import Incremental

#: A quick look goes so far behind the last one.
QUICK_OVERLAP_SECONDS: Final = 10
#: The whole late-arrival bound is looked at again this often, and no oftener than a share of that bound.
FULL_EVERY_SECONDS: Final = 30.0
FULL_SHARE: Final = 1 / 240
SHORTEST_INTERVAL_SECONDS: Final = 2.0
#: A pause is this share of the time since the last change.
QUIET_SHARE: Final = 0.02
#: Of the quota, looks of one collection take at most this share while a backfill runs, and the other one afterwards.
BACKFILL_POLL_SHARE: Final = 0.1
POLL_SHARE: Final = 0.5
#: A look that saw nothing is saved no more often than this.
IDLE_SAVE_SECONDS: Final = 600
#: A round over many partitions is saved so often.
SAVE_EVERY_SECONDS: Final = 5.0
_PARENTS_AT_ONCE: Final = 100
_MOST_REMEMBERED: Final = 20_000
#: A server's clock that is so far behind what it was has been set back; less is told by answers that were on their way.
_CLOCK_STEP_SECONDS: Final = 5
#: More rows than fit a page, all of one second, are walked again while that brings something, at most so often.
_MOST_REPEATED: Final = 5
#: A look is repeated in the same words for so long.
_LONGEST_SAME_SECONDS: Final = 3600


class _Look(NamedTuple):
    """The last look at a partition that brought nothing: since when, and the answer's mark."""

    since: int
    etag: str


class _Walked(NamedTuple):
    """Pages that were written. `reached`: from when on to ask anew; None: that was the end. `may_have_moved`: several
    pages of one second brought something new, so that rows can have moved over the border of a page meanwhile."""

    reached: int | None
    may_have_moved: bool


class IncrementalPoll:
    """Looks for what has changed in one collection."""

    def __init__(self, session: SyncSession, part: CollectionSession, incremental: Incremental) -> None:
        self._session = session
        self._part = part
        self._incremental = incremental
        self._faults = PartitionFaults(session, part)
        self.state = decode(session.checkpoints.get(part.poll_name), PollState)
        self._looks: dict[int, _Look] = {}
        #: By parent's number: since when a partition was not read that could not be.
        self._behind: dict[int, int] = {}
        #: When `state.seen_to` was now, and when the last full round began (monotonic).
        self._seen_at: float | None = None
        self._full_at = float("-inf")
        #: When the round began that is under way, if that was in this process.
        self._round_at: float | None = None
        self._saved_at = float("-inf")
        self._requests_a_round = 1
        self.due_at = time.monotonic()

    @property
    def has_cutoff(self) -> bool:
        """Whether the time from which changes are followed was taken; no backfill request goes before it."""
        return self.state is not None

    async def run(self) -> None:
        """One look at everything. Raises the errors of `domain.errors`."""
        requests = self._part.requests
        changed_at = self._part.changed_at
        if self.state is None:
            await self._take_cutoff()
        else:
            await self._round(self.state)
        self._requests_a_round = max(1, self._part.requests - requests)
        quiet = time.monotonic() - max(changed_at, self._part.changed_at)
        longest = self._part.collection.longest_interval.total_seconds()
        interval = max(self._affordable_interval(), min(max(QUIET_SHARE * quiet, SHORTEST_INTERVAL_SECONDS), longest))
        self._part.poll_interval = round(interval, 1)
        self.due_at = time.monotonic() + interval

    def _affordable_interval(self) -> float:
        polled = [part for part in self._session.collections.values() if part.collection.incremental is not None]
        is_backfilling = any(part.phase == "backfill" for part in self._session.collections.values())
        share = (BACKFILL_POLL_SHARE if is_backfilling else POLL_SHARE) / len(polled)
        return self._requests_a_round * self._session.quota.seconds_per_request / share

    async def _take_cutoff(self) -> None:
        """By the server's own clock; any answer tells it."""
        session = self._session
        async with session.asking_the_time:  # all of a sync's polls begin at once: one of them asks
            if session.fetcher.clock.now() is None:
                with suppress(NotPermitted, NotFound, RequestRejected):  # these told the time too
                    await session.fetcher.fetch(session.fetcher.check, Priority.poll)
        await self._save(PollState(seen_to=self._now()))

    def _now(self) -> int:
        now = self._session.fetcher.clock.now()
        return int(time.time()) if now is None else now

    async def _round(self, state: PollState) -> None:
        began_at = time.monotonic()
        is_whole = state.next_seen_to is None  # else it is taken up where it was broken off
        if is_whole:
            state = PollState(seen_to=self._seen_to_by_now(state.seen_to), next_seen_to=self._now())
            self._round_at = began_at
            self._faults.begin()
        late = self._incremental.late_arrival.total_seconds()
        full_every = max(FULL_EVERY_SECONDS, FULL_SHARE * late)
        is_full = began_at - self._full_at >= full_every
        # Since the last full look quick ones have moved the place on, by less than `full_every`.
        overlap = max(late + full_every, QUICK_OVERLAP_SECONDS) if is_full else QUICK_OVERLAP_SECONDS
        since = max(0, state.seen_to - int(overlap))
        self.state = state
        if self._part.collection.parent is None:
            await self._look(WHOLE, since, is_full=is_full)
        else:
            await self._look_at_all(since, is_full=is_full)
        if is_full and is_whole:
            # From its beginning: what a long one looked at first is the first to be looked at as a whole again.
            self._full_at = began_at
        done = self._done(self.state)
        saved = decode(self._session.checkpoints.get(self._part.poll_name), PollState)
        has_changed = self._part.changed_at > self._saved_at
        if has_changed or saved is None or done.seen_to - saved.seen_to > IDLE_SAVE_SECONDS:
            await self._save(done)
        self.state = done
        self._faults.end()

    def _seen_to_by_now(self, seen_to: int) -> int:
        """By a clock that has gone back it was earlier: what it says now counts."""
        now = self._now()
        if self._seen_at is None:
            return min(seen_to, now)
        return min(seen_to, now - int(time.monotonic() - self._seen_at))

    def _done(self, state: PollState) -> PollState:
        """Where a round leads to."""
        assert state.next_seen_to is not None
        set_back = 0.0
        if self._round_at is not None:
            set_back = state.next_seen_to + time.monotonic() - self._round_at - self._now()
        if set_back > _CLOCK_STEP_SECONDS:
            # Its answers showed that the clock has gone back, perhaps long before they were asked for.
            return PollState(seen_to=max(0, state.seen_to - int(set_back)))
        self._seen_at = self._round_at
        return PollState(seen_to=state.next_seen_to)

    async def _look_at_all(self, since: int, *, is_full: bool) -> None:
        of = self._part.lineage
        if of is None:
            return
        while True:
            assert self.state is not None
            found = await self._session.partitions.live(of, after=self.state.after, limit=_PARENTS_AT_ONCE)
            for partition in found:
                behind = min(since, self._behind.get(partition.parent_no, since))
                self._behind[partition.parent_no] = behind
                async with self._faults.of(partition):
                    await self._look(partition, behind, is_full=is_full)
                    del self._behind[partition.parent_no]
                self.state = msgspec.structs.replace(self.state, after=partition.parent_id)
                if time.monotonic() - self._saved_at > SAVE_EVERY_SECONDS and self.state.seen_to > 0:
                    await self._save(self.state)
            if len(found) < _PARENTS_AT_ONCE:
                return

    async def _look(self, partition: Partition, since: int, *, is_full: bool) -> None:
        """One partition's changes since a time."""
        if self._part.listing.since is None:
            await self._look_newest_first(partition, since, is_full=is_full)
            return
        known = self._looks.get(partition.parent_no)
        if known is not None and 0 <= since - known.since < _LONGEST_SAME_SECONDS:
            since = known.since  # asked for in the same words, it is answered without a body while nothing changes
        repeated = 0
        while True:
            reader = self._reader(partition, since)
            etag = known.etag if known is not None and known.since == since else None
            page = await reader.read(ListPlace(), etag=etag)
            if page.is_unmodified:
                return
            known = None
            try:
                walked = await self._write_until_bound(reader, partition, page, since)
            except CursorLost:
                repeated += 1
                if repeated > _MOST_REPEATED:
                    raise
                continue
            if walked.may_have_moved and repeated < _MOST_REPEATED:
                repeated += 1
            elif walked.reached is not None:
                since, repeated = walked.reached, 0
            else:
                self._remember(partition, page, since)
                return

    async def _write_until_bound(self, reader: ListReader, partition: Partition, page: ListPage, since: int) -> _Walked:
        """Writes a page and those that follow it. Sorted by time, what is updated meanwhile moves to the end, and all
        others up by one, over the border of a page: so it is asked anew from the last record's time on. Only within one
        second pages are followed."""
        place = ListPlace()
        changed = pages = 0
        while True:
            changed += await self._write(partition, page)
            pages += 1
            may_have_moved = self._incremental.ascending and pages > 1 and changed > 0
            if page.parsed.next_cursor is None:
                return _Walked(None, may_have_moved)
            reached = _last_time(page.parsed.records)
            if self._incremental.ascending and reached is not None and reached > since:
                return _Walked(reached, may_have_moved)
            place = place_after(place, page.parsed)
            page = await reader.read(place)

    async def _look_newest_first(self, partition: Partition, since: int, *, is_full: bool) -> None:
        """Until a page ends with a record that is older: what changes meanwhile moves to the front, and is seen by the
        next look."""
        reader = self._reader(partition, None)
        place = ListPlace()
        # What appears late does not stand on the first page.
        known = None if is_full else self._looks.get(partition.parent_no)
        page = await reader.read(place, etag=known.etag if known is not None else None)
        if page.is_unmodified:
            return
        first = page
        while True:
            await self._write(partition, page)
            last = _last_time(page.parsed.records)
            if page.parsed.next_cursor is None or (last is not None and last < since):
                self._remember(partition, first, since)
                return
            place = place_after(place, page.parsed)
            page = await reader.read(place)

    def _reader(self, partition: Partition, since: int | None) -> ListReader:
        bounds: tuple[tuple[str, str], ...] = self._incremental.query
        if since is not None and self._part.listing.since is not None:
            bounds = (*bounds, time_bound(self._part.listing.since, since))
        return ListReader(self._session, self._part, partition, priority=Priority.poll, bounds=bounds)

    def _remember(self, partition: Partition, page: ListPage, since: int) -> None:
        """Only what was written as a whole: the same answer would hide for good what was not."""
        self._looks.pop(partition.parent_no, None)
        is_whole = page.parsed.next_cursor is None or self._part.listing.since is None
        if page.etag is not None and self._part.listing.conditional and is_whole:
            self._looks[partition.parent_no] = _Look(since, page.etag)
            if len(self._looks) > _MOST_REMEMBERED:
                del self._looks[next(iter(self._looks))]

    async def _write(self, partition: Partition, page: ListPage) -> int:
        """How many records have changed by it."""
        written = await self._session.write_page(
            self._part,
            page.parsed,
            partition=partition,
            reading=page.reading,
            detected_by=DetectedBy.poll,
            mostly_known=True,
        )
        times = [at for record in page.parsed.records if (at := record.updated_us or record.created_us)]
        if written.changed and times:
            self._part.lag_seconds = max(0.0, self._now() - max(times) / 1_000_000)
        return written.changed

    async def _save(self, state: PollState) -> None:
        await self._session.save({self._part.poll_name: encode(state)})
        self.state, self._saved_at = state, time.monotonic()


def _last_time(records: Sequence[PageRecord]) -> int | None:
    """Of the last record that has a time; Unix seconds."""
    for record in reversed(records):
        at_us = record.updated_us or record.created_us
        if at_us is not None:
            return at_us // 1_000_000
    return None
