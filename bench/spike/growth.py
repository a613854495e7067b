"""Experiment 7: plans that were made on empty tables, and the chosen tables at ten times `--records`."""

from __future__ import annotations

import random
from typing import Any

import asyncpg

from bench.customers import changed, customers
from bench.report import Rounds, measure
from bench.spike.pages import commit_all, reset
from bench.spike.schemas import Schema, one_table, two_tables
from bench.temporary_postgres import TemporaryPostgres

SAFE = two_tables("LATERAL … LIMIT 1, second index partial", move=False)
LATERAL = """LEFT JOIN LATERAL (SELECT * FROM records r
      WHERE r.stream_no = 1 AND r.source_no = p.source_no AND r.upstream_id = p.id LIMIT 1) r ON true"""
PLAIN = "LEFT JOIN records r ON r.stream_no = 1 AND r.source_no = p.source_no AND r.upstream_id = p.id"
PARTIAL = "(stream_no, record_no) WHERE record_no > 0"
NESTED = SAFE.ddl.replace(PARTIAL, "(stream_no, record_no)").replace(
    "SET enable_bitmapscan = off", "SET enable_hashjoin = off SET enable_mergejoin = off"
)
PLANS = (
    SAFE,
    Schema("LATERAL … LIMIT 1, second index plain", SAFE.ddl.replace(PARTIAL, "(stream_no, record_no)")),
    Schema("LEFT JOIN, hash and merge joins off, second index plain", NESTED.replace(LATERAL, PLAIN)),
    one_table("one table: LATERAL … LIMIT 1, second indexes partial"),
    Schema("one table: the same, plain", one_table("").ddl.replace(" WHERE record_no > 0", "")),
)


async def run(server: TemporaryPostgres, *, records: int, rounds: int) -> None:
    del rounds
    connection = await server.connect()
    await _plans(server, connection)
    await reset(connection, SAFE)
    table = Rounds(f"7 Growth, pages of 1,000, slices of {records:,}")
    for number in range(1, 11):
        rows = customers(records, seed=number)
        async with measure(server, connection, records=len(rows)) as cost:
            await commit_all(connection, rows, batch=1000)
        if number in {1, 2, 5, 10}:
            table.add(f"new, the {number}. slice", cost)
            async with measure(server, connection, records=len(rows)) as cost:
                await commit_all(connection, rows, batch=100)
            table.add(f"unchanged with payloads, at {number} slices", cost)
            some = random.Random(3).sample(rows, len(rows) // 20)
            async with measure(server, connection, records=len(some)) as cost:
                await commit_all(connection, [changed(row, version=3) for row in some], batch=100)
            table.add(f"changed, pages of 100, at {number} slices", cost)
    table.show()
    await connection.close()


async def _plans(server: TemporaryPostgres, connection: asyncpg.Connection[Any]) -> None:
    """20,000 new records into an empty database: the plan is made when the tables hold nothing."""
    rows = customers(20_000)
    table = Rounds("7 Plans made on empty tables: 20,000 new records, pages of 1,000")
    for schema in PLANS:
        await reset(connection, schema)
        async with measure(server, connection, records=len(rows)) as cost:
            await commit_all(connection, rows, batch=1000)
        table.add(schema.name, cost)
    table.show()
