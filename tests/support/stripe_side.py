"""The provider's side of a test: what the sandbox holds, how it is changed, and what goes wrong with it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from tests.support.provider_side import ProviderSide

from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.server import RunningSandbox, start_sandbox


class StripeSide(ProviderSide):
    """A sandbox without rate limits, looked at and changed behind Springline's back."""

    def __init__(self, running: RunningSandbox, session: aiohttp.ClientSession) -> None:
        super().__init__(running, session)
        self.running = running

    @property
    def account(self) -> Account:
        sandbox = self.running.sandbox
        return sandbox.accounts[sandbox.default_account_id, False]

    def objects(self, collection: str) -> dict[str, Any]:
        """What is there now, by id."""
        return {record.id: json.loads(record.text) for record in self.account.tables[collection]}

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

    async def key(self, key: str, *, state: str = "active", **permissions: str) -> None:
        await self.control("POST", "/keys", {"key": key, "state": state, "permissions": permissions})


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
