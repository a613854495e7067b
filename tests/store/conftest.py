"""One database for the tests that make a stream of their own, since a new one for each takes longer than the test."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support.made import Maker
from tests.support.postgres import TestPostgres

from springline.store.database import Database


@pytest.fixture(scope="session")
def shared_database_name(postgres: TestPostgres) -> Iterator[str]:
    name = asyncio.run(postgres.migrated_database())
    yield name
    asyncio.run(postgres.drop_database(name))


@pytest.fixture
async def shared(postgres: TestPostgres, shared_database_name: str) -> AsyncIterator[Database]:
    """A migrated database in which others have streams too."""
    opened = await Database.open(postgres.connect_to(shared_database_name))
    yield opened
    await opened.close()


@pytest.fixture
def maker(shared: Database) -> Maker:
    return Maker(shared)
