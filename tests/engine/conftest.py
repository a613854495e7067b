"""A Stripe without limits, and parts of the engine to drive by hand."""

from collections.abc import AsyncIterator

import pytest
from tests.support.driven import Driver, driver
from tests.support.stripe_side import StripeSide, stripe_side

from springline.store.database import Database


@pytest.fixture
async def side() -> AsyncIterator[StripeSide]:
    async with stripe_side() as opened:
        yield opened


@pytest.fixture
async def drive(database: Database, side: StripeSide) -> AsyncIterator[Driver]:
    async with driver(database, side) as opened:
        yield opened
