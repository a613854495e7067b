"""Every collection of GitHub: whatever happens in the account, the stream comes to hold just that."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.driven import Held, working
from tests.support.github_side import GithubSide, github_side
from tests.support.made import GITHUB_TOKEN, Maker
from tests.support.waiting import until

from springline.providers.registry import PROVIDERS
from springline.store.database import Database

COLLECTIONS = PROVIDERS["github"].collections
WITHIN_SECONDS = 200.0
RATE_LIMIT = {"allowed_requests": 500, "interval": 1.0, "max_concurrent_requests": 20}


@pytest.fixture
async def side() -> AsyncIterator[GithubSide]:
    async with github_side() as opened:
        yield opened


class Account:
    """The whole account beside the whole stream."""

    def __init__(self, side: GithubSide, held: Held) -> None:
        self.side = side
        self.held = held
        self.differing: dict[str, tuple[int, int]] = {}

    async def is_equal(self) -> bool:
        """Whether each collection holds the objects that the API has, each with every field."""
        differing = {}
        for collection in COLLECTIONS:
            there = await self._there(collection.name)
            rows = await self.held.versions(f"github:{collection.name}")
            here = [json.loads(row["data"]) for row in rows if not row["deleted_reason"]]
            if _canonical(there) != _canonical(here):
                differing[collection.name] = (len(there), len(here))
        self.differing = differing
        return not differing

    async def _there(self, name: str) -> list[Any]:
        if name == "user":  # of all users, a credential is shown its own
            return [await self.side.get("/user")]
        if name == "check_run":  # those of the commits that are synced: the default branch's
            commits = {commit["sha"] for commit in await self.side.objects("commit")}
            return [run for run in await self.side.objects(name) if run["head_sha"] in commits]
        return await self.side.objects(name)


def _canonical(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


async def test_a_history_ends_in_an_equal_view_and_nothing_is_told_twice(
    database: Database, side: GithubSide, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in side.running.sandbox.collections.values():
        if kind.seed is not None:  # the others follow from these
            await side.seed(kind.name, 3)
    names = [f"github:{collection.name}" for collection in COLLECTIONS]
    made = await Maker(database).sync(*names, epoch=0, provider="github", secret=GITHUB_TOKEN, rate_limit=RATE_LIMIT)
    account = Account(side, Held(database, made))

    async def become_equal(what: str) -> None:
        try:
            await until(account.is_equal, within_seconds=WITHIN_SECONDS, what=what, every=0.2)
        except AssertionError as error:
            health = (await account.held.sync())["health"]
            raise AssertionError(f"{error}: (there, here) {account.differing}; {health}") from None

    async with working(database, side) as worker:
        await worker.until_backfilled(made, within_seconds=WITHIN_SECONDS)
        await become_equal("the backfill of everything")
        backfilled = len(await account.held.events())
        for seed in (1, 2):
            changes = await side.control("POST", "/changes", {"count": 100, "seed": seed})
            await become_equal(f"history {seed} of {len(changes)} changes")
        told = await account.held.events()
    began = datetime.now(UTC).isoformat()
    async with working(database, side) as worker:
        # Once more by another worker: every list is walked again, and nobody is told what did not change.
        async def has_swept() -> bool:
            progress = (await account.held.sync())["progress"] or {}
            swept = [part.get("last_sweep_completed_at") or "" for part in progress.values()]
            return len(swept) == len(COLLECTIONS) and min(swept) > began

        await until(has_swept, within_seconds=WITHIN_SECONDS, what="a sweep of everything")
    again = (await account.held.events())[len(told) :]
    with capsys.disabled():
        messages = len(told) - backfilled
        print(f"\n  {len(COLLECTIONS)} collections, {backfilled} records, {messages} messages of 200 changes")
    assert again == []
