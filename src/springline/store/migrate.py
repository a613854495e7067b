"""Brings the schema up to date: numbered SQL files with checksums, one process at a time."""

import hashlib
from importlib import resources

from springline.store.database import Connection, Database, DatabaseError

#: Any constant: held as an advisory lock while migrations run, so that processes starting at once take turns.
_MIGRATION_LOCK = 0x5350524C

#: A migration takes as long as it takes, and so does waiting for another process's.
_PATIENCE_SECONDS = 86_400.0

_CREATE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


async def migrate(database: Database) -> list[str]:
    """Applies what is missing and returns the names. Safe to call from several processes at once.

    Raises DatabaseError if an applied migration differs from the file of the same number. A database that is ahead of
    this version is left as it is: migrations are written so that the version before them still runs.
    """
    async with database.connection() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK, timeout=_PATIENCE_SECONDS)
        try:
            return await _apply_missing(connection)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", _MIGRATION_LOCK)


async def missing_migrations(database: Database) -> list[str]:
    """The names of migrations that this version has and the database has not."""
    if not await database.fetch_value("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        return [name for _, name, _ in migration_files()]
    applied = {row["number"] for row in await database.fetch("SELECT number FROM schema_migrations")}
    return [name for number, name, _ in migration_files() if number not in applied]


def migration_files() -> list[tuple[int, str, str]]:
    """(number, name, SQL) of each migration, in order."""
    folder = resources.files("springline.store").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names]


async def _apply_missing(connection: Connection) -> list[str]:
    await connection.execute(_CREATE)
    applied = {
        row["number"]: row["checksum"]
        for row in await connection.fetch("SELECT number, checksum FROM schema_migrations")
    }
    fresh: list[str] = []
    for number, name, sql in migration_files():
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        if number in applied:
            if applied[number] != checksum:
                raise DatabaseError(
                    f"migration {name} is not the one that this database was made with; "
                    "run the version of Springline that made it, or restore the file"
                )
            continue
        async with connection.transaction():
            await connection.execute(sql, timeout=_PATIENCE_SECONDS)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)", number, name, checksum
            )
        fresh.append(name)
    return fresh
