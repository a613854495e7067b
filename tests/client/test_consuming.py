"""`consume`: each message acknowledged after its body, nothing lost, nothing kept from the others."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from tests.client.conftest import CUSTOMERS
from tests.support.serving import Served

from springline.client import ApiError, SpringlineClient, Unreachable
from springline.client.objects import Consumer, Pending, Stream


async def a_consumer(springline: SpringlineClient, stream: Stream, *, ack_wait_seconds: float = 60) -> Consumer:
    return await springline.consumers.create(stream_id=stream.id, ack_wait=timedelta(seconds=ack_wait_seconds))


async def pending(springline: SpringlineClient, consumer: Consumer) -> Pending:
    """The counts, without taking anything."""
    await springline.consumers.update(consumer.id, status="paused")
    info = (await springline.consumers.next(consumer.id)).info
    await springline.consumers.update(consumer.id, status="active")
    return info


async def test_every_message_once_and_all_acknowledged(springline: SpringlineClient, stream: Stream) -> None:
    consumer = await a_consumer(springline, stream)
    seen: list[str] = []
    async with springline.consume(consumer.id, batch_size=7) as messages:
        async for message in messages:
            seen.append(message.record.upstream_id)
            if len(seen) == CUSTOMERS:
                break
    assert len(set(seen)) == CUSTOMERS
    info = await pending(springline, consumer)
    assert info.num_ack_pending == 0
    assert (await springline.consumers.next(consumer.id)).data == []


async def test_a_body_that_fails_gives_its_message_and_the_rest_back_at_once(
    springline: SpringlineClient, stream: Stream
) -> None:
    consumer = await a_consumer(springline, stream)
    handled: list[str] = []
    failed = ""

    async def handle_three() -> None:
        nonlocal failed
        async with springline.consume(consumer.id, batch_size=10) as messages:
            async for message in messages:
                if len(handled) == 3:
                    failed = message.record.upstream_id
                    raise RuntimeError("cannot handle it")
                handled.append(message.record.upstream_id)

    with pytest.raises(RuntimeError, match="cannot handle it"):
        await handle_three()
    assert (await pending(springline, consumer)).num_ack_pending == 7  # given back, each until it is handed out again
    again: list[str] = []
    while len(again) < CUSTOMERS - 3:
        received = await springline.consumers.next(consumer.id, batch_size=100, wait_for=timedelta(seconds=10))
        assert received.data
        again += [message.record.upstream_id for message in received.data]
    assert failed in again
    assert not set(handled) & set(again)


async def test_without_a_context_the_end_of_a_batch_acknowledges_it(
    springline: SpringlineClient, stream: Stream
) -> None:
    consumer = await a_consumer(springline, stream)
    count = 0
    async for _ in springline.consume(consumer.id, batch_size=10):
        count += 1
        if count == 11:
            break
    received = await springline.consumers.next(consumer.id, batch_size=1)
    # Ten were acknowledged; the second batch of ten is still out, and one was taken just now.
    assert received.info.num_ack_pending == 11


async def test_slow_bodies_keep_the_messages_behind_them(springline: SpringlineClient, stream: Stream) -> None:
    consumer = await a_consumer(springline, stream, ack_wait_seconds=1.5)
    counts: list[int] = []
    async with springline.consume(consumer.id, batch_size=8) as messages:
        async for message in messages:
            counts.append(message.deliver_count)
            if len(counts) == 8:
                break
            await a_while(0.4)  # the whole batch takes twice the ack wait
    assert counts == [1] * 8
    assert (await pending(springline, consumer)).num_ack_pending == 0


async def a_while(seconds: float) -> None:
    """A body that takes its time: what is tested is what happens meanwhile."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, done.set_result, None)
    await done


async def test_an_unknown_consumer_is_an_error(springline: SpringlineClient) -> None:
    with pytest.raises(ApiError):
        async for _ in springline.consume("00000000-0000-7000-8000-000000000000"):
            pass


async def test_a_server_that_was_never_there_is_an_error(unused_tcp_port: int) -> None:
    async with SpringlineClient(f"http://127.0.0.1:{unused_tcp_port}", "t") as springline:
        with pytest.raises(Unreachable):
            async for _ in springline.consume("x"):
                pass


class Door:
    """A way to the server that can be shut."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._let_in, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Nobody gets in, and whoever is inside is thrown out."""
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._open |= {writer, inner_writer}
        for source, target in ((reader, inner_writer), (inner_reader, writer)):
            pump = asyncio.create_task(self._pump(source, target))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


@asynccontextmanager
async def a_door(url: str) -> AsyncIterator[Door]:
    door = Door(url)
    await door.open()
    try:
        yield door
    finally:
        await door.shut()


async def test_a_server_that_goes_away_is_waited_for(
    springline: SpringlineClient, stream: Stream, springline_server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = await a_consumer(springline, stream, ack_wait_seconds=2)
    seen: list[str] = []
    async with a_door(springline_server.url) as door:
        behind = SpringlineClient(f"http://127.0.0.1:{door.port}", springline_server.token)
        with caplog.at_level(logging.WARNING, "springline.client"):
            async with behind, behind.consume(consumer.id, batch_size=10) as messages:
                async for message in messages:
                    seen.append(message.record.upstream_id)
                    if len(seen) == 5:
                        await door.shut()
                        opening = asyncio.create_task(opened_once_it_was_missed(door, caplog))
                    if len(set(seen)) == CUSTOMERS:
                        break
                await opening
    assert [record for record in caplog.records if "trying again until it answers" in record.message]
    assert (await pending(springline, consumer)).num_ack_pending == 0


async def opened_once_it_was_missed(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    while not any("trying again" in record.message for record in caplog.records):
        await a_while(0.05)
    await door.open()
