"""Awkward cases of remembered answers (ETag), of clocks and of records that are too old, by repository."""

from collections.abc import AsyncIterator

import pytest
from tests.support.driven import Driver, driver
from tests.support.github_side import GithubSide, github_side
from tests.support.repositories import ISSUE, REPOSITORY, Moved, backfilled, repositories

from springline.domain.errors import CredentialDead
from springline.store.database import Database


@pytest.fixture
async def side() -> AsyncIterator[GithubSide]:
    async with github_side() as opened:
        yield opened


@pytest.fixture
async def drive(database: Database, side: GithubSide) -> AsyncIterator[Driver]:
    async with driver(database, side) as opened:
        yield opened


@pytest.mark.parametrize("collection", [ISSUE, "pull_request"])
async def test_an_answer_is_remembered_only_when_it_was_written(
    side: GithubSide, drive: Driver, monkeypatch: pytest.MonkeyPatch, collection: str
) -> None:
    """The page was read, but writing it failed: the same answer is wanted in full again, not as a 304."""
    (name,) = await repositories(side, 1)
    sync = await backfilled(drive, collection)
    poll = sync.poll(collection)
    await poll.run()
    new = str(await side.create(collection, parent=name))

    async def refuse(*_: object, **__: object) -> None:
        raise ConnectionResetError("the database is gone")

    with monkeypatch.context() as broken:
        broken.setattr(sync.session, "write_page", refuse)
        with pytest.raises(ConnectionResetError):
            await poll.run()
    await poll.run()
    assert new in await sync.live(collection)


async def test_what_follows_a_page_that_is_as_it_was_is_not_lost(side: GithubSide, drive: Driver) -> None:
    """Newest first, the second page fails; the first one is the same at the next look."""
    (name,) = await repositories(side, 1)
    sync = await backfilled(drive, "pull_request")
    poll = sync.poll("pull_request")
    await poll.run()
    await side.time_passes(10_000)
    now = side.now()
    await side.seed("pull_request", 150, parent=name, created_from=now - 9_000, created_until=now)
    fault = await side.fault("status", match={"path": "*/pulls", "nth": 2}, status=401)
    with pytest.raises(CredentialDead):
        await poll.run()
    await side.mend(fault)
    await poll.run()
    assert await sync.is_equal(side, "pull_request")


@pytest.mark.parametrize("step", [3600, -3600], ids=["forward", "back"])
@pytest.mark.parametrize("quiet", [60, 14_400], ids=["a minute", "four hours"])
async def test_a_clock_that_jumps_an_hour(
    side: GithubSide, drive: Driver, monkeypatch: pytest.MonkeyPatch, step: int, quiet: int
) -> None:
    (name,) = await repositories(side, 1)
    clock = Moved(monkeypatch)
    sync = await backfilled(drive, ISSUE)
    poll = sync.poll(ISSUE)
    await poll.run()
    for direction in (step, -step):
        await side.time_passes(direction)
        made = str(await side.create(ISSUE, parent=name))
        await side.time_passes(quiet)
        clock.pass_seconds(quiet)
        await poll.run()
        # Its own answers tell that the clock is another; then it is asked for what may have been missed.
        await poll.run()
        assert made in await sync.live(ISSUE)
    assert await sync.is_equal(side, ISSUE)
    before = len(side.arrivals)
    await poll.run()
    assert len(side.arrivals) - before == 1


async def test_max_age_is_asked_for(side: GithubSide, drive: Driver) -> None:
    (name,) = await repositories(side, 1)
    now = side.now()
    old = await side.seed(ISSUE, 5, parent=name, at=now - 40 * 86_400)
    new = await side.seed(ISSUE, 5, parent=name, at=now - 10 * 86_400)
    sync = await drive.sync("github:repository", "github:issue", max_age_days=30)
    await sync.backfill(REPOSITORY)
    await sync.poll(ISSUE).run()
    await sync.backfill(ISSUE)
    await sync.sweep(ISSUE).run()
    assert set(await sync.live(ISSUE)) == {str(key) for key in new}
    assert await sync.gone(ISSUE) == set()
    asked = [arrival for arrival in side.arrivals if arrival.path.endswith("/issues")]
    assert asked
    assert all("since=" in arrival.query for arrival in asked)
    assert old
