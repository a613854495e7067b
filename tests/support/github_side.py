"""GitHub's side of a test: what the sandbox holds, how it is changed, and what goes wrong with it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from tests.support.made import GITHUB_TOKEN

from springline.sandbox.common.state import Arrival
from springline.sandbox.github.server import RunningSandbox, start_sandbox


class GithubSide:
    """A sandbox that is looked at and changed behind Springline's back."""

    def __init__(self, running: RunningSandbox, session: aiohttp.ClientSession) -> None:
        self.running = running
        self._session = session

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def arrivals(self) -> Sequence[Arrival]:
        return self.running.sandbox.arrivals

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(
            method, self.running.control_url + path, data=b"" if body is None else json.dumps(body).encode()
        ) as response:
            text = await response.read()
            assert response.status < 300, (method, path, text)
            return json.loads(text)

    async def seed(self, collection: str, count: int, **fields: Any) -> list[str]:
        """Ids as the sandbox counts them."""
        seeded = await self.control("POST", "/seed", {"collection": collection, "count": count, **fields})
        ids: list[str] = seeded["ids"]
        return ids

    async def objects(self, collection: str) -> list[Any]:
        """What is there now, as lists show it."""
        found: list[Any] = await self.control("GET", f"/objects/{collection}")
        return found

    async def get(self, path: str) -> Any:
        """What the API answers to whoever has the token."""
        headers = {"Authorization": f"Bearer {GITHUB_TOKEN}", "User-Agent": "tests"}
        async with self._session.get(self.url + path, headers=headers) as response:
            assert response.status == 200, path
            return json.loads(await response.read())

    async def fault(self, kind: str, *, match: dict[str, Any] | None = None, **fields: Any) -> str:
        """Something goes wrong from now on; returns the fault's id."""
        made = await self.control("POST", "/faults", {"kind": kind, "match": match or {}, **fields})
        fault_id: str = made["id"]
        return fault_id

    async def mend(self, fault_id: str) -> None:
        await self.control("DELETE", f"/faults/{fault_id}")


@asynccontextmanager
async def github_side() -> AsyncIterator[GithubSide]:
    running = await start_sandbox(seed=7)
    try:
        async with aiohttp.ClientSession() as session:
            yield GithubSide(running, session)
    finally:
        await running.close()
        await asyncio.sleep(0)  # lets the transports of closed connections go
