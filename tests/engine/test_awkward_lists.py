"""Awkward cases of lists by repository, against a GitHub that changes meanwhile and goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from tests.support.driven import Driver, driver
from tests.support.github_side import GITHUB_TOKEN, GithubSide, github_side
from tests.support.repositories import ISSUE, REPOSITORY, Moved, backfilled, repositories

from springline.domain.errors import CredentialDead, NotPermitted, ProviderError, RetryLater
from springline.engine import fetch, polls
from springline.store.database import Database


@pytest.fixture
async def side() -> AsyncIterator[GithubSide]:
    async with github_side() as opened:
        yield opened


@pytest.fixture
async def drive(database: Database, side: GithubSide) -> AsyncIterator[Driver]:
    async with driver(database, side) as opened:
        yield opened


async def issue_of(side: GithubSide, repository: str, number: int = 0) -> int:
    key: int = [each for each in await side.objects(ISSUE) if f"/{repository}/" in each["url"]][number]["id"]
    return key


# many rows, late rows, rows that move --------------------------------------------------------


async def test_rows_of_one_time_over_thirty_pages(side: GithubSide, drive: Driver) -> None:
    (name,) = await repositories(side, 1)
    sync = await backfilled(drive, ISSUE)
    await side.time_passes(100)
    await side.seed(ISSUE, 3000, parent=name, at=side.now())
    await side.time_passes(100)
    before = len(side.arrivals)
    await sync.poll(ISSUE).run()
    assert len(await sync.live(ISSUE)) == 3000
    assert await sync.is_equal(side, ISSUE)
    asked = len(side.arrivals) - before
    assert asked <= 2 * 31 + 1  # once more, since what is updated meanwhile moves the others
    before = len(side.arrivals)
    await sync.poll(ISSUE).run()
    assert len(side.arrivals) - before <= 62


async def test_rows_of_one_time_that_move_while_they_are_walked(side: GithubSide, drive: Driver) -> None:
    """Some of the first page are updated: all behind them move up, some of them over each border of a page."""
    (name,) = await repositories(side, 1)
    await side.seed(ISSUE, 1, parent=name)
    sync = await backfilled(drive, "issue_comment")
    ids = await side.seed("issue_comment", 450, parent=f"{name}#1", at=side.now())
    await side.time_passes(60)
    held = await side.fault("latency", match={"path": "*/issues/comments", "nth": 3}, ms=60_000)
    polling = asyncio.create_task(sync.poll("issue_comment").run())
    await side.fault_fired(held)
    for key in ids[:5]:
        await side.update("issue_comment", key, body="moved")
    await side.mend(held)
    await polling
    assert await sync.is_equal(side, "issue_comment")


async def test_rows_that_move_while_their_pages_are_walked(side: GithubSide, drive: Driver) -> None:
    (name,) = await repositories(side, 1)
    sync = await backfilled(drive, ISSUE)
    await side.time_passes(1000)
    ids = await side.seed(ISSUE, 450, parent=name, created_from=side.now() - 900, created_until=side.now())
    held = await side.fault("latency", match={"path": "*/issues", "nth": 2}, ms=60_000)
    polling = asyncio.create_task(sync.poll(ISSUE).run())
    await side.fault_fired(held)
    for key in ids[:5]:
        await side.update(ISSUE, key, title="moved")
    await side.mend(held)
    await polling
    assert await sync.is_equal(side, ISSUE)


@pytest.mark.parametrize(
    ("collection", "path"), [(ISSUE, "*/issues"), ("pull_request", "*/pulls")], ids=["oldest first", "newest first"]
)
async def test_rows_that_become_visible_ninety_seconds_late(
    side: GithubSide, drive: Driver, collection: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = await repositories(side, 1)
    sync = await backfilled(drive, collection)
    poll = sync.poll(collection)
    await poll.run()  # over the whole bound; the next ones look a few seconds back
    hidden = await side.fault("late_rows", match={"path": path}, seconds=90)
    late = str(await side.create(collection, parent=name))
    for seconds in (50, 35, 7):
        await poll.run()
        assert late not in await sync.live(collection)
        await side.time_passes(seconds)
    monkeypatch.setattr(polls, "FULL_EVERY_SECONDS", 0.0)  # as after half a minute
    monkeypatch.setattr(polls, "FULL_SHARE", 0.0)
    await poll.run()
    assert late in await sync.live(collection)
    await side.mend(hidden)
    assert await sync.is_equal(side, collection)


async def test_a_row_that_is_late_while_a_round_takes_long(
    side: GithubSide, drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round over all repositories takes ten minutes: what appears late behind it is found by the next one."""
    monkeypatch.setattr(polls, "_LONGEST_SAME_SECONDS", 0)  # as where there is more than one page
    names = await repositories(side, 2)
    sync = await backfilled(drive, ISSUE)
    poll = sync.poll(ISSUE)
    await poll.run()
    clock = Moved(monkeypatch)
    hidden = await side.fault("late_rows", match={"path": "*/issues"}, seconds=90)
    late = str(await side.create(ISSUE, parent=names[0]))
    clock.pass_seconds(40)
    await side.time_passes(40)
    held = await side.fault("latency", match={"path": f"/repos/{names[1]}/issues", "times": 1}, ms=60_000)
    polling = asyncio.create_task(poll.run())  # over the whole bound, and long
    await side.fault_fired(held)
    await side.mend(hidden)
    await side.time_passes(600)
    clock.pass_seconds(600)
    await side.mend(held)
    await polling
    assert late not in await sync.live(ISSUE)
    await poll.run()
    assert late in await sync.live(ISSUE)


# partitions that go wrong --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 404}),
        ("status", {"status": 403}),
        ("status", {"status": 410}),
        ("status", {"status": 451}),
        ("status", {"status": 422}),
        ("html", {"status": 200}),
        ("html", {"status": 502}),
        ("half_json", {}),
        ("repeated_page", {}),
        ("endless_page", {}),
        ("empty_page", {"has_more": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(str(each) for each in value.values()),
)
async def test_one_repository_that_cannot_be_read_stops_no_other(
    side: GithubSide, drive: Driver, monkeypatch: pytest.MonkeyPatch, kind: str, fields: dict[str, object]
) -> None:
    monkeypatch.setattr(fetch, "QUICK_RETRIES", 0)
    names = await repositories(side, 3)
    for name in names:
        await side.seed(ISSUE, 2, parent=name)
    sync = await backfilled(drive, ISSUE)
    poll = sync.poll(ISSUE)
    await poll.run()
    before = await sync.live(ISSUE)
    fault = await side.fault(kind, match={"path": f"/repos/{names[0]}/issues"}, **fields)
    repeated = await side.fault(kind, match={"path": "/repositories/*/issues"}, **fields)
    # Something new on more than one page of the first, and in the others.
    for name in names:
        await side.create(ISSUE, parent=name)
    parts = {name: str(await issue_of(side, name, 2)) for name in names}

    async def until_passed(run: Callable[[], Awaitable[None]]) -> None:
        for _ in range(5):
            with suppress(ProviderError):
                await run()
                return
        raise AssertionError("it is never passed")

    await until_passed(poll.run)
    live = await sync.live(ISSUE)
    assert (parts[names[1]] in live, parts[names[2]] in live) == (True, True)
    await until_passed(sync.sweep(ISSUE).run)
    assert await sync.gone(ISSUE) == set()
    assert set(await sync.live(ISSUE)) >= set(before)
    unread = sync.part(ISSUE).unread
    assert len(unread) == 1
    assert all(unread.values())
    # It is mended: by the next round of polls nothing is missing that changed meanwhile.
    await side.mend(fault)
    await side.mend(repeated)
    await poll.run()
    assert await sync.is_equal(side, ISSUE)
    assert unread == {}


async def test_what_could_not_be_read_for_hours_is_looked_at_from_then_on(side: GithubSide, drive: Driver) -> None:
    names = await repositories(side, 2)
    sync = await backfilled(drive, ISSUE)
    poll = sync.poll(ISSUE)
    await poll.run()
    fault = await side.fault("status", match={"path": f"/repos/{names[0]}/issues"}, status=403)
    missed = str(await side.create(ISSUE, parent=names[0]))
    for _ in range(4):
        await poll.run()
        await side.time_passes(3600)
    await side.mend(fault)
    await poll.run()
    assert missed in await sync.live(ISSUE)


@pytest.mark.parametrize("status", [403, 410])
async def test_the_first_repositories_have_their_issues_disabled(side: GithubSide, drive: Driver, status: int) -> None:
    """As forks have by default. That the collection as a whole may be read is found out by those that follow."""
    names = await repositories(side, 9)
    for name in names:
        await side.seed(ISSUE, 1, parent=name)
    for name in names[:7]:
        await side.fault("status", match={"path": f"/repos/{name}/issues"}, status=status)
    sync = await drive.sync("github:repository", "github:issue")
    await sync.backfill(REPOSITORY)
    await sync.poll(ISSUE).run()  # the cutoff
    for work in (sync.backfill, sync.poll(ISSUE).run, sync.sweep(ISSUE).run):
        for _ in range(4):
            with suppress(NotPermitted):
                await (work(ISSUE) if work == sync.backfill else work())
                break
        else:
            raise AssertionError("it is never passed")
        assert len(await sync.live(ISSUE)) == 2
    assert sync.part(ISSUE).phase == "live"
    assert len(sync.part(ISSUE).unread) == 7


async def test_a_collection_that_may_not_be_read_is_asked_for_sparingly(side: GithubSide, drive: Driver) -> None:
    await repositories(side, 9)
    await side.control("POST", "/tokens", {"token": GITHUB_TOKEN, "permissions": {"issues": "none"}})
    sync = await drive.sync("github:repository", "github:issue")
    await sync.backfill(REPOSITORY)
    for _ in range(2):
        before = len(side.arrivals)
        with pytest.raises(NotPermitted):
            await sync.backfill(ISSUE)
        assert len(side.arrivals) - before == 3


async def test_a_provider_that_cannot_answer_at_all_costs_no_repository(
    side: GithubSide, drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "QUICK_RETRIES", 0)
    await repositories(side, 2)
    sync = await backfilled(drive, ISSUE)
    fault = await side.fault("status", match={"path": "*"}, status=503)
    for _ in range(6):
        with pytest.raises(RetryLater):
            await sync.poll(ISSUE).run()
    assert sync.part(ISSUE).unread == {}
    await side.mend(fault)
    await sync.poll(ISSUE).run()


# parents -------------------------------------------------------------------------------------


async def test_a_parent_that_goes_takes_its_children_along_and_brings_them_back(
    side: GithubSide, drive: Driver
) -> None:
    """A repository goes out of sight and comes back: its list of issues is as it was, and so is the answer's mark."""
    names = await repositories(side, 2)
    for name in names:
        await side.seed(ISSUE, 3, parent=name)
    sync = await backfilled(drive, ISSUE)
    for _ in range(2):
        await sync.poll(ISSUE).run()
    sweep = sync.sweep(ISSUE)
    await sweep.run()
    children = await sync.live(ISSUE)
    await side.control("POST", "/tokens", {"token": GITHUB_TOKEN, "repositories": [names[1]]})
    for _ in range(2):  # no read by id proves that a public repository is still this account's
        await sync.sweep(REPOSITORY).run()
    assert len(await sync.gone(REPOSITORY)) == 1
    await sync.backfill(ISSUE)
    assert len(await sync.gone(ISSUE)) == 3
    await side.control("POST", "/tokens", {"token": GITHUB_TOKEN, "repositories": None})
    await sync.sweep(REPOSITORY).run()
    await sync.backfill(ISSUE)
    assert await sync.live(ISSUE) == children
    assert await sync.is_equal(side, REPOSITORY, ISSUE)


async def test_a_repository_that_was_renamed(side: GithubSide, drive: Driver) -> None:
    """Its old name answers 301 until the list tells the new one; its children go on, and none is gone."""
    names = await repositories(side, 2)
    for name in names:
        await side.seed(ISSUE, 3, parent=name)
    sync = await backfilled(drive, ISSUE)
    await sync.poll(ISSUE).run()
    repository = next(each for each in await side.objects(REPOSITORY) if each["full_name"] == names[0])
    await side.time_passes(60)
    await side.control("POST", f"/objects/repository/{repository['id']}", {"params": {"name": "called-otherwise"}})
    owner = names[0].partition("/")[0]
    await side.create(ISSUE, parent=f"{owner}/called-otherwise")
    await sync.poll(ISSUE).run()
    await sync.sweep(ISSUE).run()
    assert await sync.gone(ISSUE) == set()
    assert await sync.gone(REPOSITORY) == set()
    for _ in range(3):
        await sync.poll(REPOSITORY).run()
        await sync.poll(ISSUE).run()
    assert sync.part(ISSUE).unread == {}
    await sync.backfill(ISSUE)
    await sync.sweep(ISSUE).run()
    assert await sync.is_equal(side, REPOSITORY, ISSUE)
    assert await sync.gone(ISSUE) == set()


async def test_a_parent_that_changes_while_its_backfill_is_broken_off(side: GithubSide, drive: Driver) -> None:
    names = await repositories(side, 3)
    for name in names:
        await side.seed(ISSUE, 250, parent=name)
    sync = await drive.sync("github:repository", "github:issue")
    await sync.poll(REPOSITORY).run()
    await sync.backfill(REPOSITORY)
    fault = await side.fault("status", match={"path": "*/issues", "nth": 2}, status=401)
    with pytest.raises(CredentialDead):
        await sync.backfill(ISSUE)
    await side.mend(fault)
    assert len(await sync.live(ISSUE)) == 100
    first = next(iter((await sync.live(ISSUE)).values()))["repository_url"].rpartition("/")[2]
    await side.time_passes(60)
    for repository in await side.objects(REPOSITORY):
        if repository["name"] == first:
            await side.update(REPOSITORY, repository["id"], description="changed meanwhile")
    again = await drive.open(sync.made)
    await again.poll(REPOSITORY).run()
    before = len(side.arrivals)
    await again.backfill(ISSUE)
    assert await again.is_equal(side, ISSUE)
    assert len(side.arrivals) - before == 2 + 3 + 3
