"""Those who wait on a consumer: woken at once, and no burden while there is nothing."""

import asyncio
import json
import time
from typing import Any

import pytest
from tests.support.made import Made, Maker, write

from springline.engine.deliveries import ConsumerPlace, Deliveries, _Receivers
from springline.engine.messages import RecordEncoder
from springline.engine.wakeups import Wakeups
from springline.store.database import Database
from springline.store.deliveries import Batch, DeliveryStore
from springline.store.pages import Page, PageStore
from springline.store.records import RecordStore


class Counted(DeliveryStore):
    """Counts how often the database is asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.looks = 0
        self._looked = asyncio.Event()

    async def receive(self, *arguments: Any, **options: Any) -> Batch | None:
        try:
            return await super().receive(*arguments, **options)
        finally:
            self.looks += 1
            self._looked.set()

    async def have_looked(self, times: int) -> None:
        while self.looks < times:
            self._looked.clear()
            await self._looked.wait()


class Waiting:
    """Receivers of one consumer in this process."""

    def __init__(self, database: Database, made: Made, consumer_no: int) -> None:
        self.database = database
        self.made = made
        self.store = Counted(database)
        self.wakeups = Wakeups(database)
        self.deliveries = Deliveries(self.store, RecordEncoder(RecordStore(database)), self.wakeups)
        self.place = ConsumerPlace(consumer_no, made.stream_no, made.stream.stream_id)

    async def put(self, *keys: str) -> None:
        records = [write(self.made.source_no, key, as_of=2**62) for key in keys]
        await PageStore(self.database).commit(self.made.stream_no, [Page(sync_no=0, epoch=0, records=records)])

    async def receive(self, *, wait_seconds: float, is_gone: bool = False) -> list[Any]:
        async def gone() -> bool:
            return is_gone

        received = await self.deliveries.receive(self.place, batch_size=1, wait_seconds=wait_seconds, is_gone=gone)
        messages: list[Any] = json.loads(received.body)["data"]
        assert len(messages) == received.messages
        return messages


@pytest.fixture
async def waiting(database: Database) -> Waiting:
    maker = Maker(database)
    made = await maker.sync()
    return Waiting(database, made, (await maker.consumer(made)).consumer_no)


async def test_many_who_wait_ask_as_seldom_as_one(waiting: Waiting) -> None:
    receiving = [asyncio.create_task(waiting.receive(wait_seconds=2.2)) for _ in range(50)]
    results = await asyncio.gather(*receiving)
    assert results == [[]] * 50
    assert waiting.store.looks <= 50 + 10  # each once when it came, then one for all


async def test_a_message_wakes_them_and_goes_to_one(waiting: Waiting) -> None:
    receiving = [asyncio.create_task(waiting.receive(wait_seconds=30)) for _ in range(20)]
    await waiting.store.have_looked(20)
    began = time.monotonic()
    await waiting.put("a", "b")
    waiting.wakeups.moved(waiting.made.stream_no)
    done, rest = await asyncio.wait(receiving, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 2:
        more, rest = await asyncio.wait(rest, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert time.monotonic() - began < 0.5
    keys = [message["record"]["upstream_id"] for task in done for message in task.result()]
    assert sorted(keys) == ["a", "b"]
    waiting.deliveries.drain()
    assert await asyncio.gather(*rest) == [[]] * 18


async def test_one_that_came_later_looks_for_itself(waiting: Waiting) -> None:
    other = asyncio.create_task(waiting.receive(wait_seconds=30))
    await waiting.store.have_looked(1)
    await waiting.put("a")  # and no word of it reaches this process
    (message,) = await waiting.receive(wait_seconds=0)
    assert message["record"]["upstream_id"] == "a"
    waiting.deliveries.drain()
    assert await other == []


async def test_a_lost_wake_up_costs_a_second(waiting: Waiting) -> None:
    receiving = asyncio.create_task(waiting.receive(wait_seconds=30))
    await waiting.store.have_looked(1)
    await waiting.put("a")
    assert len(await asyncio.wait_for(receiving, timeout=2)) == 1


async def test_a_client_that_has_gone_takes_nothing(waiting: Waiting) -> None:
    await waiting.put("a")
    assert await waiting.receive(wait_seconds=30, is_gone=True) == []
    assert len(await waiting.receive(wait_seconds=0)) == 1


async def test_consumers_of_long_ago_are_forgotten(waiting: Waiting) -> None:
    known = waiting.deliveries._receivers
    known.update((10**6 + number, _Receivers()) for number in range(3000))
    await waiting.receive(wait_seconds=0)
    assert set(waiting.deliveries._receivers) == {waiting.place.consumer_no}
