"""The event log of a stream: one entry per change, each with the version that it made."""

from collections.abc import Sequence
from typing import NamedTuple

from springline.store.database import Database, Row
from springline.store.statements import load_statements


class ScannedEvent(NamedTuple):
    """An entry at its index. `source_no` None: its versions are not kept any more. `size`: bytes of its version and of
    the one before."""

    idx: int
    source_no: int | None
    size: int


class EventStore:
    """Entries of any stream's log; whoever takes ids from outside gives numbers that belong to the organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("events")

    async def scan(self, stream_no: int, *, after_idx: int, head_idx: int, limit: int) -> list[ScannedEvent]:
        """The next entries above an index, whatever they are about."""
        rows = await self._database.fetch(self._sql["scan_events"], stream_no, after_idx, head_idx, limit)
        return [ScannedEvent(*row) for row in rows]

    async def scan_history(self, stream_no: int, *, from_idx: int, limit: int) -> list[ScannedEvent]:
        """The entries about one record from this one backwards, as far as they are kept; `source_no` is None."""
        rows = await self._database.fetch(self._sql["scan_history"], stream_no, from_idx, limit)
        return [ScannedEvent(row["idx"], None, row["size"]) for row in rows]

    async def list(self, stream_no: int, idxs: Sequence[int]) -> list[Row]:
        """These entries in their order, each with the fields of its version and, of an update, the data before it
        (`previous_data`). One whose versions are gone is left out."""
        return await self._database.fetch(self._sql["list_events"], stream_no, idxs)

    async def newest_idx(self, stream_no: int, record_no: int) -> int | None:
        """Where the newest entry about a record stands; None: there is no such record."""
        idx: int | None = await self._database.fetch_value(self._sql["newest_event"], stream_no, record_no)
        return idx

    async def idx_before(self, stream_no: int, record_no: int, idx: int) -> int | None:
        """Where the entry about the record stands that came before the one at `idx`."""
        before: int | None = await self._database.fetch_value(self._sql["event_before"], stream_no, record_no, idx)
        return before
