"""Reads that cross (I11): what was seen to be gone is not brought back by a page that was asked for before."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.driven import Driver
from tests.support.made import CUSTOMER, Made, Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until_blocked

from springline.domain.records import DetectedBy, PageRecord
from springline.engine.page_commit import StreamWriter
from springline.engine.record_writes import RecordWriter
from springline.store.database import Database
from springline.store.pages import PageStore


class Writing:
    """A sync's record writer on a stream of its own."""

    def __init__(self, database: Database, made: Made) -> None:
        self.database = database
        self.made = made
        store = PageStore(database)
        self.stream = StreamWriter(made.stream_no, store, on_commit=lambda _: None)
        self.records = RecordWriter(
            sync_no=made.sync_no, epoch=made.epoch, max_age_days=None, writer=self.stream, store=store
        )

    async def stored(self) -> set[str]:
        rows = await self.database.fetch("SELECT upstream_id FROM records WHERE stream_no = $1", self.made.stream_no)
        return {row["upstream_id"] for row in rows}


@pytest.fixture
async def writing(database: Database) -> AsyncIterator[Writing]:
    made = Writing(database, await Maker(database).sync())
    yield made
    await made.stream.close()


def page(*upstream_ids: str) -> list[PageRecord]:
    return [PageRecord(upstream_id, b'{"id":"%s"}' % upstream_id.encode()) for upstream_id in upstream_ids]


@pytest.mark.parametrize("mostly_known", [True, False])
async def test_an_older_page_does_not_bring_back_what_is_gone(writing: Writing, mostly_known: bool) -> None:
    records, source_no = writing.records, writing.made.source_no
    reading = records.begin_reading()
    records.note_gone(source_no, ["b"])
    written = await records.write(
        source_no,
        page("a", "b"),
        reading=reading,
        detected_by=DetectedBy.backfill,
        mostly_known=mostly_known,
        checkpoints={"backfill": b"{}"},
    )
    assert (written.created, written.stale) == (1, ["b"])
    assert await writing.stored() == {"a"}
    # I1: what is left to be read again is not covered yet.
    assert await writing.database.fetch_value("SELECT count(*) FROM checkpoints") == 0


async def test_a_read_that_began_later_is_believed(writing: Writing) -> None:
    records, source_no = writing.records, writing.made.source_no
    records.note_gone(source_no, ["b"])
    written = await records.write(
        source_no, page("b"), reading=records.begin_reading(), detected_by=DetectedBy.poll, mostly_known=True
    )
    assert (written.created, written.stale) == (1, [])


async def test_the_same_id_of_another_collection_is_another_record(writing: Writing) -> None:
    records, source_no = writing.records, writing.made.source_no
    reading = records.begin_reading()
    records.note_gone(source_no + 1, ["b"])
    written = await records.write(source_no, page("b"), reading=reading, detected_by=DetectedBy.poll, mostly_known=True)
    assert written.created == 1


async def test_what_is_seen_to_be_gone_while_it_is_written_is_read_again(writing: Writing) -> None:
    """Whoever saw it gone looked for it in the store before it was there."""
    records, source_no = writing.records, writing.made.source_no
    async with writing.database.transaction() as holder:
        await holder.execute("SELECT 1 FROM stream_heads WHERE stream_no = $1 FOR UPDATE", writing.made.stream_no)
        reading = records.begin_reading()
        commit = asyncio.create_task(
            records.write(
                source_no, page("a", "b"), reading=reading, detected_by=DetectedBy.backfill, mostly_known=False
            )
        )
        await until_blocked(writing.database)
        records.note_gone(source_no, ["b"])
        assert await records.known_live(source_no, ["b"]) == []
    written = await commit
    assert (written.created, written.stale) == (2, ["b"])


async def test_a_deletion_crosses_a_backfill_page(side: StripeSide, drive: Driver) -> None:
    """The page that still shows the customer is on its way while the feed says that it is gone: it never appears."""
    sync = await drive.sync(CUSTOMER)
    ids = await side.seed("customer", 3)
    await sync.feed.run()
    held = await side.fault("late_page", match={"path": "/v1/customers", "times": 1})
    backfill = asyncio.create_task(sync.backfill())
    await side.fault_fired(held)
    await side.delete("customer", ids[1])
    await sync.feed.run()
    await side.release(held)
    await backfill
    rows = await drive.database.fetch("SELECT upstream_id FROM records")
    assert sorted(row["upstream_id"] for row in rows) == sorted([ids[0], ids[2]])
    assert await sync.is_equal(side)
