"""The page commit against the invariants that it keeps: I1, I2, I3, I11."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from tests.support.made import Made, Maker, write, writes
from tests.support.waiting import until_blocked

from springline.domain.records import DeletedReason, Outcome
from springline.domain.syncs import Sync
from springline.store.database import Database
from springline.store.pages import CommittedPage, Page, PageRefused, PageStore, RecordWrite
from springline.store.records import RecordStore
from springline.store.statements import load_statements


@pytest.fixture
async def made(maker: Maker) -> Made:
    return await maker.sync("stripe:customer", "stripe:plan")


class Stream:
    """One sync's stream, written page by page."""

    def __init__(self, database: Database, made: Made) -> None:
        self.database = database
        self.made = made
        self.pages = PageStore(database)

    async def commit(
        self, *records: RecordWrite, epoch: int | None = None, **checkpoints: bytes | None
    ) -> CommittedPage:
        page = Page(
            sync_no=self.made.sync_no,
            epoch=self.made.epoch if epoch is None else epoch,
            records=records,
            checkpoints=checkpoints,
        )
        _, (committed,) = await self.pages.commit(self.made.stream_no, [page])
        return committed

    async def head(self) -> int:
        return await self.pages.head_idx(self.made.stream_no)

    async def checkpoint(self, name: str = "feed") -> bytes | None:
        state: bytes | None = await self.database.fetch_value(
            "SELECT state FROM checkpoints WHERE sync_no = $1 AND name = $2", self.made.sync_no, name
        )
        return state

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.database.fetch(statement, self.made.stream_no)]

    async def contents(self) -> dict[str, tuple[int, int, bytes]]:
        """Index, deleted reason and data of each record, as a reader from the start sees them."""
        versions = await RecordStore(self.database).list_versions(
            self.made.stream_no,
            after_idx=0,
            head_idx=2**62,
            limit=10_000,
            source_nos=None,
            most_bytes=2**40,
            overhead_bytes=0,
        )
        return {row["upstream_id"]: (row["idx"], row["deleted_reason"], row["data"]) for row in versions}


@pytest.fixture
def stream(shared: Database, made: Made) -> Stream:
    return Stream(shared, made)


# what becomes of a record --------------------------------------------------------------------


async def test_a_record_is_created_updated_and_deleted_once_each(stream: Stream, made: Made) -> None:
    source_no = made.source_no
    steps: Sequence[tuple[bytes | None, Outcome]] = [
        (b'{"n":1}', Outcome.created),
        (b'{"n":1}', Outcome.unchanged),
        (b'{"n":2}', Outcome.updated),
        (None, Outcome.deleted),
        (None, Outcome.unchanged),
        (b'{"n":2}', Outcome.created),
    ]
    for data, outcome in steps:
        committed = await stream.commit(write(source_no, "a", data, as_of=await stream.head()))
        assert committed.outcomes == [outcome]
    assert await stream.contents() == {"a": (4, 0, b'{"n":2}')}
    assert await stream.rows(
        "SELECT idx, record_no, previous_idx, kind FROM events WHERE stream_no = $1 ORDER BY idx"
    ) == [(1, 1, None, 1), (2, 1, 1, 2), (3, 1, 2, 3), (4, 1, 3, 1)]
    assert await stream.rows(
        "SELECT idx, data, deleted_reason FROM payload_history WHERE stream_no = $1 ORDER BY idx"
    ) == [(1, b'{"n":1}', 0), (2, b'{"n":2}', 0), (3, b'{"n":2}', 1)]
    assert await stream.rows("SELECT head_idx, record_count FROM stream_heads WHERE stream_no = $1") == [(4, 1)]


@pytest.mark.parametrize(
    ("stored", "read", "outcome"),
    [
        # Content equal: nothing, however old the read.
        ({"data": b"1"}, {"data": b"1", "as_of": 0}, Outcome.unchanged),
        ({"data": b"1", "version": 5}, {"data": b"1", "as_of": 0, "version": 4}, Outcome.unchanged),
        # Older by the provider's word: dropped, however new the read.
        ({"data": b"1", "version": 5}, {"data": b"2", "as_of": 9, "version": 4}, Outcome.older),
        # Changed since the read began, and the provider's version does not say strictly newer: read again.
        ({"data": b"1"}, {"data": b"2", "as_of": 0}, Outcome.stale),
        ({"data": b"1", "version": 5}, {"data": b"2", "as_of": 0, "version": 5}, Outcome.stale),
        ({"data": b"1", "version": 5}, {"data": b"2", "as_of": 0}, Outcome.stale),
        ({"data": b"1"}, {"data": b"2", "as_of": 0, "version": 5}, Outcome.stale),
        ({"data": b"1", "version": 5}, {"data": b"2", "as_of": 0, "version": 6}, Outcome.updated),
        ({"data": b"1"}, {"data": b"2", "as_of": 9}, Outcome.updated),
        # Not looked at yet: compare, then send again.
        ({"data": b"1"}, {"data": b"2", "as_of": 9, "compared": False}, Outcome.compare),
        # Deletions obey the same rule.
        ({"data": b"1"}, {"data": None, "as_of": 0}, Outcome.stale),
        ({"data": b"1"}, {"data": None, "as_of": 9}, Outcome.deleted),
        ({"data": None}, {"data": None, "as_of": 0}, Outcome.unchanged),
        # A read that began before the deletion does not bring the record back, whatever version it saw: the
        # tombstone's version is that of the last content that we knew.
        ({"data": None}, {"data": b"1", "as_of": 0}, Outcome.stale),
        ({"data": None, "version": 5}, {"data": b"2", "as_of": 0, "version": 6}, Outcome.stale),
        ({"data": None, "version": 5}, {"data": b"2", "as_of": 0, "version": 4}, Outcome.stale),
        # One that began after it does: made anew under the same id, also where versions begin anew.
        ({"data": None}, {"data": b"1", "as_of": 9}, Outcome.created),
        ({"data": None, "version": 5}, {"data": b"1", "as_of": 9, "version": 1}, Outcome.created),
    ],
)
async def test_a_read_never_undoes_a_newer_one(  # I11
    stream: Stream, made: Made, stored: dict[str, Any], read: dict[str, Any], outcome: Outcome
) -> None:
    source_no = made.source_no
    version = stored.get("version")
    await stream.commit(write(source_no, "a", stored["data"] or b"1", version=version))
    if stored["data"] is None:
        await stream.commit(write(source_no, "a", None, as_of=9))
    before = await stream.contents()

    committed = await stream.commit(write(source_no, "a", **read), feed=b"{}")

    assert committed.outcomes == [outcome]
    assert committed.record_nos == [1]
    wrote = outcome in {Outcome.created, Outcome.updated, Outcome.deleted}
    assert (await stream.contents() != before) == wrote
    settled = outcome not in {Outcome.stale, Outcome.compare}
    assert (await stream.checkpoint() is not None) == settled


async def test_versions_of_a_record_made_anew_begin_anew(stream: Stream, made: Made) -> None:
    source_no = made.source_no
    await stream.commit(write(source_no, "a", b"1", version=5))
    await stream.commit(write(source_no, "a", None, as_of=9))
    await stream.commit(write(source_no, "a", b"2", version=1, as_of=9))
    committed = await stream.commit(write(source_no, "a", b"3", version=2, as_of=9))
    assert committed.outcomes == [Outcome.updated]


async def test_a_page_of_a_thousand_and_one_of_one(stream: Stream, made: Made) -> None:
    keys = [f"cus_{number:04}" for number in range(1000)]
    committed = await stream.commit(*writes(made.source_no, keys))
    assert set(committed.outcomes) == {Outcome.created}
    await stream.commit(write(made.source_no, "cus_0500", b"[]", as_of=1000))
    contents = await stream.contents()
    assert len(contents) == 1000
    assert contents["cus_0500"] == (1001, 0, b"[]")
    assert contents["cus_0499"] == (500, 0, b"{}")


async def test_pages_of_several_syncs_go_together(shared: Database, stream: Stream, made: Made) -> None:
    other = await Maker(shared).sync(beside=made)
    pages = [
        Page(sync_no=made.sync_no, epoch=1, records=[write(made.source_no, "a")], checkpoints={"x": b"1"}),
        Page(sync_no=other.sync_no, epoch=7, records=[write(other.source_no, "a")], checkpoints={"x": b"2"}),
        Page(sync_no=0, epoch=0, records=[write(made.sources["stripe:plan"], "a")]),
    ]
    head_idx, committed = await stream.pages.commit(made.stream_no, pages)
    assert [page.fenced_off for page in committed] == [False, True, False]
    assert [list(page.outcomes) for page in committed] == [[Outcome.created], [Outcome.fenced_off], [Outcome.created]]
    assert head_idx == 2
    assert await stream.checkpoint("x") == b"1"


async def test_a_key_that_stands_twice_is_refused_and_leaves_nothing(stream: Stream, made: Made) -> None:
    with pytest.raises(PageRefused):
        await stream.commit(write(made.source_no, "a", b"1"), write(made.source_no, "a", b"2"), feed=b"{}")
    assert await stream.contents() == {}
    assert await stream.checkpoint() is None


@pytest.mark.parametrize("key", ["nul \x00", "x" * 20_000_000])
async def test_what_the_database_cannot_hold_is_refused(stream: Stream, made: Made, key: str) -> None:
    with pytest.raises(PageRefused):
        await stream.commit(write(made.source_no, "fine"), write(made.source_no, key))
    assert await stream.contents() == {}


async def test_a_version_outside_64_bits_is_refused(stream: Stream, made: Made) -> None:
    with pytest.raises(PageRefused):
        await stream.commit(write(made.source_no, "a", version=2**63))


# checkpoints (I1) ----------------------------------------------------------------------------


async def test_checkpoints_are_set_replaced_and_deleted(stream: Stream) -> None:
    await stream.commit(feed=b"1", other=b"2")
    await stream.commit(feed=b"3", other=None)
    assert await stream.checkpoint() == b"3"
    assert await stream.checkpoint("other") is None


async def test_one_open_record_withholds_its_own_pages_checkpoint_only(stream: Stream, made: Made) -> None:
    await stream.commit(write(made.source_no, "old", b"1"))
    pages = [
        Page(sync_no=made.sync_no, epoch=1, records=[write(made.source_no, "new")], checkpoints={"fine": b"1"}),
        Page(
            sync_no=made.sync_no,
            epoch=1,
            records=[write(made.source_no, "other"), write(made.source_no, "old", b"2")],
            checkpoints={"open": b"1"},
        ),
    ]
    _, (_, second) = await stream.pages.commit(made.stream_no, pages)
    assert list(second.outcomes) == [Outcome.created, Outcome.stale]
    assert await stream.checkpoint("fine") == b"1"
    assert await stream.checkpoint("open") is None


# who may write (I3) --------------------------------------------------------------------------


async def test_only_the_epoch_of_the_fence_writes(shared: Database, stream: Stream, made: Made) -> None:
    for epoch in (0, 2):
        committed = await stream.commit(write(made.source_no, "a"), epoch=epoch, feed=b"{}")
        assert committed.fenced_off
    await shared.execute("UPDATE sync_fences SET active = false WHERE sync_no = $1", made.sync_no)
    assert (await stream.commit(write(made.source_no, "a"), feed=b"{}")).fenced_off
    assert await stream.contents() == {}
    assert await stream.checkpoint() is None
    assert await stream.head() == 0


async def test_a_takeover_waits_for_a_running_commit_and_stops_later_ones(
    shared: Database, stream: Stream, made: Made
) -> None:
    raise_fence = "UPDATE sync_fences SET epoch = 2 WHERE sync_no = $1"
    statement = stream.pages._sql["commit_pages"]
    async with shared.connection() as holder:
        running = holder.transaction()
        await running.start()
        await holder.fetchrow(statement, *_arguments(made, write(made.source_no, "a")))
        takeover = asyncio.create_task(shared.execute(raise_fence, made.sync_no))
        await until_blocked(shared)
        assert not takeover.done()
        await running.commit()
    await takeover
    assert "a" in await stream.contents()
    assert (await stream.commit(write(made.source_no, "b"), feed=b"{}")).fenced_off
    assert (await stream.commit(write(made.source_no, "b"), epoch=2)).outcomes == [Outcome.created]


async def test_a_commit_waits_for_a_running_takeover(shared: Database, stream: Stream, made: Made) -> None:
    async with shared.connection() as other:
        takeover = other.transaction()
        await takeover.start()
        await other.execute("UPDATE sync_fences SET epoch = 2 WHERE sync_no = $1", made.sync_no)
        commit = asyncio.create_task(stream.commit(write(made.source_no, "a"), feed=b"{}"))
        await until_blocked(shared)
        assert not commit.done()
        await takeover.commit()
    assert (await commit).fenced_off
    assert await stream.contents() == {}


async def test_a_collection_that_was_taken_away_is_not_written_any_more(
    shared: Database, stream: Stream, made: Made
) -> None:
    await stream.commit(write(made.source_no, "a", b"1"))
    await _change(shared, made, collection_ids=["stripe:plan"])

    committed = await stream.commit(write(made.source_no, "b"), feed=b"{}")
    assert committed.fenced_off
    assert await stream.checkpoint() is None
    aged = write(made.source_no, "a", None, as_of=9, deleted_reason=DeletedReason.aged_out)
    assert (await stream.commit(aged, epoch=1)).fenced_off
    other = await stream.commit(write(made.sources["stripe:plan"], "b"), feed=b"{}")
    assert other.outcomes == [Outcome.created]

    removal = write(made.source_no, "a", None, as_of=2**62, deleted_reason=DeletedReason.collection_removed)
    page = Page(sync_no=0, epoch=0, records=[removal])
    _, (committed,) = await stream.pages.commit(made.stream_no, [page])
    assert committed.outcomes == [Outcome.deleted]

    await _change(shared, made, collection_ids=["stripe:plan", "stripe:customer"])
    assert (await stream.commit(write(made.source_no, "a", b"2", as_of=9))).outcomes == [Outcome.created]
    # A removal that was under way meanwhile takes nothing of what is there anew.
    _, (committed,) = await stream.pages.commit(made.stream_no, [page])
    assert committed.outcomes == [Outcome.fenced_off]


# indexes (I2) --------------------------------------------------------------------------------


async def test_two_who_commit_at_once_never_write_below_what_was_seen(
    shared: Database, stream: Stream, made: Made
) -> None:
    async def write_many(name: str) -> None:
        for number in range(40):
            keys = [f"{name}-{number}-{place}" for place in range(5)]
            await stream.commit(
                *writes(made.source_no, keys), write(made.source_no, f"{name}-hot", b"%d" % number, as_of=2**62)
            )

    seen: list[int] = []

    async def read_along(done: asyncio.Event) -> None:
        while True:
            last_round = done.is_set()
            rows = await shared.fetch(
                "SELECT idx FROM payloads WHERE stream_no = $1 AND idx > $2 ORDER BY idx",
                made.stream_no,
                seen[-1] if seen else 0,
            )
            seen.extend(row["idx"] for row in rows)
            if last_round:
                return

    done = asyncio.Event()
    reader = asyncio.create_task(read_along(done))
    await asyncio.gather(write_many("left"), write_many("right"))
    done.set()
    await reader
    events = await stream.rows("SELECT idx, inserted_us FROM events WHERE stream_no = $1 ORDER BY idx")
    assert [idx for idx, _ in events] == list(range(1, 2 * 40 * 6 + 1))
    assert [at for _, at in events] == sorted(at for _, at in events)
    # Whoever read along has every version that is there now: none appeared below what it had read.
    current = {idx for idx, _, _ in (await stream.contents()).values()}
    assert current <= set(seen)


async def test_time_does_not_run_backwards_along_the_index(shared: Database, stream: Stream, made: Made) -> None:
    await stream.commit(write(made.source_no, "a"))
    ahead = int((time.time() + 3600) * 1_000_000)
    await shared.execute("UPDATE stream_heads SET last_inserted_us = $2 WHERE stream_no = $1", made.stream_no, ahead)
    await stream.commit(write(made.source_no, "b"))
    assert await stream.rows("SELECT inserted_us FROM payloads WHERE stream_no = $1 ORDER BY idx DESC LIMIT 1") == [
        (ahead,)
    ]


# cost ----------------------------------------------------------------------------------------


async def test_an_unchanged_page_writes_no_row(shared: Database, stream: Stream, made: Made) -> None:
    keys = [f"cus_{number}" for number in range(100)]
    await stream.commit(*writes(made.source_no, keys))
    tables = ("stream_heads", "records", "payloads", "events", "payload_history", "checkpoints", "sources")

    async def state() -> dict[str, Any]:
        return {
            table: await shared.fetch_value(f"SELECT array_agg((ctid, xmin)::text ORDER BY ctid) FROM {table}")
            for table in tables
        }

    before = await state()
    committed = await stream.commit(*writes(made.source_no, keys, as_of=9999))
    assert set(committed.outcomes) == {Outcome.unchanged}
    assert await state() == before


async def test_a_plan_made_on_empty_tables_holds_when_they_are_not(
    shared: Database, stream: Stream, made: Made
) -> None:
    async with shared.connection() as connection:
        statement = stream.pages._sql["commit_pages"]
        for _ in range(7):  # the plan is settled after five
            await connection.fetchrow(statement, *_arguments(made, write(made.source_no, "none", None)))
            await connection.fetch(stream.pages._sql["known_prints"], made.stream_no, [made.source_no], ["none"])
            await connection.fetch(stream.pages._sql["stored_data"], made.stream_no, [1])
            for text, arguments in _readings(made):
                await connection.fetch(text, *arguments)
        for start in range(0, 30_000, 1000):
            await stream.commit(*writes(made.source_no, [f"cus_{start + place}" for place in range(1000)]))
        changed = writes(made.source_no, [f"cus_{number * 250}" for number in range(100)], b"[]", as_of=2**62)
        keys = [record.upstream_id for record in changed]
        took = {text[:60]: await _fastest(connection, text, arguments) for text, arguments in _readings(made)} | {
            "commit": await _fastest(connection, statement, _arguments(made, *changed)),
            "known": await _fastest(
                connection, stream.pages._sql["known_prints"], [made.stream_no, [made.source_no] * 100, keys]
            ),
            "data": await _fastest(connection, stream.pages._sql["stored_data"], [made.stream_no, list(range(1, 101))]),
        }
    # By index each takes a millisecond or two; by scans a hundred look-ups take a hundred times as long.
    assert max(took.values()) < 0.05, took


def _readings(made: Made) -> list[tuple[str, list[Any]]]:
    """Statements that read a stream, each with arguments for which a hundred rows are enough."""
    sql = load_statements("records")
    bounds = [made.stream_no, 20_000, 10**9, 100, 10**9, 0]
    return [
        (sql["list_records"], bounds),
        (sql["list_records_of_sources"], [*bounds, [made.source_no]]),
        (sql["get_record"], [made.stream_no, 20_000]),
        (sql["list_live"], [made.stream_no, made.source_no, "cus_2", 10**9, 100]),
        (sql["list_any_live"], [made.stream_no, made.source_no, "cus_2", 100]),
        (sql["list_aged"], [made.stream_no, made.source_no, 20_000, 0, 100]),
    ]


async def _fastest(connection: Any, statement: str, arguments: Sequence[Any]) -> float:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        await connection.fetch(statement, *arguments)
        took.append(time.perf_counter() - began)
    return min(took)


async def _change(database: Database, made: Made, **changes: Any) -> Sync:
    sync = await Maker(database).syncs.update(made.org_id, made.sync.sync_id, changes)
    assert sync is not None
    return sync


def _arguments(made: Made, *records: RecordWrite) -> list[Any]:
    """Those of `commit_pages_v2` for one page of records."""
    count = len(records)
    return [
        made.stream_no,
        [made.sync_no],
        [made.epoch],
        [0] * count,
        [made.sync_no] * count,
        [record.source_no for record in records],
        [record.parent_no for record in records],
        [record.upstream_id for record in records],
        [record.raw_print for record in records],
        [record.content_print for record in records],
        [record.version for record in records],
        [None] * count,
        [None] * count,
        [record.as_of for record in records],
        [record.deleted_reason for record in records],
        [record.detected_by for record in records],
        [record.evidence for record in records],
        [record.compared for record in records],
        [0] * count,
        [record.data for record in records],
        [],
        [],
        [],
        [],
    ]


async def test_a_stream_that_is_gone_takes_nothing(stream: Stream, made: Made, shared: Database) -> None:
    await shared.execute("DELETE FROM stream_heads WHERE stream_no = $1", made.stream_no)
    with pytest.raises(asyncpg.NoDataFoundError):
        await stream.commit(write(made.source_no, "a"))
