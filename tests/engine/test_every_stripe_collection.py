"""Every collection of Stripe: whatever happens in the account, the stream comes to hold just that."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.driven import Held, working
from tests.support.made import Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.providers.registry import PROVIDERS
from springline.store.database import Database

COLLECTIONS = PROVIDERS["stripe"].collections
#: What a walk over everything may take on two busy cores.
WITHIN_SECONDS = 120.0


class Account:
    """The whole account beside the whole stream."""

    def __init__(self, side: StripeSide, held: Held) -> None:
        self.side = side
        self.held = held
        self.differing: dict[str, tuple[int, int]] = {}

    async def is_equal(self) -> bool:
        """Whether each collection holds the objects that the API has, each with every field."""
        differing = {}
        for collection in COLLECTIONS:
            if collection.name == "event":  # it tells of the others, and never ends
                continue
            there = await self.side.control("GET", f"/objects/{collection.name}")
            rows = await self.held.versions(f"stripe:{collection.name}")
            here = [json.loads(row["data"]) for row in rows if not row["deleted_reason"]]
            if _canonical(there) != _canonical(here):
                differing[collection.name] = (len(there), len(here))
        self.differing = differing
        return not differing


def _canonical(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


@pytest.fixture
async def account(database: Database, side: StripeSide) -> Account:
    for collection in COLLECTIONS:
        if collection.name != "event":
            await side.control("POST", "/seed", {"collection": collection.name, "count": 6})
    names = [f"stripe:{collection.name}" for collection in COLLECTIONS]
    return Account(side, Held(database, await Maker(database).sync(*names, epoch=0)))


async def test_a_history_ends_in_an_equal_view_and_nothing_is_told_twice(
    database: Database, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    async def is_equal() -> bool:
        return await account.is_equal()

    async def become_equal(what: str) -> None:
        try:
            await until(is_equal, within_seconds=WITHIN_SECONDS, what=what, every=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}: (there, here) {account.differing}") from None

    async with working(database, account.side) as worker:
        await worker.until_backfilled(account.held.made, within_seconds=WITHIN_SECONDS)
        await become_equal("the backfill of everything")
        backfilled = len(await account.held.events())
        for seed, events in ((1, True), (2, True), (3, False)):  # the last one is told by no event
            changes = await account.side.control("POST", "/changes", {"count": 100, "seed": seed, "events": events})
            await become_equal(f"history {seed} of {len(changes)} changes")
        told = await account.held.events()
    began = datetime.now(UTC).isoformat()
    async with working(database, account.side) as worker:
        # Once more by another worker: every list is walked again, and nobody is told what did not change.
        async def has_swept() -> bool:
            progress = (await account.held.sync())["progress"] or {}
            swept = [part.get("last_sweep_completed_at") or "" for part in progress.values()]
            return len(swept) == len(COLLECTIONS) and min(swept) > began

        await until(has_swept, within_seconds=WITHIN_SECONDS, what="a sweep of everything")
    again = (await account.held.events())[len(told) :]
    with capsys.disabled():
        messages = len(told) - backfilled
        print(f"\n  {len(COLLECTIONS)} collections, {backfilled} records, {messages} messages of 300 changes")
    assert again == []
