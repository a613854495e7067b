"""The demo's consumer: reads and acknowledges all along, and remembers when it held what."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Raw

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Message, Record

_BATCH: Final = 500


class Held(NamedTuple):
    """A version in the consumer's hands since `at`, monotonic seconds."""

    record: "Record"
    at: float


class Reader:
    """`view` is what a program that follows the stream knows: the newest version of each live record, by
    collection and upstream id; without `keeps_data`, without its data."""

    def __init__(self, *, keeps_data: bool) -> None:
        self._keeps_data = keeps_data
        self.messages = 0
        self.repeated = 0
        self.view: dict[tuple[str, str], Held] = {}
        self.gone: dict[tuple[str, str], Held] = {}
        self._newest: dict[str, int] = {}
        self._news = asyncio.Event()
        self._listeners: list[Callable[[Record], None]] = []

    def listen(self, listener: "Callable[[Record], None]") -> None:
        """Calls `listener` with every version from now on."""
        self._listeners.append(listener)

    def live(self) -> Counter[str]:
        """How many live records of each collection the consumer knows."""
        return Counter(collection_id for collection_id, _ in self.view)

    async def hold(self, fits: Callable[[], Held | None]) -> Held:
        """Waits until what is held fits."""
        while (held := fits()) is None:
            self._news.clear()
            await self._news.wait()
        return held

    @asynccontextmanager
    async def running(self, springline: "SpringlineClient", consumer_id: str) -> AsyncIterator[None]:
        """Reads while the block runs. What stops the reading ends the block and is raised."""
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(springline, consumer_id))
                yield
                reading.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _read(self, springline: "SpringlineClient", consumer_id: str) -> None:
        async with springline.consume(consumer_id, batch_size=_BATCH, wait_for=timedelta(seconds=10)) as messages:
            async for message in messages:
                self._take(message)

    def _take(self, message: "Message") -> None:
        record = message.record
        self.messages += 1
        if record.updated_idx <= self._newest.get(record.id, 0):
            self.repeated += 1
            return
        self._newest[record.id] = record.updated_idx
        key = (record.collection_id, record.upstream_id)
        (self.gone if record.deleted else self.view)[key] = Held(record, time.monotonic())
        (self.view if record.deleted else self.gone).pop(key, None)
        for listener in self._listeners:
            listener(record)
        if not self._keeps_data:
            record.data = Raw(b"")
        self._news.set()
