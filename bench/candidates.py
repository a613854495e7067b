"""What is compared: the bare prototype, and whatever else does the same three stretches of work."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class Candidate(Protocol):
    """One run on an empty store: first `backfill`, then `unchanged` and `consume`."""

    name: str

    def pids(self) -> list[int]:
        """Its processes; their descendants count too. PostgreSQL is counted beside them."""
        ...

    async def backfill(self) -> int:
        """Everything into the store; returns the number of records once the last one is committed."""
        ...

    async def unchanged(self) -> int:
        """The same pages once more, nothing having changed."""
        ...

    async def consume(self) -> int:
        """Receive and acknowledge everything, 100 at a time."""
        ...


@contextlib.asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m module` with pipes; it ends when its stdin does."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def line_from(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"process {process.pid} ended early; what it wrote to stderr says why")
    return line.decode().strip()


class _PrototypeProcess:
    def __init__(self, process: asyncio.subprocess.Process, *, requests: int) -> None:
        self.name = "prototype, one cursor" if requests == 1 else f"prototype, {requests} cursors"
        self._process = process
        self._requests = requests

    def pids(self) -> list[int]:
        return [self._process.pid]

    async def _order(self, command: str, number: int) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command} {number}\n".encode())
        return int(msgspec.json.decode(await line_from(self._process))["records"])

    async def backfill(self) -> int:
        return await self._order("backfill", self._requests)

    async def unchanged(self) -> int:
        return await self._order("unchanged", self._requests)

    async def consume(self) -> int:
        return await self._order("consume", 100)


@contextlib.asynccontextmanager
async def prototype(*, pages_url: str, dsn: str, requests: int) -> AsyncIterator[Candidate]:
    """The bare limit in a process of its own, fetching `requests` pages at a time."""
    async with child("bench.prototype", pages_url, dsn) as process:
        assert await line_from(process) == "ready"
        yield _PrototypeProcess(process, requests=requests)
