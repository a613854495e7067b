"""From a page's records to what has to be written: unchanged ones drop out before the commit, which decides again."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from springline.domain.errors import SpringlineError
from springline.domain.fingerprints import content_print, raw_print
from springline.domain.records import DeletedReason, DetectedBy, Evidence, Outcome, PageRecord, RejectedRecord
from springline.engine.page_commit import MOST_BYTES, MOST_RECORDS, StreamWriter
from springline.store.pages import HeldDeletions, Page, PageRefused, PageStore, RecordWrite, StoredHold, StoredPrint

_DAY_US: Final = 86_400_000_000
_NO_PARENTS: Final[Mapping[str, int]] = {}
#: So many records are remembered as gone: reads do not take that long.
_MOST_GONE: Final = 10_000


class FencedOff(SpringlineError):
    """Another worker holds this sync's lease, or it was disabled: stop, write nothing more."""


@dataclass(slots=True)
class Written:
    """What came of a page. `seen`: numbers of the records that are as stored. `stale`: ids to be read again, since
    something newer was written after the page's read began; then its checkpoint was withheld."""

    changed: int = 0
    created: int = 0
    deleted: int = 0
    seen: list[int] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    def add(self, writes: Sequence[RecordWrite], outcomes: Sequence[Outcome], record_nos: Sequence[int | None]) -> None:
        for write, outcome, record_no in zip(writes, outcomes, record_nos, strict=True):
            if outcome is Outcome.stale:
                self.stale.append(write.upstream_id)
            elif record_no is not None:
                self.seen.append(record_no)
            if Outcome.created <= outcome <= Outcome.deleted:
                self.changed += 1
                self.created += outcome is Outcome.created
                self.deleted += outcome is Outcome.deleted


class Reading(NamedTuple):
    """What was known when a read of the API began (I11): the stream's index, and how often records had been seen to be
    gone."""

    as_of: int
    gone: int


class RecordWriter:
    """Writes the records of one sync under its lease epoch."""

    def __init__(
        self, *, sync_no: int, epoch: int, max_age_days: float | None, writer: StreamWriter, store: PageStore
    ) -> None:
        self.writer = writer
        self._sync_no = sync_no
        self._epoch = epoch
        self._max_age_days = max_age_days
        self._store = store
        # A deletion of what the store does not know leaves nothing there that would hold back an older read.
        self._gone: dict[tuple[int, str], int] = {}
        self._gone_seen = 0

    def begin_reading(self) -> Reading:
        """To be taken before a request is sent, and given along with what it brings."""
        return Reading(self.writer.head_idx, self._gone_seen)

    def note_gone(self, source_no: int, upstream_ids: Iterable[str]) -> None:
        """These are gone in the API: a read that began earlier may still bring them. To be called before looking what
        of them is stored."""
        self._gone_seen += 1
        for upstream_id in upstream_ids:
            self._gone.pop((source_no, upstream_id), None)
            self._gone[source_no, upstream_id] = self._gone_seen
        while len(self._gone) > _MOST_GONE:
            del self._gone[next(iter(self._gone))]

    async def write(
        self,
        source_no: int,
        records: Iterable[PageRecord],
        *,
        reading: Reading,
        detected_by: DetectedBy,
        mostly_known: bool,
        checkpoints: Mapping[str, bytes | None] | None = None,
        parent_nos: Mapping[str, int] = _NO_PARENTS,
    ) -> Written:
        """Writes what a read brought. `mostly_known`: look first what is stored, so that unchanged records cost one
        look-up and no write. `parent_nos`: by upstream id, where it is known. Raises FencedOff."""
        unique = {record.upstream_id: record for record in records if not self._is_too_old(record)}
        written = Written()
        for upstream_id in self._gone_since(reading, source_no, unique):
            written.stale.append(upstream_id)
            del unique[upstream_id]
        writes = [
            RecordWrite(
                source_no,
                record.upstream_id,
                reading.as_of,
                detected_by,
                record.data,
                raw_print(record.data),
                None,
                record.version,
                record.created_us,
                record.updated_us,
                parent_no=parent_nos.get(record.upstream_id, 0) if parent_nos else 0,
            )
            for record in unique.values()
        ]
        if mostly_known:
            writes = await self._without_unchanged(writes, written)
        await self._commit(writes, checkpoints or {}, written)
        # What was seen to be gone meanwhile may have been looked for in the store before this was there.
        written.stale += [key for key in self._gone_since(reading, source_no, unique) if key not in written.stale]
        return written

    def _gone_since(self, reading: Reading, source_no: int, upstream_ids: Iterable[str]) -> list[str]:
        if self._gone_seen == reading.gone:
            return []
        return [key for key in upstream_ids if self._gone.get((source_no, key), 0) > reading.gone]

    async def delete(
        self,
        source_no: int,
        upstream_ids: Iterable[str],
        *,
        reading: Reading,
        detected_by: DetectedBy,
        evidence: Evidence,
    ) -> Written:
        """Publishes records as gone in the API (I5: the caller holds the proof). Raises FencedOff."""
        written = Written()
        writes = [
            RecordWrite(
                source_no,
                upstream_id,
                reading.as_of,
                detected_by,
                deleted_reason=DeletedReason.upstream,
                evidence=evidence,
            )
            for upstream_id in upstream_ids
        ]
        await self._commit(writes, {}, written)
        return written

    async def save(self, checkpoints: Mapping[str, bytes | None]) -> None:
        """Writes checkpoints alone. Raises FencedOff."""
        await self._commit([], checkpoints, Written())

    async def known_live(self, source_no: int, upstream_ids: Sequence[str]) -> list[str]:
        """Those that are stored and not deleted."""
        known = await self._store.known_prints(self.writer.stream_no, [(source_no, key) for key in upstream_ids])
        return [upstream_ids[place] for place, stored in known.items() if not stored.deleted]

    async def live_numbers(self, source_no: int, upstream_ids: Sequence[str]) -> dict[str, int]:
        """The record numbers of those that are stored and not deleted."""
        known = await self._store.known_prints(self.writer.stream_no, [(source_no, key) for key in upstream_ids])
        return {upstream_ids[place]: stored.record_no for place, stored in known.items() if not stored.deleted}

    async def hold(self, source_no: int, rejected: Sequence[RejectedRecord]) -> None:
        """Keeps back pieces of a page that are no records; the same bytes are held once."""
        for piece in rejected:
            await self._store.hold(
                self.writer.stream_no,
                sync_no=self._sync_no,
                source_no=source_no,
                kind="record",
                reason=piece.reason,
                content=piece.data,
                content_print=raw_print(piece.data),
            )

    async def summarise_holds(self, source_no: int) -> tuple[int, str | None]:
        """How much of a source is held, and why the last of it was."""
        return await self._store.summarise_holds(self.writer.stream_no, source_no)

    async def hold_deletions(
        self, source_no: int, parent_no: int, *, count: int, reason: str, sample: Sequence[str]
    ) -> None:
        """Keeps back deletions of one partition until someone decides; a sample of their ids is shown."""
        await self._store.hold(
            self.writer.stream_no,
            sync_no=self._sync_no,
            source_no=source_no,
            kind="deletion",
            reason=reason,
            content=msgspec.json.encode(list(sample)),
            content_print=deletions_print(parent_no),
            count=count,
        )

    async def deletion_hold(self, source_no: int, parent_no: int) -> StoredHold | None:
        """What is held of a partition's deletions, and what was decided."""
        return await self._store.find_hold(self.writer.stream_no, source_no, deletions_print(parent_no))

    async def list_deletion_holds(self, source_no: int) -> dict[int, HeldDeletions]:
        """Deletions of a source that are held, decided or not, by `deletions_print`."""
        return await self._store.list_deletion_holds(self.writer.stream_no, source_no)

    async def release_deletions(self, source_no: int, parent_no: int) -> None:
        """There is nothing to be held any more."""
        await self._store.release_hold(self.writer.stream_no, source_no, deletions_print(parent_no))

    def _is_too_old(self, record: PageRecord) -> bool:
        """Older than `max_age_days` by the API's own time: never written."""
        at_us = record.updated_us or record.created_us
        if self._max_age_days is None or at_us is None:
            return False
        return at_us < time.time() * 1_000_000 - self._max_age_days * _DAY_US

    async def _without_unchanged(self, writes: list[RecordWrite], written: Written) -> list[RecordWrite]:
        if not writes:
            return []
        stream_no = self.writer.stream_no
        known = await self._store.known_prints(stream_no, [(write.source_no, write.upstream_id) for write in writes])
        unclear = [
            stored.record_no
            for place, stored in known.items()
            if not stored.deleted and stored.raw_print != writes[place].raw_print and stored.content_print is None
        ]
        stored_data = await self._store.stored_data(stream_no, unclear) if unclear else {}
        remaining = []
        for place, write in enumerate(writes):
            stored = known.get(place)
            if stored is None or stored.deleted:
                remaining.append(write)
                continue
            is_elsewhere = write.parent_no not in (0, stored.parent_no)
            if stored.raw_print == write.raw_print and not is_elsewhere:
                written.seen.append(stored.record_no)
                continue
            print_now = content_print(write.data or b"")
            if print_now == _stored_content_print(stored, stored_data) and not is_elsewhere:
                written.seen.append(stored.record_no)
                continue
            remaining.append(write._replace(content_print=print_now, compared=True))
        self.writer.metrics.count_unchanged(len(writes) - len(remaining))
        return remaining

    async def _commit(
        self, writes: list[RecordWrite], checkpoints: Mapping[str, bytes | None], written: Written
    ) -> None:
        if not writes and not checkpoints:
            return
        chunks = _chunks(writes)
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            # Checkpoints come with the last piece, and not at all if an earlier one left something to be read again.
            marks = checkpoints if last and not written.stale else {}
            await self._commit_chunk(chunk, marks, written)

    async def _commit_chunk(
        self, writes: list[RecordWrite], checkpoints: Mapping[str, bytes | None], written: Written
    ) -> None:
        page = Page(sync_no=self._sync_no, epoch=self._epoch, records=writes, checkpoints=checkpoints)
        try:
            committed = await self.writer.commit(page)
        except PageRefused as error:
            if not writes:
                raise
            await self._commit_singly(writes, checkpoints, written, str(error))
            return
        if committed.fenced_off:
            raise FencedOff("the lease of this sync is held elsewhere")
        unclear = [
            write for write, outcome in zip(writes, committed.outcomes, strict=True) if outcome is Outcome.compare
        ]
        if not unclear:
            written.add(writes, committed.outcomes, committed.record_nos)
            return
        settled = [
            (write, outcome, record_no)
            for write, outcome, record_no in zip(writes, committed.outcomes, committed.record_nos, strict=True)
            if outcome is not Outcome.compare
        ]
        written.add(*zip(*settled, strict=True) if settled else ((), (), ()))
        # The commit skipped the checkpoint because of them: it goes with the second try.
        compared = await self._without_unchanged(unclear, written)
        marks = checkpoints if not written.stale else {}
        if compared or marks:
            await self._commit_chunk(compared, marks, written)

    async def _commit_singly(
        self, writes: list[RecordWrite], checkpoints: Mapping[str, bytes | None], written: Written, reason: str
    ) -> None:
        """The database refuses the page: record by record, and only the one at fault is held."""
        if len(writes) == 1:
            write = writes[0]
            await self.hold(write.source_no, [RejectedRecord(write.data or b"", f"refused by the database: {reason}")])
        else:
            for write in writes:
                await self._commit_chunk([write], {}, written)
        if checkpoints and not written.stale:
            await self._commit_chunk([], checkpoints, written)


def deletions_print(parent_no: int) -> int:
    """By which the one hold of a partition's deletions is found."""
    return raw_print(b"deletions of %d" % parent_no)


def _stored_content_print(stored: StoredPrint, stored_data: Mapping[int, bytes]) -> int | None:
    if stored.content_print is not None:
        return stored.content_print
    data = stored_data.get(stored.record_no)
    return None if data is None else content_print(data)


def _chunks(writes: list[RecordWrite]) -> list[list[RecordWrite]]:
    """Pieces that fit one statement; one empty piece for no writes."""
    chunks: list[list[RecordWrite]] = [[]]
    size = 0
    for write in writes:
        length = len(write.data or b"")
        if chunks[-1] and (len(chunks[-1]) == MOST_RECORDS or size + length > MOST_BYTES):
            chunks.append([])
            size = 0
        chunks[-1].append(write)
        size += length
    return chunks
