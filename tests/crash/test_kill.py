"""`kill -9` at random moments of a backfill with live changes, a consumer reading all along (I1–I4, I10, I11).

`SEED=n` repeats a run: the same data, changes, kills and moods of the consumer. What falls together with what still
depends on the machine.
"""

import asyncio
import os
import re
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp
from tests.crash.account import SIZES, Account
from tests.crash.reader import ACK_WAIT_SECONDS, Reader
from tests.support.api import Client
from tests.support.processes import Place, Springline

from springline.domain.records import DetectedBy
from springline.store.database import Database
from springline.store.embedded import EmbeddedPostgres

KILLS: Final = 20
#: From the moment when it is ready to the kill.
SHORT_LIFE_SECONDS: Final = (0.1, 1.5)
LONG_LIFE_SECONDS: Final = (2.5, 3.5)
CONVERGED_WITHIN_SECONDS: Final = 30.0
#: So long before a kill is what a moment shows as going on.
_MOMENT_SECONDS: Final = 0.1
_SAID_BY_SANDBOX: Final = re.compile(r"Stripe sandbox at (\S+),")
#: What a server must never log, whatever happens to it.
_FAULTS: Final = ("sync.failed", "maintenance.failed", "process.service_failed", "Traceback", "never retrieved")


@dataclass
class Moment:
    """What was going on when a server was killed."""

    everything: bool
    at: float
    lived: float
    changes: int
    held: int
    records: int
    backfilling: int
    asked: Counter[str] = field(default_factory=Counter)
    ready_again: float = float("nan")

    @property
    def line(self) -> str:
        what = "+ PostgreSQL" if self.everything else "server"
        phase = f"{self.backfilling} of {len(SIZES)}" if self.backfilling else "over"
        asked = f"{self.asked['page']:>5} {self.asked['by id']:>5} {self.asked['events']:>6}"
        return (
            f"{self.at:6.1f}  {what:<12} {self.lived:6.2f}  {phase:>8} {self.records:>8} {self.held:>8} "
            f"{self.changes:>8}  {asked}  {self.ready_again:6.2f}"
        )


_HEAD: Final = (
    "  at s  killed         lived  backfill  records     held  changes  pages by id events   ready\n"
    "        (with what)        s      runs  in store  by cons.    made   asked for then    again s"
)


class Run:
    """A server that is killed and started again, in one place and on one port."""

    def __init__(self, place: Place, *, stripe_url: str) -> None:
        self._place = place
        self._settings = {
            "SPRINGLINE_PORT": str(_free_port()),
            "SPRINGLINE_STRIPE_BASE_URL": stripe_url,
            "SPRINGLINE_PROVIDER_LIMITS": "off",
        }
        self.url = f"http://127.0.0.1:{self._settings['SPRINGLINE_PORT']}"
        self.logs: list[str] = []
        self._server: Springline | None = None
        self._started_at = 0.0

    @property
    def server(self) -> Springline:
        assert self._server is not None
        return self._server

    @property
    def lived_seconds(self) -> float:
        return time.monotonic() - self._started_at

    async def start(self) -> None:
        self._started_at = time.monotonic()
        self._server = await self._place.start("serve", settings=self._settings)

    async def until_ready(self) -> float:
        """Returns the seconds since the start; a server that ends instead is shown with all that it said."""
        try:
            await self.server.until_ready()
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{error!r}\n{self.server.out}\n{self.server.err}") from None
        return self.server.ready_seconds

    async def kill(self, *, everything: bool) -> None:
        await (self.server.kill_everything() if everything else self.server.kill())
        self.logs.append(self.server.err)

    async def stop(self) -> None:
        await self.server.terminate()
        self.logs.append(self.server.err)
        assert not self.server.left()


class Watch:
    """What Springline says of itself, as last seen."""

    def __init__(self, client: Client, *, stream_id: str, sync_id: str) -> None:
        self._client = client
        self._stream = f"/v1/streams/{stream_id}"
        self._sync = f"/v1/syncs/{sync_id}"
        self.records = 0
        self.backfilling = len(SIZES)

    async def run(self) -> None:
        """Looks again and again, until it is cancelled."""
        while True:
            try:
                stream, sync = await self._client.get(self._stream), await self._client.get(self._sync)
                if (stream.status, sync.status) == (200, 200):
                    self.records = stream.value["record_count"]
                    phases = [progress["phase"] for progress in sync.value["progress"].values()]
                    self.backfilling = phases.count("backfill")
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.1)  # nothing but asking tells


async def test_kills_lose_nothing(place: Place) -> None:
    seed = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
    print(f"\nSEED={seed}")
    rng = Random(seed)
    async with aiohttp.ClientSession() as session:
        account = Account(session, await _start_sandbox(place, seed), Random(rng.random()))
        await account.fill()
        run = Run(place, stripe_url=account.url)
        await run.start()
        await run.until_ready()
        client = Client(session, run.url, run.server.token)
        stream, sync, consumer = await _configure(client)
        reader = Reader(session, run.url, token=run.server.token, consumer_id=consumer, rng=Random(rng.random()))
        watch = Watch(client, stream_id=stream, sync_id=sync)
        stop_changes, stop_reading = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(account.keep_changing(stop_changes))
            crossing = group.create_task(account.keep_crossing(stop_changes))
            for _ in range(2):
                group.create_task(reader.run(stop_reading))
            watching = group.create_task(watch.run())
            moments = await _kill_again_and_again(run, account, reader, watch, rng)
            stop_changes.set()
            await crossing
            different, converged_seconds = await _until_equal(account, reader)
            watching.cancel()
            stop_reading.set()
        listed = await _list_records(client, stream)
        count = (await client.get(f"/v1/streams/{stream}")).expect(200)["record_count"]
        health = (await client.get(f"/v1/syncs/{sync}")).expect(200)["health"]
        await _check_the_log(place, seeded=account.seeded)
        await run.stop()
    _report(moments, reader, account, converged_seconds)
    assert not reader.violations, "\n".join(reader.violations)
    faults = [line for log in run.logs for line in log.splitlines() if any(word in line for word in _FAULTS)]
    assert not faults, "\n".join(faults)
    assert not different, f"after {converged_seconds:.0f} s {len(different)} differ: {different[:5]}"
    assert listed == {key: (copy.idx, copy.deleted) for key, copy in reader.view.items()}
    assert count == len(reader.live)
    assert health["status"] == "healthy", health
    _assert_the_moments_hit(moments)


async def _start_sandbox(place: Place, seed: int) -> str:
    """In a process of its own, which nobody kills; returns its address."""
    sandbox = await place.start("sandbox", "stripe", "--port", "0", "--customers", "0", "--seed", str(seed))
    await sandbox.until_said("Stripe sandbox at")
    said = _SAID_BY_SANDBOX.search(sandbox.out)
    assert said is not None, sandbox.out
    return said[1]


async def _configure(client: Client) -> tuple[str, str, str]:
    """The ids of a stream, a sync of everything and a consumer."""
    stream = await client.stream("crash")
    consumer = await client.consumer(stream_id=stream["id"], ack_wait_ms=int(ACK_WAIT_SECONDS * 1000))
    sync = await client.sync(
        stream_id=stream["id"],
        collection_ids=[f"stripe:{name}" for name in SIZES],
        rate_limit={"allowed_requests": 60, "interval": 0.2},
    )
    return stream["id"], sync["id"], consumer["id"]


async def _kill_again_and_again(run: Run, account: Account, reader: Reader, watch: Watch, rng: Random) -> list[Moment]:
    """Kills and starts again at once; returns when the last one has been ready for a while."""
    begun = time.monotonic()
    kinds = [place % 2 == 0 for place in range(KILLS)]
    rng.shuffle(kinds)
    moments: list[Moment] = []
    for everything in kinds:
        if rng.random() < 0.1:
            await asyncio.sleep(rng.uniform(0.05, 0.9))  # while it starts
        else:
            ready_seconds = await run.until_ready()
            if moments:
                moments[-1].ready_again = ready_seconds
            # Now and then there is time enough for reads to cross each other.
            await asyncio.sleep(rng.uniform(*(LONG_LIFE_SECONDS if rng.random() < 0.2 else SHORT_LIFE_SECONDS)))
        at = time.monotonic()
        moment = Moment(
            everything=everything,
            at=at - begun,
            lived=run.lived_seconds,
            changes=account.made.total(),
            held=len(reader.view),
            records=watch.records,
            backfilling=watch.backfilling,
        )
        await run.kill(everything=everything)
        await run.start()
        moment.asked = await account.requests_between(at - _MOMENT_SECONDS, at)
        moments.append(moment)
    moments[-1].ready_again = await run.until_ready()
    await asyncio.sleep(rng.uniform(*LONG_LIFE_SECONDS))
    return moments


async def _until_equal(account: Account, reader: Reader) -> tuple[list[str], float]:
    """Returns what the consumer and the account still disagree on, and how long after the last change that was."""
    there = await account.dump()
    deadline = account.last_change_at + CONVERGED_WITHIN_SECONDS
    while True:
        reader.news.clear()
        here = reader.live
        different = [key for key in there.keys() | here.keys() if there.get(key) != here.get(key)]
        now = time.monotonic()
        if not different or now > deadline:
            return [_difference(key, there, here) for key in different], now - account.last_change_at
        try:
            await asyncio.wait_for(reader.news.wait(), timeout=deadline - now)
        except TimeoutError:
            continue


def _difference(key: tuple[str, str], there: dict[tuple[str, str], Any], here: dict[tuple[str, str], Any]) -> str:
    if key not in here:
        return f"{key} is missing"
    return f"{key} should be gone" if key not in there else f"{key} is {here[key]}, should be {there[key]}"


async def _list_records(client: Client, stream_id: str) -> dict[tuple[str, str], tuple[int, bool]]:
    """(index, deleted) of every record by collection and upstream id, read with a cursor."""
    found: dict[tuple[str, str], tuple[int, bool]] = {}
    idx = 0
    query = {"stream_id": stream_id}
    while True:
        page = (await client.get("/v1/records", **query)).expect(200)
        for record in page["records"]:
            assert record["updated_idx"] > idx
            idx = record["updated_idx"]
            found[record["collection_id"], record["upstream_id"]] = idx, record["deleted"]
        if not page["records"]:
            return found
        query["after_cursor"] = page["cursor"]


async def _check_the_log(place: Place, *, seeded: set[tuple[str, str]]) -> None:
    """The event log tells every version once (I2), and no sweep had to bring what the backfill owed (I1)."""
    postgres = await EmbeddedPostgres.open(place.data_dir)
    database = await Database.open(postgres.dsn)
    try:
        rows = await database.fetch(_LOG)
        head_idx = await database.fetch_value("SELECT head_idx FROM stream_heads")
        versions = await database.fetch_value(
            "SELECT count(*) FROM (SELECT idx FROM payloads UNION SELECT idx FROM payload_history) v"
        )
    finally:
        await database.close()
        await postgres.close()
    assert [row["idx"] for row in rows] == list(range(1, head_idx + 1))
    assert versions == head_idx
    times = [row["inserted_us"] for row in rows]
    assert times == sorted(times)
    owed = [
        row for row in rows
        if row["idx"] == row["record_no"] and (row["collection_id"], row["upstream_id"]) in seeded
        and row["detected_by"] == DetectedBy.sweep
    ]  # fmt: skip
    assert not owed, f"a sweep found {len(owed)} records that the backfill had passed, such as {owed[0]}"


_LOG: Final = """
SELECT e.idx, e.record_no, e.inserted_us, e.detected_by, s.collection_id, r.upstream_id
FROM events e JOIN records r USING (stream_no, record_no) JOIN sources s USING (stream_no, source_no) ORDER BY e.idx
"""


def _report(moments: Iterable[Moment], reader: Reader, account: Account, converged_seconds: float) -> None:
    print(_HEAD)
    for moment in moments:
        print(moment.line)
    print(f"changes: {dict(account.made)}")
    print(f"consumer: {len(reader.live)} live records, {dict(reader.counts)}")
    print(f"equal {converged_seconds:.1f} s after the last change")


def _assert_the_moments_hit(moments: list[Moment]) -> None:
    assert len(moments) == KILLS
    assert sum(moment.everything for moment in moments) == KILLS // 2
    in_backfill = [moment for moment in moments if moment.backfilling and moment.asked["page"]]
    assert len(in_backfill) >= KILLS // 3, "too few kills met the backfill"
    assert sum(moment.asked["by id"] > 0 for moment in moments) >= KILLS // 3, (
        "too few kills met changes being followed"
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
