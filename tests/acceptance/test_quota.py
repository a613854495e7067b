"""I7 as the provider sees it, with real processes: arrivals counted by the sandbox over backfill, polls, retries, `kill
-9`, takeover and calls of a process that owns nothing. Limits of 5/s, 20/s and 300/60 s run side by side, each on an
account of its own."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
import psutil
from tests.engine.test_quota_windows import SHARE_OF_INTERVAL, most_in_a_window
from tests.support.api import Client
from tests.support.made import SECRET_KEY, Made, Maker
from tests.support.postgres import TestPostgres
from tests.support.processes import Place, postgres_processes, used_seconds
from tests.support.serving import environment, running
from tests.support.waiting import until

from springline.engine.fetch import HttpClient, Origin, send
from springline.engine.owners import Owners
from springline.engine.permits import Permits
from springline.engine.wakeups import Wakeups
from springline.providers.registry import PROVIDERS
from springline.providers.vocabulary import RateLimit, Request
from springline.store.database import Database
from springline.store.owners import OwnerStore
from springline.store.tokens import TokenStore

LATENCY_MS: Final = 20
#: From the first request to the kill, and from the first one of the successor to the end.
BEFORE_SECONDS: Final = 28.0
AFTER_SECONDS: Final = 34.0
DELIVERED_WITHIN_SECONDS: Final = 2.0
#: Where others use more of the machine than this, requests start late: never too many is judged all the same, of the
#: rest only that it is not far off.
BUSY_CORES: Final = 0.5
WHILE_BUSY: Final = 0.9
#: From the kill to the successor's first requests: it looks every two seconds, and waits a short window out.
TAKEN_OVER_WITHIN_SECONDS: Final = 8.0
CAUGHT_UP_SECONDS: Final = 12.0
USED_AT_LEAST: Final = 0.95
#: A successor may count this part of a long window as used that was not.
LOST_AT_TAKEOVER: Final = 0.05
COLLECTIONS: Final = ("customer", "product", "plan", "coupon")
PROXY_LIKE: Final = Request(path="/v1/subscriptions", query=(("limit", "1"),))


@dataclass
class Account:
    """One limit, on an account of its own, with what was seen of it."""

    name: str
    limit: RateLimit
    made: Made
    sizes: dict[str, int]
    proxied: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.limit.allowed_requests / self.limit.interval


class Sandbox:
    """A sandbox in a process of its own."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, f"{self.url}/_sandbox/stripe{path}", json=body or {}) as response:
            assert response.status < 300, await response.text()
            return await response.json(content_type=None)

    async def account(self, name: str, sizes: dict[str, int]) -> None:
        await self.control("POST", "/accounts", {"id": f"acct_{name}"})
        await self.control("POST", "/keys", {"key": f"sk_test_{name}", "account": f"acct_{name}"})
        await self.control("POST", f"/rate_limit?account=acct_{name}")
        for collection, count in sizes.items():
            body = {"collection": collection, "count": count, "events": False}
            await self.control("POST", f"/seed?account=acct_{name}", body)

    async def count(self) -> int:
        """How many requests have arrived."""
        count: int = (await self.control("GET", ""))["arrivals"]
        return count

    async def arrivals(self, name: str, *, since: int = 0) -> list[float]:
        """When, by the monotonic clock. Few at a time: what the sandbox answers here, it does not answer to others."""
        seen = await self.control("GET", f"/arrivals?since={since}")
        return [each["at"] for each in seen if each["account"] == f"acct_{name}"]


async def test_never_more_and_nearly_all(postgres: TestPostgres, database: Database, place: Place) -> None:
    async with AsyncExitStack() as stack:
        process = stack.enter_context(
            running("sandbox", "stripe", "--port", "0", "--customers", "0", env=environment())
        )
        url = process.line("Stripe sandbox at").split()[3].rstrip(",")
        session = await stack.enter_async_context(aiohttp.ClientSession())
        sandbox = Sandbox(url, session)
        accounts = await make_accounts(database, sandbox)
        await sandbox.control("POST", "/latency", {"ms": LATENCY_MS})
        await sandbox.control("POST", "/faults", {"kind": "status", "match": {"every": 41}})
        used_at_start, own_at_start = used_seconds(), own_seconds(postgres)
        settings = settings_for(await database.fetch_value("SELECT current_database()"), postgres, url)

        first = await place.start("worker", settings=settings, data_dir=place.folder / "first")
        await until(lambda: all_asked(sandbox, accounts), within_seconds=20, every=0.1)
        # It finds everything taken, and is there when the first one is killed.
        second = await place.start("serve", "--port", "0", settings=settings, data_dir=place.folder / "second")
        await second.until_ready()
        began = time.monotonic()
        _, token = await TokenStore(database).create(accounts[0].made.org_id, "test")
        api = Client(session, second.url, token.reveal())
        permits = await stack.enter_async_context(asking(database))
        asked = [asyncio.create_task(ask_again_and_again(database, permits, url, account)) for account in accounts]
        stack.callback(lambda: [task.cancel() for task in asked])

        await watch_changes(sandbox, api, accounts, until_at=began + BEFORE_SECONDS)
        count = await sandbox.count()
        killed_at = time.monotonic()
        await first.kill()
        await until(
            lambda: all_asked(sandbox, accounts, since=count + 10),
            within_seconds=TAKEN_OVER_WITHIN_SECONDS,
            every=0.2,
        )
        taken_over_at = time.monotonic()
        # What changed lately is read once more by a successor: new changes are measured when that is done.
        await asyncio.sleep(CAUGHT_UP_SECONDS)
        await watch_changes(sandbox, api, accounts, until_at=taken_over_at + AFTER_SECONDS)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        times = {account.name: await sandbox.arrivals(account.name) for account in accounts}
        others = used_seconds() - used_at_start - (own_seconds(postgres) - own_at_start)
        busy_cores = others / (time.monotonic() - began)
        await second.terminate()

    print(f"\nothers used {busy_cores:.1f} cores", end="")
    share = USED_AT_LEAST if busy_cores <= BUSY_CORES else WHILE_BUSY
    seconds = DELIVERED_WITHIN_SECONDS * (1.0 if busy_cores <= BUSY_CORES else 2.0)
    print(f"\n{'limit':>9} {'most':>5} {'before':>7} {'after':>7} {'asked':>6} {'slowest change':>15} {'gap':>6}")
    wrong = []
    for account in accounts:
        seen = look_at(account, times[account.name], began=began, killed_at=killed_at)
        wrong += judge(account, seen, share=share, seconds=seconds)
    assert not wrong


class Seen(NamedTuple):
    """What the arrivals show. `after` includes what a takeover may count as used that was not."""

    most: int
    before: float
    after: float


def look_at(account: Account, times: Sequence[float], *, began: float, killed_at: float) -> Seen:
    """Prints a line of the table."""
    limit = account.limit
    most = most_in_a_window(times, limit.interval * SHARE_OF_INTERVAL)
    before = used(account, [at for at in times if began <= at < killed_at])
    gap = min(at for at in times if at > killed_at + 0.2) - killed_at
    rest = [at for at in times if at > killed_at + gap]
    lost = LOST_AT_TAKEOVER * limit.allowed_requests if limit.interval > 10 else 0.0
    print(
        f"{limit.allowed_requests:>5}/{limit.interval:g}s {most:>5} {before:>7.1%} {used(account, rest):>7.1%}"
        f" {account.proxied:>6} {max(account.delays):>13.2f} s {gap:>4.1f} s"
    )
    return Seen(most, before, used(account, rest, lost=lost))


def judge(account: Account, seen: Seen, *, share: float, seconds: float) -> list[str]:
    wrong = {
        "more than allowed": seen.most > account.limit.allowed_requests,
        "left unused before the kill": seen.before < share,
        "left unused after it": seen.after < share,
        "asked for too little": account.proxied < 10,
        "a change came late": max(account.delays) > seconds,
    }
    return [f"{account.name}: {what}" for what, is_so in wrong.items() if is_so]


def own_seconds(postgres: TestPostgres) -> float:
    """Processor time of this test, of all that it started, and of its PostgreSQL."""
    me = psutil.Process()
    processes = {me, *me.children(recursive=True), *postgres_processes(postgres.folder)}
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def used(account: Account, times: Sequence[float], *, lost: float = 0.0) -> float:
    """The share of what the limit allows between the first and the last of these arrivals."""
    return (len(times) - 1 + lost) / ((times[-1] - times[0]) * account.per_second)


async def make_accounts(database: Database, sandbox: Sandbox) -> list[Account]:
    maker = Maker(database)
    beside: Made | None = None
    accounts = []
    for name, allowed, interval in (("five", 5, 1.0), ("twenty", 20, 1.0), ("minute", 300, 60.0)):
        pages = int((BEFORE_SECONDS + AFTER_SECONDS + 25) * allowed / interval)
        sizes = {"customer": pages * 40, "product": pages * 40, "plan": pages * 30, "coupon": 30}
        await sandbox.account(name, sizes)
        made = await maker.sync(
            *(f"stripe:{collection}" for collection in COLLECTIONS),
            epoch=0,
            beside=beside,
            stream=await maker.stream(beside.org_id) if beside else None,
            secret=f"sk_test_{name}",
            rate_limit={"allowed_requests": allowed, "interval": interval, "max_concurrent_requests": 0},
        )
        beside = made
        limit = RateLimit(allowed_requests=allowed, interval=interval)
        accounts.append(Account(name, limit, made, sizes))
    return accounts


def settings_for(name: str, postgres: TestPostgres, stripe_url: str) -> dict[str, str]:
    at = postgres.connect_to(name)
    query = urlencode({key: at[key] for key in ("host", "port", "user")})
    return {
        "SPRINGLINE_DATABASE_URL": f"postgresql:///{name}?{query}&sslmode=disable",
        "SPRINGLINE_SECRET_KEY": base64.urlsafe_b64encode(SECRET_KEY).decode(),
        "SPRINGLINE_STRIPE_BASE_URL": stripe_url,
    }


async def all_asked(sandbox: Sandbox, accounts: Sequence[Account], *, since: int = 0) -> bool:
    return all([len(await sandbox.arrivals(account.name, since=since)) > 3 for account in accounts])


async def watch_changes(sandbox: Sandbox, api: Client, accounts: Sequence[Account], *, until_at: float) -> None:
    """Meanwhile coupons are changed, again and again: how soon does a consumer have each change?"""
    await asyncio.gather(*(_watch(sandbox, api, account, until_at=until_at) for account in accounts))


async def _watch(sandbox: Sandbox, api: Client, account: Account, *, until_at: float) -> None:
    name, stream = account.name, str(account.made.stream.stream_id)
    consumer = await api.consumer(stream_id=stream, filters={"collection_id": "stripe:coupon"})
    path = f"/v1/http-consumers/{consumer['id']}/next"
    await until(lambda: _is_backfilled(api, account), within_seconds=20, every=0.2)
    while (await api.get(path, batch_size=1000)).expect(200)["data"]:
        pass
    while time.monotonic() < until_at - 4.0:
        made = await sandbox.control("POST", f"/objects/coupon?account=acct_{name}", {"set": {}, "events": True})
        changed_at = time.monotonic()
        while True:
            received = (await api.get(path, batch_size=10, wait_for=10_000)).expect(200)["data"]
            assert received, f"{name}: nothing came"
            if any(message["record"]["upstream_id"] == made["id"] for message in received):
                break
        account.delays.append(time.monotonic() - changed_at)
        await asyncio.sleep(1.37)  # not in step with the polls
    await asyncio.sleep(max(0.0, until_at - time.monotonic()))


async def _is_backfilled(api: Client, account: Account) -> bool:
    seen = (await api.get(f"/v1/syncs/{account.made.sync.sync_id}")).expect(200)
    return bool(seen["progress"] and seen["progress"]["stripe:coupon"]["phase"] == "live")


@asynccontextmanager
async def asking(database: Database) -> AsyncIterator[Permits]:
    """This process owns no quota: it asks whoever does."""
    wakeups = Wakeups(database)
    owners = Owners(OwnerStore(database), wakeups)
    stop = asyncio.Event()
    listening = asyncio.create_task(wakeups.run(stop))
    try:
        yield Permits(owners)
    finally:
        await owners.close()
        stop.set()
        await listening


async def ask_again_and_again(database: Database, permits: Permits, url: str, account: Account) -> None:
    """Calls as the proxy will make them: in the sync's name, someone waits for the answer."""
    credential_no = await database.fetch_value(
        "SELECT credential_no FROM syncs WHERE sync_no = $1", account.made.sync_no
    )
    stripe = PROVIDERS["stripe"]

    async def properties() -> dict[str, Any]:
        return {"secret": f"sk_test_{account.name}"}

    origin = Origin(stripe, stripe.credential_kinds[0], base_url=url, open_properties=properties)
    client = HttpClient.open()
    try:
        while True:
            async with permits.permit(
                credential_no,
                PROXY_LIKE,
                valid_seconds=5.0,
                timeout_seconds=30.0,
                sync=(account.made.sync_no, account.limit),
            ) as permit:
                answer = await send(client, origin, PROXY_LIKE, headers=await origin.headers(), permit=permit)
                permit.answered(answer.status, ())
            account.proxied += 1
            await asyncio.sleep(0.9)
    finally:
        await client.close()
