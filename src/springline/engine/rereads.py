"""Reading records by id: after a hint, when two reads crossed, and to prove a deletion (I5, I11)."""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from springline.domain.errors import Moved, NotFound, NotPermitted, ProviderBroken, RequestRejected
from springline.domain.records import DetectedBy, Evidence, PageRecord, RejectedRecord
from springline.engine.lists import read_first
from springline.engine.partitions import WHOLE, Partition, decode_record, fill, names_record_fields
from springline.engine.quotas import Priority
from springline.engine.record_writes import Written
from springline.engine.session import CollectionSession, SyncSession
from springline.providers.access import Request

#: Records read, then written, together.
BATCH: Final = 50
#: A record that is newer again each time it is read is left to the next hint after this many tries.
_MOST_TRIES: Final = 10
#: A record that cannot be read, while others can, is held after so many times.
_MOST_FAULTS: Final = 3
_WITNESSES: Final = 5


class _Gone:
    """The answer: no such record (any more). `said_so`: a 200 that says deleted, which needs no further proof."""

    def __init__(self, *, said_so: bool) -> None:
        self.said_so = said_so


class _Present:
    """The answer: it is there. What it says is not kept: it has another shape than the list's."""


class _Target(NamedTuple):
    """Where a record is read."""

    upstream_id: str
    path: str
    partition: Partition = WHOLE


class Unproven(ProviderBroken):
    """Records answer "not found", but so does everything else: nothing is deleted on that."""


_THERE = (PageRecord, _Present)
#: Faults that may be those of one record.
_OF_ONE_RECORD = (ProviderBroken, RequestRejected)


class Rereader:
    """Reads records of one sync by id and writes what it finds."""

    def __init__(self, session: SyncSession) -> None:
        self._session = session
        #: How often in a row each record could not be read.
        self._faults: dict[tuple[int, str], int] = {}

    async def reread(
        self,
        part: CollectionSession,
        upstream_ids: list[str],
        detected_by: DetectedBy,
        *,
        evidence: Evidence = Evidence.event,
    ) -> Written:
        """Reads each record once and writes it; one that is gone is published as deleted, on proof.

        Raises the errors of `domain.errors`; what could be read has been written then. A record that alone cannot be
        read is held in the end, so that it does not stop the others for ever.
        """
        total = Written()
        for start in range(0, len(upstream_ids), BATCH):
            pending = upstream_ids[start : start + BATCH]
            for _ in range(_MOST_TRIES):
                written = await self._read_and_write(part, pending, detected_by, evidence)
                total.changed += written.changed
                total.deleted += written.deleted
                total.seen += written.seen
                pending = written.stale
                if not pending:
                    break
        return total

    async def count_gone(self, part: CollectionSession, upstream_ids: list[str]) -> int:
        """How many of these records are not there any more; nothing is written. Raises the errors of `domain.errors`,
        Unproven where nothing else answers either."""
        targets = await self._targets(part, upstream_ids)
        answers = await asyncio.gather(*(self._read(part, target, Priority.sweep) for target in targets.values()))
        gone = {key: answer for key, answer in zip(targets, answers, strict=True) if isinstance(answer, _Gone)}
        if gone:
            await self._prove_access(part, targets, set(gone), Priority.sweep)
        return len(gone)

    async def _read_and_write(
        self, part: CollectionSession, upstream_ids: list[str], detected_by: DetectedBy, evidence: Evidence
    ) -> Written:
        session = self._session
        reading = session.records.begin_reading()
        # What a sweep wants to know is not urgent: there can be a great deal of it.
        priority = Priority.sweep if detected_by is DetectedBy.sweep else Priority.urgent
        targets = await self._targets(part, upstream_ids)
        answered = await asyncio.gather(
            *(self._read(part, target, priority) for target in targets.values()), return_exceptions=True
        )
        answers = dict(zip(targets, answered, strict=True))
        await session.hold(part, [answer for answer in answered if isinstance(answer, RejectedRecord)])
        found = [answer for answer in answered if isinstance(answer, PageRecord)]
        written = await session.records.write(
            part.source_no,
            found,
            reading=reading,
            detected_by=detected_by,
            mostly_known=True,
            parent_nos=await self._parent_nos(part, targets, found),
        )
        session.count(part, written)
        for answer in answered:
            if isinstance(answer, BaseException) and not isinstance(answer, _OF_ONE_RECORD):
                raise answer  # the hints stay with whoever asked, and are taken up again
        gone = {upstream_id: answer for upstream_id, answer in answers.items() if isinstance(answer, _Gone)}
        live: list[str] = []
        if gone:
            session.records.note_gone(part.source_no, gone)
            live = await session.records.known_live(part.source_no, list(gone))
        if live:
            if not all(gone[upstream_id].said_so for upstream_id in live):
                await self._prove_access(part, targets, set(gone), priority)
            deleted = await session.records.delete(
                part.source_no, live, reading=reading, detected_by=detected_by, evidence=evidence
            )
            session.count(part, deleted)
            written.changed += deleted.changed
            written.deleted += deleted.deleted
            written.stale += deleted.stale
        await self._settle_faults(part, answers, priority)
        return written

    async def _targets(self, part: CollectionSession, upstream_ids: list[str]) -> dict[str, "_Target"]:
        """Where each record is read. What can be asked for only by fields of a record that is not stored is left out:
        whatever lists it will bring it."""
        read = part.collection.read
        if read is None:
            return {}
        if part.lineage is None and not names_record_fields(read.path):
            return {key: _Target(key, fill(read.path, fields={}, upstream_id=key)) for key in upstream_ids}
        session = self._session
        stored = await session.stored.describe_records(
            session.sync.stream_no, part.source_no, upstream_ids, with_deleted=True
        )
        partitions: dict[int, Partition | None] = {0: WHOLE}
        targets = {}
        for key in upstream_ids:
            known = stored.get(key)
            if known is None and names_record_fields(read.path):
                continue
            parent_no = known.parent_no if known is not None and part.lineage is not None else 0
            if parent_no not in partitions and part.lineage is not None:
                partitions[parent_no] = await session.partitions.get(part.lineage, parent_no)
            partition = partitions[parent_no]
            if partition is None:
                continue  # its parent is gone, and takes it along
            record = decode_record(known.data) if known is not None else None
            path = fill(read.path, fields=session.path_fields(partition), upstream_id=key, record=record)
            targets[key] = _Target(key, path, partition)
        return targets

    async def _parent_nos(
        self, part: CollectionSession, targets: Mapping[str, "_Target"], found: list[PageRecord]
    ) -> dict[str, int]:
        """Of records that are not known to belong to a parent: whose they say they are."""
        unknown = {
            record.upstream_id: record.data for record in found if not targets[record.upstream_id].partition.parent_no
        }
        return await self._session.parents_named(part, unknown) if unknown else {}

    async def _settle_faults(self, part: CollectionSession, answers: Mapping[str, object], priority: Priority) -> None:
        """Raises the fault of a record that may still pass; holds one that has stayed while others could be read."""
        faulty = {key: answer for key, answer in answers.items() if isinstance(answer, _OF_ONE_RECORD)}
        if self._faults:
            for upstream_id in answers.keys() - faulty.keys():
                self._faults.pop((part.source_no, upstream_id), None)
        if not faulty:
            return
        places = {(part.source_no, upstream_id): fault for upstream_id, fault in faulty.items()}
        for place in places:
            self._faults[place] = self._faults.get(place, 0) + 1
        for place, fault in places.items():
            if self._faults[place] < _MOST_FAULTS:
                raise fault
        if len(faulty) == len(answers) and not await self._some_record_answers(part, set(faulty), priority):
            raise next(iter(faulty.values()))
        for upstream_id, fault in faulty.items():
            del self._faults[part.source_no, upstream_id]
            reason = f"cannot be read by id: {fault.words}"
            await self._session.hold(part, [RejectedRecord(upstream_id.encode(), reason)])

    async def _read(
        self, part: CollectionSession, target: "_Target", priority: Priority
    ) -> PageRecord | RejectedRecord | _Present | _Gone:
        read = part.collection.read
        assert read is not None
        request = Request(path=target.path)
        part.requests += 1
        try:
            answer = await self._session.fetcher.fetch(request, priority)
        except Moved as error:
            # To another address below the same parent: that was renamed, and the record is there.
            is_renamed = target.partition.parent_id in (error.location or "").split("/")
            return _Present() if is_renamed else _Gone(said_so=False)
        except NotFound:
            return _Gone(said_so=False)
        record = part.parser.parse_record(answer.body, within=target.partition.within)
        if record is None:
            return _Gone(said_so=True)
        if isinstance(record, PageRecord) and record.upstream_id != target.upstream_id:
            # One that another path answers with (a number that was used again) is not the one that was asked for.
            if names_record_fields(read.path):
                return _Gone(said_so=False)
            raise ProviderBroken(f"was asked for {target.upstream_id} and answered with {record.upstream_id}")
        return _Present() if read.only_proves and isinstance(record, PageRecord) else record

    async def _prove_access(
        self, part: CollectionSession, targets: Mapping[str, "_Target"], gone: set[str], priority: Priority
    ) -> None:
        """Their parents and a record known to exist still answer, so "not found" means these records, not everything
        (I5). Raises Unproven."""
        parents = {target.partition.parent_id for key, target in targets.items() if key in gone} - {""}
        if parents:
            await self._prove_parents(part, parents, priority)
            return
        if await self._some_record_answers(part, gone, priority):
            return
        page = await read_first(self._session, part, priority=priority, size=1)
        if page.parsed.records:
            target = await self._targets(part, [page.parsed.records[0].upstream_id])
            answers = [await self._read(part, each, priority) for each in target.values()]
            if not target or any(isinstance(answer, _THERE) for answer in answers):
                return
            raise Unproven(f"lists records at {part.listing.path} but answers none of them by id")
        # The list is empty too. It is believed while anything else of the account answers.
        others = [other for other in self._session.collections.values() if other is not part]
        known_elsewhere = False
        for other in others:
            live = await self._live(other, 1)
            known_elsewhere = known_elsewhere or bool(live)
            if live and await self._some_record_answers(other, set(), priority):
                return
        if known_elsewhere:
            raise Unproven("answers no record of this account any more")

    async def _prove_parents(self, part: CollectionSession, parent_ids: set[str], priority: Priority) -> None:
        """Records of a parent that answers are gone; those of one that does not answer go with it, if it is gone."""
        parents = self._session.parent_of(part)
        if parents is None or parents.collection.read is None:
            return
        targets = await self._targets(parents, sorted(parent_ids))
        for target in targets.values():
            if not isinstance(await self._read(parents, target, priority), _THERE):
                raise Unproven(f"answers {target.path} no more, so that nothing below it is known to be gone")

    async def _some_record_answers(self, part: CollectionSession, gone: set[str], priority: Priority) -> bool:
        candidates = [key for key in await self._live(part, _WITNESSES + len(gone)) if key not in gone]
        for target in (await self._targets(part, candidates[:_WITNESSES])).values():
            try:
                if isinstance(await self._read(part, target, priority), _THERE):
                    return True
            except (NotPermitted, *_OF_ONE_RECORD):
                continue
        return False

    async def _live(self, part: CollectionSession, limit: int) -> list[str]:
        session = self._session
        live = await session.stored.list_live(session.sync.stream_no, part.source_no, after="", limit=limit)
        return [record.upstream_id for record in live]
