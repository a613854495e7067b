"""What the tests of killed processes need."""

from collections.abc import AsyncIterator

import pytest
from tests.support import processes
from tests.support.processes import Place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A folder for data directories; at the end it is gone with all that runs in it."""
    async with processes.place() as made:
        yield made
