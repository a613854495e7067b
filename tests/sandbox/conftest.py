"""A sandbox for each test, with a clock that stands still until it is moved."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.sandbox.github_client import GithubClient
from tests.sandbox.sandbox_client import SandboxClient, StoppedClock

from springline.sandbox.github.server import start_sandbox as start_github_sandbox
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


@pytest.fixture
async def github() -> AsyncIterator[GithubClient]:
    clock = StoppedClock()
    running = await start_github_sandbox(seed=7, now=clock)
    try:
        async with aiohttp.ClientSession() as session:
            yield GithubClient(running, session, clock)
    finally:
        await running.close()
