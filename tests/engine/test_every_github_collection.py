"""Every collection of GitHub: whatever happens in the account, the stream comes to hold just that."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.driven import Held, working
from tests.support.github_side import GithubSide, github_side
from tests.support.made import Maker
from tests.support.waiting import until

from springline.engine import sweeps
from springline.providers.registry import PROVIDERS
from springline.store.database import Database

COLLECTIONS = PROVIDERS["github"].collections
#: What a walk over everything may take on two busy cores.
WITHIN_SECONDS = 120.0


class Account:
    """All that the token sees beside the whole stream."""

    def __init__(self, side: GithubSide, held: Held) -> None:
        self.side = side
        self.held = held
        self.differing: dict[str, tuple[int, int]] = {}

    async def is_equal(self) -> bool:
        """Whether each collection holds the objects that the API lists, each with every field."""
        self.differing = {}
        for collection in COLLECTIONS:
            there = await self.side.objects(collection.name)
            rows = await self.held.versions(f"github:{collection.name}")
            here = [json.loads(row["data"]) for row in rows if not row["deleted_reason"]]
            if _canonical(there) != _canonical(here):
                self.differing[collection.name] = (len(there), len(here))
        return not self.differing

    async def become_equal(self, what: str) -> None:
        try:
            await until(self.is_equal, within_seconds=WITHIN_SECONDS, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}: (there, here) {self.differing}") from None

    async def has_swept_since(self, began: str) -> bool:
        progress = (await self.held.sync())["progress"] or {}
        swept = [part.get("last_sweep_completed_at") or "" for part in progress.values()]
        return len(swept) == len(COLLECTIONS) and min(swept) > began


def _canonical(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


@pytest.fixture(autouse=True)
def _sweeps_hardly_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "SHORTEST_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(sweeps, "REST_FACTOR", 0.5)


@pytest.fixture
async def account(database: Database) -> AsyncIterator[Account]:
    async with github_side() as side:
        await side.seed_everything(repositories=3, each=6)
        names = [f"github:{collection.name}" for collection in COLLECTIONS]
        yield Account(side, Held(database, await Maker(database).sync(*names, epoch=0)))


async def test_a_history_ends_in_an_equal_view_and_nothing_is_told_twice(
    database: Database, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    side = account.side
    async with working(database, side) as worker:
        await worker.until_backfilled(account.held.made, within_seconds=WITHIN_SECONDS)
        await account.become_equal("the backfill of everything")
        backfilled = len(await account.held.events())
        for seed in (1, 2):
            changes = await side.control("POST", "/changes", {"count": 100, "seed": seed})
            await account.become_equal(f"history {seed} of {len(changes)} changes")
        first, second, third = (await side.objects("repository"))[:3]
        await side.control("POST", f"/objects/repository/{first['id']}", {"params": {"name": "called-otherwise"}})
        await account.become_equal("a repository with another name")
        issue = next(each for each in await side.objects("issue") if "pull_request" not in each)
        to = next(each for each in (second, third) if f"/{each['full_name']}/" not in issue["url"])
        await side.control("POST", f"/transfer/{issue['id']}", {"repository": to["full_name"]})
        await account.become_equal("an issue that went to another repository")
        await side.control("DELETE", f"/objects/repository/{third['id']}")
        await account.become_equal("a repository that is gone with all that was in it")
        told = await account.held.events()
    began = datetime.now(UTC).isoformat()
    async with working(database, side):
        # Once more by another worker: every list is walked again, and nobody is told what did not change.
        await until(lambda: account.has_swept_since(began), within_seconds=WITHIN_SECONDS, what="a sweep of everything")
    again = (await account.held.events())[len(told) :]
    with capsys.disabled():
        print(f"\n  {len(COLLECTIONS)} collections, {backfilled} records, {len(told) - backfilled} messages")
    assert again == []
