"""GitHub's addresses change: what moved is not deleted, what is gone or out of sight is, and nothing is told twice."""

import json
from collections.abc import AsyncIterator

import pytest
from tests.support.driven import Held, working
from tests.support.github_side import GITHUB_TOKEN, GithubSide, github_side
from tests.support.made import Maker
from tests.support.waiting import until

from springline.engine import sweeps
from springline.store.database import Database

NAMES = ("repository", "issue", "issue_comment", "label", "branch", "pull_request", "review")
WITHIN_SECONDS = 100.0


@pytest.fixture(autouse=True)
def _sweeps_hardly_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "SHORTEST_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(sweeps, "REST_FACTOR", 0.5)


@pytest.fixture
async def side() -> AsyncIterator[GithubSide]:
    async with github_side() as opened:
        for name in NAMES:
            await opened.control("POST", "/seed", {"collection": name, "count": 3 if name == "repository" else 6})
        yield opened


async def test_what_moves_stays_and_what_is_out_of_sight_goes(database: Database, side: GithubSide) -> None:
    names = [f"github:{name}" for name in NAMES]
    held = Held(database, await Maker(database).sync(*names, epoch=0))
    hidden: set[str] = set()

    async def is_equal() -> bool:
        for name in NAMES:
            there = [each for each in await side.objects(name) if not any(of in json.dumps(each) for of in hidden)]
            rows = await held.versions(f"github:{name}")
            here = [json.loads(row["data"]) for row in rows if not row["deleted_reason"]]
            if sorted(map(_canonical, there)) != sorted(map(_canonical, here)):
                return False
        return True

    async def become_equal(what: str) -> None:
        await until(is_equal, within_seconds=WITHIN_SECONDS, what=what, every=0.2)

    async def gone(name: str) -> set[str]:
        return {row["upstream_id"] for row in await held.versions(f"github:{name}") if row["deleted_reason"]}

    async with working(database, side) as worker:
        await worker.until_backfilled(held.made, within_seconds=WITHIN_SECONDS)
        await become_equal("the backfill")
        first, second, third = await side.objects("repository")

        await side.control("POST", f"/objects/repository/{first['id']}", {"params": {"name": "called-otherwise"}})
        await become_equal("a repository with another name")
        assert [await gone(name) for name in NAMES] == [set()] * len(NAMES)

        issue = next(each for each in await side.objects("issue") if "pull_request" not in each)
        target = next(each for each in (second, third) if each["url"] != issue["repository_url"])
        await side.control("POST", f"/transfer/{issue['id']}", {"repository": target["full_name"]})
        await become_equal("an issue in another repository")
        assert await gone("repository") == set()

        # Anyone can read it, but it is not among those that the token is given any more.
        public, *others = sorted(await side.objects("repository"), key=lambda each: bool(each["private"]))
        assert not public["private"]
        hidden |= {f"/{public['full_name']}/", f'"{public["full_name"]}"'}
        token = {"token": GITHUB_TOKEN, "repositories": [each["full_name"] for each in others]}
        await side.control("POST", "/tokens", token)
        await become_equal("a repository that is out of sight")
        assert await gone("repository") == {str(public["id"])}


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
