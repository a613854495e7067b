"""Syncs as they are configured."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from springline.domain.ids import new_id
from springline.domain.records import DeletedReason
from springline.domain.syncs import Sync
from springline.store.database import Connection, Database, Row
from springline.store.statements import load_statements

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class NewSync(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync is created with."""

    provider: str
    stream_id: uuid.UUID
    credential_id: uuid.UUID
    name: str
    collection_ids: list[str]
    rate_limit: Mapping[str, Any]
    max_age_days: float | None
    sync_frequency: str
    priority: int
    collection_priorities: Mapping[str, int]
    metadata: Mapping[str, Any]
    external_id: str | None


class StoredBackfill(NamedTuple):
    """The newest backfill of a collection: its generation, and the checkpoint of how far it has come (None: it has
    not begun)."""

    collection_id: str
    generation: int
    state: bytes | None
    updated_at: datetime | None


class StreamUnknown(Exception):
    """The organisation has no such stream (any more)."""


class CredentialUnknown(Exception):
    """The organisation has no such credential of this provider (any more)."""


class SyncStore:
    """Syncs of any organisation. What takes an id returns None where the organisation has none of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("syncs")

    async def create(self, org_id: uuid.UUID, new: NewSync) -> Sync:
        """A new sync with its fence and its sources. Raises StreamUnknown, CredentialUnknown."""
        sync_id = new_id()
        async with self._database.transaction() as connection:
            stream_no = await connection.fetchval(self._sql["lock_stream"], org_id, new.stream_id)
            if stream_no is None:
                raise StreamUnknown
            credential_no = await connection.fetchval(
                self._sql["lock_credential"], org_id, new.credential_id, new.provider
            )
            if credential_no is None:
                raise CredentialUnknown
            sync_no: int = await connection.fetchval(
                self._sql["create_sync"],
                sync_id,
                org_id,
                new.provider,
                stream_no,
                credential_no,
                new.name,
                new.collection_ids,
                new.rate_limit,
                new.max_age_days,
                new.sync_frequency,
                new.priority,
                new.collection_priorities,
                new.metadata,
                new.external_id,
            )
            await connection.execute(self._sql["create_fence"], stream_no, sync_no)
            await connection.execute(self._sql["announce_sources"], stream_no)
            await connection.execute(
                self._sql["add_sources"], stream_no, sync_no, sync_id, new.provider, new.collection_ids
            )
            row = await connection.fetchrow(self._sql["get_sync"], org_id, sync_id)
        assert row is not None
        return _sync(row)

    async def get(self, org_id: uuid.UUID, sync_id: uuid.UUID) -> Sync | None:
        row = await self._database.fetch_row(self._sql["get_sync"], org_id, sync_id)
        return None if row is None else _sync(row)

    async def list(
        self,
        org_id: uuid.UUID,
        *,
        provider: str | None = None,
        stream_id: uuid.UUID | None = None,
        status: str | None = None,
        health_status: str | None = None,
        name: str | None = None,
        external_id: str | None = None,
        credential_id: uuid.UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        after: uuid.UUID | None,
        limit: int,
    ) -> list[Sync]:
        """Syncs that match all that is given, by id, above one."""
        rows = await self._database.fetch(
            self._sql["list_syncs"],
            org_id,
            provider,
            stream_id,
            status,
            health_status,
            name,
            external_id,
            credential_id,
            metadata,
            after,
            limit,
        )
        return [_sync(row) for row in rows]

    async def streams_of(self, org_id: uuid.UUID, sync_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
        """The streams that these syncs write to; unknown ones are left out."""
        rows = await self._database.fetch(self._sql["list_known_syncs"], org_id, sync_ids)
        return {row["sync_id"]: row["stream_id"] for row in rows}

    async def update(self, org_id: uuid.UUID, sync_id: uuid.UUID, changes: Mapping[str, Any]) -> Sync | None:
        """Sets what `changes` names. A status other than active stops commits that run (I3); the records of a
        collection that is taken away leave later, those of one that comes back stay."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(self._sql["lock_sync"], org_id, sync_id)
            if row is None:
                return None
            before = _sync(row)
            after = msgspec.structs.replace(before, **changes)
            await connection.execute(
                self._sql["update_sync"],
                before.sync_no,
                after.name,
                after.status,
                after.collection_ids,
                after.rate_limit,
                after.max_age_days,
                after.sync_frequency,
                after.priority,
                after.collection_priorities,
                after.metadata,
                after.external_id,
            )
            # Lock order: the sync's rows, then the stream's counter.
            if after.status != before.status:
                await connection.execute(
                    self._sql["set_fence"], before.stream_no, before.sync_no, after.status == "active"
                )
            await self._change_sources(connection, before, after)
            row = await connection.fetchrow(self._sql["get_sync"], org_id, sync_id)
        return None if row is None else _sync(row)

    async def start_backfills(self, org_id: uuid.UUID, sync_id: uuid.UUID, collection_ids: Sequence[str]) -> bool:
        """Has these collections read anew, by whichever worker runs the sync. False: unknown."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(self._sql["lock_sync"], org_id, sync_id)
            if row is None:
                return False
            sync = _sync(row)
            await connection.execute(self._sql["begin_backfills"], sync.stream_no, sync.sync_no, collection_ids)
            await connection.execute(self._sql["touch_sync"], sync.sync_no)
            return True

    async def list_backfills(self, stream_no: int, sync_no: int) -> Sequence[StoredBackfill]:
        """The newest backfill of each collection."""
        rows = await self._database.fetch(self._sql["list_backfills"], stream_no, sync_no)
        return [
            StoredBackfill(
                row["collection_id"],
                row["generation"],
                row["state"],
                None if row["updated_us"] is None else _EPOCH + timedelta(microseconds=row["updated_us"]),
            )
            for row in rows
        ]

    async def delete(self, org_id: uuid.UUID, sync_id: uuid.UUID, *, keep_records: bool) -> bool:
        """Ends a sync for everyone at once; its records leave later unless they are kept. False: unknown."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(self._sql["lock_sync"], org_id, sync_id)
            if row is None:
                return False
            sync = _sync(row)
            await connection.execute(self._sql["delete_sync"], sync.sync_no, keep_records)
            await connection.execute(self._sql["set_fence"], sync.stream_no, sync.sync_no, False)
            if not keep_records:
                await connection.execute(
                    self._sql["remove_sources"],
                    sync.stream_no,
                    sync.sync_no,
                    DeletedReason.sync_deleted,
                    sync.collection_ids,
                )
            return True

    async def _change_sources(self, connection: Connection, before: Sync, after: Sync) -> None:
        added = [each for each in after.collection_ids if each not in before.collection_ids]
        removed = [each for each in before.collection_ids if each not in after.collection_ids]
        if added:
            await connection.execute(self._sql["announce_sources"], before.stream_no)
            await connection.execute(
                self._sql["add_sources"], before.stream_no, before.sync_no, before.sync_id, before.provider, added
            )
        if removed:
            await connection.execute(
                self._sql["remove_sources"],
                before.stream_no,
                before.sync_no,
                DeletedReason.collection_removed,
                removed,
            )


def _sync(row: Row) -> Sync:
    return Sync(**dict(row))
