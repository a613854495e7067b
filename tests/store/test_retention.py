"""What leaves: versions, events and tombstones whose time is over, and records that our configuration takes away."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.made import Made, Maker, write, writes
from tests.support.waiting import until_blocked

from springline.domain.records import Outcome
from springline.engine.maintenance.leaving import Leaving
from springline.engine.maintenance.retention import Retention
from springline.engine.page_commit import StreamWriters
from springline.store.database import Database
from springline.store.departures import DepartureStore
from springline.store.pages import CommittedPage, Page, PageStore, RecordWrite
from springline.store.records import RecordStore
from springline.store.retention import BATCH_ROWS, RetentionStore

DAY_US = 86_400_000_000


class Kept:
    """A stream with what is kept of it."""

    def __init__(self, database: Database, made: Made) -> None:
        self.database = database
        self.made = made
        self.store = RetentionStore(database)

    async def commit(self, *records: RecordWrite, epoch: int = 1, **checkpoints: bytes) -> CommittedPage:
        page = Page(sync_no=self.made.sync_no, epoch=epoch, records=records, checkpoints=checkpoints)
        _, (committed,) = await PageStore(self.database).commit(self.made.stream_no, [page])
        return committed

    async def put(self, key: str, data: bytes | None = b"{}", **options: Any) -> Outcome:
        committed = await self.commit(write(self.made.source_no, key, data, as_of=2**62, **options))
        return committed.outcomes[0]

    async def days_pass(self, days: float) -> None:
        for table, column in (
            ("events", "inserted_us"),
            ("payloads", "inserted_us"),
            ("payload_history", "inserted_us"),
            ("payload_history", "replaced_us"),
            ("stream_heads", "last_inserted_us"),
        ):
            await self.database.execute(
                f"UPDATE {table} SET {column} = {column} - $2 WHERE stream_no = $1",
                self.made.stream_no,
                int(days * DAY_US),
            )

    async def expire(self) -> int:
        return await Retention(self.store).remove_expired()

    async def idxs(self, table: str) -> list[int]:
        rows = await self.database.fetch(
            f"SELECT idx FROM {table} WHERE stream_no = $1 ORDER BY idx", self.made.stream_no
        )
        return [row["idx"] for row in rows]

    async def reasons(self) -> dict[str, int]:
        """The deleted reason of each record, 0: live."""
        rows = await self.database.fetch(
            "SELECT upstream_id, deleted_reason FROM payloads WHERE stream_no = $1", self.made.stream_no
        )
        return {row["upstream_id"]: row["deleted_reason"] for row in rows}

    async def change(self, **changes: Any) -> None:
        await Maker(self.database).syncs.update(self.made.org_id, self.made.sync.sync_id, changes)


@pytest.fixture
async def kept(database: Database) -> Kept:
    return Kept(database, await Maker(database).sync("stripe:customer", "stripe:plan"))


@pytest.fixture
async def leaving(database: Database) -> AsyncIterator[Leaving]:
    writers = StreamWriters(PageStore(database), on_commit=lambda _: None)
    yield Leaving(RetentionStore(database), RecordStore(database), writers)
    await writers.close()


# what expires --------------------------------------------------------------------------------


async def test_events_and_the_versions_they_replaced_leave_together(kept: Kept) -> None:
    await kept.put("a", b"1")
    await kept.put("a", b"2")
    await kept.days_pass(6)
    await kept.put("a", b"3")
    assert await kept.expire() == 0
    await kept.days_pass(1.5)
    await kept.expire()
    assert (await kept.idxs("events"), await kept.idxs("payload_history")) == ([3], [2])
    await kept.days_pass(6)
    await kept.expire()
    assert (await kept.idxs("events"), await kept.idxs("payload_history")) == ([], [])
    assert await kept.idxs("payloads") == [3]  # what is current stays for ever


async def test_old_versions_that_were_replaced_lately_hold_up_nothing(kept: Kept) -> None:
    """History leaves by when it was replaced, which is not the order of its indexes."""
    cold = [f"cold {number}" for number in range(BATCH_ROWS + 10)]
    source_no = kept.made.source_no
    await kept.commit(*writes(source_no, cold))
    for content in (b"1", b"2", b"3"):
        await kept.put("hot", content)
    await kept.days_pass(8)
    await kept.commit(*writes(source_no, cold, b"[]", as_of=2**62))
    await kept.expire()
    history = await kept.idxs("payload_history")
    assert history == list(range(1, len(cold) + 1))


async def test_without_retention_no_version_is_kept(database: Database) -> None:
    maker = Maker(database)
    made = await maker.sync()
    await maker.streams.update(made.org_id, made.stream.stream_id, {"event_retention_days": 0.0})
    kept = Kept(database, made)
    await kept.put("a", b"1")
    await kept.put("a", b"2")
    assert await kept.idxs("payload_history") == []
    await kept.expire()
    assert (await kept.idxs("events"), await kept.idxs("payloads")) == ([], [2])


async def test_tombstones_leave_without_a_message(kept: Kept) -> None:
    for key in ("a", "b", "c"):
        await kept.put(key)
    await kept.put("a", None)
    await kept.days_pass(29)
    await kept.put("b", None)
    await kept.expire()
    assert await kept.reasons() == {"a": 1, "b": 1, "c": 0}
    await kept.days_pass(2)
    await kept.expire()
    assert await kept.reasons() == {"b": 1, "c": 0}
    head = await kept.database.fetch_row(
        "SELECT head_idx, record_count FROM stream_heads WHERE stream_no = $1", kept.made.stream_no
    )
    assert head is not None
    assert tuple(head) == (5, 1)
    # The same id afterwards is a new record.
    committed = await kept.commit(write(kept.made.source_no, "a", b"2", as_of=2**62))
    assert (committed.outcomes, committed.record_nos) == ([Outcome.created], [None])


async def test_many_tombstones_leave_in_batches(kept: Kept) -> None:
    keys = [f"{number}" for number in range(BATCH_ROWS + 200)]
    source_no = kept.made.source_no
    await kept.commit(*writes(source_no, keys))
    await kept.commit(*(write(source_no, key, None, as_of=2**62) for key in keys))
    await kept.days_pass(31)
    assert await kept.store.remove_expired(kept.made.stream_no) == BATCH_ROWS * 2  # events, too
    await kept.expire()
    assert await kept.idxs("payloads") == []
    assert await kept.database.fetch_value("SELECT count(*) FROM records") == 0


async def test_removing_tombstones_takes_turns_with_commits(kept: Kept) -> None:
    await kept.put("a")
    await kept.put("a", None)
    await kept.days_pass(31)
    async with kept.database.connection() as holder:
        running = holder.transaction()
        await running.start()
        await holder.execute("SELECT 1 FROM stream_heads WHERE stream_no = $1 FOR UPDATE", kept.made.stream_no)
        removing = asyncio.create_task(kept.store.remove_expired(kept.made.stream_no))
        await until_blocked(kept.database)
        await running.rollback()
    await removing
    assert await kept.reasons() == {}


async def test_nothing_to_remove_takes_no_lock(kept: Kept) -> None:
    await kept.put("a")
    await kept.put("a", None)
    async with kept.database.connection() as holder, holder.transaction():
        await holder.execute("SELECT 1 FROM stream_heads WHERE stream_no = $1 FOR UPDATE", kept.made.stream_no)
        assert await asyncio.wait_for(kept.expire(), timeout=5) == 0


# what configuration takes away ---------------------------------------------------------------


async def test_a_collection_taken_away_leaves_and_comes_back(kept: Kept, leaving: Leaving) -> None:
    for number in range(3):
        await kept.put(f"{number}")
    plan = write(kept.made.sources["stripe:plan"], "plan")
    await kept.commit(plan)
    await kept.change(collection_ids=["stripe:plan"])
    assert await leaving.publish() == 3
    assert await kept.reasons() == {"0": 3, "1": 3, "2": 3, "plan": 0}
    assert await leaving.publish() == 0

    await kept.change(collection_ids=["stripe:plan", "stripe:customer"])
    source = await kept.database.fetch_row(
        "SELECT source_no, generation, removed_reason, departed FROM sources WHERE collection_id = 'stripe:customer'"
    )
    assert source is not None
    assert tuple(source) == (kept.made.source_no, 1, 0, False)
    assert await kept.put("0") is Outcome.created
    record = await kept.database.fetch_row("SELECT record_no FROM records WHERE upstream_id = '0'")
    assert record is not None
    assert record["record_no"] == 1  # while the tombstone lives, it is the same record
    assert await leaving.publish() == 0


async def test_a_commit_that_is_running_when_its_collection_is_taken_away_leaves_nothing_behind(
    kept: Kept, leaving: Leaving
) -> None:
    async with kept.database.connection() as holder:
        running = holder.transaction()
        await running.start()
        # A commit that has looked at its source already: it holds the counter, its record is not visible yet.
        await holder.execute("SELECT 1 FROM stream_heads WHERE stream_no = $1 FOR UPDATE", kept.made.stream_no)
        await holder.fetchrow("UPDATE stream_heads SET head_idx = 1, record_count = 1")
        await holder.execute(
            """WITH r AS (
                INSERT INTO records (stream_no, source_no, upstream_id, record_no, idx, raw_print)
                VALUES ($1, $2, 'late', 1, 1, 0)
            )
            INSERT INTO payloads (stream_no, idx, record_no, source_no, inserted_us, upstream_id, data)
            VALUES ($1, 1, 1, $2, 0, 'late', '{}')""",
            kept.made.stream_no,
            kept.made.source_no,
        )
        await kept.change(collection_ids=["stripe:plan"])
        publishing = asyncio.create_task(leaving.publish())
        await until_blocked(kept.database)
        await running.commit()
    assert await publishing == 1
    assert await kept.reasons() == {"late": 3}


async def test_the_records_of_a_deleted_sync_leave_and_free_its_credential(kept: Kept, leaving: Leaving) -> None:
    await kept.put("a")
    sync = kept.made.sync
    syncs = Maker(kept.database).syncs
    await syncs.delete(kept.made.org_id, sync.sync_id, keep_records=False)
    assert (await kept.commit(write(kept.made.source_no, "b"), x=b"1")).fenced_off
    held = "SELECT credential_no FROM syncs WHERE sync_no = $1"
    assert await kept.database.fetch_value(held, sync.sync_no) is not None
    assert await leaving.publish() == 1
    assert await kept.reasons() == {"a": 4}
    assert await kept.database.fetch_value(held, sync.sync_no) is None


async def test_records_that_are_kept_stay(kept: Kept, leaving: Leaving) -> None:
    await kept.put("a")
    await Maker(kept.database).syncs.delete(kept.made.org_id, kept.made.sync.sync_id, keep_records=True)
    assert await leaving.publish() == 0
    assert await kept.reasons() == {"a": 0}


async def test_many_records_leave_in_one_pass(kept: Kept, leaving: Leaving) -> None:
    for start in range(0, 3000, 1000):
        await kept.commit(*writes(kept.made.source_no, [f"{start + number:05}" for number in range(1000)]))
    await kept.change(collection_ids=["stripe:plan"])
    assert await leaving.publish() == 3000
    assert set((await kept.reasons()).values()) == {3}


async def test_records_that_have_grown_old_leave_once(kept: Kept, leaving: Leaving) -> None:
    await kept.change(max_age_days=10)
    now_us = int(time.time() * 1_000_000)
    ages: dict[str, tuple[int | None, int | None]] = {
        "old by creation": (20, None),
        "created long ago, updated lately": (20, 5),
        "old by update": (30, 20),
        "young": (5, None),
        "without a time": (None, None),
    }
    for key, days in ages.items():
        created_us, updated_us = (None if day is None else now_us - day * DAY_US for day in days)
        record = write(kept.made.source_no, key)._replace(created_us=created_us, updated_us=updated_us)
        await kept.commit(record)
    assert await leaving.publish_aged() == 2
    old = {"old by creation", "old by update"}
    assert {key for key, reason in (await kept.reasons()).items() if reason == 2} == old
    await kept.days_pass(11)
    fresh = Leaving(RetentionStore(kept.database), RecordStore(kept.database), leaving._writers)
    assert await fresh.publish_aged() == 1  # by when it entered the stream
    assert await fresh.publish_aged() == 0


async def test_what_has_changed_meanwhile_is_not_old(kept: Kept) -> None:
    await kept.change(max_age_days=10)
    long_ago = int(time.time() * 1_000_000) - 20 * DAY_US
    await kept.commit(write(kept.made.source_no, "a", b"1")._replace(updated_us=long_ago))

    class Slow(RecordStore):
        """Between its look and the write the record changes."""

        async def list_aged(self, *arguments: Any, **options: Any) -> Any:
            aged = await super().list_aged(*arguments, **options)
            await kept.put("a", b"2")
            return aged

    writers = StreamWriters(PageStore(kept.database), on_commit=lambda _: None)
    leaving = Leaving(RetentionStore(kept.database), Slow(kept.database), writers)
    assert await leaving.publish_aged() == 0
    assert await kept.reasons() == {"a": 0}
    await writers.close()


async def test_of_a_deleted_stream_nothing_is_left(kept: Kept) -> None:
    maker = Maker(kept.database)
    await kept.put("a")
    await kept.put("a", b"2")
    await maker.consumer(kept.made)
    await maker.syncs.delete(kept.made.org_id, kept.made.sync.sync_id, keep_records=True)
    assert await maker.streams.delete(kept.made.org_id, kept.made.stream.stream_id)
    await DepartureStore(kept.database).remove_departed()
    tables = await kept.database.fetch(
        """SELECT table_name FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name = 'stream_no'"""
    )
    assert len(tables) > 10
    for row in tables:
        assert await kept.database.fetch_value(f"SELECT count(*) FROM {row['table_name']}") == 0, row["table_name"]
