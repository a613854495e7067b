"""Leases: which worker runs a credential's syncs, until when; and what it needs to run them."""

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from springline.store.database import Database, Row
from springline.store.statements import load_statements

#: So that one of several workers that start together does not take everything, and no claim lasts long.
CLAIM_AT_MOST = 100


class Process(NamedTuple):
    """A process as others on the same machine can recognise it; `host` and `started_at` are for people."""

    boot_id: str
    pid_namespace: str
    process_start: str
    host: str = ""
    started_at: datetime | None = None

    def is_same(self, other: "Process") -> bool:
        """Whether both are provably one and the same process."""
        return bool(self.boot_id) and self[:3] == other[:3]


class Peer(NamedTuple):
    """A worker as the others see it. `credentials`: how many it holds."""

    worker_no: int
    process: Process
    lives: bool
    credentials: int


class Surroundings(NamedTuple):
    """Workers, and how many credentials have something to do and no holder."""

    peers: list[Peer]
    free: int


class WorkerState(NamedTuple):
    """A worker as an organisation may see it: `credentials` and `syncs` are that organisation's alone."""

    worker_no: int
    process: Process
    since: datetime
    lease_until: datetime
    lives: bool
    credentials: int
    syncs: int


class LeasedVersion(NamedTuple):
    """Which state of a sync's configuration is to run, under which lease epoch."""

    credential_no: int
    config_version: int
    lease_epoch: int


class ConfiguredSync(NamedTuple):
    """A sync that was configured lately. `version` None: it is not to run; `is_fenced_off`: it is, but its fence has to
    be raised first."""

    sync_no: int
    version: LeasedVersion | None
    is_fenced_off: bool


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

    async def renew_worker(self, worker_no: int, lease_seconds: float, *, credentials: int = 0) -> bool:
        """Renews the lease, and says along how much the worker holds. False: the lease had ended, others may have taken
        over."""
        renewed = await self._database.fetch_value(self._sql["renew_worker"], worker_no, lease_seconds, credentials)
        return renewed is not None

    async def look_around(self) -> Surroundings:
        """Who works beside us, and what waits for somebody."""
        rows = await self._database.fetch(self._sql["look_around"])
        peers = [Peer(row["worker_no"], _process(row), row["lives"], row["credentials"]) for row in rows]
        return Surroundings(peers, rows[0]["free"] if rows else 0)

    async def list_workers(self, org_id: uuid.UUID) -> list[WorkerState]:
        """Workers by number, those too that were lost in the last hour; of what they hold, an organisation's part."""
        rows = await self._database.fetch(self._sql["list_workers"], org_id)
        return [
            WorkerState(
                row["worker_no"],
                _process(row)._replace(host=row["host"], started_at=row["process_started_at"]),
                row["started_at"],
                row["expires_at"],
                row["lives"],
                row["credentials"],
                row["syncs"],
            )
            for row in rows
        ]

    async def remove_workers(self, worker_nos: list[int]) -> None:
        """Forgets workers that are known to be gone; what they held can be claimed at once."""
        await self._database.execute(self._sql["remove_workers"], worker_nos)

    async def remove_expired_workers(self) -> None:
        await self._database.execute(self._sql["remove_expired_workers"])

    async def claim(self, worker_no: int, *, at_most: int = CLAIM_AT_MOST) -> list[int]:
        """Takes credentials without a living holder, and fences older holders off (I3). Returns their numbers."""
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["free_lost"], False)
            rows = await connection.fetch(self._sql["claim_credentials"], worker_no, min(at_most, CLAIM_AT_MOST))
            claimed = [row["credential_no"] for row in rows]
            if claimed:
                await connection.execute(self._sql["raise_fences"], worker_no, claimed)
                await connection.execute(self._sql["say_claimed"], worker_no, len(claimed))
        return claimed

    async def free_all_lost(self) -> None:
        """Frees what workers hold whose lease is over, whatever they said that they hold."""
        await self._database.execute(self._sql["free_lost"], True)

    async def raise_fences(self, worker_no: int, credential_nos: list[int]) -> None:
        """Lets the worker, and nobody else, write for the syncs of credentials that it holds (I3)."""
        await self._database.execute(self._sql["raise_fences"], worker_no, credential_nos)

    async def say_held(self, worker_no: int, *, credentials: int) -> None:
        """How much the worker holds, for the fair share of the others."""
        await self._database.execute(self._sql["say_held"], worker_no, credentials)

    async def hand_over(self, worker_no: int, credential_nos: list[int], *, credentials: int) -> None:
        """Gives some credentials back and tells the other workers. `credentials`: how many remain."""
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["hand_over"], worker_no, credential_nos)
            await connection.execute(self._sql["say_held"], worker_no, credentials)
            await connection.execute(self._sql["announce_free"])

    async def release(self, worker_no: int) -> None:
        """A clean stop: others may take over at once, and are told so."""
        async with self._database.transaction() as connection:
            await connection.execute(self._sql["remove_workers"], [worker_no])
            await connection.execute(self._sql["announce_free"])

    async def list_held_credentials(self, worker_no: int) -> list[int]:
        rows = await self._database.fetch(self._sql["list_held_credentials"], worker_no)
        return [row["credential_no"] for row in rows]

    async def list_leased_syncs(self, worker_no: int, credential_nos: list[int]) -> dict[int, LeasedVersion]:
        """The syncs of these credentials that this worker is to run, by number."""
        rows = await self._database.fetch(self._sql["list_leased_syncs"], worker_no, credential_nos)
        return {row["sync_no"]: _version(row) for row in rows}

    async def list_configured_syncs(self, worker_no: int, *, within_seconds: float) -> list[ConfiguredSync]:
        """Syncs of this worker's credentials that were configured lately, and all that have let go of theirs."""
        rows = await self._database.fetch(self._sql["list_configured_syncs"], worker_no, within_seconds)
        return [
            ConfiguredSync(row["sync_no"], _version(row) if row["runs"] else None, bool(row["is_fenced_off"]))
            for row in rows
        ]

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


def _process(row: Row) -> Process:
    return Process(row["boot_id"], row["pid_namespace"], row["process_start"])


def _version(row: Row) -> LeasedVersion:
    return LeasedVersion(row["credential_no"], row["config_version"], row["lease_epoch"])
