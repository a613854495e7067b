"""An API that the tests of one module share: for those that only ask, or that mind what others left."""

from collections.abc import AsyncIterator

import pytest_asyncio
from tests.support.api import RunningApi, running_api
from tests.support.postgres import TestPostgres

from springline.sandbox.stripe.server import start_sandbox
from springline.store.database import Database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(postgres: TestPostgres) -> AsyncIterator[RunningApi]:
    """The API over HTTP, with two organisations; Stripe is a sandbox."""
    name = await postgres.migrated_database()
    database = await Database.open(postgres.connect_to(name))
    sandbox = await start_sandbox(seed=7)
    async with running_api(database, stripe_url=sandbox.url) as running:
        yield running
    await sandbox.close()
    await database.close()
    await postgres.drop_database(name)
