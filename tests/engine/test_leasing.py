"""What workers hold when others come, go or are lost, and what their looks cost."""

import asyncio
import re

import pytest
from tests.support.driven import Held, working
from tests.support.made import Made, Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.engine.leasing import Leasing
from springline.metrics import Metrics
from springline.store.database import Database
from springline.store.leases import LeaseStore


class Worker:
    """One worker's leases, without anything that runs."""

    def __init__(self, database: Database, *, lease_seconds: float = 3600, stay_seconds: float = 0.0) -> None:
        self.metrics = Metrics()
        self.lost = 0
        self.leasing = Leasing(
            LeaseStore(database),
            lease_seconds=lease_seconds,
            metrics=self.metrics,
            on_lost=self._on_lost,
            minimum_stay_seconds=stay_seconds,
        )

    async def look(self) -> int:
        """Looks and hands over; returns how many syncs it is to run then."""
        await self.leasing.look(may_claim=True)
        if self.leasing.surplus:
            await self.leasing.hand_over(self.leasing.surplus)
        return len(self.leasing.syncs)

    async def _on_lost(self) -> None:
        self.lost += 1


async def _syncs(database: Database, count: int) -> list[Made]:
    """Syncs with a credential each."""
    first = await Maker(database).sync(epoch=0)
    return [first, *[await Maker(database).sync(epoch=0, beside=first) for _ in range(count - 1)]]


async def _at_rest(workers: list[Worker]) -> list[int]:
    """What each has after they have looked in turn until nothing changes."""
    before: list[int] = []
    while True:
        shares = [await worker.look() for worker in workers]
        if shares == before:
            return shares
        before = shares


async def test_workers_that_come_and_go_share_everything(database: Database) -> None:
    await _syncs(database, 12)
    workers = [Worker(database)]
    assert await _at_rest(workers) == [12]
    for shares in ([6, 6], [4, 4, 4], [3, 3, 3, 3]):
        workers.append(Worker(database))
        assert await _at_rest(workers) == shares
    # Each newcomer was given its share, and nothing else moved.
    assert sum(worker.metrics.leases_handed_over for worker in workers) == 6 + 4 + 3
    first = workers.pop(0)
    await first.leasing.release()
    assert first.leasing.syncs == {}
    assert await _at_rest(workers) == [4, 4, 4]
    assert sum(worker.metrics.leases_handed_over for worker in workers) + first.metrics.leases_handed_over == 13
    assert sum(worker.metrics.leases_taken for worker in workers) + first.metrics.leases_taken == 12 + 13 + 3
    epochs = await database.fetch("SELECT f.epoch = c.lease_epoch AS same FROM sync_fences f, syncs s, credentials c "
                                  "WHERE f.sync_no = s.sync_no AND s.credential_no = c.credential_no")  # fmt: skip
    assert all(row["same"] for row in epochs)


async def test_nothing_is_handed_over_while_workers_come_and_go(database: Database) -> None:
    await _syncs(database, 4)
    patient = Worker(database, stay_seconds=3600)
    assert await patient.look() == 4
    other = Worker(database, stay_seconds=3600)
    assert await _at_rest([patient, other]) == [4, 0]
    # What is free goes to who has less.
    await Maker(database).sync(epoch=0)
    assert await patient.look() == 4
    assert await other.look() == 1


async def test_a_lost_workers_share_is_taken_by_those_who_live(database: Database) -> None:
    await _syncs(database, 6)
    lost, *others = workers = [Worker(database) for _ in range(3)]
    assert await _at_rest(workers) == [2, 2, 2]
    await database.execute("UPDATE workers SET expires_at = now() WHERE worker_no = $1", lost.leasing.worker_no)
    assert await _at_rest(others) == [3, 3]


async def test_a_worker_whose_lease_was_over_drops_everything_and_registers_anew(database: Database) -> None:
    await _syncs(database, 2)
    paused, other = Worker(database, lease_seconds=1.5), Worker(database)
    assert await paused.look() == 2
    first = paused.leasing.worker_no
    await database.execute("UPDATE workers SET expires_at = now() WHERE worker_no = $1", first)
    assert await other.look() == 2
    renewing = asyncio.create_task(paused.leasing.renew_again_and_again())
    await until(lambda: paused.lost)
    renewing.cancel()
    assert paused.metrics.leases_lost == 2
    assert paused.leasing.syncs == {}
    assert not paused.leasing.may_start() or paused.leasing.worker_no is None
    assert await paused.look() == 0
    assert paused.leasing.worker_no not in (None, first)
    # Nobody sees a ghost of it.
    assert await database.fetch_value("SELECT count(*) FROM workers") == 2


async def test_what_another_leaves_lying_is_taken_all_the_same(database: Database) -> None:
    await _syncs(database, 4)
    idler = Worker(database)  # lives and does not look: hung, or refused by the database
    await idler.leasing.look(may_claim=False)
    worker = Worker(database, lease_seconds=2, stay_seconds=1)
    assert await worker.look() == 2
    assert await worker.look() == 2
    await until(lambda: _holds(worker, 4), within_seconds=3)
    worker.leasing._members_since -= 10
    assert await worker.look() == 4  # and it keeps them


async def _holds(worker: Worker, count: int) -> bool:
    return await worker.look() == count


async def test_changes_are_taken_up_without_reading_everything(database: Database) -> None:
    made, other = await _syncs(database, 2)
    maker = Maker(database)
    worker = Worker(database)
    assert await worker.look() == 2
    later = await maker.sync(epoch=0, beside=made, credential=made.credential)
    assert await worker.look() == 3
    assert await database.fetch_value("SELECT epoch FROM sync_fences WHERE sync_no = $1", later.sync_no) == 1
    await maker.syncs.update(made.org_id, made.sync.sync_id, {"status": "disabled"})
    await maker.syncs.delete(other.org_id, other.sync.sync_id, keep_records=True)
    assert await worker.look() == 1
    await maker.syncs.update(made.org_id, made.sync.sync_id, {"status": "active"})
    assert await worker.look() == 2
    assert worker.leasing.syncs[made.sync_no].config_version == 3


async def test_a_full_look_finds_what_no_look_could_see(database: Database) -> None:
    made, other = await _syncs(database, 2)
    maker = Maker(database)
    worker = Worker(database)
    assert await worker.look() == 2
    await database.execute("UPDATE syncs SET configured_at = now() - interval '1 hour'")
    await database.execute("UPDATE credentials SET lease_worker_no = NULL WHERE credential_no = $1",
                           made.credential.credential_no)  # fmt: skip
    await database.execute("ALTER TABLE syncs DISABLE TRIGGER syncs_note_configured")
    await database.execute("UPDATE syncs SET config_version = 7 WHERE sync_no = $1", other.sync_no)
    assert (await worker.look(), worker.leasing.syncs[other.sync_no].config_version) == (2, 1)
    worker.leasing.distrust()  # as after a failure, or half a minute later
    await worker.look()
    assert worker.leasing.syncs[other.sync_no].config_version == 7
    await worker.look()
    assert worker.leasing.syncs[made.sync_no].lease_epoch == 2
    # A claim that was committed, and whose answer was lost.
    unknown = await maker.sync(epoch=0, beside=made)
    await LeaseStore(database).claim(worker.leasing.worker_no or 0)
    assert await worker.look() == 2
    worker.leasing.distrust()
    assert await worker.look() == 3
    assert unknown.sync_no in worker.leasing.syncs


async def test_a_look_reads_no_table_from_end_to_end(database: Database) -> None:
    (made,) = await _syncs(database, 1)
    await database.execute(
        """
        WITH c AS (
            INSERT INTO credentials (
                credential_id, org_id, provider, kind, account, secret_print, properties, secrets, secret_key_id)
            SELECT gen_random_uuid(), org_id, provider, kind, 'copy ' || n, '', '{}', '', ''
            FROM credentials, generate_series(1, 3000) n RETURNING *
        ), s AS (
            INSERT INTO syncs (sync_id, org_id, provider, stream_no, credential_no, name, collection_ids, rate_limit)
            SELECT gen_random_uuid(), c.org_id, c.provider, $1, c.credential_no, '', '{}', '{}' FROM c RETURNING *
        )
        INSERT INTO sync_fences (stream_no, sync_no) SELECT stream_no, sync_no FROM s
        """,
        made.stream_no,
    )
    worker = Worker(database)
    while await worker.look() < 3001:
        pass
    await database.execute("UPDATE syncs SET configured_at = now() - interval '1 hour'")
    for table in ("credentials", "syncs", "sync_fences", "workers"):
        await database.execute(f"VACUUM ANALYZE {table}")
    leases = worker.leasing._leases
    worker_no = worker.leasing.worker_no
    for name, arguments in (("look_around", ()), ("list_configured_syncs", (worker_no, 12.0))):
        rows = await database.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {leases._sql[name]}", *arguments)
        plan = "\n".join(row[0] for row in rows)
        assert not re.search(r"Seq Scan on (credentials|syncs|sync_fences)", plan), plan
        (pages,) = re.findall(r"^ +Buffers: shared hit=(\d+)", plan.partition("\n")[2], re.MULTILINE)[:1]
        assert int(pages) < 50, plan


async def test_a_second_worker_is_given_its_share_and_goes_on(side: StripeSide, database: Database) -> None:
    await side.seed("customer", 5)
    made = await _syncs(database, 4)
    async with working(database, side, lease_seconds=2) as first:
        for each in made:
            await first.until_backfilled(each)
        async with working(database, side, lease_seconds=2) as second:
            await until(lambda: len(first.worker._runs) == len(second.worker._runs) == 2)
            await side.create("customer", name="afterwards")
            for each in made:
                held = Held(database, each)
                await until(lambda held=held: held.is_equal(side))  # type: ignore[misc]
        # The second one stopped: everything goes on in the first.
        await until(lambda: len(first.worker._runs) == 4)
        await side.create("customer", name="at last")
        for each in made:
            held = Held(database, each)
            await until(lambda held=held: held.is_equal(side))  # type: ignore[misc]
    assert await database.fetch_value("SELECT count(*) FROM workers") == 0


@pytest.mark.parametrize("count", [120])
async def test_many_syncs_start_side_by_side(side: StripeSide, database: Database, count: int) -> None:
    made = await _syncs(database, count)
    async with working(database, side) as work:
        await until(lambda: len(work.worker._runs) == count)
        await work.until_backfilled(made[-1])


async def test_many_wake_ups_make_few_looks(side: StripeSide, database: Database) -> None:
    """Who makes a thousand syncs in a row wakes every worker a thousand times."""
    async with working(database, side) as work:
        await until(lambda: work.worker._leasing.worker_no)
        looks = wake_ups = 0
        rested_at = work.worker._rested_at
        async with asyncio.timeout(20):
            while looks < 5:
                work.worker.wake()
                await database.fetch_value("SELECT 1")
                wake_ups += 1
                looks += work.worker._rested_at != rested_at
                rested_at = work.worker._rested_at
        assert wake_ups > 2 * looks
