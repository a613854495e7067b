"""GitHub's side of a test: what the sandbox holds, and how it is changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from tests.support.provider_side import ProviderSide

from springline.sandbox.github.server import RunningSandbox, start_sandbox

GITHUB_TOKEN: Final = "ghp_springlinesandbox"


class GithubSide(ProviderSide):
    """A sandbox without rate limits, looked at and changed behind Springline's back."""

    def __init__(self, running: RunningSandbox, session: aiohttp.ClientSession) -> None:
        super().__init__(running, session)
        self.running = running

    async def seed_everything(self, *, repositories: int, each: int) -> None:
        """Some repositories, and so many of every other kind that can be made up."""
        await self.control("POST", "/seed", {"collection": "repository", "count": repositories})
        for collection in self.running.sandbox.collections.values():
            if collection.seed is not None and collection.name != "repository":
                await self.control("POST", "/seed", {"collection": collection.name, "count": each})

    async def objects(self, collection: str) -> list[dict[str, Any]]:
        """What lists show to the token's user, as they show it."""
        if collection == "user":
            return [await self.own_account()]
        there: list[dict[str, Any]] = await self.control("GET", f"/objects/{collection}")
        if collection == "check_run":  # only those of commits of the default branch are listed
            commits = {commit["sha"] for commit in await self.objects("commit")}
            return [check_run for check_run in there if check_run["head_sha"] in commits]
        return there

    async def seed(self, collection: str, count: int, *, parent: str | None = None, **fields: Any) -> list[int]:
        """Ids, oldest first."""
        order = {"collection": collection, "count": count, "parent": parent, **fields}
        ids: list[int] = (await self.control("POST", "/seed", order))["ids"]
        return ids

    async def create(self, collection: str, *, parent: str | None = None, at: int | None = None, **fields: Any) -> int:
        made = await self.control("POST", f"/objects/{collection}", {"parent": parent, "at": at, "set": fields})
        key: int = made["id"]
        return key

    async def update(self, collection: str, key: int, *, at: int | None = None, **fields: Any) -> None:
        """It is dated now, or `at`."""
        await self.control("POST", f"/objects/{collection}/{key}", {"at": at, "set": fields})

    async def delete(self, collection: str, key: int, *, vanish: bool = False) -> None:
        await self.control("DELETE", f"/objects/{collection}/{key}?mode={'vanish' if vanish else 'api'}")

    def now(self) -> int:
        """By the sandbox's clock."""
        return int(self.running.sandbox.clock.now())

    async def own_account(self) -> dict[str, Any]:
        """The token's user, as nobody else is shown."""
        async with self._session.get(
            f"{self.url}/user", headers={"Authorization": f"Bearer {GITHUB_TOKEN}"}
        ) as response:
            assert response.status == 200
            shown: dict[str, Any] = await response.json()
            return shown


@asynccontextmanager
async def github_side() -> AsyncIterator[GithubSide]:
    running = await start_sandbox(seed=7)
    try:
        async with aiohttp.ClientSession() as session:
            side = GithubSide(running, session)
            await side.control("POST", "/rate_limit", {})
            yield side
    finally:
        await running.close()
        await asyncio.sleep(0)  # lets the transports of closed connections go
