"""A backlog of events can take hours: what was followed stays followed, and how far that came is known to the next."""

import pytest
from tests.support.driven import Driven, Driver
from tests.support.stripe_side import StripeSide

from springline.domain.errors import CredentialDead
from springline.engine import feeds

FEED = "/v1/events"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FOLLOWED_AT_ONCE", 10)


@pytest.fixture
async def sync(drive: Driver) -> Driven:
    return await drive.sync("stripe:customer")


async def backlog(sync: Driven, side: StripeSide) -> list[str]:
    """Thirty customers that changed one after the other since the last poll; their ids, the oldest change first."""
    ids = await side.seed("customer", 30)
    await sync.feed.run()
    await sync.backfill()
    await side.time_passes(60)
    await sync.feed.run()
    for number, key in enumerate(ids):
        await side.time_passes(2)
        await side.update("customer", key, name=f"change {number}")
    return ids


async def test_what_was_followed_is_not_followed_again(side: StripeSide, sync: Driven) -> None:
    ids = await backlog(sync, side)
    fault = await side.fault("status", match={"path": f"/v1/customers/{ids[25]}"}, status=401)
    with pytest.raises(CredentialDead):
        await sync.feed.run()
    live = await sync.live()
    assert [live[key]["name"] for key in ids[:20]] == [f"change {number}" for number in range(20)]
    await side.mend(fault)
    before = len(side.arrivals)
    await sync.feed.run()
    assert await sync.is_equal(side)
    assert [side.count(f"/v1/customers/{key}", since=before) for key in ids] == 20 * [0] + 10 * [1]


async def test_a_new_process_goes_on_where_the_last_one_was(side: StripeSide, sync: Driven, drive: Driver) -> None:
    ids = await backlog(sync, side)
    await side.fault("status", match={"path": f"/v1/customers/{ids[25]}", "times": 1}, status=401)
    with pytest.raises(CredentialDead):
        await sync.feed.run()
    reached = await sync.checkpoint("feed")
    assert reached is not None
    changed_at = {event.fields["subject"]: event.created for event in reversed(list(side.account.events))}
    assert reached["seen_to"] == changed_at[ids[20]]
    again = await drive.open(sync.made)
    await again.feed.run()
    assert await again.is_equal(side)


async def test_what_is_open_of_the_overlap_is_never_left_behind(side: StripeSide, sync: Driven, drive: Driver) -> None:
    """Hints from before the checkpoint are followed a few at a time. Meanwhile it moves on, but only so far that
    whoever begins anew finds them again."""
    ids = await backlog(sync, side)
    await sync.feed.run()
    again = await drive.open(sync.made)
    for key in ids[:3]:
        await side.time_passes(200)
        await side.update("customer", key, name="later")
        await again.feed.run()
        checkpoint = await again.checkpoint("feed")
        assert checkpoint is not None
        bound = 300 + min(again.feed._late.values(), default=10**12)
        assert checkpoint["seen_to"] <= bound
    assert await again.is_equal(side)


async def test_an_event_at_a_time_that_no_clock_shows_is_left_out(sync: Driven) -> None:
    assert sync.feed._read_event(b'{"id":"e","created":1e400,"type":"customer.updated"}') is None
