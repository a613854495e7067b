"""Leases: which worker runs a credential's syncs, until when; and what it needs to run them."""

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from springline.store.database import Database
from springline.store.statements import load_statements

#: So that one of several workers that start together does not take everything.
CLAIM_AT_MOST = 100


class Process(NamedTuple):
    """A process as others on the same machine can recognise it."""

    boot_id: str
    pid_namespace: str
    process_start: str


class LeasedSource(NamedTuple):
    """A collection of a sync. `generation` grows when it is added again: checkpoints of older ones are void."""

    source_no: int
    generation: int


class LeasedSync(NamedTuple):
    """A sync that this worker is to run. `sources` maps collection ids to sources. `first_epoch` is the lease
    epoch under which it ran first: who has that one follows on nobody. `shown` are the credential's properties, secrets
    masked."""

    sync_no: int
    sync_id: uuid.UUID
    org_id: uuid.UUID
    provider: str
    stream_no: int
    credential_no: int
    rate_limit: dict[str, Any]
    max_age_days: float | None
    sync_frequency: str
    initial_backfill_completed_at: datetime | None
    created_at: datetime
    kind: str
    lease_epoch: int
    first_epoch: int
    credential_id: uuid.UUID
    shown: dict[str, Any]
    sources: dict[str, LeasedSource]


class QuotaBlock(NamedTuple):
    """Starts of requests that were written ahead, and how long ago."""

    starts: int
    age_seconds: float


class Holder(NamedTuple):
    """Who holds the lease of a sync's credential (None: nobody who lives), and how many workers live at all."""

    worker_no: int | None
    live_workers: int


class LeaseStore:
    """Workers' claims, and the state of the syncs that they run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("leases")

    async def register_worker(self, process: Process, lease_seconds: float) -> int:
        """Returns the worker's number."""
        return int(await self._database.fetch_value(self._sql["register_worker"], *process, lease_seconds))

    async def renew_worker(self, worker_no: int, lease_seconds: float) -> bool:
        """False: the lease had ended, others may have taken over."""
        return await self._database.fetch_value(self._sql["renew_worker"], worker_no, lease_seconds) is not None

    async def list_neighbours(self, process: Process) -> dict[int, str]:
        """Workers of this boot and pid namespace: number → start of its process."""
        rows = await self._database.fetch(self._sql["list_neighbours"], process.boot_id, process.pid_namespace)
        return {row["worker_no"]: row["process_start"] for row in rows}

    async def remove_workers(self, worker_nos: list[int]) -> None:
        """Forgets workers that are known to be gone; what they held can be claimed at once."""
        await self._database.execute(self._sql["remove_workers"], worker_nos)

    async def remove_expired_workers(self) -> None:
        await self._database.execute(self._sql["remove_expired_workers"])

    async def claim(self, worker_no: int) -> int:
        """Takes credentials without a living holder, at most CLAIM_AT_MOST, and fences older holders off (I3).

        Returns how many. Also lifts the fences of syncs that were made since for credentials it holds already.
        """
        async with self._database.transaction() as connection:
            claimed = await connection.fetch(self._sql["claim_credentials"], worker_no, CLAIM_AT_MOST)
            await connection.execute(self._sql["raise_fences"], worker_no)
        return len(claimed)

    async def release(self, worker_no: int) -> None:
        """A clean stop: others may take over at once."""
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["release_credentials"], worker_no)
            await connection.execute(self._sql["remove_workers"], [worker_no])

    async def list_leased_syncs(self, worker_no: int) -> dict[int, tuple[int, int]]:
        """Sync number → (config version, lease epoch) of all that this worker is to run."""
        rows = await self._database.fetch(self._sql["list_leased_syncs"], worker_no)
        return {row["sync_no"]: (row["config_version"], row["lease_epoch"]) for row in rows}

    async def get_leased_sync(self, sync_no: int, worker_no: int) -> LeasedSync | None:
        row = await self._database.fetch_row(self._sql["get_leased_sync"], sync_no, worker_no)
        if row is None:
            return None
        sources = {collection_id: LeasedSource(*source) for collection_id, source in (row["sources"] or {}).items()}
        return LeasedSync(**(dict(row) | {"sources": sources}))

    async def find_holder(self, sync_no: int) -> Holder:
        row = await self._database.fetch_row(self._sql["find_holder"], sync_no)
        return Holder(None, 0) if row is None else Holder(row["worker_no"], row["live_workers"])

    async def list_checkpoints(self, stream_no: int, sync_no: int) -> dict[str, bytes]:
        """Name → state (JSON)."""
        rows = await self._database.fetch(self._sql["list_checkpoints"], stream_no, sync_no)
        return {row["name"]: row["state"] for row in rows}

    async def save_observations(self, sync_no: int, *, health: Any, progress: Any) -> None:
        await self._database.execute(self._sql["save_observations"], sync_no, health, progress)

    async def complete_backfill(self, sync_no: int) -> None:
        await self._database.execute(self._sql["complete_backfill"], sync_no)

    async def save_credential_health(self, credential_no: int, health: Any) -> None:
        await self._database.execute(self._sql["save_credential_health"], credential_no, health)

    async def list_quota_blocks(self, sync_no: int) -> list[QuotaBlock]:
        """Oldest first."""
        rows = await self._database.fetch(self._sql["list_quota_blocks"], sync_no)
        return [QuotaBlock(row["starts"], row["age_seconds"]) for row in rows]

    async def open_quota_block(self, sync_no: int, starts: int, *, keep_seconds: float) -> None:
        """Records starts ahead of use, and forgets blocks older than `keep_seconds`."""
        await self._database.execute(self._sql["open_quota_block"], sync_no, starts)
        await self._database.execute(self._sql["close_quota_blocks"], sync_no, keep_seconds)
