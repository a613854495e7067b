"""The provider's side of a test: what the sandbox holds, how it is changed, and what goes wrong with it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from springline.sandbox.common.state import Arrival
from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.server import RunningSandbox, start_sandbox


class StripeSide:
    """A sandbox without rate limits, looked at and changed behind Springline's back."""

    def __init__(self, running: RunningSandbox, session: aiohttp.ClientSession) -> None:
        self.running = running
        self._session = session

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def account(self) -> Account:
        sandbox = self.running.sandbox
        return sandbox.accounts[sandbox.default_account_id, False]

    @property
    def arrivals(self) -> Sequence[Arrival]:
        return self.running.sandbox.arrivals

    def count(self, path: str, *, since: int = 0) -> int:
        """Arrived requests for exactly this path."""
        return sum(arrival.path == path for arrival in self.arrivals[since:])

    def objects(self, collection: str) -> dict[str, Any]:
        """What is there now, by id."""
        return {record.id: json.loads(record.text) for record in self.account.tables[collection]}

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(
            method, self.running.control_url + path, data=b"" if body is None else json.dumps(body).encode()
        ) as response:
            text = await response.read()
            assert response.status < 300, text
            return json.loads(text)

    async def seed(self, collection: str, count: int, *, events: bool = False) -> list[str]:
        """Ids, oldest first."""
        seeded = await self.control("POST", "/seed", {"collection": collection, "count": count, "events": events})
        ids: list[str] = seeded["ids"]
        return ids

    async def create(self, collection: str, *, events: bool = True, **fields: Any) -> str:
        made = await self.control("POST", f"/objects/{collection}", {"set": fields, "events": events})
        key: str = made["id"]
        return key

    async def update(self, collection: str, key: str, *, events: bool = True, **fields: Any) -> None:
        await self.control("POST", f"/objects/{collection}/{key}", {"set": fields, "events": events})

    async def delete(self, collection: str, key: str, *, events: bool = True, vanish: bool = False) -> None:
        """As the API deletes; with `vanish` the id is unknown afterwards, without a stub that says "deleted"."""
        query = f"events={str(events).lower()}&mode={'vanish' if vanish else 'api'}"
        await self.control("DELETE", f"/objects/{collection}/{key}?{query}")

    async def fault(self, kind: str, *, match: dict[str, Any] | None = None, **fields: Any) -> str:
        """Something goes wrong from now on; returns the fault's id."""
        made = await self.control("POST", "/faults", {"kind": kind, "match": match or {}, **fields})
        fault_id: str = made["id"]
        return fault_id

    async def fault_fired(self, fault_id: str, times: int = 1) -> None:
        await self.control("GET", f"/faults/{fault_id}/wait?fired={times}")

    async def release(self, fault_id: str) -> None:
        await self.control("POST", f"/faults/{fault_id}/release")

    async def mend(self, fault_id: str) -> None:
        """The fault ends; what it held goes on."""
        await self.control("DELETE", f"/faults/{fault_id}")

    async def key(self, key: str, *, state: str = "active", **permissions: str) -> None:
        await self.control("POST", "/keys", {"key": key, "state": state, "permissions": permissions})

    async def time_passes(self, seconds: float) -> None:
        await self.control("POST", "/clock", {"shift_seconds": seconds})


@asynccontextmanager
async def stripe_side() -> AsyncIterator[StripeSide]:
    running = await start_sandbox(seed=7)
    try:
        async with aiohttp.ClientSession() as session:
            side = StripeSide(running, session)
            await side.control("POST", "/rate_limit", {})
            yield side
    finally:
        await running.close()
        await asyncio.sleep(0)  # lets the transports of closed connections go
