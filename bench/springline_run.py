"""Springline itself: `springline serve` as a process, driven over HTTP with its own Python client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from bench.candidates import Candidate
from springline.client import SpringlineClient
from springline.client.objects import RateLimit

COLLECTION = "stripe:customer"
#: More than the page server answers: the quota is not what is measured.
UNLIMITED = RateLimit(allowed_requests=1_000_000, interval=1)
READY_SECONDS, STRETCH_SECONDS, LOOK_SECONDS = 30.0, 300.0, 0.1


class _SpringlineProcess:
    name = "springline"

    def __init__(self, process: asyncio.subprocess.Process, client: SpringlineClient) -> None:
        self._process = process
        self._client = client
        self._stream_id = ""
        self._sync_id = ""

    def pids(self) -> list[int]:
        return [self._process.pid]

    async def prepare(self) -> None:
        """What is not measured: the stream, so that the backfill begins with the sync."""
        self._stream_id = (await self._client.streams.create("bench")).id

    async def backfill(self) -> int:
        properties = {"kind": "stripe_key", "secret": "sk_test_" + "b" * 24}
        sync = await self._client.syncs.create(
            provider="stripe",
            stream_id=self._stream_id,
            name="bench",
            collection_ids=[COLLECTION],
            credential={"properties": properties},
            rate_limit=UNLIMITED,
        )
        self._sync_id = sync.id
        await self._until(self._is_backfilled)
        return (await self._client.streams.get(self._stream_id)).record_count

    async def unchanged(self) -> int:
        """The sweep that follows the backfill reads every page again."""
        await self._until(self._is_swept)
        return (await self._client.streams.get(self._stream_id)).record_count

    async def consume(self) -> int:
        consumer = await self._client.consumers.create(stream_id=self._stream_id, name="bench")
        done = 0
        while received := (await self._client.consumers.next(consumer.id, batch_size=100)).data:
            await self._client.consumers.ack(consumer.id, [message.ack_token for message in received])
            done += len(received)
        return done

    async def _is_backfilled(self) -> bool:
        return (await self._client.syncs.get(self._sync_id)).initial_backfill_completed_at is not None

    async def _is_swept(self) -> bool:
        progress = (await self._client.syncs.get(self._sync_id)).progress
        return progress[COLLECTION].last_sweep_completed_at is not None

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + STRETCH_SECONDS
        while not await condition():
            if self._process.returncode is not None:
                raise RuntimeError(f"springline ended with {self._process.returncode}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not done after {STRETCH_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)


@contextlib.asynccontextmanager
async def springline(*, pages_url: str, dsn: str) -> AsyncIterator[Candidate]:
    """A server and worker on an empty database at `dsn`, reading the page server as Stripe."""
    token, port = secrets.token_urlsafe(24), _free_port()
    with tempfile.TemporaryDirectory(prefix="springline-bench-") as data_directory:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SPRINGLINE_")},
            "SPRINGLINE_DATA_DIR": data_directory,
            "SPRINGLINE_DATABASE_URL": dsn,
            "SPRINGLINE_PORT": str(port),
            "SPRINGLINE_API_TOKEN": token,
            "SPRINGLINE_SECRET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "SPRINGLINE_STRIPE_BASE_URL": pages_url,
            "SPRINGLINE_PROVIDER_LIMITS": "off",
            "SPRINGLINE_LOG_LEVEL": "warning",
        }
        command = os.path.join(os.path.dirname(sys.executable), "springline")
        process = await asyncio.create_subprocess_exec(
            command, "serve", env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{port}"
        try:
            await _until_ready(url, process)
            async with SpringlineClient(url, token) as client:
                run = _SpringlineProcess(process, client)
                await run.prepare()
                yield run
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _until_ready(url: str, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline and process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(LOOK_SECONDS)
    raise RuntimeError(f"springline was not ready in {READY_SECONDS:.0f} s (return code {process.returncode})")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
