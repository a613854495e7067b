"""Receive, ack, nack, extend and reset, one rule at a time; test_deliveries_machine.py mixes them."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.made import Made, Maker, write, writes

from springline.domain.consumers import StartAt
from springline.store.database import Database, Row
from springline.store.deliveries import Batch, DeliveryStore, Settled, Token, Verb
from springline.store.pages import Page, PageStore

PLENTY = 2**30


class Queue:
    """One consumer of one sync's stream."""

    def __init__(self, database: Database, made: Made, consumer_no: int) -> None:
        self.database = database
        self.made = made
        self.consumer_no = consumer_no
        self.store = DeliveryStore(database)

    async def put(self, *upstream_ids: str, data: bytes | None = b"{}", source_no: int | None = None) -> int:
        """Writes records whatever they were before; returns the head."""
        records = [write(source_no or self.made.source_no, key, data, as_of=2**62) for key in upstream_ids]
        page = Page(sync_no=self.made.sync_no, epoch=self.made.epoch, records=records)
        head, _ = await PageStore(self.database).commit(self.made.stream_no, [page])
        return head

    async def take(self, batch_size: int = 10, *, most_bytes: int = PLENTY) -> list[Row]:
        return (await self.ask(batch_size, most_bytes=most_bytes)).rows

    async def ask(self, batch_size: int = 10, *, most_bytes: int = PLENTY) -> Batch:
        batch = await self.store.receive(
            self.made.stream_no, self.consumer_no, batch_size=batch_size, most_bytes=most_bytes, overhead_bytes=0
        )
        assert batch is not None
        return batch

    async def settle(self, verb: Verb, rows: Sequence[Row], *, delay_us: int | None = None) -> Settled:
        tokens = [Token(row["record_no"], row["idx"], row["delivery_no"]) for row in rows]
        settled = await self.store.settle(verb, self.made.stream_no, self.consumer_no, tokens, delay_us=delay_us)
        assert settled is not None
        return settled

    async def time_passes(self, seconds: float) -> None:
        for table, column in (("deliveries", "deadline_us"), ("consumer_positions", "next_deadline_us")):
            await self.database.execute(
                f"UPDATE {table} SET {column} = {column} - $2 WHERE consumer_no = $1",
                self.consumer_no,
                int(seconds * 1_000_000),
            )

    async def pending(self) -> int:
        count = await self.store.pending(self.made.stream_no, self.consumer_no, 1000)
        assert count is not None
        return count

    async def delay_seconds(self) -> float:
        """Until the one delivery is due."""
        us: int = await self.database.fetch_value(
            "SELECT deadline_us - now_us() FROM deliveries WHERE consumer_no = $1", self.consumer_no
        )
        return us / 1_000_000

    async def row(self) -> str:
        """Changes whenever the consumer's row is written."""
        row: str = await self.database.fetch_value(
            "SELECT (ctid, xmin)::text FROM consumer_positions WHERE consumer_no = $1", self.consumer_no
        )
        return row


@pytest.fixture
async def made(maker: Maker) -> Made:
    return await maker.sync("stripe:customer", "stripe:plan")


@pytest.fixture
async def queue(maker: Maker, made: Made) -> Queue:
    return Queue(maker.database, made, (await maker.consumer(made)).consumer_no)


def ids(rows: Sequence[Row]) -> list[str]:
    return [row["upstream_id"] for row in rows]


async def test_messages_come_in_order_and_once(queue: Queue) -> None:
    await queue.put("a", "b", "c")
    first = await queue.take(2)
    assert [(row["upstream_id"], row["idx"], row["deliver_count"]) for row in first] == [("a", 1, 1), ("b", 2, 1)]
    assert ids(await queue.take(2)) == ["c"]
    assert await queue.settle("ack", first) == Settled(stale=0, available=0)
    await queue.time_passes(29)
    batch = await queue.ask()
    assert (batch.rows, batch.ack_pending, batch.drained) == ([], 1, True)
    assert await queue.pending() == 0


async def test_what_is_not_acknowledged_in_time_comes_again(queue: Queue) -> None:
    await queue.put("a")
    await queue.take()
    await queue.time_passes(29)
    assert await queue.take() == []
    await queue.time_passes(2)
    assert await queue.pending() == 1
    (again,) = await queue.take()
    assert (again["upstream_id"], again["deliver_count"]) == ("a", 2)


async def test_extend_starts_the_wait_anew(queue: Queue) -> None:
    await queue.put("a")
    rows = await queue.take()
    await queue.time_passes(20)
    assert await queue.settle("extend", rows) == Settled(stale=0, available=0)
    await queue.time_passes(20)
    assert await queue.take() == []
    await queue.time_passes(11)
    assert ids(await queue.take()) == ["a"]


async def test_only_the_running_delivery_of_a_version_can_be_settled(queue: Queue, maker: Maker, made: Made) -> None:
    await queue.put("a", "b", "c")
    a, b, c = await queue.take()
    other = Queue(maker.database, made, (await maker.consumer(made)).consumer_no)
    assert (await other.settle("ack", [a])).stale == 1
    assert (await queue.settle("ack", [a, a])).stale == 1
    assert (await queue.settle("ack", [a])).stale == 1
    assert (await queue.settle("nack", [b])) == Settled(stale=0, available=1)
    assert (await queue.settle("ack", [b])).stale == 1
    (again,) = await queue.take()
    assert (again["idx"], again["deliver_count"]) == (b["idx"], 2)
    for verb in ("ack", "nack", "extend"):
        assert (await queue.settle(verb, [b])).stale == 1  # the same version, but an older delivery
    # Overdue, but nobody else has it: still the running delivery.
    await queue.time_passes(31)
    assert (await queue.settle("ack", [c, again])).stale == 0
    assert await queue.take() == []


async def test_unknown_consumers_are_unknown_to_every_call(queue: Queue, made: Made) -> None:
    store, stream_no = queue.store, made.stream_no
    assert await store.receive(stream_no, 10**6, batch_size=1, most_bytes=1, overhead_bytes=0) is None
    for verb in ("ack", "nack", "extend"):
        assert await store.settle(verb, stream_no, 10**6, []) is None
    assert not await store.reset(stream_no, 10**6, 0)
    assert await store.pending(stream_no, 10**6, 1) is None


# versions of one record ----------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["ack", "nack", "deadline"])
@pytest.mark.parametrize("met", [True, False])
async def test_a_newer_version_waits_for_the_running_delivery(queue: Queue, ending: Any, met: bool) -> None:
    await queue.put("a")
    rows = await queue.take()
    await queue.put("a", data=b"[2]")
    if met:  # the scan passes it over
        assert await queue.take() == []
        assert await queue.pending() == 1
    if ending == "deadline":
        await queue.time_passes(31)
    else:
        await queue.settle(ending, rows)
    (newer,) = await queue.take()
    assert (newer["idx"], newer["data"], newer["deliver_count"]) == (2, b"[2]", 1)
    assert (await queue.settle("ack", rows)).stale == 1
    assert (await queue.settle("ack", [newer])).stale == 0
    assert await queue.take() == []
    assert await queue.pending() == 0


async def test_a_version_that_was_replaced_twice_is_skipped(queue: Queue) -> None:
    await queue.put("a")
    rows = await queue.take()
    await queue.put("a", data=b"[2]")
    assert await queue.take() == []
    await queue.put("a", data=b"[3]")
    await queue.settle("ack", rows)
    assert [row["data"] for row in await queue.take()] == [b"[3]"]
    assert await queue.take() == []


async def test_a_deletion_comes_as_a_message(queue: Queue) -> None:
    await queue.put("a", data=b"[1]")
    await queue.settle("ack", await queue.take())
    await queue.put("a", data=None)
    (gone,) = await queue.take()
    assert (gone["deleted_reason"], gone["data"]) == (1, b"[1]")


async def test_what_has_left_the_stream_is_not_handed_out_again(queue: Queue, shared: Database) -> None:
    await queue.put("a")
    await queue.put("a", data=None)
    await queue.take()
    await shared.execute("SELECT remove_tombstones_v1($1, 10, -1)", queue.made.stream_no)
    await queue.time_passes(31)
    batch = await queue.ask()
    assert (batch.rows, batch.ack_pending) == ([], 0)


# poison --------------------------------------------------------------------------------------


async def test_what_is_overdue_fills_at_most_half_while_something_is_new(queue: Queue) -> None:
    poison = [f"poison {number:04}" for number in range(1000)]
    await queue.put(*poison)
    await queue.settle("nack", await queue.take(1000))
    await queue.put(*[f"new {number:02}" for number in range(40)])
    for _ in range(4):
        # Nothing new fits while a thousand are out: those that are back make room, one by one.
        await queue.settle("ack", (await queue.take(10))[:10])
    for size, old in ((10, 5), (7, 3), (2, 1)):
        rows = await queue.take(size)
        assert sum(key.startswith("poison") for key in ids(rows)) == old
        assert len(rows) == size
        await queue.settle("nack", rows[:old])


async def test_at_batch_size_one_old_and_new_take_turns(queue: Queue) -> None:
    await queue.put("poison")
    await queue.put("new 1", "new 2", "new 3", "new 4")
    await queue.settle("nack", await queue.take(1), delay_us=0)
    seen = []
    for _ in range(6):
        rows = await queue.take(1)
        seen += ids(rows)
        await queue.settle("nack" if rows[0]["upstream_id"] == "poison" else "ack", rows, delay_us=0)
    assert seen.count("poison") == 3
    assert [key for key in seen if key != "poison"] == ["new 1", "new 2", "new 3"]


async def test_larger_batches_of_others_leave_the_turns_alone(queue: Queue) -> None:
    await queue.put("poison 1", "poison 2", "poison 3")
    await queue.settle("nack", await queue.take(3), delay_us=0)
    await queue.put(*[f"new {number}" for number in range(20)])
    ones = []
    for _ in range(4):
        rows = await queue.take(1)
        ones += ids(rows)
        pair = await queue.take(2)
        for row in (*rows, *pair):
            is_poison = row["upstream_id"].startswith("poison")
            await queue.settle("nack" if is_poison else "ack", [row], delay_us=0)
    assert sum(key.startswith("poison") for key in ones) == 2


async def test_from_the_third_nack_of_a_version_on_the_delay_grows(queue: Queue) -> None:
    await queue.put("a")
    delays = []
    for _ in range(13):
        rows = await queue.take()
        await queue.settle("nack", rows)
        delays.append(round(max(0.0, await queue.delay_seconds())))
        await queue.time_passes(200)
    assert delays == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 180, 180, 180]
    await queue.put("a", data=b"[2]")
    await queue.settle("nack", await queue.take())
    assert await queue.delay_seconds() <= 0  # another version begins anew


async def test_a_nack_with_a_delay_waits_so_long(queue: Queue) -> None:
    await queue.put("a")
    await queue.settle("nack", await queue.take(), delay_us=60_000_000)
    assert await queue.take() == []
    assert await queue.pending() == 1
    await queue.time_passes(61)
    assert ids(await queue.take()) == ["a"]


async def test_what_was_delivered_often_enough_becomes_a_dead_letter(maker: Maker, made: Made) -> None:
    consumer = await maker.consumer(made, max_deliver=2)
    queue = Queue(maker.database, made, consumer.consumer_no)
    await queue.put("a", "b")
    for count in (1, 2):
        rows = await queue.take()
        assert [row["deliver_count"] for row in rows if row["upstream_id"] == "a"] == [count]
        await queue.settle("nack", [row for row in rows if row["upstream_id"] == "a"])
        await queue.settle("ack", [row for row in rows if row["upstream_id"] == "b"])
    batch = await queue.ask()
    assert (batch.rows, batch.ack_pending) == ([], 0)
    letters = await maker.database.fetch(
        "SELECT idx, deliver_count, reason FROM dead_letters WHERE consumer_no = $1", consumer.consumer_no
    )
    assert [tuple(letter) for letter in letters] == [(1, 2, "max_deliver")]
    await queue.put("a", data=b"[2]")
    assert [row["deliver_count"] for row in await queue.take()] == [1]


# limits --------------------------------------------------------------------------------------


async def test_no_more_than_max_ack_pending_are_out(maker: Maker, made: Made) -> None:
    queue = Queue(maker.database, made, (await maker.consumer(made, max_ack_pending=3)).consumer_no)
    await queue.put("a", "b", "c", "d")
    rows = await queue.take()
    assert ids(rows) == ["a", "b", "c"]
    assert await queue.take() == []
    assert await queue.pending() == 1
    await queue.settle("nack", rows[:1])
    assert ids(await queue.take()) == ["a"]  # it was out all along
    await queue.settle("ack", rows[1:2])
    assert ids(await queue.take()) == ["d"]


async def test_an_answer_holds_so_many_bytes_but_one_message_at_least(queue: Queue) -> None:
    await queue.put("a", "b", "c", "d", data=b"x" * 100)
    assert ids(await queue.take(10, most_bytes=250)) == ["a", "b"]
    assert ids(await queue.take(10, most_bytes=10)) == ["c"]
    await queue.time_passes(31)
    # What is overdue takes half of the bytes while something is new.
    assert ids(await queue.take(10, most_bytes=250)) == ["a", "d"]
    assert ids(await queue.take(10, most_bytes=250)) == ["b", "c"]


async def test_a_paused_consumer_is_handed_nothing(queue: Queue, shared: Database) -> None:
    await queue.put("a")
    await shared.execute("UPDATE consumer_positions SET paused = true WHERE consumer_no = $1", queue.consumer_no)
    assert (await queue.ask()).rows == []


# filters -------------------------------------------------------------------------------------


async def test_a_filter_passes_sources_that_appear_later(maker: Maker, made: Made) -> None:
    filters = {"collection_id": ["stripe:coupon", "stripe:plan"]}
    queue = Queue(maker.database, made, (await maker.consumer(made, filters=filters)).consumer_no)
    await queue.put("customer")
    await queue.put("plan", source_no=made.sources["stripe:plan"])
    assert ids(await queue.take()) == ["plan"]
    later = await maker.sync("stripe:coupon", beside=made)
    beside = Queue(maker.database, later, queue.consumer_no)
    await beside.put("coupon")
    assert ids(await queue.take()) == ["coupon"]


async def test_a_changed_filter_holds_for_what_is_delivered_from_then_on(maker: Maker, made: Made) -> None:
    consumer = await maker.consumer(made)
    queue = Queue(maker.database, made, consumer.consumer_no)
    await queue.put("a", "b")
    a, _ = await queue.take()
    await maker.consumers.update(made.org_id, consumer.consumer_id, {"filters": {"collection_id": "stripe:plan"}})
    assert (await queue.settle("ack", [a])).stale == 0  # running deliveries stay valid
    await queue.time_passes(31)
    batch = await queue.ask()
    assert (batch.rows, batch.ack_pending) == ([], 0)


async def test_a_filter_that_passes_nothing_does_not_scan(maker: Maker, made: Made) -> None:
    queue = Queue(maker.database, made, (await maker.consumer(made, filters={"provider": "none"})).consumer_no)
    await queue.put("a")
    batch = await queue.ask()
    assert (batch.rows, batch.drained) == ([], True)
    assert await queue.pending() == 0


# reset ---------------------------------------------------------------------------------------


async def test_reset_to_the_beginning_holds_what_is_running(queue: Queue) -> None:
    await queue.put("a", "b", "c")
    a, b, c = await queue.take()
    await queue.settle("ack", [a])
    await queue.store.reset(queue.made.stream_no, queue.consumer_no, 0)
    assert ids(await queue.take()) == ["a"]  # b and c are still with somebody
    await queue.settle("ack", [b])
    (b_again,) = await queue.take()
    assert (b_again["upstream_id"], b_again["deliver_count"]) == ("b", 1)
    await queue.time_passes(31)
    again = {row["upstream_id"]: row["deliver_count"] for row in await queue.take()}
    assert again == {"a": 2, "b": 2, "c": 1}
    assert (await queue.settle("ack", [c])).stale == 1


async def test_reset_to_the_end_forgets_what_lies_before(queue: Queue) -> None:
    await queue.put("a", "b")
    (a,) = await queue.take(1)
    await queue.store.reset(queue.made.stream_no, queue.consumer_no, 2)
    await queue.time_passes(31)
    assert (await queue.ask()).ack_pending == 0
    assert (await queue.settle("ack", [a])).stale == 1
    await queue.put("c")
    assert ids(await queue.take()) == ["c"]


async def test_a_time_stands_for_the_first_message_at_or_after_it(queue: Queue, shared: Database) -> None:
    stream_no = queue.made.stream_no
    assert await queue.store.position_at(stream_no, 0) == 0
    await queue.put(*[f"{number}" for number in range(10)])
    for idx in range(1, 11):
        await shared.execute(
            "UPDATE payloads SET inserted_us = $3 WHERE stream_no = $1 AND idx = $2", stream_no, idx, idx * 100
        )
    for gap in (1, 4, 5, 6, 10):
        await shared.execute("DELETE FROM payloads WHERE stream_no = $1 AND idx = $2", stream_no, gap)
    # Left: 2, 3, 7, 8, 9, at 200 … 900.
    for us, first in ((0, 2), (200, 2), (201, 3), (300, 3), (301, 7), (700, 7), (900, 9)):
        position = await queue.store.position_at(stream_no, us)
        following = await shared.fetch_value(
            "SELECT min(idx) FROM payloads WHERE stream_no = $1 AND idx > $2", stream_no, position
        )
        assert following == first, us
    assert await queue.store.position_at(stream_no, 901) >= 9


async def test_a_consumer_from_the_newest_message_on(maker: Maker, made: Made, queue: Queue) -> None:
    await queue.put("a", "b")
    await queue.put("b", data=None)
    newest = await maker.consumer(made, start=StartAt(place="newest"))
    assert ids(await Queue(maker.database, made, newest.consumer_no).take()) == ["b"]


# cost ----------------------------------------------------------------------------------------


async def test_an_attempt_that_finds_nothing_writes_nothing(queue: Queue) -> None:
    await queue.put("a")
    await queue.settle("ack", await queue.take())
    before = await queue.row()
    for _ in range(3):
        assert await queue.take() == []
    assert await queue.row() == before


async def test_plans_made_on_empty_tables_hold_when_they_are_not(maker: Maker, made: Made) -> None:
    pool = maker.database
    narrow = await maker.consumer(made, filters={"collection_id": "stripe:plan"}, max_ack_pending=100_000)
    wide = await maker.consumer(made, max_ack_pending=100_000)
    async with pool.connection() as connection:
        receive = "SELECT * FROM receive_v1($1, $2, $3, 1000000000, 0)"
        ack = "SELECT * FROM ack_v1($1, $2, $3, $4, $5)"
        for _ in range(7):
            for consumer in (narrow, wide):
                await connection.fetch(receive, made.stream_no, consumer.consumer_no, 100)
                await connection.fetch(ack, made.stream_no, consumer.consumer_no, [1], [1], [1])
                await connection.fetch("SELECT pending_v1($1, $2, 10)", made.stream_no, consumer.consumer_no)
            await connection.fetch("SELECT position_at_v1($1, 0)", made.stream_no)
        for start in range(0, 25_000, 1000):
            records = writes(made.source_no, [f"cus_{start + place}" for place in range(1000)])
            page = Page(sync_no=made.sync_no, epoch=made.epoch, records=records)
            await PageStore(pool).commit(made.stream_no, [page])
        await Queue(pool, made, wide.consumer_no).put("plan", source_no=made.sources["stripe:plan"])
        took: dict[str, float] = {}

        async def timed(what: str, statement: str, *arguments: Any) -> list[Row]:
            began = time.perf_counter()
            rows: list[Row] = await connection.fetch(statement, *arguments)
            took[what] = min(took.get(what, 1e9), time.perf_counter() - began)
            return rows

        for _ in range(3):
            (plan,) = await timed("receive one of many", receive, made.stream_no, narrow.consumer_no, 100)
            assert plan["ack_pending"] == 1
            assert await timed("receive nothing", receive, made.stream_no, narrow.consumer_no, 100)
            await DeliveryStore(pool).reset(made.stream_no, narrow.consumer_no, 0)
            await connection.execute("DELETE FROM deliveries WHERE consumer_no = $1", narrow.consumer_no)
            await connection.execute(
                "UPDATE consumer_positions SET ack_pending = 0 WHERE consumer_no = $1", narrow.consumer_no
            )
        await Queue(pool, made, wide.consumer_no).take(20_000)
        for _ in range(3):
            rows = await timed("receive beside 20,000", receive, made.stream_no, wide.consumer_no, 100)
            assert len(rows) == 100
            columns = [[row[name] for row in rows] for name in ("record_no", "idx", "delivery_no")]
            (settled,) = await timed("ack beside 20,000", ack, made.stream_no, wide.consumer_no, *columns)
            assert settled["stale"] == 0
            await timed("a time", "SELECT position_at_v1($1, 10)", made.stream_no)
    assert max(took.values()) < 0.05, took
