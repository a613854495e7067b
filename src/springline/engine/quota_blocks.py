"""Writes starts of requests ahead, for all quotas of this process in one statement."""

import asyncio
from collections.abc import Callable
from typing import Final

from springline import telemetry
from springline.domain.quotas import Limit
from springline.store.quotas import NewBlock, QuotaStore

log = telemetry.logger("quotas")

_AGAIN_AFTER_SECONDS: Final = 1.0
#: Beside twice the interval: a block is used for as long as an interval, and its last start counts for as long again.
_KEEP_LONGER_SECONDS: Final = 60.0


class BlockWriter:
    """Records blocks. `clock` is that of the limits."""

    def __init__(self, store: QuotaStore, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._wanted: dict[Limit, tuple[int, Callable[[], None]]] = {}
        self._being_written: set[Limit] = set()
        self._writing: asyncio.Task[None] | None = None

    def want(self, limit: Limit, cost: int, then: Callable[[], None]) -> None:
        """Requests wait for starts of this limit to be recorded; `then` is called when they are."""
        if limit in self._being_written:
            return
        known = self._wanted.get(limit)
        self._wanted[limit] = (max(cost, known[0] if known else 0), then)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Writes nothing more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        while self._wanted:
            batch, self._wanted = self._wanted, {}
            self._being_written = set(batch)
            asked_at = self._clock()
            starts = {limit: limit.block_to_record(cost, asked_at) for limit, (cost, _) in batch.items()}
            blocks = [
                NewBlock(limit.key, count, 2 * limit.interval + _KEEP_LONGER_SECONDS) for limit, count in starts.items()
            ]
            try:
                await self._store.open_blocks(blocks)
            except Exception as error:  # most likely the database is not there: nothing of these starts meanwhile
                log.warning("quotas.not_recorded", error=error)
                self._wanted = batch | self._wanted
                self._being_written = set()
                await asyncio.sleep(_AGAIN_AFTER_SECONDS)
                continue
            self._being_written = set()
            for limit, count in starts.items():
                limit.open_block(count, asked_at)
            for then in {then for _, then in batch.values()}:
                then()
