"""What many tests need: a PostgreSQL, a Stripe sandbox, the API over HTTP."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support.api import RunningApi, running_api
from tests.support.postgres import TestPostgres

from springline.sandbox.stripe.server import RunningSandbox, start_sandbox
from springline.store.database import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestPostgres]:
    """One PostgreSQL for the whole session."""
    server = TestPostgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
async def database(postgres: TestPostgres) -> AsyncIterator[Database]:
    """A migrated database of this test's own."""
    name = await postgres.migrated_database()
    opened = await Database.open(postgres.connect_to(name))
    yield opened
    await opened.close()
    await postgres.drop_database(name)


@pytest.fixture
async def sandbox() -> AsyncIterator[RunningSandbox]:
    """A Stripe sandbox of this test's own; any key `sk_test_…` opens its default account."""
    running = await start_sandbox(seed=7)
    yield running
    await running.close()


@pytest.fixture
async def api(database: Database, sandbox: RunningSandbox) -> AsyncIterator[RunningApi]:
    """The API over HTTP, with two organisations; Stripe is the sandbox."""
    async with running_api(database, stripe_url=sandbox.url) as running:
        yield running
