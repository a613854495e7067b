"""What a consumer of a stream holds: it reads over HTTP all along and acknowledges what it has taken."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from tests.support.api import Client

_BATCH: Final = 200
_WAIT_MS: Final = 5000

Key = tuple[str, str]


@dataclass(frozen=True)
class Held:
    """One record as it was delivered last."""

    record_id: str
    updated_idx: int
    deleted: bool
    data: Any

    @property
    def value(self) -> str:
        """Equal for equal JSON values, and for nothing else."""
        return json.dumps([self.deleted, self.data], sort_keys=True)


class View:
    """The newest of each record, by (collection id, upstream id)."""

    def __init__(self) -> None:
        self.records: dict[Key, Held] = {}
        self.messages = 0
        #: Deliveries that said what the one before had said.
        self.unchanged: list[Key] = []
        #: Deliveries that were older than the one before.
        self.backwards: list[Key] = []
        self._moved = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    def live(self, collection_id: str) -> dict[str, Any]:
        """The data of what is there, by upstream id."""
        return {
            upstream_id: held.data
            for (of, upstream_id), held in self.records.items()
            if of == collection_id and not held.deleted
        }

    def take(self, record: dict[str, Any]) -> None:
        """Takes a record in."""
        key = (record["collection_id"], record["upstream_id"])
        held = Held(record["id"], record["updated_idx"], record["deleted"], record["data"])
        before = self.records.get(key)
        if before is not None:
            if held.updated_idx < before.updated_idx:
                self.backwards.append(key)
            if held.value == before.value:
                self.unchanged.append(key)
        self.records[key] = held
        self.messages += 1

    async def until(self, holds: Callable[[], bool], *, within_seconds: float, what: str) -> None:
        """Returns as soon as it holds. Fails after `within_seconds`, or if the reader has failed."""
        try:
            async with asyncio.timeout(within_seconds):
                while not holds():
                    self._moved.clear()
                    await self._moved.wait()
                    self._check_reader()
        except TimeoutError:
            raise AssertionError(f"not within {within_seconds:g} s: {what}") from None

    def _check_reader(self) -> None:
        if self._reader is not None and self._reader.done():
            self._reader.result()

    async def _read(self, client: Client, consumer_id: str) -> None:
        path = f"/v1/http-consumers/{consumer_id}"
        try:
            while True:
                received = (await client.post(f"{path}/next", {"batch_size": _BATCH, "wait_for": _WAIT_MS})).expect(200)
                for message in received["data"]:
                    self.take(message["record"])
                self._moved.set()
                if received["data"]:
                    tokens = [message["ack_token"] for message in received["data"]]
                    (await client.post(f"{path}/ack", {"ack_tokens": tokens})).expect(204)
        finally:
            self._moved.set()


@asynccontextmanager
async def reading(url: str, token: str, consumer_id: str) -> AsyncIterator[View]:
    """A view that is kept up to date while the block runs."""
    view = View()
    async with aiohttp.ClientSession() as session:
        reader = asyncio.create_task(view._read(Client(session, url, token), consumer_id))
        view._reader = reader
        try:
            yield view
            view._check_reader()
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
