"""Runs every concern of maintenance again and again, and at once when something was deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from springline import telemetry
from springline.engine.maintenance.leaving import Leaving
from springline.engine.maintenance.retention import Retention
from springline.engine.page_commit import StreamWriters
from springline.store.database import UNAVAILABLE
from springline.store.departures import DepartureStore
from springline.store.records import RecordStore
from springline.store.retention import RetentionStore

log = telemetry.logger("maintenance")

EVERY_SECONDS: Final = 30.0


class Maintenance:
    """One round: records that leave, versions that have expired, data of what was deleted."""

    def __init__(
        self, *, departures: DepartureStore, retention: RetentionStore, records: RecordStore, writers: StreamWriters
    ) -> None:
        self._woken = asyncio.Event()
        leaving = Leaving(retention, records, writers)
        self._concerns: list[tuple[str, Callable[[], Awaitable[int]]]] = [
            ("leaving", leaving.publish),
            ("aged_out", leaving.publish_aged),
            ("retention", Retention(retention).remove_expired),
            ("departures", departures.remove_departed),
        ]

    def wake(self) -> None:
        """Something was deleted: do not wait for the next round."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until `stop` is set; a round that is under way is broken off, and taken up by the next start."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._woken.clear()
                rounds = asyncio.create_task(self._round())
                await asyncio.wait([rounds, stopping], return_when=asyncio.FIRST_COMPLETED)
                rounds.cancel()
                await asyncio.gather(rounds, return_exceptions=True)
                waking = asyncio.create_task(self._woken.wait())
                await asyncio.wait([waking, stopping], timeout=EVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                with suppress(asyncio.CancelledError):
                    await waking
        finally:
            stopping.cancel()

    async def _round(self) -> None:
        for name, concern in self._concerns:
            try:
                done = await concern()
            except UNAVAILABLE as error:
                log.debug("maintenance.database_unavailable", fault=type(error).__name__)
                return
            except Exception as error:
                log.error("maintenance.failed", concern=name, error=error)  # noqa: TRY400
                continue
            if done:
                log.info("maintenance.done", concern=name, count=done)
