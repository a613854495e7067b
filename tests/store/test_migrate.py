"""Bringing the schema up to date: several processes at once, and refusing what does not fit."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.postgres import TestPostgres

from springline.store.database import Database, DatabaseError
from springline.store.migrate import migrate, migration_files, missing_migrations


@pytest.fixture
async def empty(postgres: TestPostgres) -> AsyncIterator[Database]:
    """A database without anything in it."""
    name = await postgres.empty_database()
    opened = await Database.open(postgres.connect_to(name))
    yield opened
    await opened.close()
    await postgres.drop_database(name)


async def test_several_at_once_take_turns(empty: Database, postgres: TestPostgres) -> None:
    names = [name for _, name, _ in migration_files()]
    assert await missing_migrations(empty) == names
    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert sorted(applied, key=len) == [[], [], [], names]
    assert await missing_migrations(empty) == []
    assert await migrate(empty) == []


async def test_a_migration_that_fails_leaves_nothing(empty: Database) -> None:
    await empty.execute("CREATE TABLE payloads (in_the_way integer)")
    with pytest.raises(Exception, match="payloads"):
        await migrate(empty)
    assert await empty.fetch_value("SELECT to_regclass('streams')") is None
    assert await missing_migrations(empty) == [name for _, name, _ in migration_files()]
    await empty.execute("DROP TABLE payloads")
    await migrate(empty)  # nor does it keep the lock
    assert await missing_migrations(empty) == []


async def test_a_changed_migration_is_refused(database: Database) -> None:
    await database.execute("UPDATE schema_migrations SET checksum = 'another' WHERE number = 2")
    with pytest.raises(DatabaseError, match=r"0002_page_commit\.sql is not the one that this database was made with"):
        await migrate(database)


async def test_a_database_that_is_ahead_is_left_alone(database: Database) -> None:
    await database.execute(
        "INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, '9999_later.sql', 'x')"
    )
    assert await migrate(database) == []
    assert await missing_migrations(database) == []


def test_numbers_are_used_once_and_without_gaps() -> None:
    numbers = [number for number, _, _ in migration_files()]
    assert numbers == list(range(1, len(numbers) + 1))
