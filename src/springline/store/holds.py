"""What was kept back for a reason, until someone decides."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from springline.store.database import Database, Row
from springline.store.statements import load_statements

#: So much of what is held is shown.
SAMPLE_BYTES: Final = 2048

Kind = Literal["record", "page", "deletion"]
Status = Literal["held", "applied", "discarded"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """One hold. `count`: records concerned. `sample`: the first bytes of what is held, of `size`. `collection_id` None:
    its source has left."""

    hold_id: uuid.UUID
    collection_id: str | None
    kind: Kind
    status: Status
    reason: str
    count: int
    since: datetime
    decided_at: datetime | None
    size: int
    sample: bytes


class DeletionHeld(msgspec.Struct, frozen=True):
    """The deletions of one collection that are held: the newest hold, its reason, how many records all of them concern,
    and since when the oldest is held."""

    hold_id: uuid.UUID
    reason: str
    count: int
    since: datetime


class HoldStore:
    """Holds of syncs; whoever takes ids from outside has looked up the sync in its organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("holds")

    async def list(
        self, stream_no: int, sync_no: int, *, status: Status | None, after: uuid.UUID | None, limit: int
    ) -> "list[Hold]":
        """A sync's holds by id, above one."""
        rows = await self._database.fetch(
            self._sql["list_holds"], stream_no, sync_no, after, limit, SAMPLE_BYTES, status
        )
        return [_hold(row) for row in rows]

    async def get(self, stream_no: int, sync_no: int, hold_id: uuid.UUID) -> Hold | None:
        row = await self._database.fetch_row(self._sql["get_hold"], stream_no, sync_no, hold_id, SAMPLE_BYTES)
        return None if row is None else _hold(row)

    async def decide(
        self, stream_no: int, sync_no: int, hold_id: uuid.UUID, status: Literal["applied", "discarded"]
    ) -> bool:
        """Decides what is still held, and has the sync taken up anew; False: it was decided before."""
        async with self._database.transaction() as connection:
            decided = await connection.fetchval(self._sql["decide_hold"], stream_no, sync_no, hold_id, status)
            if decided:
                await connection.execute(self._sql["take_up"], sync_no)
        return bool(decided)

    async def list_held_deletions(self, stream_no: int, sync_no: int) -> dict[str, DeletionHeld]:
        """By collection id."""
        rows = await self._database.fetch(self._sql["list_held_deletions"], stream_no, sync_no)
        return {
            row["collection_id"]: DeletionHeld(row["hold_id"], row["reason"], row["count"], _time(row["held_us"]))
            for row in rows
        }


def _hold(row: Row) -> Hold:
    return Hold(
        hold_id=row["hold_id"],
        collection_id=row["collection_id"],
        kind=row["kind"],
        status=row["status"],
        reason=row["reason"],
        count=row["count"],
        since=_time(row["held_us"]),
        decided_at=None if row["decided_us"] is None else _time(row["decided_us"]),
        size=row["size"],
        sample=row["sample"],
    )


def _time(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
