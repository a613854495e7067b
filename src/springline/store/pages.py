"""The page commit: records, event log and checkpoints in one statement (I1, I2, I3, I11)."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg

from springline.domain.records import DeletedReason, DetectedBy, Evidence, Outcome
from springline.store.database import Database
from springline.store.statements import load_statements

#: Bytes as they came. Other codecs are other numbers, so that they can come later.
CODEC_PLAIN = 0


class RecordWrite(NamedTuple):
    """A record to be written, or, with a `deleted_reason` other than live, to be published as gone.

    `as_of` is the stream's index known before the read that brought it was sent. `compared`: its content was found to
    differ from what is stored, by a look that was later than `as_of`. `parent_no` is the record number of its parent;
    0: it has none, or the one that is stored stays.
    """

    source_no: int
    upstream_id: str
    as_of: int
    detected_by: DetectedBy
    data: bytes | None = None
    raw_print: int = 0
    content_print: int | None = None
    version: int | None = None
    created_us: int | None = None
    updated_us: int | None = None
    deleted_reason: DeletedReason = DeletedReason.live
    evidence: Evidence = Evidence.none
    compared: bool = False
    parent_no: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is written together for one sync. `sync_no` 0: without a lease, records only.

    `checkpoints` maps names to states (JSON bytes; None deletes).
    """

    sync_no: int
    epoch: int
    records: Sequence[RecordWrite] = ()
    checkpoints: Mapping[str, bytes | None] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of data."""
        return sum(len(record.data) for record in self.records if record.data is not None)


@dataclass(frozen=True, slots=True)
class CommittedPage:
    """What became of a page. `fenced_off`: nothing was written, the sync has another holder, is disabled, or the
    collection was taken from it.

    `outcomes` and `record_nos` (None: unknown before) are in the order of its records.
    """

    fenced_off: bool
    outcomes: Sequence[Outcome]
    record_nos: Sequence[int | None]


class StoredPrint(NamedTuple):
    """A record as the store knows it."""

    record_no: int
    raw_print: int
    content_print: int | None
    deleted: bool
    parent_no: int = 0


class StoredHold(NamedTuple):
    """What was decided about a hold (`held`: nothing yet, `applied`, `discarded`), and how many records it concerns."""

    status: str
    concerns: int


class HeldDeletions(NamedTuple):
    """What was decided about deletions, and why they were held."""

    status: str
    reason: str


class PageRefused(Exception):
    """The database refuses what stands in a page: it will refuse it again."""


class PageStore:
    """Pages of any stream."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("pages")

    async def commit(self, stream_no: int, pages: Sequence[Page]) -> tuple[int, list[CommittedPage]]:
        """Commits pages of one stream together; no key may stand in them twice, and no sync with two epochs.

        Returns the stream's head and what became of each page. Raises PageRefused, and the errors of
        `database.UNAVAILABLE`: then it may have been committed or not, and can be sent again.
        """
        leased = {page.sync_no: page.epoch for page in pages if page.sync_no}
        assert all(page.sync_no == 0 or leased[page.sync_no] == page.epoch for page in pages)
        rows = [(number, page, record) for number, page in enumerate(pages) for record in page.records]
        marks = [
            (number, page.sync_no, name, state)
            for number, page in enumerate(pages)
            for name, state in page.checkpoints.items()
        ]
        try:
            row = await self._database.fetch_row(
                self._sql["commit_pages"],
                stream_no,
                list(leased.keys()),
                list(leased.values()),
                [number for number, _, _ in rows],
                [page.sync_no for _, page, _ in rows],
                [record.source_no for _, _, record in rows],
                [record.parent_no for _, _, record in rows],
                [record.upstream_id for _, _, record in rows],
                [record.raw_print for _, _, record in rows],
                [record.content_print for _, _, record in rows],
                [record.version for _, _, record in rows],
                [record.created_us for _, _, record in rows],
                [record.updated_us for _, _, record in rows],
                [record.as_of for _, _, record in rows],
                [record.deleted_reason for _, _, record in rows],
                [record.detected_by for _, _, record in rows],
                [record.evidence for _, _, record in rows],
                [record.compared for _, _, record in rows],
                [CODEC_PLAIN] * len(rows),
                [record.data for _, _, record in rows],
                [number for number, _, _, _ in marks],
                [sync_no for _, sync_no, _, _ in marks],
                [name for _, _, name, _ in marks],
                [state for _, _, _, state in marks],
            )
        except (
            asyncpg.DataError,
            asyncpg.ProgramLimitExceededError,
            asyncpg.IntegrityConstraintViolationError,
        ) as error:
            raise PageRefused(str(error)) from error
        assert row is not None
        return row["head_idx"], _by_page(pages, set(row["open_syncs"]), row["outcomes"] or [], row["known_nos"] or [])

    async def known_prints(self, stream_no: int, keys: Sequence[tuple[int, str]]) -> dict[int, StoredPrint]:
        """What is stored of records, by their place in `keys` (source number, upstream id)."""
        rows = await self._database.fetch(
            self._sql["known_prints"], stream_no, [source_no for source_no, _ in keys], [key for _, key in keys]
        )
        return {
            row["ord"] - 1: StoredPrint(
                row["record_no"], row["raw_print"], row["content_print"], row["deleted_reason"] > 0, row["parent_no"]
            )
            for row in rows
        }

    async def stored_data(self, stream_no: int, record_nos: Sequence[int]) -> dict[int, bytes]:
        """The current bytes of records, by record number."""
        rows = await self._database.fetch(self._sql["stored_data"], stream_no, record_nos)
        return {row["record_no"]: row["data"] for row in rows}

    async def head_idx(self, stream_no: int) -> int:
        """The stream's highest index; 0 if the stream is gone."""
        return await self._database.fetch_value(self._sql["head_idx"], stream_no) or 0

    async def hold(
        self,
        stream_no: int,
        *,
        sync_no: int,
        source_no: int,
        kind: str,
        reason: str,
        content: bytes,
        content_print: int,
        count: int = 1,
    ) -> None:
        """Keeps back what cannot be written, or is not to be yet, with the reason; what is held already is held with
        the newest reason and count, undecided if these have grown."""
        await self._database.execute(
            self._sql["hold"], stream_no, uuid.uuid4(), sync_no, source_no, kind, reason, content, content_print, count
        )

    async def find_hold(self, stream_no: int, source_no: int, content_print: int) -> StoredHold | None:
        row = await self._database.fetch_row(self._sql["find_hold"], stream_no, source_no, content_print)
        return None if row is None else StoredHold(row["status"], row["count"])

    async def release_hold(self, stream_no: int, source_no: int, content_print: int) -> None:
        """Forgets a hold: its reason is over."""
        await self._database.execute(self._sql["release_hold"], stream_no, source_no, content_print)

    async def list_deletion_holds(self, stream_no: int, source_no: int) -> dict[int, HeldDeletions]:
        """Deletions of a source that are held, decided or not, by print."""
        rows = await self._database.fetch(self._sql["list_deletion_holds"], stream_no, source_no)
        return {row["print"]: HeldDeletions(row["status"], row["reason"]) for row in rows}

    async def summarise_holds(self, stream_no: int, source_no: int) -> tuple[int, str | None]:
        """How many records and pages of a source are held, and why the last one was."""
        row = await self._database.fetch_row(self._sql["summarise_holds"], stream_no, source_no)
        return (row["held"], row["last_reason"]) if row is not None else (0, None)


def _by_page(
    pages: Sequence[Page], open_syncs: set[int], outcomes: Sequence[int], record_nos: Sequence[int | None]
) -> list[CommittedPage]:
    committed = []
    start = 0
    for page in pages:
        end = start + len(page.records)
        became = [Outcome(outcome) for outcome in outcomes[start:end]]
        fenced_off = Outcome.fenced_off in became or (page.sync_no != 0 and page.sync_no not in open_syncs)
        committed.append(CommittedPage(fenced_off, became, record_nos[start:end]))
        start = end
    return committed
