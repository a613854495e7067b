"""What leaves: records of removed sources, versions and tombstones whose time is over."""

from typing import Final, NamedTuple

from springline.store.database import Database
from springline.store.statements import load_statements

BATCH_ROWS: Final = 1000
_DAY_US: Final = 86_400_000_000


class Source(NamedTuple):
    """A source from which records leave, and why (`removed_reason`) or when (`max_age_days`)."""

    stream_no: int
    source_no: int
    sync_no: int
    removed_reason: int
    generation: int
    max_age_days: float | None


class RetentionStore:
    """Across all streams; each call touches one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("retention")

    async def list_removed_sources(self) -> list[Source]:
        return [Source(*row) for row in await self._database.fetch(self._sql["list_removed_sources"])]

    async def list_aging_sources(self) -> list[Source]:
        return [Source(*row) for row in await self._database.fetch(self._sql["list_aging_sources"])]

    async def is_removed(self, source: Source) -> bool:
        """False: it was added again since."""
        key = (source.stream_no, source.source_no, source.generation)
        return bool(await self._database.fetch_value(self._sql["is_removed"], *key))

    async def settle_commits(self, stream_no: int) -> None:
        """Returns when every commit that may have begun before a source was removed has ended: nothing more is added
        to that source."""
        await self._database.execute(self._sql["settle_commits"], stream_no)

    async def end_removal(self, source: Source) -> None:
        """All records of a removed source are published as deleted."""
        key = (source.stream_no, source.source_no, source.generation)
        await self._database.execute(self._sql["end_removal"], *key)

    async def end_departures(self) -> None:
        """Frees the credentials of deleted syncs whose records have all been published."""
        await self._database.execute(self._sql["end_departures"])

    async def list_streams(self) -> list[int]:
        return [row["stream_no"] for row in await self._database.fetch(self._sql["list_streams"])]

    async def remove_expired(self, stream_no: int) -> int:
        """One batch of each kind; returns how many rows went."""
        days = await self._database.fetch_row(self._sql["get_days"], stream_no)
        if days is None:
            return 0
        events = await self._database.fetch_value(
            self._sql["remove_events"], stream_no, BATCH_ROWS, int(days["event_retention_days"] * _DAY_US)
        )
        tombstones = await self._database.fetch_value(
            self._sql["remove_tombstones"], stream_no, BATCH_ROWS, int(days["tombstone_days"] * _DAY_US)
        )
        return int(events + tombstones)
