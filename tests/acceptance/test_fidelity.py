"""`data` comes back as it came (I6): JSON of every spelling, through HTTP in and HTTP out."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, Final

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support import processes
from tests.support.api import Client
from tests.support.json_scanner import elements, members
from tests.support.json_texts import documents, nested
from tests.support.waiting import until

MOST_BYTES: Final = 16 * 1024 * 1024
_ID: Final = "%ID%"
_SAID_BY_SANDBOX: Final = re.compile(r"Stripe sandbox at (\S+),")
_numbers = itertools.count(1)

#: Texts by record id.
Texts = dict[str, bytes]


class Account:
    """A sandbox into which objects are put byte for byte."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._control = f"{url}/_sandbox/stripe"

    async def put(self, collection: str, texts: Mapping[str, bytes], *, events: bool) -> None:
        """Puts objects one after the other; with `events` the feed tells of each."""
        for record_id, text in texts.items():
            query = {"unchecked": "true", "events": str(events).lower()}
            async with self._session.put(
                f"{self._control}/raw/{collection}/{record_id}", data=BytesIO(text), params=query
            ) as response:
                assert response.status == 200, await response.text()

    @asynccontextmanager
    async def without_list(self, collection_path: str) -> AsyncIterator[None]:
        """Lists of the collection fail: only reads by id bring anything."""
        fault = {"kind": "status", "status": 500, "match": {"path": f"/v1/{collection_path}"}}
        async with self._session.post(f"{self._control}/faults", json=fault) as response:
            made = await response.json()
        yield
        async with self._session.delete(f"{self._control}/faults/{made['id']}") as response:
            assert response.status == 200

    async def unlimited(self) -> None:
        async with self._session.post(f"{self._control}/rate_limit", json={}) as response:
            assert response.status == 200


class Running:
    """A server and a sandbox, each a process, for all tests of this module."""

    def __init__(self, runner: asyncio.Runner, client: Client, account: Account) -> None:
        self._runner = runner
        self.client = client
        self.account = account
        self.credential_id = ""

    def run(self, awaitable: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return self._runner.run(awaited())

    async def sync(self, *collections: str, slug: str | None = None) -> dict[str, Any]:
        """A sync of these collections into a stream of its own."""
        stream = await self.client.stream(slug or f"stream-{next(_numbers)}")
        return await self.client.sync(
            stream_id=stream["id"],
            credential_id=self.credential_id,
            collection_ids=[f"stripe:{name}" for name in collections],
            rate_limit={"allowed_requests": 1000, "interval": 1},
        )

    async def live_sync(self, *collections: str) -> dict[str, Any]:
        """One whose backfill is over: from now on the feed and sweeps find what changes."""
        sync = await self.sync(*collections)

        async def is_backfilled() -> bool:
            shown = (await self.client.get(f"/v1/syncs/{sync['id']}")).expect(200)
            return shown["initial_backfill_completed_at"] is not None

        await until(is_backfilled, within_seconds=20, every=0.05)
        return sync

    async def listed(self, stream_id: str, *, limit: int = 1000) -> Texts:
        """The data of all records of a stream, read with a cursor; every answer is checked for its size."""
        found: Texts = {}
        query: dict[str, Any] = {"stream_id": stream_id, "limit": limit}
        while True:
            body = (await self.client.get("/v1/records", **query)).body
            answer = members(body)
            records = elements(answer["records"])
            _check_size(body, len(records))
            found |= dict(map(_data, records))
            if not records:
                return found
            query["after_cursor"] = answer["cursor"].decode().strip('"')

    async def consumed(self, stream_id: str, count: int, *, batch_size: int = 1000) -> Texts:
        """The data of a stream's messages, received and acknowledged until there are `count` and no more."""
        consumer = await self.client.consumer(stream_id=stream_id)
        path = f"/v1/http-consumers/{consumer['id']}"
        found: Texts = {}
        while True:
            reply = await self.client.get(f"{path}/next", batch_size=batch_size, wait_for=0)
            assert reply.status == 200, reply.body[:500]
            messages = [members(message) for message in elements(members(reply.body)["data"])]
            _check_size(reply.body, len(messages))
            if not messages:
                assert len(found) == count
                return found
            for record_id, text in (_data(message["record"]) for message in messages):
                assert record_id not in found
                found[record_id] = text
            tokens = [message["ack_token"].decode().strip('"') for message in messages]
            settled = await self.client.post(f"{path}/ack", {"ack_tokens": tokens})
            assert (settled.status, settled.headers["x-stale-ack-tokens"]) == (204, "0")

    async def read_one_by_one(self, stream_id: str) -> Texts:
        """The data of all records of a stream, each read by its id."""
        found: Texts = {}
        answer = members((await self.client.get("/v1/records", stream_id=stream_id)).body)
        for record in elements(answer["records"]):
            record_id = members(record)["id"].decode().strip('"')
            body = (await self.client.get(f"/v1/records/{record_id}")).body
            found |= dict([_data(body)])
        return found

    async def until_held(self, stream_id: str, texts: Texts, *, within_seconds: float = 20) -> None:
        """Returns when these records are in the stream."""

        async def are_there() -> bool:
            return texts.keys() <= (await self.listed(stream_id)).keys()

        await until(are_there, within_seconds=within_seconds, every=0.05, what=f"{len(texts)} records")


def _data(record: bytes) -> tuple[str, bytes]:
    fields = members(record)
    return fields["upstream_id"].decode().strip('"'), fields["data"]


def _check_size(body: bytes, entries: int) -> None:
    assert len(body) <= MOST_BYTES or entries == 1


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with asyncio.Runner() as runner:
        context = _running(runner)
        yield runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


@asynccontextmanager
async def _running(runner: asyncio.Runner) -> AsyncIterator[Running]:
    async with processes.place() as place, aiohttp.ClientSession() as session:
        sandbox = await place.start("sandbox", "stripe", "--port", "0", "--customers", "0")
        await sandbox.until_said("Stripe sandbox at")
        said = _SAID_BY_SANDBOX.search(sandbox.out)
        assert said is not None
        server = await (
            await place.start(settings={"SPRINGLINE_STRIPE_BASE_URL": said[1], "SPRINGLINE_PROVIDER_LIMITS": "off"})
        ).until_ready()
        made = Running(runner, Client(session, server.url, server.token), Account(session, said[1]))
        await made.account.unlimited()
        made.credential_id = (await made.client.credential())["id"]
        yield made
        await server.terminate()


def fresh(*drawn: str | bytes) -> Texts:
    """The texts under new ids."""
    texts: Texts = {}
    for text in drawn:
        record_id = f"doc_{next(_numbers)}"
        as_bytes = text.encode() if isinstance(text, str) else text
        texts[record_id] = as_bytes.replace(_ID.encode(), record_id.encode())
    return texts


BATCHES = st.lists(documents(_ID), min_size=5, max_size=12)
_once_each = settings(
    max_examples=15, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), database=None
)


def test_what_lists_bring(running: Running) -> None:
    """A new sync's backfill reads pages."""

    @_once_each
    @given(BATCHES)
    def batch_comes_back(drawn: list[str]) -> None:
        running.run(_check(running, fresh(*drawn), "product"))

    batch_comes_back()


async def _check(running: Running, texts: Texts, collection: str) -> None:
    await running.account.put(collection, texts, events=False)
    sync = await running.sync(collection)
    await running.until_held(sync["stream_id"], texts)
    everything = await running.listed(sync["stream_id"])
    assert {record_id: everything[record_id] for record_id in texts} == texts
    assert await running.consumed(sync["stream_id"], len(everything)) == everything
    assert await running.read_one_by_one(sync["stream_id"]) == everything
    (await running.client.delete(f"/v1/syncs/{sync['id']}", keep_records="true")).expect(204)


def test_what_reads_by_id_bring(running: Running) -> None:
    """The feed names the records of a running sync."""
    sync = running.run(running.live_sync("customer"))
    no_list = running.account.without_list("customers")
    running.run(no_list.__aenter__())

    @_once_each
    @given(BATCHES)
    def batch_comes_back(drawn: list[str]) -> None:
        texts = fresh(*drawn)
        running.run(running.account.put("customer", texts, events=True))
        running.run(running.until_held(sync["stream_id"], texts))
        everything = running.run(running.listed(sync["stream_id"]))
        assert {record_id: everything[record_id] for record_id in texts} == texts
        assert running.run(running.consumed(sync["stream_id"], len(everything), batch_size=50)) == everything

    batch_comes_back()
    running.run(no_list.__aexit__(None, None, None))
    running.run(running.client.delete(f"/v1/syncs/{sync['id']}"))


EXTREMES: Final = (
    nested(_ID, 500),
    f'{{"id":"{_ID}","long":"{"a" * 3_000_000}"}}',
    f'{{"long":"{"ö☃𝄞" * 350_000}", "id" : "{_ID}"}}',
    f'{{"id":"{_ID}","escapes":"{chr(92)}u0000{(chr(92) + "ud800") * 500_000}"}}',
    f'{{"id":"{_ID}","number":{"9" * 100_000},"fraction":0.{"0" * 100_000}1e-400}}',
    f'{{"id":"{_ID}","many":[{",".join(["{}"] * 100_000)}]}}',
    f'{{{",".join(f"{chr(34)}k{number}{chr(34)}:{number}" for number in range(20_000))},"id":"{_ID}"}}',
    f'{{"id":"{_ID}"}}',
)


def test_extremes(running: Running) -> None:
    """Deep, long and many, from a list and from reads by id."""

    async def come_back() -> None:
        sync = await running.live_sync("invoice")
        texts = fresh(*EXTREMES)
        async with running.account.without_list("invoices"):
            await running.account.put("invoice", texts, events=True)
            await running.until_held(sync["stream_id"], texts, within_seconds=30)
        assert await running.listed(sync["stream_id"]) == texts
        (await running.client.delete(f"/v1/syncs/{sync['id']}", keep_records="true")).expect(204)
        texts |= fresh(*EXTREMES)
        await running.account.put("invoice", texts, events=False)
        sync = await running.sync("invoice")
        await running.until_held(sync["stream_id"], texts, within_seconds=30)
        assert await running.listed(sync["stream_id"]) == texts
        assert await running.consumed(sync["stream_id"], len(texts)) == texts
        (await running.client.delete(f"/v1/syncs/{sync['id']}", keep_records="true")).expect(204)

    running.run(come_back())


def test_a_batch_of_a_thousand_that_is_too_large(running: Running) -> None:
    """Ten records of 3 MB, one of 17 MB, many small ones: no answer is larger than 16 MiB, but for one record alone."""

    async def pages() -> None:
        texts = fresh(*[f'{{"id":"{_ID}","n":{number}}}' for number in range(90)])
        texts |= fresh(*[f'{{"id":"{_ID}","long":"{chr(97 + number) * 3_000_000}"}}' for number in range(10)])
        texts |= fresh(f'{{"id":"{_ID}","long":"{"z" * 17_000_000}"}}')
        texts |= fresh(*[f'{{"id":"{_ID}","n":{number}}}' for number in range(90, 120)])
        await running.account.put("coupon", texts, events=False)
        sync = await running.sync("coupon")
        await running.until_held(sync["stream_id"], texts, within_seconds=30)
        assert await running.listed(sync["stream_id"]) == texts
        assert await running.consumed(sync["stream_id"], len(texts)) == texts
        (await running.client.delete(f"/v1/syncs/{sync['id']}", keep_records="true")).expect(204)

    running.run(pages())


BROKEN: Final[Mapping[str, Callable[[str], bytes]]] = {
    "not UTF-8": lambda record_id: b'{"id":"%s","text":"\xff\xfe"}' % record_id.encode(),
    "no id": lambda record_id: b'{"text":"%s"}' % record_id.encode(),
    "600 levels": lambda record_id: nested(record_id, 600).encode(),
    "no JSON": lambda record_id: b'{"id":"%s","text":\x01}' % record_id.encode(),
}


@pytest.mark.parametrize("events", [False, True], ids=["list", "by id"])
def test_only_the_record_at_fault_is_held(running: Running, events: bool) -> None:
    """Its neighbours arrive, and the sync's health says what is held."""

    async def neighbours_arrive() -> None:
        collection = "plan" if events else "subscription"
        sync = await running.live_sync(collection)
        good: Texts = {}
        bad: Texts = {}
        for make in BROKEN.values():
            good |= fresh(f'{{"id":"{_ID}","a":1.10}}', rf'{{"id":"{_ID}","a":"\ud800"}}')
            record_id = f"doc_{next(_numbers)}"
            bad[record_id] = make(record_id)
            await running.account.put(collection, {record_id: bad[record_id]}, events=events)
        bad["x" * 2_000] = b'{"id":"%s"}' % (b"x" * 2_000)
        await running.account.put(collection, bad, events=events)
        await running.account.put(collection, good, events=events)
        if not events:
            (await running.client.delete(f"/v1/syncs/{sync['id']}")).expect(204)
            sync = await running.sync(collection)
        await running.until_held(sync["stream_id"], good)
        part = await until(lambda: _warned(running, sync, collection), within_seconds=20, every=0.1)
        assert part["status"] == "warn"
        assert "held" in part["notes"][0]
        if not events:  # what is so broken that no event can tell of it waits for a sweep
            assert part["notes"][0].startswith(f"{len(bad)} ")
        assert await running.listed(sync["stream_id"]) == good
        (await running.client.delete(f"/v1/syncs/{sync['id']}")).expect(204)

    running.run(neighbours_arrive())


async def _warned(running: Running, sync: dict[str, Any], collection: str) -> dict[str, Any] | None:
    """The collection's health, once it is more than ok."""
    health = (await running.client.get(f"/v1/syncs/{sync['id']}")).expect(200)["health"]
    part: dict[str, Any] = health["collections"][f"stripe:{collection}"]
    return part if part["notes"] else None
