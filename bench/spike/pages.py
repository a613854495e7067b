"""What every experiment does: a clean database, pages committed in batches, sizes of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from bench.customers import Customer
from bench.spike.schemas import Schema


async def reset(connection: asyncpg.Connection[Any], schema: Schema) -> None:
    """Drop what was there, make the candidate's tables, and start from a checkpoint."""
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.execute(schema.ddl)
    await connection.execute("CHECKPOINT")


async def commit_all(connection: asyncpg.Connection[Any], rows: Sequence[Customer], *, batch: int) -> int:
    """Commit every row through the candidate's function; how many were written."""
    statement = await connection.prepare("SELECT commit_page($1, $2, $3, $4, $5)")
    written = 0
    for start in range(0, len(rows), batch):
        page = rows[start : start + batch]
        written += await statement.fetchval(
            [1] * len(page),
            [row.id for row in page],
            [row.fingerprint for row in page],
            [row.created for row in page],
            [row.data for row in page],
        )
    return written


async def sizes(connection: asyncpg.Connection[Any], schema: Schema) -> dict[str, int]:
    """Bytes on disk: tables with TOAST, and their indexes."""
    heap = indexes = 0
    for table in schema.tables:
        row = await connection.fetchrow(
            "SELECT pg_table_size(to_regclass($1)) AS heap, pg_indexes_size(to_regclass($1)) AS indexes", table
        )
        if row is not None and row["heap"] is not None:
            heap, indexes = heap + row["heap"], indexes + row["indexes"]
    return {"heap": heap, "indexes": indexes}


async def hot_share(connection: asyncpg.Connection[Any], table: str) -> float:
    """Percent of the table's updates that touched no index."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    row = await connection.fetchrow(
        "SELECT n_tup_hot_upd, n_tup_upd FROM pg_stat_user_tables WHERE relname = $1", table
    )
    return 100.0 * row["n_tup_hot_upd"] / row["n_tup_upd"] if row and row["n_tup_upd"] else 0.0
