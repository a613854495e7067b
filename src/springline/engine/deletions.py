"""What a walk over a list did not see: read by id and published as gone on proof, or seen missing twice (I5).

More than a share of a collection, or of a partition, at once is held until someone decides.
"""

import time
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from springline.domain.bitmaps import RecordBitmap
from springline.domain.errors import ProviderBroken
from springline.domain.records import DetectedBy, Evidence
from springline.engine.partitions import WHOLE, Partition
from springline.engine.record_writes import Reading, deletions_print
from springline.engine.rereads import BATCH, Rereader
from springline.engine.session import CollectionSession, SyncSession
from springline.store.pages import HeldDeletions
from springline.store.records import LiveRecord

#: At once, this share of a collection or of a partition may go, and in any case this many.
SHARE_LIMIT: Final = 0.3
ALWAYS_ALLOWED: Final = 100
#: A decision about so many deletions covers a few more: time goes on while someone decides.
_DECISION_SLACK: Final = 1.1
#: An empty list of records that nothing reads by id is believed after so long.
EMPTY_BELIEVED_AFTER_SECONDS: Final = 600.0
_COMPARED_AT_ONCE: Final = 2000
#: A list that leaves out more than half of so many records is not believed at once.
_MANY: Final = 2 * BATCH
_SAMPLE: Final = 20
#: So many records are remembered as missed once; those above are seen to be missing again by a later sweep.
_MOST_MISSED: Final = 200_000


class Walked(NamedTuple):
    """A list that was walked to its end: since when what is stored counts, what it showed, and how many records."""

    as_of: int
    seen: RecordBitmap
    met: int


class Deletions:
    """Settles what walks over one collection did not see."""

    def __init__(self, session: SyncSession, part: CollectionSession, rereader: Rereader) -> None:
        self._session = session
        self._part = part
        self._rereader = rereader
        self._empty_since: dict[int, float] = {}
        #: How many of the collection a sweep may still publish as gone.
        self._left_of_round = float("inf")

    def begin_round(self) -> None:
        """A sweep over all partitions begins: together they may lose no greater share than one of them."""
        self._left_of_round = max(ALWAYS_ALLOWED, SHARE_LIMIT * self._part.records)

    def end_round(self) -> None:
        """It is over: what is walked by itself between two sweeps is measured by itself."""
        self._left_of_round = float("inf")

    async def settle(self, partition: Partition, walked: Walked, detected_by: DetectedBy) -> None:
        """Raises the errors of `domain.errors`, ProviderBroken where the list is not to be believed."""
        count = 0
        sample: list[LiveRecord] = []
        async for record in self._missing(partition, walked):
            count += 1
            if len(sample) < BATCH:
                sample.append(record)
        if count == 0:
            await self._let_go_of_hold(partition)
            return
        read = self._part.collection.read
        if read is None or read.answers_unlisted:
            await self._settle_unreadable(partition, walked, detected_by)
            return
        if not await self._is_allowed(partition, walked, count=count, sample=sample):
            return
        missing: list[str] = []
        live = self._part.records
        async for record in self._missing(partition, walked):
            missing.append(record.upstream_id)
            if len(missing) == _COMPARED_AT_ONCE:
                await self._read_again(missing, detected_by)
                missing = []
        await self._read_again(missing, detected_by)
        self._left_of_round -= max(0, live - self._part.records)
        await self._let_go_of_hold(partition)

    async def _read_again(self, upstream_ids: list[str], detected_by: DetectedBy) -> None:
        if upstream_ids:
            await self._rereader.reread(self._part, upstream_ids, detected_by, evidence=Evidence.sweep_and_read)

    async def _missing(self, partition: Partition, walked: Walked) -> AsyncIterator[LiveRecord]:
        """Not seen, and not changed since the walk began."""
        session, after = self._session, ""
        while True:
            if partition is WHOLE:
                live = await session.stored.list_live(
                    session.sync.stream_no,
                    self._part.source_no,
                    after=after,
                    as_of=walked.as_of,
                    limit=_COMPARED_AT_ONCE,
                )
            else:
                live = await session.stored.list_live_of_parent(
                    session.sync.stream_no,
                    self._part.source_no,
                    partition.parent_no,
                    after=after,
                    as_of=walked.as_of,
                    limit=_COMPARED_AT_ONCE,
                )
            for record in live:
                if record.record_no not in walked.seen:
                    yield record
            if len(live) < _COMPARED_AT_ONCE:
                return
            after = live[-1].upstream_id

    async def _is_allowed(
        self,
        partition: Partition,
        walked: Walked,
        *,
        count: int,
        sample: list[LiveRecord],
    ) -> bool:
        """Whether all that is missing may be read by id and, where it is gone, published as such."""
        if count <= self._limit(partition, walked, count):
            return True
        held = await self._session.records.deletion_hold(self._part.source_no, partition.parent_no)
        if held is not None and held.status != "held" and count <= held.concerns * _DECISION_SLACK:
            self._note(partition, held.status, "")
            return held.status == "applied"
        gone = await self._rereader.count_gone(self._part, [record.upstream_id for record in sample])
        if gone == 0 and self._leaves_out_most(walked):
            raise ProviderBroken("lists only a few records, but answers the others when they are read by id")
        if gone * count / len(sample) <= self._limit(partition, walked, count):
            return True
        await self._hold(partition, walked, count=count, sample=sample)
        return False

    def _limit(self, partition: Partition, walked: Walked, count: int) -> float:
        """How many may go at once: a share of what there was."""
        known = walked.met + count
        if partition is not WHOLE:
            known = min(known, self._part.records) if self._part.records else known
        return min(max(ALWAYS_ALLOWED, SHARE_LIMIT * known), max(0.0, self._left_of_round))

    def _leaves_out_most(self, walked: Walked) -> bool:
        return self._part.records > max(_MANY, 2 * walked.met)

    async def _hold(self, partition: Partition, walked: Walked, *, count: int, sample: list[LiveRecord]) -> None:
        known = walked.met + count
        of = f" of {partition.parent_id}" if partition.parent_id else ""
        reason = (
            f"{count:,} of {known:,} records{of} are not there any more: more than {SHARE_LIMIT:.0%} at once "
            "are not deleted without being asked for"
        )
        self._note(partition, "held", reason)
        await self._session.records.hold_deletions(
            self._part.source_no,
            partition.parent_no,
            count=count,
            reason=reason,
            sample=[record.upstream_id for record in sample[:_SAMPLE]],
        )

    def _note(self, partition: Partition, status: str, reason: str) -> None:
        self._part.held_deletions[deletions_print(partition.parent_no)] = HeldDeletions(status, reason)

    async def _let_go_of_hold(self, partition: Partition) -> None:
        if self._part.held_deletions.pop(deletions_print(partition.parent_no), None) is not None:
            await self._session.records.release_deletions(self._part.source_no, partition.parent_no)

    async def _settle_unreadable(self, partition: Partition, walked: Walked, detected_by: DetectedBy) -> None:
        """No read by id proves that one is there: what two walks in a row did not see is gone."""
        part = self._part
        if not self._is_believed(partition, walked):
            return
        again: list[LiveRecord] = []
        missed: list[int] = []
        async for record in self._missing(partition, walked):
            if record.record_no in part.missed:
                again.append(record)
            else:
                missed.append(record.record_no)
        if len(again) > self._limit(partition, walked, len(again)):
            held = await self._session.records.deletion_hold(part.source_no, partition.parent_no)
            decided = held is not None and held.status != "held" and len(again) <= held.concerns * _DECISION_SLACK
            if held is None or not decided:
                await self._hold(partition, walked, count=len(again), sample=again)
                return
            self._note(partition, held.status, "")
            if held.status == "discarded":
                return
        if missed and len(part.missed) < _MOST_MISSED:
            part.missed.update(missed)
            part.changed_at = time.monotonic()  # the next sweep, which decides, follows soon
        await self._publish(again, walked, detected_by)
        self._left_of_round -= len(again)
        part.missed.difference_update(record.record_no for record in again)
        await self._let_go_of_hold(partition)

    def _is_believed(self, partition: Partition, walked: Walked) -> bool:
        """A list that is empty all of a sudden may be a fault of the API: it has to stay so for a while, or until the
        same list of another parent shows that there is none."""
        if walked.met > 0:
            self._empty_since.pop(partition.parent_no, None)
            return True
        now = time.monotonic()
        since = self._empty_since.setdefault(partition.parent_no, now)
        return self._part.met_at > since or now - since >= EMPTY_BELIEVED_AFTER_SECONDS

    async def _publish(self, gone: list[LiveRecord], walked: Walked, detected_by: DetectedBy) -> None:
        session, part = self._session, self._part
        for start in range(0, len(gone), _COMPARED_AT_ONCE):
            upstream_ids = [record.upstream_id for record in gone[start : start + _COMPARED_AT_ONCE]]
            # What was changed since the walk began is left to a walk that begins later (I11).
            reading = Reading(walked.as_of, session.records.begin_reading().gone)
            deleted = await session.records.delete(
                part.source_no, upstream_ids, reading=reading, detected_by=detected_by, evidence=Evidence.sweep
            )
            session.count(part, deleted)
