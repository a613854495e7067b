"""What is recorded of quotas, so that a successor can count what was used (I7)."""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from springline.store.database import Database
from springline.store.statements import load_statements


class QuotaBlock(NamedTuple):
    """Starts of requests that were written ahead, and how long ago."""

    starts: int
    age_seconds: float


class NewBlock(NamedTuple):
    """Starts to be recorded under a quota's key, and for how long."""

    key: str
    starts: int
    keep_seconds: float


class HeldCredential(NamedTuple):
    """A credential whose lease the asking worker holds."""

    credential_no: int
    credential_id: uuid.UUID
    org_id: uuid.UUID
    provider: str
    kind: str
    lease_epoch: int
    oauth_app_id: uuid.UUID | None


class QuotaStore:
    """Blocks of starts, by quota."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("quotas")

    async def open_blocks(self, blocks: Sequence[NewBlock]) -> None:
        """Records starts ahead of use, all in one statement."""
        await self._database.execute(
            self._sql["open_blocks"],
            [block.key for block in blocks],
            [block.starts for block in blocks],
            [block.keep_seconds for block in blocks],
        )

    async def list_blocks(self, keys: Sequence[str]) -> dict[str, list[QuotaBlock]]:
        """By key, oldest first."""
        found: dict[str, list[QuotaBlock]] = {}
        for row in await self._database.fetch(self._sql["list_blocks"], keys):
            found.setdefault(row["quota_key"], []).append(QuotaBlock(row["starts"], row["age_seconds"]))
        return found

    async def get_held_credential(self, credential_no: int, worker_no: int) -> HeldCredential | None:
        """None: this worker does not hold it."""
        row = await self._database.fetch_row(self._sql["get_held_credential"], credential_no, worker_no)
        return None if row is None else HeldCredential(*row)
