"""Reading a stream's current versions, by index and by record."""

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from springline.store.database import Database, Row
from springline.store.statements import load_statements


class SourceDescription(NamedTuple):
    """What the records of one source say of where they come from."""

    provider: str
    collection_id: str
    sync_id: uuid.UUID
    external_id: str | None
    metadata: dict[str, Any]


class StreamPlace(NamedTuple):
    """A stream and how far it has come."""

    stream_no: int
    stream_id: uuid.UUID
    head_idx: int


class LiveRecord(NamedTuple):
    """A record that is not deleted, with its number and the index of its current version."""

    upstream_id: str
    record_no: int
    idx: int


class StoredRecord(NamedTuple):
    """A record with the number of its own parent, and its document."""

    upstream_id: str
    record_no: int
    parent_no: int
    idx: int
    data: bytes


class ParentChange(NamedTuple):
    """A version of a parent; `is_gone`: it was deleted."""

    record: StoredRecord
    is_gone: bool


class Aged(NamedTuple):
    """What a look at some versions found. `reached`: the last index looked at, None: there was nothing left."""

    reached: int | None
    records: list[tuple[int, str]]


class RecordStore:
    """Records of any stream; whoever takes ids from outside gives the organisation along."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("records")

    async def stream(self, org_id: uuid.UUID, stream_id: uuid.UUID) -> StreamPlace | None:
        row = await self._database.fetch_row(self._sql["stream_of"], org_id, stream_id, None)
        return None if row is None else StreamPlace(*row)

    async def stream_by_number(self, org_id: uuid.UUID, stream_no: int) -> StreamPlace | None:
        row = await self._database.fetch_row(self._sql["stream_of"], org_id, None, stream_no)
        return None if row is None else StreamPlace(*row)

    async def sync_exists(self, org_id: uuid.UUID, sync_id: uuid.UUID) -> bool:
        return bool(await self._database.fetch_value(self._sql["sync_exists"], org_id, sync_id))

    async def find_sources(self, stream_no: int, *, sync_id: uuid.UUID | None, collection_id: str | None) -> list[int]:
        rows = await self._database.fetch(self._sql["find_sources"], stream_no, sync_id, collection_id)
        return [row["source_no"] for row in rows]

    async def list_versions(
        self,
        stream_no: int,
        *,
        after_idx: int,
        head_idx: int,
        limit: int,
        source_nos: Sequence[int] | None,
        most_bytes: int,
        overhead_bytes: int,
    ) -> list[Row]:
        """Current versions above `after_idx` up to `head_idx`, in order, of `source_nos` or of all: at most `limit`,
        and at most `most_bytes` (but one), each counted with its data and `overhead_bytes`."""
        bounds = (stream_no, after_idx, head_idx, limit, most_bytes, overhead_bytes)
        if source_nos is None:
            return await self._database.fetch(self._sql["list_records"], *bounds)
        return await self._database.fetch(self._sql["list_records_of_sources"], *bounds, source_nos)

    async def current_version(self, stream_no: int, record_no: int) -> Row | None:
        return await self._database.fetch_row(self._sql["get_record"], stream_no, record_no)

    async def describe_sources(self, stream_no: int, source_nos: Sequence[int]) -> dict[int, SourceDescription]:
        rows = await self._database.fetch(self._sql["describe_sources"], stream_no, source_nos)
        return {
            row["source_no"]: SourceDescription(
                row["provider"], row["collection_id"], row["sync_id"], row["external_id"], row["metadata"]
            )
            for row in rows
        }

    async def list_live(
        self, stream_no: int, source_no: int, *, after: str, as_of: int | None = None, limit: int
    ) -> list[LiveRecord]:
        """Live records by upstream id; with `as_of`, those that stood at this index and have not changed since."""
        if as_of is None:
            rows = await self._database.fetch(self._sql["list_any_live"], stream_no, source_no, after, limit)
        else:
            rows = await self._database.fetch(self._sql["list_live"], stream_no, source_no, after, as_of, limit)
        return [LiveRecord(*row) for row in rows]

    async def list_live_of_parent(
        self, stream_no: int, source_no: int, parent_no: int, *, after: str, as_of: int, limit: int
    ) -> list[LiveRecord]:
        """Live records of one parent by upstream id, those that stood at this index and have not changed since."""
        rows = await self._database.fetch(
            self._sql["list_live_of_parent"], stream_no, source_no, parent_no, after, as_of, limit
        )
        return [LiveRecord(*row) for row in rows]

    async def list_parents(self, stream_no: int, source_no: int, *, after: str, limit: int) -> list[StoredRecord]:
        """Live records by upstream id, with their documents."""
        rows = await self._database.fetch(self._sql["list_parents"], stream_no, source_no, after, limit)
        return [StoredRecord(*row) for row in rows]

    async def list_parent_changes(
        self, stream_no: int, source_no: int, *, after_idx: int, limit: int
    ) -> list[ParentChange]:
        """Current versions above an index, in order, deleted ones too."""
        rows = await self._database.fetch(self._sql["list_parent_changes"], stream_no, source_no, after_idx, limit)
        return [ParentChange(StoredRecord(*row[:5]), row["deleted_reason"] > 0) for row in rows]

    async def get_parent(self, stream_no: int, record_no: int) -> StoredRecord | None:
        """None: there is no such record, or it is deleted."""
        row = await self._database.fetch_row(self._sql["get_parent"], stream_no, record_no)
        return None if row is None else StoredRecord(*row)

    async def describe_records(
        self, stream_no: int, source_no: int, upstream_ids: Sequence[str], *, with_deleted: bool
    ) -> dict[str, StoredRecord]:
        """What is stored of records, by upstream id."""
        rows = await self._database.fetch(
            self._sql["describe_records"], stream_no, source_no, upstream_ids, with_deleted
        )
        return {row["upstream_id"]: StoredRecord(*row) for row in rows}

    async def list_aged(self, stream_no: int, source_no: int, *, after_idx: int, before_us: int, limit: int) -> Aged:
        """(idx, upstream id) of live records whose own time is before a bound, among the next `limit` versions."""
        row = await self._database.fetch_row(self._sql["list_aged"], stream_no, source_no, after_idx, before_us, limit)
        assert row is not None
        return Aged(row["reached"], list(zip(row["idxs"], row["upstream_ids"], strict=True)))

    async def count_live(self, stream_no: int, source_no: int, *, most: int) -> int:
        return int(await self._database.fetch_value(self._sql["count_live"], stream_no, source_no, most))

    async def count_live_of_parent(self, stream_no: int, source_no: int, parent_no: int, *, most: int) -> int:
        return int(
            await self._database.fetch_value(self._sql["count_live_of_parent"], stream_no, source_no, parent_no, most)
        )
