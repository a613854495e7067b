"""The writer of a stream: pages that are ready go together, one that is refused goes alone, and a database that is away
is waited for."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.driven import Driven, Driver
from tests.support.made import Made, Maker, write, writes
from tests.support.stripe_side import StripeSide

from springline.domain.records import DetectedBy, Outcome, PageRecord
from springline.engine.page_commit import MOST_BYTES, MOST_RECORDS, StreamWriter
from springline.engine.record_writes import FencedOff
from springline.store.database import Database
from springline.store.embedded import EmbeddedPostgres
from springline.store.migrate import migrate
from springline.store.pages import CommittedPage, Page, PageRefused, PageStore
from springline.store.records import RecordStore


class Watched(PageStore):
    """Notes what goes together, and lets a statement wait."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.statements: list[list[Page]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def commit(self, stream_no: int, pages: Sequence[Page]) -> tuple[int, list[CommittedPage]]:
        self.statements.append(list(pages))
        self.asked.set()
        await self.gate.wait()
        return await super().commit(stream_no, pages)

    @property
    def sizes(self) -> list[int]:
        return [len(pages) for pages in self.statements]


@pytest.fixture
async def made(database: Database) -> Made:
    return await Maker(database).sync("stripe:customer", "stripe:plan")


@pytest.fixture
def store(database: Database) -> Watched:
    return Watched(database)


@pytest.fixture
async def writer(made: Made, store: Watched) -> AsyncIterator[StreamWriter]:
    moved: list[int] = []
    opened = StreamWriter(made.stream_no, store, on_commit=moved.append)
    yield opened
    await opened.close()
    assert set(moved) <= {made.stream_no}


def page(made: Made, *keys: str, data: bytes = b"{}", epoch: int = 1, **checkpoints: bytes) -> Page:
    records = writes(made.source_no, keys, data, as_of=2**62)
    return Page(sync_no=made.sync_no, epoch=epoch, records=records, checkpoints=checkpoints)


async def hand_over(writer: StreamWriter, store: Watched, *pages: Page) -> list[asyncio.Task[CommittedPage]]:
    """The first page's statement waits at the gate, which is closed; the others wait for the writer, in this order."""
    store.gate.clear()
    store.asked.clear()
    tasks = [asyncio.create_task(writer.commit(pages[0]))]
    await store.asked.wait()
    tasks += [asyncio.create_task(writer.commit(each)) for each in pages[1:]]
    await asyncio.sleep(0)
    return tasks


async def test_what_is_ready_goes_together(writer: StreamWriter, store: Watched, made: Made) -> None:
    pages = [page(made, f"{number}") for number in range(20)]
    first, *rest = await hand_over(writer, store, page(made, "first"), *pages)
    store.gate.set()
    assert (await first).outcomes == [Outcome.created]
    assert [(await task).outcomes for task in rest] == [[Outcome.created]] * 20
    assert store.sizes == [1, 20]  # the first one waited for nobody
    assert writer.head_idx == 21
    assert writer._task is None


async def test_no_statement_holds_a_key_or_a_checkpoint_twice(writer: StreamWriter, store: Watched, made: Made) -> None:
    pages = [
        page(made, "first"),
        page(made, "a", "b", data=b"1"),
        page(made, "c", x=b"1"),
        page(made, "b", data=b"2"),
        page(made, "d", x=b"2"),
        page(made, "e", epoch=2),
    ]
    tasks = await hand_over(writer, store, *pages)
    store.gate.set()
    committed = await asyncio.gather(*tasks)
    assert store.sizes == [1, 2, 2, 1]
    assert [each.fenced_off for each in committed] == [False] * 5 + [True]
    assert committed[3].outcomes == [Outcome.updated]


async def test_a_statement_has_its_bounds(writer: StreamWriter, store: Watched, made: Made) -> None:
    store.gate.clear()
    half = MOST_RECORDS // 2
    pages = [page(made, "first")]
    pages += [page(made, *(f"{number}-{place}" for place in range(half))) for number in range(3)]
    pages += [page(made, f"big {number}", data=b" " * (MOST_BYTES // 2)) for number in range(3)]
    pages += [page(made, "giant", data=b" " * (2 * MOST_BYTES))]
    tasks = await hand_over(writer, store, *pages)
    store.gate.set()
    await asyncio.gather(*tasks)
    assert store.sizes == [1, 2, 2, 2, 1]
    for statement in store.statements:
        assert sum(len(each.records) for each in statement) <= MOST_RECORDS
        assert sum(each.size for each in statement) <= MOST_BYTES or len(statement) == 1


async def test_a_refused_page_is_refused_alone(writer: StreamWriter, store: Watched, made: Made) -> None:
    pages = [page(made, "first"), page(made, "a", x=b"1"), page(made, "nul \x00", y=b"1"), page(made, "b")]
    tasks = await hand_over(writer, store, *pages)
    store.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [CommittedPage, CommittedPage, PageRefused, CommittedPage]
    assert store.sizes == [1, 3, 1, 1, 1]
    names = await store._database.fetch("SELECT name FROM checkpoints")
    assert [row["name"] for row in names] == ["x"]


async def test_nobody_waits_for_a_page_that_is_not_written(writer: StreamWriter, store: Watched, made: Made) -> None:
    tasks = await hand_over(writer, store, page(made, "first"), page(made, "given up", x=b"1"), page(made, "kept"))
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    store.gate.set()
    await tasks[2]
    assert [record.upstream_id for each in store.statements[1] for record in each.records] == ["kept"]
    # One that is under way is not stopped, nor does it stop the writer.
    (task,) = await hand_over(writer, store, page(made, "under way"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    store.gate.set()
    await writer.settle()
    assert await store._database.fetch_value("SELECT count(*) FROM records") == 3


async def test_a_closed_writer_leaves_nobody_waiting(writer: StreamWriter, store: Watched, made: Made) -> None:
    tasks = await hand_over(writer, store, page(made, "under way"), page(made, "waiting"))
    await writer.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert writer._task is None


async def test_an_unexpected_error_reaches_those_who_wait_and_not_the_next(
    writer: StreamWriter, store: Watched, made: Made, database: Database
) -> None:
    await database.execute("ALTER TABLE events RENAME TO elsewhere")
    with pytest.raises(asyncpg.UndefinedTableError):
        await writer.commit(page(made, "a"))
    await database.execute("ALTER TABLE elsewhere RENAME TO events")
    assert (await writer.commit(page(made, "a"))).outcomes == [Outcome.created]


async def test_connections_that_are_cut_are_waited_out(
    writer: StreamWriter, store: Watched, made: Made, database: Database
) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
    name = await database.fetch_value("SELECT current_database()")
    async with database.connection() as knife:
        await knife.execute(cut.replace("$1", f"'{name}'"))
        tasks = await hand_over(writer, store, *(page(made, f"{number}") for number in range(5)))
        await knife.execute(cut.replace("$1", f"'{name}'"))
        store.gate.set()
        assert [(await task).fenced_off for task in tasks] == [False] * 5
    assert await database.fetch_value("SELECT count(*) FROM records") == 5


@pytest.fixture
async def own_postgres() -> AsyncIterator[EmbeddedPostgres]:
    """A server of this test's own, since it is going to crash."""
    folder = Path(tempfile.mkdtemp(prefix="springline-test-"))
    folder.chmod(0o755)  # noqa: ASYNC240
    try:
        server = await EmbeddedPostgres.open(folder / "data")
        try:
            yield server
        finally:
            await server.close()
    finally:
        shutil.rmtree(folder)


async def test_a_database_that_crashes_in_the_middle_loses_and_doubles_nothing(  # I10
    own_postgres: EmbeddedPostgres,
) -> None:
    database = await Database.open(own_postgres.dsn)
    await migrate(database)
    made = await Maker(database).sync()
    writer = StreamWriter(made.stream_no, PageStore(database), on_commit=lambda _: None)
    crash_after = {20: asyncio.Event(), 60: asyncio.Event()}
    committed = 0

    async def write_pages(name: int) -> None:
        nonlocal committed
        for number in range(30):
            keys = [f"{name}-{number}-{place}" for place in range(10)]
            records = writes(made.source_no, keys)
            await writer.commit(
                Page(sync_no=made.sync_no, epoch=1, records=records, checkpoints={f"mark {name}": b"%d" % number})
            )
            committed += 1
            if committed in crash_after:
                crash_after[committed].set()

    async def crash() -> None:
        for event in crash_after.values():
            await event.wait()
            connection = await asyncpg.connect(**own_postgres.dsn)
            os.kill(connection.get_server_pid(), signal.SIGKILL)  # the server ends and restarts all of its processes
            connection.terminate()

    async with asyncio.timeout(60):
        await asyncio.gather(crash(), *(write_pages(name) for name in range(4)))
    row = await database.fetch_row(
        "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM events), (SELECT head_idx FROM stream_heads)"
    )
    assert row is not None
    assert tuple(row) == (1200, 1200, 1200)
    marks = await database.fetch("SELECT state FROM checkpoints")
    assert [row["state"] for row in marks] == [b"29"] * 4
    await writer.close()
    await database.close()


# what the engine makes of it -----------------------------------------------------------------


@pytest.fixture
async def sync(drive: Driver) -> Driven:
    return await drive.sync()


def records(*keys: str, data: bytes = b'{"n":1}') -> list[PageRecord]:
    return [PageRecord(key, data) for key in keys]


async def put(sync: Driven, *pieces: PageRecord, mostly_known: bool = False, **checkpoints: bytes) -> Any:
    return await sync.session.records.write(
        sync.made.source_no,
        pieces,
        reading=sync.session.records.begin_reading(),
        detected_by=DetectedBy.poll,
        mostly_known=mostly_known,
        checkpoints=checkpoints,
    )


async def test_only_the_record_at_fault_is_held(sync: Driven, database: Database) -> None:
    await put(sync, *records("a", "nul \x00", "b"), x=b"{}")
    assert set(await sync.live()) == {"a", "b"}
    holds = await database.fetch("SELECT reason, content FROM holds")
    assert [row["content"] for row in holds] == [b'{"n":1}']
    assert "refused by the database" in holds[0]["reason"]
    assert await sync.checkpoint("x") == {}


async def test_a_page_larger_than_a_statement_is_written_whole_before_its_checkpoint(sync: Driven) -> None:
    many = records(*(f"{number}" for number in range(2 * MOST_RECORDS + 5)))
    await put(sync, *many, x=b"{}")
    assert len(await sync.live()) == len(many)
    assert await sync.checkpoint("x") == {}


@pytest.mark.parametrize("mostly_known", [True, False])
async def test_only_content_counts(sync: Driven, mostly_known: bool) -> None:
    await put(sync, PageRecord("a", b'{"x":1,"y":[1.10,"\\u0041"]}'))
    for same in (b'{ "y" : [1.10, "\\u0041"], "x": 1 }', b'{"y":[1.10,"A"],"x":1}'):
        written = await put(sync, PageRecord("a", same), mostly_known=mostly_known, x=b"{}")
        assert (written.changed, written.seen) == (0, [1])
    assert await sync.checkpoint("x") == {}
    for count, other in enumerate((b'{"x":1,"y":[1.1,"A"]}', b'{"x":"1","y":[1.1,"A"]}', b'{"x":1,"y":["A",1.1]}'), 1):
        written = await put(sync, PageRecord("a", other), mostly_known=mostly_known)
        assert written.changed == 1
        assert len(await sync.events()) == count + 1
    (version,) = await sync.versions()
    assert version["data"] == b'{"x":1,"y":["A",1.1]}'


async def test_of_a_key_that_stands_twice_on_a_page_the_last_counts(sync: Driven) -> None:
    await put(sync, PageRecord("a", b"1"), PageRecord("a", b"2"))
    assert [row["data"] for row in await sync.versions()] == [b"2"]


async def test_another_holder_stops_every_write(sync: Driven, drive: Driver) -> None:
    await drive.open(sync.made)
    with pytest.raises(FencedOff):
        await put(sync, *records("a"))
    with pytest.raises(FencedOff):
        await sync.session.save({"x": b"1"})
    assert await sync.live() == {}


async def test_a_collection_that_is_taken_away_stops_its_writes(sync: Driven, drive: Driver) -> None:
    made = sync.made
    await drive.maker.syncs.update(made.org_id, made.sync.sync_id, {"collection_ids": ["stripe:plan"]})
    with pytest.raises(FencedOff):
        await put(sync, *records("a"), x=b"1")
    assert (await sync.live(), await sync.checkpoint("x")) == ({}, None)


async def test_an_index_that_others_wrote_is_learnt_from_the_first_answer(
    sync: Driven, side: StripeSide, database: Database
) -> None:
    """A stream has other writers: their index is above what this process knew when it began to read."""
    ids = await side.seed("customer", 1)
    await sync.backfill()
    other = PageStore(database)
    record = write(sync.made.source_no, ids[0], b'{"id":"written elsewhere"}', as_of=2**62)
    await other.commit(sync.made.stream_no, [Page(sync_no=0, epoch=0, records=[record])])
    await side.update("customer", ids[0], events=False, name="newer still")
    before = side.count(f"/v1/customers/{ids[0]}")
    await sync.rereader.reread(sync.part(), ids, DetectedBy.feed)
    assert side.count(f"/v1/customers/{ids[0]}") - before == 2
    assert await sync.is_equal(side)
    assert sync.session.records.writer.head_idx == 3
    assert len(await RecordStore(database).list_live(sync.made.stream_no, sync.made.source_no, after="", limit=9)) == 1
