"""A walk over ids: what is new is read by id, what is gone is found, and nothing else is read."""

import pytest
from tests.support.driven import Driven, Driver
from tests.support.stripe_side import StripeSide

from springline.domain.errors import ProviderError
from springline.engine.deletions import Deletions
from springline.engine.sweeps import SweepWalk
from springline.providers.stripe.shapes import PAGES
from springline.providers.vocabulary import ListEndpoint

LIST = "/v1/customers"
#: A list of ids, as far as its reader looks: of each object it takes the id alone.
IDS = ListEndpoint(path=LIST, pagination=PAGES)


@pytest.fixture
async def sync(drive: Driver, side: StripeSide) -> Driven:
    await side.seed("customer", 250)
    sync = await drive.sync()
    await sync.backfill()
    return sync


def ids_walk(sync: Driven) -> SweepWalk:
    return SweepWalk(sync.session, sync.part(), Deletions(sync.session, sync.part(), sync.rereader), ids=IDS)


async def test_new_ones_are_read_and_those_that_are_gone_are_deleted(side: StripeSide, sync: Driven) -> None:
    known = sorted(side.objects("customer"))
    new = [await side.create("customer", events=False, name=f"new {number}") for number in range(3)]
    for key in known[:2]:
        await side.delete("customer", key, events=False)
    since = len(side.arrivals)
    await ids_walk(sync).run()
    assert await sync.gone() == set(known[:2])
    assert await sync.is_equal(side)
    read = [arrival.path for arrival in side.arrivals[since:] if arrival.path != LIST]
    assert sorted(read) == sorted(f"{LIST}/{key}" for key in (*new, *known[:2]))


async def test_it_does_not_look_at_contents(side: StripeSide, sync: Driven) -> None:
    key = sorted(side.objects("customer"))[7]
    before = len(await sync.events())
    await side.update("customer", key, events=False, name="changed")
    await ids_walk(sync).run()
    assert len(await sync.events()) == before


async def test_one_that_is_broken_off_goes_on_and_deletes_nothing_before_its_end(
    side: StripeSide, sync: Driven
) -> None:
    gone = min(side.objects("customer"))
    await side.delete("customer", gone, events=False)
    fault = await side.fault("status", match={"path": LIST, "nth": 2}, status=400)
    walk = ids_walk(sync)
    with pytest.raises(ProviderError):
        await walk.run()
    assert await sync.gone() == set()
    await side.mend(fault)
    await walk.run()
    assert await sync.gone() == {gone}
