"""The page commit against a model: whatever is sent, in whatever order, a reader follows and nothing goes back."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.support.made import Made, Maker, write
from tests.support.postgres import TestPostgres

from springline.domain.records import Outcome
from springline.store.database import Database
from springline.store.pages import Page, PageStore
from springline.store.records import RecordStore

KEYS = ("a", "b", "c", "d")
CONTENTS = st.sampled_from([b"1", b"2", b"3", None])
VERSIONS = st.sampled_from([None, None, 1, 2, 3])


@dataclass
class Known:
    """A record as the model has it."""

    record_no: int
    idx: int
    data: bytes
    version: int | None
    deleted: bool


@dataclass
class Model:
    """What the stream must hold."""

    head: int = 0
    records: dict[str, Known] = field(default_factory=dict)
    checkpoints: dict[str, bytes] = field(default_factory=dict)
    epoch: int = 1
    active: bool = True

    def outcome(self, key: str, data: bytes | None, version: int | None, as_of: int, *, compared: bool) -> Outcome:
        """I11, as design.md states it."""
        known = self.records.get(key)
        if known is None:
            return Outcome.unchanged if data is None else Outcome.created
        if data is None and known.deleted:
            return Outcome.unchanged
        changed_since = known.idx > as_of
        if known.deleted:
            return Outcome.stale if changed_since else Outcome.created
        if data is None:
            return Outcome.stale if changed_since else Outcome.deleted
        if data == known.data:
            return Outcome.unchanged
        both = version is not None and known.version is not None
        if both and version < known.version:  # type: ignore[operator]
            return Outcome.older
        if changed_since and not (both and version > known.version):  # type: ignore[operator]
            return Outcome.stale
        return Outcome.updated if compared else Outcome.compare

    def apply(self, key: str, data: bytes | None, version: int | None, outcome: Outcome) -> None:
        if not Outcome.created <= outcome <= Outcome.deleted:
            return
        self.head += 1
        known = self.records.setdefault(key, Known(self.head, 0, b"", None, deleted=True))
        known.idx = self.head
        if data is None:
            known.deleted = True
            return
        if known.deleted or version is not None:
            known.version = version
        known.data, known.deleted = data, False


class PageMachine(RuleBasedStateMachine):
    """Each example has a sync and a stream of its own."""

    runner: asyncio.Runner
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.made: Made = self.runner.run(Maker(self.database).sync())
        self.pages = PageStore(self.database)
        self.model = Model()
        self.position = 0
        self.view: dict[str, tuple[int, bytes | None]] = {}

    @rule(
        data=st.data(),
        parts=st.integers(1, 3),
        wrong_epoch=st.booleans(),
        mark=st.sampled_from([None, b"x", b"y"]),
    )
    def commit(self, data: st.DataObject, parts: int, wrong_epoch: bool, mark: bytes | None) -> None:
        keys = list(data.draw(st.permutations(KEYS)))
        pages: list[Page] = []
        sent: list[list[tuple[str, bytes | None, int | None, int, bool]]] = []
        epoch = self.model.epoch - 1 if wrong_epoch else self.model.epoch
        for number in range(parts):
            records = []
            for _ in range(data.draw(st.integers(0, 2))):
                if keys:
                    as_of = data.draw(st.integers(0, self.model.head))
                    records.append(
                        (keys.pop(), data.draw(CONTENTS), data.draw(VERSIONS), as_of, data.draw(st.booleans()))
                    )
            sent.append(records)
            pages.append(
                Page(
                    sync_no=self.made.sync_no,
                    epoch=epoch,
                    records=[
                        write(
                            self.made.source_no,
                            key,
                            content,
                            as_of=as_of,
                            version=None if content is None else version,
                            compared=compared,
                        )
                        for key, content, version, as_of, compared in records
                    ],
                    checkpoints={f"mark {number}": mark},
                )
            )
        head, committed = self.runner.run(self.pages.commit(self.made.stream_no, pages))
        may_write = self.model.active and not wrong_epoch
        for number, (records, page) in enumerate(zip(sent, committed, strict=True)):
            if not may_write:
                assert page.fenced_off
                continue
            before = {key: known.record_no for key, known in self.model.records.items()}
            expected = [
                self.model.outcome(key, content, None if content is None else version, as_of, compared=compared)
                for key, content, version, as_of, compared in records
            ]
            assert list(page.outcomes) == expected
            assert list(page.record_nos) == [before.get(key) for key, *_ in records]
            for (key, content, version, _, _), outcome in zip(records, expected, strict=True):
                self.model.apply(key, content, version, outcome)
            if not {Outcome.stale, Outcome.compare} & set(expected):  # I1
                if mark is None:
                    self.model.checkpoints.pop(f"mark {number}", None)
                else:
                    self.model.checkpoints[f"mark {number}"] = mark
        assert head == self.model.head

    @rule()
    def take_over(self) -> None:
        self.model.epoch += 1
        self._execute("UPDATE sync_fences SET epoch = $2 WHERE sync_no = $1", self.made.sync_no, self.model.epoch)

    @rule()
    def enable_or_disable(self) -> None:
        self.model.active = not self.model.active
        self._execute("UPDATE sync_fences SET active = $2 WHERE sync_no = $1", self.made.sync_no, self.model.active)

    @precondition(lambda self: self.model.records)
    @rule(key=st.sampled_from(KEYS))
    def forget_tombstone(self, key: str) -> None:
        known = self.model.records.get(key)
        if known is not None and known.deleted:
            self._execute(
                "UPDATE payloads SET inserted_us = 0 WHERE stream_no = $1 AND idx = $2", self.made.stream_no, known.idx
            )
            self._execute("SELECT remove_tombstones_v1($1, 1000, 1)", self.made.stream_no)
            # Those below it go by its bound as well, if they are older: here only times are moved, so none is.
            left = {row["record_no"] for row in self._fetch("SELECT record_no FROM records WHERE stream_no = $1")}
            self.model.records = {k: r for k, r in self.model.records.items() if r.record_no in left}

    @rule(most=st.integers(1, 3))
    def read_on(self, most: int) -> None:
        self._read_some(most)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        rows = self._fetch(
            """SELECT r.upstream_id, r.record_no, r.idx, p.data, r.version, r.deleted_reason > 0 AS deleted
            FROM records r JOIN payloads p ON p.stream_no = r.stream_no AND p.idx = r.idx
                AND p.record_no = r.record_no AND p.deleted_reason = r.deleted_reason
            WHERE r.stream_no = $1"""
        )
        assert {row["upstream_id"]: Known(*list(row)[1:]) for row in rows} == self.model.records
        head, count, versions = self._fetch(
            """SELECT head_idx, record_count, (SELECT count(*) FROM payloads p WHERE p.stream_no = h.stream_no)
            FROM stream_heads h WHERE stream_no = $1"""
        )[0]
        assert (head, versions) == (self.model.head, len(self.model.records))
        assert count == sum(not known.deleted for known in self.model.records.values())
        marks = self._fetch("SELECT name, state FROM checkpoints WHERE stream_no = $1")
        assert {row["name"]: row["state"] for row in marks} == self.model.checkpoints

    def teardown(self) -> None:
        while self._read_some(100):
            pass
        live = {key: known.data for key, known in self.model.records.items() if not known.deleted}
        assert {key: data for key, (_, data) in self.view.items() if data is not None and key in live} == live

    def _read_some(self, most: int) -> bool:
        """A reader that keeps its own place: what it holds at the head is what is there (I2)."""
        rows = self.runner.run(
            RecordStore(self.database).list_versions(
                self.made.stream_no,
                after_idx=self.position,
                head_idx=2**62,
                limit=most,
                source_nos=None,
                most_bytes=2**30,
                overhead_bytes=0,
            )
        )
        for row in rows:
            assert row["idx"] > self.position
            self.position = row["idx"]
            self.view[row["upstream_id"]] = (row["idx"], None if row["deleted_reason"] else row["data"])
        return bool(rows)

    def _fetch(self, statement: str) -> list[Any]:
        return self.runner.run(self.database.fetch(statement, self.made.stream_no))

    def _execute(self, statement: str, *arguments: Any) -> None:
        self.runner.run(self.database.execute(statement, *arguments))


def test_any_sequence_of_commits(postgres: TestPostgres, shared_database_name: str) -> None:
    with asyncio.Runner() as runner:
        database = runner.run(Database.open(postgres.connect_to(shared_database_name)))
        try:
            machine = type("Machine", (PageMachine,), {"runner": runner, "database": database})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=25,
                    stateful_step_count=25,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())
