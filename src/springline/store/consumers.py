"""Consumers as they are configured; what they are handed is in deliveries.py."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from springline.domain.consumers import Consumer, Kind, StartAt, narrowed_filter
from springline.domain.ids import new_id
from springline.store.database import Connection, Database
from springline.store.statements import load_statements

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewConsumer(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer is created with."""

    stream_id: uuid.UUID
    name: str
    kind: Kind
    deliver_policy: str
    ack_wait_ms: int
    max_deliver: int
    max_ack_pending: int
    filters: Mapping[str, Any]
    metadata: Mapping[str, Any]


class ConsumerStore:
    """Consumers of any organisation. What takes an id returns None where the organisation has none of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("consumers")

    async def create(self, org_id: uuid.UUID, new: NewConsumer, start: StartAt) -> Consumer | None:
        """A new consumer, standing where it starts; None: the organisation has no such stream (any more)."""
        consumer_id = new_id()
        async with self._database.transaction() as connection:
            stream_no: int | None = await connection.fetchval(self._sql["lock_stream"], org_id, new.stream_id)
            if stream_no is None:
                return None
            consumer_no: int = await connection.fetchval(
                self._sql["create_consumer"],
                consumer_id,
                org_id,
                stream_no,
                new.name,
                new.kind,
                new.deliver_policy,
                new.ack_wait_ms,
                new.max_deliver,
                new.max_ack_pending,
                new.filters,
                new.metadata,
            )
            await connection.execute(
                self._sql["create_position"],
                stream_no,
                consumer_no,
                await self._place(connection, stream_no, start),
                new.ack_wait_ms * 1000,
                new.max_deliver,
                new.max_ack_pending,
                narrowed_filter(dict(new.filters)),
            )
            row = await connection.fetchrow(self._sql["get_consumer"], org_id, consumer_id)
        assert row is not None
        return Consumer(**dict(row))

    async def get(self, org_id: uuid.UUID, consumer_id: uuid.UUID) -> Consumer | None:
        row = await self._database.fetch_row(self._sql["get_consumer"], org_id, consumer_id)
        return None if row is None else Consumer(**dict(row))

    async def list(
        self,
        org_id: uuid.UUID,
        *,
        stream_id: uuid.UUID | None = None,
        metadata: Mapping[str, Any] | None = None,
        after: uuid.UUID | None,
        limit: int,
    ) -> list[Consumer]:
        """Consumers that match all that is given, by id, above one."""
        rows = await self._database.fetch(self._sql["list_consumers"], org_id, stream_id, metadata, after, limit)
        return [Consumer(**dict(row)) for row in rows]

    async def update(self, org_id: uuid.UUID, consumer_id: uuid.UUID, changes: Mapping[str, Any]) -> Consumer | None:
        """Sets what `changes` names, for what is delivered from then on."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(self._sql["lock_consumer"], org_id, consumer_id)
            if row is None:
                return None
            consumer = msgspec.structs.replace(Consumer(**dict(row)), **changes)
            await connection.execute(
                self._sql["update_consumer"],
                consumer.consumer_no,
                consumer.name,
                consumer.status,
                consumer.ack_wait_ms,
                consumer.max_deliver,
                consumer.max_ack_pending,
                consumer.filters,
                consumer.metadata,
            )
            await connection.execute(
                self._sql["update_position"],
                consumer.stream_no,
                consumer.consumer_no,
                consumer.status == "paused",
                consumer.ack_wait_ms * 1000,
                consumer.max_deliver,
                consumer.max_ack_pending,
                narrowed_filter(consumer.filters),
            )
            row = await connection.fetchrow(self._sql["get_consumer"], org_id, consumer_id)
        return None if row is None else Consumer(**dict(row))

    async def delete(self, org_id: uuid.UUID, consumer_id: uuid.UUID) -> bool:
        """Ends a consumer for everyone at once; `departures` removes what it was handed. False: unknown."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(self._sql["lock_consumer"], org_id, consumer_id)
            if row is None:
                return False
            await connection.execute(self._sql["delete_consumer"], row["consumer_no"])
            await connection.execute(self._sql["delete_position"], row["stream_no"], row["consumer_no"])
            await connection.execute(self._sql["add_departure"], row["stream_no"], row["consumer_no"])
            return True

    async def _place(self, connection: Connection, stream_no: int, start: StartAt) -> int:
        statement = self._sql[f"place_at_{start.place}"]
        if start.time is None:
            return int(await connection.fetchval(statement, stream_no))
        return int(await connection.fetchval(statement, stream_no, (start.time - _EPOCH) // timedelta(microseconds=1)))
