"""Lists by repository in a test: repositories, a sync of what is in them, and our own clock."""

import time
from types import SimpleNamespace
from typing import Final

import pytest
from tests.support.driven import Driven, Driver
from tests.support.github_side import GithubSide

from springline.engine import fetch, polls

REPOSITORY: Final = "repository"
ISSUE: Final = "issue"


class Moved:
    """Our own steady clock, as polls see it: it can be moved on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0.0
        monkeypatch.setattr(polls, "time", SimpleNamespace(time=time.time, monotonic=self.monotonic))
        monkeypatch.setattr(fetch, "time", SimpleNamespace(time=time.time, monotonic=self.monotonic))

    def monotonic(self) -> float:
        return time.monotonic() + self.passed

    def pass_seconds(self, seconds: float) -> None:
        self.passed += seconds


async def repositories(side: GithubSide, count: int) -> list[str]:
    """So many, in the order in which lists by repository are walked; full names."""
    ids = await side.seed(REPOSITORY, count)
    there = {each["id"]: each["full_name"] for each in await side.objects(REPOSITORY)}
    return [there[key] for key in sorted(ids, key=str)]


async def backfilled(drive: Driver, *collections: str, **options: object) -> Driven:
    sync = await drive.sync("github:repository", *(f"github:{name}" for name in collections), **options)
    await sync.poll(REPOSITORY).run()  # the cutoff
    for name in collections:
        if sync.part(name).collection.incremental is not None:
            await sync.poll(name).run()
    await sync.backfill(REPOSITORY)
    for name in collections:
        await sync.backfill(name)
    return sync
