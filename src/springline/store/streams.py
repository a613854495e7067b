"""Streams as they are configured."""

import uuid
from typing import Any

import asyncpg

from springline.domain.ids import new_id
from springline.domain.streams import Stream
from springline.store.database import Database
from springline.store.statements import load_statements


class SlugTaken(Exception):
    """Another stream of the organisation has this slug."""


class StreamInUse(Exception):
    """Syncs still write to the stream, or their records are still leaving it."""


class StreamStore:
    """Streams of any organisation. What takes an id returns None where the organisation has none of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("streams")

    async def create(
        self, org_id: uuid.UUID, *, slug: str, event_retention_days: float, tombstone_days: float
    ) -> Stream:
        """A new, empty stream. Raises SlugTaken."""
        row = await self._database.fetch_row(
            self._sql["create_stream"], new_id(), org_id, slug, event_retention_days, tombstone_days
        )
        if row is None:
            raise SlugTaken(slug)
        return Stream(**dict(row))

    async def get(self, org_id: uuid.UUID, stream_id: uuid.UUID) -> Stream | None:
        row = await self._database.fetch_row(self._sql["get_stream"], org_id, stream_id)
        return None if row is None else Stream(**dict(row))

    async def list(self, org_id: uuid.UUID, *, after: uuid.UUID | None, limit: int) -> list[Stream]:
        """Streams by id, above one."""
        rows = await self._database.fetch(self._sql["list_streams"], org_id, after, limit)
        return [Stream(**dict(row)) for row in rows]

    async def update(self, org_id: uuid.UUID, stream_id: uuid.UUID, changes: dict[str, Any]) -> Stream | None:
        """Sets what `changes` names of slug, event_retention_days and tombstone_days. Raises SlugTaken."""
        if changes:
            values = [changes.get(name) for name in ("slug", "event_retention_days", "tombstone_days")]
            try:
                await self._database.execute(self._sql["update_stream"], org_id, stream_id, *values)
            except asyncpg.UniqueViolationError:
                raise SlugTaken(changes["slug"]) from None
        return await self.get(org_id, stream_id)

    async def delete(self, org_id: uuid.UUID, stream_id: uuid.UUID) -> bool:
        """Ends a stream and its consumers for everyone at once; `departures` removes the data. False: unknown.

        Raises StreamInUse.
        """
        async with self._database.transaction() as connection:
            stream_no: int | None = await connection.fetchval(self._sql["lock_stream"], org_id, stream_id)
            if stream_no is None:
                return False
            if await connection.fetchval(self._sql["stream_is_in_use"], stream_no):
                raise StreamInUse
            for statement in ("add_departure", "drop_consumers", "drop_ended_syncs", "drop_head", "drop_stream"):
                await connection.execute(self._sql[statement], stream_no)
            return True
