"""Experiment 2: the type of the payload column, its storage, and who compresses."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.customers import Customer, customers
from bench.report import Rounds, measure
from bench.temporary_postgres import TemporaryPostgres

ROWS_BY_SIZE = {200: 50_000, 1000: 50_000, 4000: 15_000, 20_000: 4_000}
Encode = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Alternative:
    name: str
    type: str
    storage: str
    encode: Encode
    target_bytes: int | None = None
    """toast_tuple_target: how far a row above 2 KB is brought down."""


def _same(data: bytes) -> bytes:
    return data


def _text(data: bytes) -> str:
    return data.decode()


def alternatives(sample: list[bytes]) -> list[Alternative]:
    """Without the `zstandard` package the alternatives that need it are left out."""
    found = [
        Alternative("bytea, EXTENDED (default: pglz above 2 KB)", "bytea", "EXTENDED", _same),
        Alternative("bytea, EXTERNAL (never compressed)", "bytea", "EXTERNAL", _same),
        Alternative("bytea, MAIN", "bytea", "MAIN", _same),
        Alternative("bytea, toast_tuple_target 128 (acts above 2 KB only)", "bytea", "MAIN", _same, target_bytes=128),
        Alternative("text, EXTERNAL", "text", "EXTERNAL", _text),
        Alternative("json, EXTERNAL", "json", "EXTERNAL", _text),
        Alternative("jsonb, EXTENDED", "jsonb", "EXTENDED", _text),
        Alternative("bytea, client zlib 1 + 32 KB dictionary", "bytea", "EXTERNAL", _zlib(sample)),
    ]
    try:
        zstandard = importlib.import_module("zstandard")
    except ModuleNotFoundError:
        return found
    plain = zstandard.ZstdCompressor(level=1)
    trained = zstandard.train_dictionary(16_384, sample)
    with_dictionary = zstandard.ZstdCompressor(level=1, dict_data=trained)
    return [
        *found,
        Alternative("bytea, client zstd 1", "bytea", "EXTERNAL", plain.compress),
        Alternative("bytea, client zstd 1 + 16 KB dictionary", "bytea", "EXTERNAL", with_dictionary.compress),
    ]


def _zlib(sample: list[bytes]) -> Encode:
    dictionary = b"".join(sample)[:32_768]

    def compress(data: bytes) -> bytes:
        compressor = zlib.compressobj(1, zlib.DEFLATED, -15, zdict=dictionary)
        return compressor.compress(data) + compressor.flush()

    return compress


async def run(server: TemporaryPostgres, *, records: int, rounds: int) -> None:
    connection = await server.connect()
    for size, count in ROWS_BY_SIZE.items():
        rows = customers(min(count, records), size=size)
        sample = [row.data for row in customers(1000, seed=9, size=size)]
        written, read = Rounds(f"2 Insert of {size} B records"), Rounds(f"2 Read of {size} B records, 100 at a time")
        for _ in range(rounds):
            for alternative in alternatives(sample):
                await _make(connection, alternative)
                async with measure(server, connection, records=len(rows)) as cost:
                    await _insert(connection, alternative, rows)
                disk = await connection.fetchval("SELECT pg_table_size('p')")
                cost.extra = {"disk B": disk / len(rows)}
                written.add(alternative.name, cost)
                await connection.execute("VACUUM ANALYZE p")
                async with measure(server, connection, records=len(rows)) as cost:
                    await _read(connection, len(rows))
                read.add(alternative.name, cost)
        written.show()
        read.show()
    await connection.close()


async def _make(connection: asyncpg.Connection[Any], alternative: Alternative) -> None:
    await connection.execute(f"""DROP TABLE IF EXISTS p;
        CREATE TABLE p (stream_no int, idx bigint, data {alternative.type} STORAGE {alternative.storage},
          PRIMARY KEY (stream_no, idx));""")
    if alternative.target_bytes is not None:
        await connection.execute(f"ALTER TABLE p SET (toast_tuple_target = {alternative.target_bytes})")
    await connection.execute("CHECKPOINT")


async def _insert(connection: asyncpg.Connection[Any], alternative: Alternative, rows: list[Customer]) -> None:
    statement = await connection.prepare(
        f"INSERT INTO p SELECT 1, i, d FROM unnest($1::bigint[], $2::{alternative.type}[]) AS u(i, d)"
    )
    step = max(10, min(1000, 4_000_000 // len(rows[0].data)))
    for start in range(0, len(rows), step):
        page = rows[start : start + step]
        numbers = list(range(start + 1, start + len(page) + 1))
        await statement.fetch(numbers, [alternative.encode(row.data) for row in page])


async def _read(connection: asyncpg.Connection[Any], count: int) -> None:
    statement = await connection.prepare("SELECT data FROM p WHERE stream_no = 1 AND idx > $1 ORDER BY idx LIMIT 100")
    for start in range(0, count, 100):
        await statement.fetch(start)
