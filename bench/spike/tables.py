"""Experiments 1, 4 and 5: one table or two, event log, fill factor, second index, width of the key."""

from __future__ import annotations

import random
from typing import Any

import asyncpg

from bench.customers import Customer, changed, customers
from bench.report import Rounds, measure
from bench.spike.pages import commit_all, hot_share, reset, sizes
from bench.spike.schemas import Schema, log_ordered, one_table, two_tables
from bench.temporary_postgres import TemporaryPostgres

CANDIDATES = (
    two_tables("two tables, replaced payload moves"),
    two_tables("two tables, replaced payload stays", move=False),
    one_table("one table"),
    log_ordered("payload in place, log orders"),
)
VARIANTS = (
    two_tables("two tables, replaced payload moves"),
    two_tables("no event log", events=False),
    two_tables("no index on record_no", number_index=False),
    two_tables("uuid and text key", wide_key=True),
    two_tables("fillfactor 100", fillfactor=100),
    two_tables("fillfactor 70", fillfactor=70),
)
LOOKUPS = {
    "return id, fingerprint": """SELECT r.upstream_id, r.raw_fp FROM unnest($1::text[]) AS p(id)
        JOIN records r ON r.stream_no = 1 AND r.source_no = 1 AND r.upstream_id = p.id""",
    "= ANY, return id, fingerprint": """SELECT upstream_id, raw_fp FROM records
        WHERE stream_no = 1 AND source_no = 1 AND upstream_id = ANY($1::text[])""",
    "send fingerprints, return numbers that differ": """SELECT p.n
        FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS p(id, fp, n)
        LEFT JOIN LATERAL (SELECT raw_fp FROM records r
          WHERE r.stream_no = 1 AND r.source_no = 1 AND r.upstream_id = p.id LIMIT 1) r ON true
        WHERE r.raw_fp IS DISTINCT FROM p.fp""",
}


async def run(server: TemporaryPostgres, *, records: int, rounds: int) -> None:
    rows = customers(records)
    await _compare("1 One table or two", CANDIDATES, server, rows, batch=1000, rounds=rounds)
    await _compare("1b The same, pages of 100", CANDIDATES, server, rows, batch=100, rounds=rounds)
    await _compare("4/5 Variants of the two tables", VARIANTS, server, rows, batch=1000, rounds=rounds)
    await _unchanged(server, rows, rounds=rounds)


async def _compare(
    title: str,
    schemas: tuple[Schema, ...],
    server: TemporaryPostgres,
    rows: list[Customer],
    *,
    batch: int,
    rounds: int,
) -> None:
    new, some, every = (Rounds(f"{title}: {what}") for what in ("all new", "5 % changed, 3 times", "all changed"))
    some_rows = random.Random(2).sample(rows, len(rows) // 20)
    connection = await server.connect()
    for _ in range(rounds):
        for schema in schemas:
            await reset(connection, schema)
            async with measure(server, connection, records=len(rows)) as cost:
                await commit_all(connection, rows, batch=batch)
            size = await sizes(connection, schema)
            cost.extra = {"heap B": size["heap"] / len(rows), "index B": size["indexes"] / len(rows)}
            new.add(schema.name, cost)
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")
            async with measure(server, connection, records=3 * len(some_rows)) as cost:
                for version in range(3):
                    await commit_all(connection, [changed(r, version=version) for r in some_rows], batch=batch)
            cost.extra = {"HOT %": await hot_share(connection, "records")}
            some.add(schema.name, cost)
            async with measure(server, connection, records=len(rows)) as cost:
                await commit_all(connection, [changed(row, version=5) for row in rows], batch=batch)
            every.add(schema.name, cost)
    await connection.close()
    for table in (new, some, every):
        table.show()


async def _unchanged(server: TemporaryPostgres, rows: list[Customer], *, rounds: int) -> None:
    table = Rounds("1c Unchanged pages of 100")
    connection = await server.connect()
    for schema in (CANDIDATES[0], CANDIDATES[2]):
        await reset(connection, schema)
        await commit_all(connection, rows, batch=1000)
        await connection.execute("VACUUM ANALYZE")
        for _ in range(rounds):
            for name, sql in LOOKUPS.items():
                async with measure(server, connection, records=len(rows)) as cost:
                    await _look_up(connection, sql, rows)
                table.add(f"{schema.name}: {name}", cost)
            async with measure(server, connection, records=len(rows)) as cost:
                await commit_all(connection, rows, batch=100)
            table.add(f"{schema.name}: the whole commit with payloads", cost)
    await connection.close()
    table.show()


async def _look_up(connection: asyncpg.Connection[Any], sql: str, rows: list[Customer]) -> None:
    statement = await connection.prepare(sql)
    both = "$2" in sql
    for start in range(0, len(rows), 100):
        page = rows[start : start + 100]
        ids = [row.id for row in page]
        if both:
            assert not await statement.fetch(ids, [row.fingerprint for row in page])
        else:
            known = dict(await statement.fetch(ids))
            assert all(known[row.id] == row.fingerprint for row in page)
