"""Experiment 3: how the bytes of a page get into the commit."""

from __future__ import annotations

from typing import Any

import asyncpg

from bench.customers import Customer, customers
from bench.report import Rounds, measure
from bench.spike.pages import commit_all, reset
from bench.spike.schemas import Schema, two_tables
from bench.temporary_postgres import TemporaryPostgres

ARRAYS = two_tables("function, arrays", move=False)
BLOB = Schema(
    "function, one bytea and offsets",
    ARRAYS.ddl.replace("times bigint[], datas bytea[]", "times bigint[], offsets int[], lengths int[], body bytea")
    .replace("unnest(sources, ids, fps, times, datas)", "unnest(sources, ids, fps, times, offsets, lengths)")
    .replace("AS p(source_no, id, fp, at, data, n)", "AS p(source_no, id, fp, at, skip, long, n)")
    .replace("p.at, p.data,", "p.at, p.skip, p.long,")
    .replace("0, id, data FROM page", "0, id, substring(body FROM skip FOR long) FROM page"),
)
STAGED = """CREATE TEMP TABLE IF NOT EXISTS staged
  (source_no int, id text COLLATE "C", fp bigint, at bigint, data bytea) ON COMMIT DELETE ROWS"""


async def run(server: TemporaryPostgres, *, records: int, rounds: int) -> None:
    rows = customers(records)
    for batch in (100, 1000):
        table = Rounds(f"3 The way into the commit, all new, pages of {batch}")
        connection = await server.connect()
        for _ in range(rounds):
            await reset(connection, ARRAYS)
            async with measure(server, connection, records=len(rows)) as cost:
                await commit_all(connection, rows, batch=batch)
            table.add(ARRAYS.name, cost)
            await reset(connection, BLOB)
            async with measure(server, connection, records=len(rows)) as cost:
                await _blobs(connection, rows, batch=batch)
            table.add(BLOB.name, cost)
            await reset(connection, ARRAYS)
            await connection.execute(STAGED)
            async with measure(server, connection, records=len(rows)) as cost:
                await _staged(connection, rows, batch=batch)
            table.add("COPY into a temporary table, then the function", cost)
            await connection.execute("DROP TABLE staged")
            await reset(connection, ARRAYS)
            async with measure(server, connection, records=len(rows)) as cost:
                await _copied(connection, rows, batch=batch)
            table.add("COPY into the three tables, nothing compared (limit)", cost)
        await connection.close()
        table.show()


async def _blobs(connection: asyncpg.Connection[Any], rows: list[Customer], *, batch: int) -> None:
    statement = await connection.prepare("SELECT commit_page($1, $2, $3, $4, $5, $6, $7)")
    for start in range(0, len(rows), batch):
        page = rows[start : start + batch]
        lengths = [len(row.data) for row in page]
        offsets, position = [], 1
        for length in lengths:
            offsets.append(position)
            position += length
        await statement.fetchval(
            [1] * len(page),
            [row.id for row in page],
            [row.fingerprint for row in page],
            [row.created for row in page],
            offsets,
            lengths,
            b"".join([row.data for row in page]),
        )


async def _staged(connection: asyncpg.Connection[Any], rows: list[Customer], *, batch: int) -> None:
    merge = await connection.prepare("""SELECT commit_page(array_agg(source_no), array_agg(id), array_agg(fp),
        array_agg(at), array_agg(data)) FROM staged""")
    for start in range(0, len(rows), batch):
        page = [(1, row.id, row.fingerprint, row.created, row.data) for row in rows[start : start + batch]]
        async with connection.transaction():
            await connection.copy_records_to_table("staged", records=page)
            await merge.fetchval()


async def _copied(connection: asyncpg.Connection[Any], rows: list[Customer], *, batch: int) -> None:
    for start in range(0, len(rows), batch):
        page = list(enumerate(rows[start : start + batch], start + 1))
        async with connection.transaction():
            await connection.copy_records_to_table(
                "records", records=[(n, n, row.fingerprint, 1, 1, 0, row.id) for n, row in page]
            )
            await connection.copy_records_to_table(
                "payloads", records=[(n, n, row.created, None, 1, 1, 1, 0, row.id, row.data) for n, row in page]
            )
            await connection.copy_records_to_table("events", records=[(n, n, None, 1, 1, 1, 1) for n, _ in page])
