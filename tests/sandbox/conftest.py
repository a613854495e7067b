"""A sandbox for each test, with a clock that stands still until it is moved."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.sandbox.sandbox_client import SandboxClient, StoppedClock

from springline.sandbox.stripe.server import start_sandbox


@pytest.fixture
async def stripe() -> AsyncIterator[SandboxClient]:
    clock = StoppedClock()
    running = await start_sandbox(seed=7, now=clock)
    try:
        async with aiohttp.ClientSession() as session:
            client = SandboxClient(running, session, clock)
            await client.control("POST", "/rate_limit", {})
            yield client
    finally:
        await running.close()
