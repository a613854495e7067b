"""Reading records by id: after a hint, when two reads crossed, and to prove a deletion (I5, I11)."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from springline.domain.errors import NotFound, NotPermitted, ProviderBroken, RequestRejected
from springline.domain.records import DetectedBy, Evidence, PageRecord, RejectedRecord
from springline.engine.quotas import Priority
from springline.engine.record_writes import Written
from springline.engine.session import CollectionSession, SyncSession
from springline.providers.vocabulary import CursorById, Request

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


class Unproven(ProviderBroken):
    """Records answer "not found", but so does everything else: nothing is deleted on that."""


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

    async def _read_and_write(
        self, part: CollectionSession, upstream_ids: list[str], detected_by: DetectedBy, evidence: Evidence
    ) -> Written:
        session = self._session
        reading = session.records.begin_reading()
        # What a sweep wants to know is not urgent: there can be a great deal of it.
        priority = Priority.sweep if detected_by is DetectedBy.sweep else Priority.urgent
        answered = await asyncio.gather(
            *(self._read(part, upstream_id, priority) for upstream_id in upstream_ids), return_exceptions=True
        )
        answers = dict(zip(upstream_ids, answered, strict=True))
        await session.hold(part, [answer for answer in answered if isinstance(answer, RejectedRecord)])
        found = [answer for answer in answered if isinstance(answer, PageRecord)]
        written = await session.records.write(
            part.source_no, found, reading=reading, detected_by=detected_by, mostly_known=True
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
                await self._prove_access(part, set(gone), priority)
            deleted = await session.records.delete(
                part.source_no, live, reading=reading, detected_by=detected_by, evidence=evidence
            )
            session.count(part, deleted)
            written.changed += deleted.changed
            written.deleted += deleted.deleted
            written.stale += deleted.stale
        await self._settle_faults(part, answers, priority)
        return written

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
        self, part: CollectionSession, upstream_id: str, priority: Priority
    ) -> PageRecord | RejectedRecord | _Gone:
        read = part.collection.read
        assert read is not None
        request = Request(path=read.path.replace("{id}", quote(upstream_id, safe="")))
        part.requests += 1
        try:
            answer = await self._session.fetcher.fetch(request, priority)
        except NotFound:
            return _Gone(said_so=False)
        record = part.parser.parse_record(answer.body)
        if record is None:
            return _Gone(said_so=True)
        if isinstance(record, PageRecord) and record.upstream_id != upstream_id:
            raise ProviderBroken(f"was asked for {upstream_id} and answered with {record.upstream_id}")
        return record

    async def _prove_access(self, part: CollectionSession, gone: set[str], priority: Priority) -> None:
        """A record known to exist still answers, so "not found" means these records, not everything (I5).

        Raises Unproven.
        """
        if await self._some_record_answers(part, gone, priority):
            return
        listing = part.collection.listing
        part.requests += 1
        page = part.parser.parse_page(await self._session.fetcher.fetch(first_page(part, size=1), priority))
        if page.records:
            if isinstance(await self._read(part, page.records[0].upstream_id, priority), PageRecord):
                return
            raise Unproven(f"lists records at {listing.path} but answers none of them by id")
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

    async def _some_record_answers(self, part: CollectionSession, gone: set[str], priority: Priority) -> bool:
        candidates = [key for key in await self._live(part, _WITNESSES + len(gone)) if key not in gone]
        for upstream_id in candidates[:_WITNESSES]:
            try:
                if isinstance(await self._read(part, upstream_id, priority), PageRecord):
                    return True
            except (NotPermitted, *_OF_ONE_RECORD):
                continue
        return False

    async def _live(self, part: CollectionSession, limit: int) -> list[str]:
        session = self._session
        live = await session.stored.list_live(session.sync.stream_no, part.source_no, after="", limit=limit)
        return [record.upstream_id for record in live]


def first_page(part: CollectionSession, *, size: int | None = None) -> Request:
    """The request for the start of a collection's list."""
    listing = part.collection.listing
    assert isinstance(listing.pagination, CursorById)
    name, most = listing.pagination.size
    return Request(path=listing.path, query=(*listing.query, (name, str(size or most))))
