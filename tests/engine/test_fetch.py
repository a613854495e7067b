"""One permit, one request: whatever the connection does, nothing is sent that was not counted (I7)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.support.driven import Driven, Driver
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.domain.errors import CredentialDead, ProviderBroken, ProviderError, RetryLater, SlowDown
from springline.engine import fetch
from springline.engine.fetch import QUICK_RETRIES, Fetcher, HttpClient, Origin
from springline.engine.quotas import Priority, SyncQuota
from springline.providers.access import Answer, RateLimit, Request
from springline.providers.registry import PROVIDERS

REQUEST = Request(path="/v1/customers", query=(("limit", "1"),))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

Reply = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


class Permits(SyncQuota):
    """Counts the permits that were given."""

    given = 0

    @asynccontextmanager
    async def permit(self, priority: Priority, request: Request = REQUEST) -> AsyncIterator[Any]:
        async with super().permit(priority, request) as permit:
            self.given += 1
            yield permit


class Server:
    """Speaks HTTP by hand: `reply` gets the number of the request (from 1) and writes what it likes."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                await self._reply(len(self.requests), writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


class Client:
    """A fetcher of one sync against such a server."""

    def __init__(self, server: Server, http: HttpClient, *, limit: RateLimit, answers_within: float) -> None:
        self.server = server
        self.quota = Permits(limit, clock=asyncio.get_running_loop().time)
        provider = msgspec.structs.replace(PROVIDERS["stripe"], request_timeout_seconds=answers_within)
        kind = provider.find_kind("stripe_key")
        assert kind is not None

        async def properties() -> dict[str, Any]:
            return {"secret": "sk_test_x"}

        origin = Origin(provider, kind, base_url=server.url, open_properties=properties)
        self.fetcher = Fetcher(http, origin, self.quota)

    async def get(self) -> Answer:
        return await self.fetcher.fetch(REQUEST, Priority.poll)


@asynccontextmanager
async def serving(
    reply: Reply, *, answers_within: float = 5.0, limit: RateLimit | None = None
) -> AsyncIterator[Client]:
    server = Server(reply)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    http = HttpClient.open()
    try:
        yield Client(
            server, http, limit=limit or RateLimit(allowed_requests=1000, interval=1.0), answers_within=answers_within
        )
    finally:
        await http.close()
        listener.close()
        await listener.wait_closed()


async def answer_ok(_: int, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def test_a_kept_connection_that_was_dropped_costs_a_permit_for_each_try() -> None:
    async def reply(number: int, writer: asyncio.StreamWriter) -> None:
        if number % 2:
            writer.write(OK)
        else:
            writer.close()  # the server had enough of this connection, just as we use it again

    async with serving(reply) as client:
        for _ in range(5):
            await client.get()
        assert client.quota.given == len(client.server.requests) == 9


async def test_a_connection_that_breaks_is_tried_again_only_with_permits() -> None:
    async def reply(_: int, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        transport.abort()

    async with serving(reply) as client:
        with pytest.raises(RetryLater, match="could not be reached"):
            await client.get()
        assert client.quota.given == len(client.server.requests) == QUICK_RETRIES + 1


async def test_where_nobody_listens_no_word_of_the_query_is_said() -> None:
    async with serving(answer_ok) as client:
        client.fetcher._origin.base_url = "http://127.0.0.1:1"
        with pytest.raises(RetryLater) as caught:
            await client.get()
        assert "limit" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_answers_not_followed(status: int) -> None:
    async def reply(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %d Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n" % status)

    async with serving(reply) as client:
        with pytest.raises(ProviderError):
            await client.get()
        assert [head.split()[1] for head in client.server.requests] == [b"/v1/customers?limit=1"]


async def test_an_answer_that_does_not_come_is_given_up() -> None:
    async def reply(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    async with serving(reply, answers_within=0.05) as client:
        with pytest.raises(RetryLater, match=r"did not answer within 0\.05 s"):
            await client.get()
        assert client.quota.given == len(client.server.requests) == QUICK_RETRIES + 1


async def test_an_answer_that_is_too_long_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "LONGEST_ANSWER_BYTES", 1000)

    async def announced(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b" " * 1001)

    async def chunked(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b" " * 512 + b"\r\n")
        writer.write(b"200\r\n" + b" " * 512 + b"\r\n0\r\n\r\n")

    for reply in (announced, chunked):
        async with serving(reply) as client:
            with pytest.raises(ProviderBroken, match="bytes"):
                await client.get()
            assert client.quota.given == 1


async def test_cookies_are_not_kept() -> None:
    async def reply(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))

    async with serving(reply) as client:
        await client.get()
        await client.get()
        assert b"cookie" not in client.server.requests[1].lower()


async def test_a_permit_that_waits_for_a_connection_keeps_its_slot() -> None:
    """What hangs while it connects counts when it is written, not when the permit was given."""
    limit = RateLimit(allowed_requests=5, interval=0.5)
    async with serving(answer_ok, limit=limit) as client:
        loop = asyncio.get_running_loop()
        starts: list[float] = []
        connector = client.fetcher._client.session.connector
        assert connector is not None
        connect = connector.connect
        held = asyncio.Event()

        async def slowly(*arguments: Any, **options: Any) -> Any:
            await held.wait()
            connection = await connect(*arguments, **options)
            starts.append(loop.time())
            return connection

        connector.connect = slowly  # type: ignore[method-assign]
        getting = [asyncio.create_task(client.get()) for _ in range(12)]
        loop.call_later(1.2, held.set)
        await asyncio.gather(*getting)
        for first, sixth in zip(starts, starts[5:], strict=False):
            assert sixth - first >= limit.interval


async def test_the_secret_is_dropped_soon_and_read_again(
    side: StripeSide, drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_SECRET_SECONDS", 0.01)
    sync: Driven = await drive.sync()
    await sync.feed.run()
    origin = sync.session.fetcher._origin
    dropped = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, dropped.set)
    await dropped.wait()
    assert origin._headers is None
    await sync.feed.run()


async def test_answers_mean_what_the_provider_says(side: StripeSide, drive: Driver) -> None:
    sync = await drive.sync()
    get = Request(path="/v1/customers")
    fault = await side.fault("html")
    with pytest.raises(ProviderBroken):
        await sync.backfill()  # 200, but no list
    await side.mend(fault)
    fault = await side.fault("status", status=401)
    with pytest.raises(CredentialDead):
        await sync.session.fetcher.fetch(get, Priority.poll)
    await side.mend(fault)
    fault = await side.fault("status", status=429, retry_after="2")
    before = len(side.arrivals)
    with pytest.raises(SlowDown) as caught:
        await sync.session.fetcher.fetch(get, Priority.poll)
    assert (caught.value.after_seconds, len(side.arrivals) - before) == (2.0, 1)
    await side.mend(fault)
    # Nobody else starts before the provider's time is over.
    loop = asyncio.get_running_loop()
    began = loop.time()
    await sync.session.fetcher.fetch(get, Priority.waiting)
    assert loop.time() - began > 1.5


async def test_a_request_does_not_outlive_the_lease() -> None:
    """Whoever takes over then counts none of ours as running. Where it is renewed meanwhile, the request goes on."""
    answer = asyncio.Event()

    async def reply(_: int, writer: asyncio.StreamWriter) -> None:
        await answer.wait()
        await answer_ok(1, writer)

    async with serving(reply, answers_within=30.0) as client:
        left = [0.1, 0.0]
        client.fetcher._lease_left = lambda: left.pop(0)
        with pytest.raises(RetryLater, match="lease has ended"):
            await client.fetcher._send(REQUEST, Priority.poll)
        assert left == []
        left = [0.01, 0.01, 60.0]
        going_on = asyncio.create_task(client.fetcher._send(REQUEST, Priority.poll))
        await until(lambda: not left)
        answer.set()
        assert (await going_on).status == 200
