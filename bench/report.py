"""What one measurement cost, the middle of several rounds, and a table of them."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import tabulate

from bench.cpu import CpuSeconds, tree_cpu
from bench.temporary_postgres import TemporaryPostgres


@dataclass(slots=True)
class Cost:
    """Totals of one measured stretch of work on `records` records."""

    records: int
    seconds: float = 0.0
    client_cpu_seconds: float = 0.0
    server_cpu: CpuSeconds = field(default_factory=lambda: CpuSeconds(0, 0))
    wal_bytes: int = 0
    extra: dict[str, float] = field(default_factory=dict)

    def per_record(self) -> dict[str, float]:
        return {
            "PG µs": self.server_cpu.total / self.records * 1e6,
            "of it system": self.server_cpu.system / self.records * 1e6,
            "client µs": self.client_cpu_seconds / self.records * 1e6,
            "WAL B": self.wal_bytes / self.records,
            "records/s": self.records / self.seconds,
            **self.extra,
        }


@contextlib.asynccontextmanager
async def measure(
    server: TemporaryPostgres, connection: asyncpg.Connection[Any], *, records: int
) -> AsyncIterator[Cost]:
    """Measure what happens inside: this process is the client, the server is the whole PostgreSQL tree."""
    cost = Cost(records)
    position = await connection.fetchval("SELECT pg_current_wal_insert_lsn()::text")
    server_before, client_before = tree_cpu([server.pid]), time.process_time()
    start = time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - start
    cost.client_cpu_seconds = time.process_time() - client_before
    cost.server_cpu = tree_cpu([server.pid]) - server_before
    cost.wal_bytes = int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - $1::text::pg_lsn", position))


class Rounds:
    """Rows of one table: every alternative is measured once in each round, the median is shown."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._costs: dict[str, list[dict[str, float]]] = {}

    def add(self, alternative: str, cost: Cost) -> None:
        self._costs.setdefault(alternative, []).append(cost.per_record())

    def medians(self) -> dict[str, dict[str, float]]:
        return {
            name: {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
            for name, rounds in self._costs.items()
        }

    def show(self) -> None:
        medians = self.medians()
        keys = list(dict.fromkeys(key for values in medians.values() for key in values))
        rows = [[name, *(values.get(key) for key in keys)] for name, values in medians.items()]
        rounds = max((len(each) for each in self._costs.values()), default=0)
        show_table(f"{self.title}  (median of {rounds})", ["", *keys], rows)


def show_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n{title}")
    print(
        tabulate.tabulate([[_cell(cell) for cell in row] for row in rows], headers=headers, tablefmt="github"),
        flush=True,
    )


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return "" if value is None else value
