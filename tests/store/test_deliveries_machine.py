"""Delivery against a model (I4): each version to each consumer that it passes unless a newer one takes its place, one
delivery of a record at a time, never backwards."""

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.support.made import Made, Maker, write
from tests.support.postgres import TestPostgres

from springline.domain.records import Outcome
from springline.store.database import Database
from springline.store.deliveries import Batch, DeliveryStore, Token
from springline.store.pages import Page, PageStore

CUSTOMER, PLAN = "stripe:customer", "stripe:plan"
KEYS: Final = [(collection, f"{collection}-{n}") for collection in (CUSTOMER, PLAN) for n in range(2)]
ACK_WAIT_SECONDS: Final = 1000
DATA_BYTES: Final = 20
OVERHEAD: Final = 5

Result = TypeVar("Result")


@dataclass
class Out:
    """The running delivery of a record. `ends_at`: when its deadline passes, by the test's own clock."""

    token: Token
    ends_at: float
    held: bool = False


@dataclass
class Reader:
    """A consumer, and what it must still be handed."""

    consumer_no: int
    consumer_id: uuid.UUID
    max_deliver: int
    max_ack_pending: int
    sources: set[int]
    floor: int = 0
    required: dict[int, int] = field(default_factory=dict)
    out: dict[int, Out] = field(default_factory=dict)
    old_tokens: list[Token] = field(default_factory=list)
    #: Per record since the last reset: the newest version handed out and how often; the newest one acknowledged.
    handed: dict[int, tuple[int, int]] = field(default_factory=dict)
    acked: dict[int, int] = field(default_factory=dict)


class DeliveryMachine(RuleBasedStateMachine):
    """Each example has a stream with two sources and two consumers of its own."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.maker = Maker(self.database)
        self.store = DeliveryStore(self.database)
        self.pages = PageStore(self.database)
        self.made: Made = self._run(self.maker.sync(CUSTOMER, PLAN))
        self.now = 0.0
        self.contents = 0
        #: record number → (index, source) of what is there; key → record number.
        self.current: dict[int, tuple[int, int]] = {}
        self.numbers: dict[str, int] = {}
        both = set(self.made.sources.values())
        self.readers = [
            self._reader(both, max_deliver=-1, max_ack_pending=1000),
            self._reader(both, max_deliver=2, max_ack_pending=3),
        ]

    def _reader(self, sources: set[int], *, max_deliver: int, max_ack_pending: int) -> Reader:
        consumer = self._run(
            self.maker.consumer(
                self.made,
                ack_wait_ms=ACK_WAIT_SECONDS * 1000,
                max_deliver=max_deliver,
                max_ack_pending=max_ack_pending,
                filters=self._filter(sources),
            )
        )
        return Reader(consumer.consumer_no, consumer.consumer_id, max_deliver, max_ack_pending, sources)

    # what happens ----------------------------------------------------------------------------

    @rule(keys=st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=3), gone=st.booleans())
    def commit(self, keys: Sequence[tuple[str, str]], gone: bool) -> None:
        self._run(self._commit(keys, gone=gone))

    @rule(
        reader=st.integers(0, 1),
        batch_size=st.integers(1, 6),
        most_bytes=st.sampled_from([1, 60, 10_000]),
    )
    def receive(self, reader: int, batch_size: int, most_bytes: int) -> None:
        self._run(self._receive(self.readers[reader], batch_size, most_bytes))

    @rule(reader=st.integers(0, 1), batch_size=st.integers(1, 6))
    def receive_twice_at_once(self, reader: int, batch_size: int) -> None:
        async def both() -> None:
            answers = await asyncio.gather(*(self._ask(self.readers[reader], batch_size, 10_000) for _ in range(2)))
            records = [row["record_no"] for answer in answers for row in answer.rows]
            assert len(records) == len(set(records))
            for answer in answers:
                self._take(self.readers[reader], answer)

        self._run(both())

    @rule(
        reader=st.integers(0, 1),
        batch_size=st.integers(1, 6),
        keys=st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=3),
        gone=st.booleans(),
    )
    def receive_during_a_commit(
        self, reader: int, batch_size: int, keys: Sequence[tuple[str, str]], gone: bool
    ) -> None:
        async def both() -> None:
            answer, _ = await asyncio.gather(
                self._ask(self.readers[reader], batch_size, 10_000), self._commit(keys, gone=gone)
            )
            self._take(self.readers[reader], answer)

        self._run(both())

    @rule(reader=st.integers(0, 1), share=st.sampled_from([0.3, 1.0]))
    def ack(self, reader: int, share: float) -> None:
        it = self.readers[reader]
        tokens = self._some_tokens(it, share)
        accepted = self._settle("ack", it, tokens)
        for token in accepted:
            if not it.out.pop(token.record_no).held:
                it.acked[token.record_no] = max(token.idx, it.acked.get(token.record_no, 0))
                if it.required.get(token.record_no) == token.idx:
                    del it.required[token.record_no]

    @rule(reader=st.integers(0, 1))
    def give_up(self, reader: int) -> None:
        it = self.readers[reader]
        for token in self._settle("term", it, self._some_tokens(it, 0.3)):
            if not it.out.pop(token.record_no).held:
                it.acked[token.record_no] = max(token.idx, it.acked.get(token.record_no, 0))

    @rule(reader=st.integers(0, 1), share=st.sampled_from([0.3, 1.0]), delay_us=st.sampled_from([None, 0, 600_000_000]))
    def nack(self, reader: int, share: float, delay_us: int | None) -> None:
        it = self.readers[reader]
        for token in self._settle("nack", it, self._some_tokens(it, share), delay_us=delay_us):
            del it.out[token.record_no]

    @rule(reader=st.integers(0, 1), share=st.sampled_from([0.3, 1.0]))
    def extend(self, reader: int, share: float) -> None:
        it = self.readers[reader]
        for token in self._settle("extend", it, self._some_tokens(it, share)):
            it.out[token.record_no].ends_at = self.now + ACK_WAIT_SECONDS

    @rule(seconds=st.sampled_from([600, 1100]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        for table, column in (("deliveries", "deadline_us"), ("consumer_positions", "next_deadline_us")):
            self._run(
                self.database.execute(
                    f"UPDATE {table} SET {column} = {column} - $2 WHERE stream_no = $1",
                    self.made.stream_no,
                    seconds * 1_000_000,
                )
            )

    @rule(reader=st.integers(0, 1), share=st.sampled_from([0.0, 1.0]))
    def reset(self, reader: int, share: float) -> None:
        it = self.readers[reader]
        head = self._run(self.store.head_idx(self.made.stream_no))
        position = int(head * share)
        assert self._run(self.store.reset(self.made.stream_no, it.consumer_no, position))
        it.floor = position
        it.required = {
            record_no: idx
            for record_no, (idx, source_no) in self.current.items()
            if idx > position and source_no in it.sources
        }
        it.handed.clear()
        it.acked.clear()
        for out in it.out.values():
            out.held = True

    @rule(plans=st.booleans(), customers=st.booleans())
    def change_filter(self, plans: bool, customers: bool) -> None:
        it = self.readers[0]
        wanted = {self.made.sources[PLAN]} if plans else set()
        it.sources = wanted | ({self.made.sources[CUSTOMER]} if customers else set())
        changes = {"filters": self._filter(it.sources)}
        self._run(self.maker.consumers.update(self.made.org_id, it.consumer_id, changes))
        position = self._position(it)
        # What lies behind the position is not revisited, but for what is out or was passed over because it was.
        it.required = {
            record_no: idx
            for record_no, (idx, source_no) in self.current.items()
            if source_no in it.sources and (idx > position or record_no in it.required)
        }

    # what must hold --------------------------------------------------------------------------

    @invariant()
    def counts_are_right(self) -> None:
        rows = self._run(
            self.database.fetch(
                """SELECT p.consumer_no, p.ack_pending, count(d.record_no) AS rows
                FROM consumer_positions p LEFT JOIN deliveries d USING (stream_no, consumer_no)
                WHERE p.stream_no = $1 GROUP BY 1, 2""",
                self.made.stream_no,
            )
        )
        for row in rows:
            assert row["ack_pending"] == row["rows"]
        for it in self.readers:
            pending = self._run(self.store.pending(self.made.stream_no, it.consumer_no, 1000))
            if pending == 0:  # nothing is left: all that it must still get is with somebody
                assert set(it.required) <= {no for no, out in it.out.items() if out.ends_at > self.now} | self._buried(
                    it
                ), it.required

    def teardown(self) -> None:
        """Whatever happened before: a consumer that acknowledges everything ends with the newest of each record."""
        for it in self.readers:
            for _ in range(60):
                self.time_passes(1100)
                answer = self._run(self._receive(it, 1000, 10_000))
                tokens = [Token(row["record_no"], row["idx"], row["delivery_no"]) for row in answer.rows]
                for token in self._settle("ack", it, tokens):
                    it.out.pop(token.record_no)
                    if it.required.get(token.record_no) == token.idx:
                        del it.required[token.record_no]
                if not answer.rows and answer.drained:
                    break
            buried = self._buried(it)
            assert set(it.required) <= buried, (it.required, buried)
            assert self._run(self.store.pending(self.made.stream_no, it.consumer_no, 1000)) == 0

    # how -------------------------------------------------------------------------------------

    async def _commit(self, keys: Sequence[tuple[str, str]], *, gone: bool) -> None:
        self.contents += 1
        data = None if gone else (b"%d" % self.contents).ljust(DATA_BYTES)
        records = [write(self.made.sources[of], key, data, as_of=2**62) for of, key in keys]
        head, (committed,) = await self.pages.commit(
            self.made.stream_no, [Page(sync_no=self.made.sync_no, epoch=1, records=records)]
        )
        written = [
            (record, number)
            for record, outcome, number in zip(records, committed.outcomes, committed.record_nos, strict=True)
            if outcome is not Outcome.unchanged
        ]
        for place, (record, number) in enumerate(written):
            idx = head - len(written) + 1 + place
            record_no = number or idx
            self.current[record_no] = (idx, record.source_no)
            for it in self.readers:
                if record.source_no in it.sources:
                    it.required[record_no] = idx

    async def _ask(self, it: Reader, batch_size: int, most_bytes: int) -> Batch:
        batch = await self.store.receive(
            self.made.stream_no,
            it.consumer_no,
            batch_size=batch_size,
            most_bytes=most_bytes,
            overhead_bytes=OVERHEAD,
        )
        assert batch is not None
        assert len(batch.rows) <= batch_size
        sizes = [len(row["data"]) + OVERHEAD for row in batch.rows]
        assert sum(sizes) <= most_bytes or len(sizes) == 1
        return batch

    async def _receive(self, it: Reader, batch_size: int, most_bytes: int) -> Batch:
        handed_before = {no: idx for no, (idx, _) in it.handed.items()}
        batch = await self._ask(it, batch_size, most_bytes)
        self._take(it, batch)
        again = [row for row in batch.rows if handed_before.get(row["record_no"]) == row["idx"]]
        has_room = len(it.out) < it.max_ack_pending and most_bytes > 1000
        if batch_size > 1 and has_room and len(again) > batch_size // 2:
            assert not await self._new_left(it), "more than half were handed out again, and something new was left"
        if has_room and len(batch.rows) < batch_size:
            assert not await self._new_left(it), "there was room for something new"
            assert batch.drained
        return batch

    def _take(self, it: Reader, batch: Batch) -> None:
        for row in batch.rows:
            record_no, idx = row["record_no"], row["idx"]
            assert row["source_no"] in it.sources
            running = it.out.get(record_no)
            assert running is None or running.ends_at <= self.now, "it is with somebody"
            before, count = it.handed.get(record_no, (0, 0))
            assert idx >= before, "backwards"
            assert idx > it.acked.get(record_no, 0), "acknowledged before"
            assert idx > it.floor, "it lies before the reset"
            assert row["deliver_count"] == (count + 1 if idx == before else 1)
            assert it.max_deliver == -1 or row["deliver_count"] <= it.max_deliver
            token = Token(record_no, idx, row["delivery_no"])
            if running is not None:
                it.old_tokens.append(running.token)
            it.handed[record_no] = (idx, row["deliver_count"])
            it.out[record_no] = Out(token, self.now + ACK_WAIT_SECONDS)
        assert len([out for out in it.out.values() if out.ends_at > self.now]) <= it.max_ack_pending

    def _some_tokens(self, it: Reader, share: float) -> list[Token]:
        tokens = [out.token for out in it.out.values()]
        return tokens[: max(1, int(len(tokens) * share))] + it.old_tokens[-2:] + [Token(1, 1, 10**6)]

    def _settle(self, verb: Any, it: Reader, tokens: list[Token], *, delay_us: int | None = None) -> list[Token]:
        """Those that were accepted: sent one by one, so that it is known which."""
        accepted = []
        for token in tokens:
            settled = self._run(
                self.store.settle(
                    verb, self.made.stream_no, it.consumer_no, [token], delay_us=delay_us, reason="given up"
                )
            )
            assert settled is not None
            running = it.out.get(token.record_no)
            if running is None or running.token != token:
                assert settled.stale == 1
            elif running.ends_at > self.now:
                assert settled.stale == 0
            if settled.stale == 0:
                accepted.append(token)
                if verb != "extend":
                    it.old_tokens.append(token)
        return accepted

    async def _new_left(self, it: Reader) -> bool:
        left: bool = await self.database.fetch_value(
            """SELECT EXISTS (
                SELECT 1 FROM payloads p JOIN consumer_positions c ON c.stream_no = p.stream_no
                WHERE p.stream_no = $1 AND c.consumer_no = $2 AND p.idx > c.position AND p.source_no = ANY ($3)
                    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.stream_no = $1 AND d.consumer_no = $2
                        AND d.record_no = p.record_no))""",
            self.made.stream_no,
            it.consumer_no,
            list(it.sources),
        )
        return left

    def _buried(self, it: Reader) -> set[int]:
        """Records whose required version was given up."""
        rows = self._run(
            self.database.fetch(
                "SELECT record_no, idx, reason FROM dead_letters WHERE stream_no = $1 AND consumer_no = $2",
                self.made.stream_no,
                it.consumer_no,
            )
        )
        assert it.max_deliver != -1 or {row["reason"] for row in rows} <= {"given up"}
        return {row["record_no"] for row in rows if it.required.get(row["record_no"]) == row["idx"]}

    def _position(self, it: Reader) -> int:
        position: int = self._run(
            self.database.fetch_value("SELECT position FROM consumer_positions WHERE consumer_no = $1", it.consumer_no)
        )
        return position

    def _filter(self, sources: set[int]) -> dict[str, Any]:
        names = [name for name, source_no in self.made.sources.items() if source_no in sources]
        return {} if len(names) == 2 else {"collection_id": names or ["stripe:none"]}

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(coroutine)


def test_any_sequence_of_receives_and_commits(postgres: TestPostgres, shared_database_name: str) -> None:
    with asyncio.Runner() as runner:
        database = runner.run(Database.open(postgres.connect_to(shared_database_name)))
        try:
            machine = type("Machine", (DeliveryMachine,), {"runner": runner, "database": database})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=40,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())
