"""Leases: who may run a credential's syncs, until when, and that nobody else writes (I3)."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
from tests.support.made import Made, Maker, write
from tests.support.waiting import until_blocked

from springline.domain.credentials import Properties
from springline.domain.secrets import Secret
from springline.engine.processes import is_gone, process_start, this_process
from springline.store.database import Database
from springline.store.leases import CLAIM_AT_MOST, LeasedVersion, LeaseStore, Process
from springline.store.pages import Page, PageStore

HERE = Process("boot", "namespace", "1:1")


@pytest.fixture
def leases(database: Database) -> LeaseStore:
    return LeaseStore(database)


async def _syncs(database: Database, count: int, *, beside: Made | None = None) -> list[Made]:
    """Syncs with a credential each, and fences that no worker has raised."""
    made: list[Made] = []
    for _ in range(count):
        made.append(await Maker(database).sync(epoch=0, beside=beside or (made[0] if made else None)))
    return made


async def _epochs(database: Database, made: Made) -> tuple[int, int]:
    row = await database.fetch_row("SELECT epoch, first_epoch FROM sync_fences WHERE sync_no = $1", made.sync_no)
    assert row is not None
    return row["epoch"], row["first_epoch"]


async def _to_run(leases: LeaseStore, worker_no: int) -> dict[int, tuple[int, int]]:
    """Sync → (configuration, lease epoch) of all that a worker is to run."""
    held = await leases.list_held_credentials(worker_no)
    leased = await leases.list_leased_syncs(worker_no, held)
    return {sync_no: (version.config_version, version.lease_epoch) for sync_no, version in leased.items()}


async def _free(leases: LeaseStore) -> int:
    """What can be claimed: what nobody holds, and what the lost hold."""
    peers, free = await leases.look_around()
    return free + sum(peer.credentials for peer in peers if not peer.lives)


async def _end_lease(database: Database, worker_no: int) -> None:
    await database.execute("UPDATE workers SET expires_at = now() WHERE worker_no = $1", worker_no)


async def test_a_claim_takes_what_has_no_living_holder(database: Database, leases: LeaseStore) -> None:
    (made,) = await _syncs(database, 1)
    first = await leases.register_worker(HERE, 30)
    second = await leases.register_worker(HERE, 30)
    assert await _free(leases) == 1
    assert await leases.claim(first) == [made.credential.credential_no]
    assert await leases.claim(second) == []
    assert await _free(leases) == 0
    assert await _to_run(leases, first) == {made.sync_no: (1, 1)}
    assert await _to_run(leases, second) == {}
    sync = await leases.get_leased_sync(made.sync_no, first)
    assert sync is not None
    assert (sync.lease_epoch, sync.first_epoch) == (1, 1)
    assert {name: source.source_no for name, source in sync.sources.items()} == made.sources
    assert await leases.get_leased_sync(made.sync_no, second) is None


async def test_an_expired_lease_is_taken_over_and_the_old_holder_fenced_off(
    database: Database, leases: LeaseStore
) -> None:
    (made,) = await _syncs(database, 1)
    first = await leases.register_worker(HERE, 30)
    second = await leases.register_worker(HERE, 30)
    await leases.claim(first)
    await _end_lease(database, first)
    assert not await leases.renew_worker(first, 30)
    assert await _free(leases) == 1
    assert len(await leases.claim(second)) == 1
    assert await _epochs(database, made) == (2, 1)
    assert await _to_run(leases, first) == {}
    sync = await leases.get_leased_sync(made.sync_no, second)
    assert sync is not None
    assert sync.lease_epoch > sync.first_epoch  # it follows on somebody
    pages = PageStore(database)
    for epoch, fenced_off in ((1, True), (2, False)):
        page = Page(sync_no=made.sync_no, epoch=epoch, records=[write(made.source_no, "a")], checkpoints={"x": b"1"})
        _, (committed,) = await pages.commit(made.stream_no, [page])
        assert committed.fenced_off is fenced_off


async def test_a_renewed_lease_stays(database: Database, leases: LeaseStore) -> None:
    await _syncs(database, 1)
    first = await leases.register_worker(HERE, 30)
    await leases.claim(first)
    assert await leases.renew_worker(first, 60)
    left: float = await database.fetch_value(
        "SELECT extract(epoch FROM expires_at - now())::float8 FROM workers WHERE worker_no = $1", first
    )
    assert 55 < left <= 60
    assert await leases.claim(await leases.register_worker(HERE, 30)) == []


async def test_a_clean_stop_gives_everything_back(database: Database, leases: LeaseStore) -> None:
    await _syncs(database, 2)
    first = await leases.register_worker(HERE, 30)
    await leases.claim(first)
    await leases.release(first)
    assert len(await leases.claim(await leases.register_worker(HERE, 30))) == 2


async def test_a_takeover_waits_for_a_running_commit(database: Database, leases: LeaseStore) -> None:
    (made,) = await _syncs(database, 1)
    first = await leases.register_worker(HERE, 30)
    second = await leases.register_worker(HERE, 30)
    await leases.claim(first)
    await _end_lease(database, first)
    async with database.connection() as holder:
        running = holder.transaction()
        await running.start()
        # What a commit takes first: its sync's fence, shared.
        await holder.execute("SELECT 1 FROM sync_fences WHERE sync_no = $1 FOR SHARE", made.sync_no)
        takeover = asyncio.create_task(leases.claim(second))
        await until_blocked(database)
        assert not takeover.done()
        await running.rollback()
    assert len(await takeover) == 1


async def test_a_sync_made_later_runs_under_its_credentials_lease(database: Database, leases: LeaseStore) -> None:
    (made,) = await _syncs(database, 1)
    worker = await leases.register_worker(HERE, 30)
    await leases.claim(worker)
    await _end_lease(database, worker)
    worker = await leases.register_worker(HERE, 30)
    await leases.claim(worker)
    later = await Maker(database).sync(epoch=0, beside=made, credential=made.credential)
    # Until its fence is raised it could not write: it is not to run yet.
    assert later.sync_no not in await _to_run(leases, worker)
    assert await leases.claim(worker) == []
    (said,) = [
        sync for sync in await leases.list_configured_syncs(worker, within_seconds=60) if sync.sync_no == later.sync_no
    ]
    assert said.is_fenced_off
    await leases.raise_fences(worker, [made.credential.credential_no])
    assert await _to_run(leases, worker) == {made.sync_no: (1, 2), later.sync_no: (1, 2)}
    assert await _epochs(database, later) == (2, 2)  # it follows on nobody
    assert await _epochs(database, made) == (2, 1)


async def test_what_is_disabled_or_deleted_is_not_run(database: Database, leases: LeaseStore) -> None:
    first, second = await _syncs(database, 2)
    syncs = Maker(database).syncs
    worker = await leases.register_worker(HERE, 30)
    await leases.claim(worker)
    await syncs.update(first.org_id, first.sync.sync_id, {"status": "disabled"})
    await syncs.delete(second.org_id, second.sync.sync_id, keep_records=False)
    assert await _to_run(leases, worker) == {}
    await syncs.update(first.org_id, first.sync.sync_id, {"status": "active"})
    assert await _to_run(leases, worker) == {first.sync_no: (3, 1)}


async def test_a_credential_without_active_syncs_is_not_claimed(database: Database, leases: LeaseStore) -> None:
    (made,) = await _syncs(database, 1)
    await Maker(database).syncs.update(made.org_id, made.sync.sync_id, {"status": "disabled"})
    worker = await leases.register_worker(HERE, 30)
    assert await _free(leases) == 0
    assert await leases.claim(worker) == []


async def test_one_worker_does_not_take_everything_at_once(database: Database, leases: LeaseStore) -> None:
    (made,) = await _syncs(database, 1)
    await database.execute(
        """
        WITH c AS (
            INSERT INTO credentials (
                credential_id, org_id, provider, kind, account, secret_print, properties, secrets, secret_key_id)
            SELECT gen_random_uuid(), org_id, provider, kind, 'copy ' || n, '', '{}', '', ''
            FROM credentials, generate_series(1, $1) n RETURNING *
        ), s AS (
            INSERT INTO syncs (sync_id, org_id, provider, stream_no, credential_no, name, collection_ids, rate_limit)
            SELECT gen_random_uuid(), c.org_id, c.provider, $2, c.credential_no, '', '{}', '{}' FROM c RETURNING *
        )
        INSERT INTO sync_fences (stream_no, sync_no) SELECT stream_no, sync_no FROM s
        """,
        2 * CLAIM_AT_MOST,
        made.stream_no,
    )
    workers = [await leases.register_worker(HERE, 30) for _ in range(3)]
    claimed = await asyncio.gather(*(leases.claim(worker) for worker in workers))
    held = [set(await _to_run(leases, worker)) for worker in workers]
    assert max(map(len, claimed)) <= CLAIM_AT_MOST
    # A row that another claim has locked is left to it, so that together they may take less than there is.
    while sum(map(len, claimed)) < 2 * CLAIM_AT_MOST + 1:
        more = await leases.claim(workers[0])
        assert more
        claimed.append(more)
    held = [set(await _to_run(leases, worker)) for worker in workers]
    assert sum(len(each) for each in held) == 2 * CLAIM_AT_MOST + 1 == len(set().union(*held))


async def test_a_claim_does_not_take_what_another_took_meanwhile(database: Database, leases: LeaseStore) -> None:
    """Two claims of one row: the second has its snapshot before the first commits, and its lock after."""
    (made,) = await _syncs(database, 1)
    first = await leases.register_worker(HERE, 30)
    second = await leases.register_worker(HERE, 30)
    # Lets the second claim take its snapshot, then wait before it comes to the row.
    statement = leases._sql["claim_credentials"].replace(
        "EXISTS (\n", "(SELECT true FROM pg_advisory_lock(7)) AND EXISTS (\n", 1
    )
    assert "pg_advisory_lock" in statement
    async with database.connection() as gate:
        await gate.execute("SELECT pg_advisory_lock(7)")
        waiting = asyncio.create_task(database.fetch(statement, second, 100))
        await until_blocked(database)
        assert len(await leases.claim(first)) == 1
        await gate.execute("SELECT pg_advisory_unlock(7)")
        assert await waiting == []
    assert await _to_run(leases, first) == {made.sync_no: (1, 1)}


async def test_workers_long_gone_are_forgotten(database: Database, leases: LeaseStore) -> None:
    worker = await leases.register_worker(HERE, 30)
    await leases.remove_expired_workers()
    assert [peer.worker_no for peer in (await leases.look_around()).peers] == [worker]
    await database.execute("UPDATE workers SET expires_at = now() - interval '2 hours'")
    await leases.remove_expired_workers()
    assert (await leases.look_around()).peers == []


async def test_workers_see_each_other_and_what_each_holds(database: Database, leases: LeaseStore) -> None:
    await _syncs(database, 3)
    first = await leases.register_worker(HERE, 30)
    second = await leases.register_worker(Process("other boot", "namespace", "1:1", "db7"), 30)
    older = await leases.register_worker(HERE, 30)
    await database.execute("UPDATE workers SET credentials = NULL WHERE worker_no = $1", older)
    held = await leases.claim(first, at_most=1)
    await leases.claim(older, at_most=1)
    await leases.say_held(first, credentials=1)
    await _end_lease(database, second)
    peers, free = await leases.look_around()
    assert free == 1
    # An older release does not say how much it holds: it is counted.
    assert {peer.worker_no: (peer.lives, peer.credentials) for peer in peers} == {
        first: (True, 1),
        second: (False, 0),
        older: (True, 1),
    }
    assert peers[0].process == HERE
    await leases.hand_over(first, held, credentials=0)
    peers, free = await leases.look_around()
    assert (free, peers[0].credentials) == (2, 0)
    # Nobody gives what is not his.
    await leases.hand_over(second, await leases.list_held_credentials(older), credentials=0)
    assert await _free(leases) == 2


async def test_an_organisation_sees_its_own_part_of_a_worker(database: Database, leases: LeaseStore) -> None:
    (ours,) = await _syncs(database, 1)
    await Maker(database).sync(epoch=0, beside=ours, credential=ours.credential)
    theirs = await Maker(database).sync(epoch=0)
    worker = await leases.register_worker(HERE._replace(host="db7"), 30)
    await leases.claim(worker)
    for made, credentials, syncs in ((ours, 1, 2), (theirs, 1, 1)):
        (state,) = await leases.list_workers(made.org_id)
        assert (state.worker_no, state.process.host, state.lives) == (worker, "db7", True)
        assert (state.credentials, state.syncs) == (credentials, syncs)
        assert state.since <= state.lease_until
    await Maker(database).syncs.update(theirs.org_id, theirs.sync.sync_id, {"status": "disabled"})
    (state,) = await leases.list_workers(theirs.org_id)
    assert (state.credentials, state.syncs) == (1, 0)


async def test_a_look_sees_whatever_was_configured(database: Database, leases: LeaseStore) -> None:
    maker = Maker(database)
    disabled, kept, replaced, untouched = await _syncs(database, 4)
    worker = await leases.register_worker(HERE, 30)
    await leases.claim(worker)
    await database.execute("UPDATE syncs SET configured_at = now() - interval '1 hour'")
    assert await leases.list_configured_syncs(worker, within_seconds=60) == []
    await maker.syncs.update(disabled.org_id, disabled.sync.sync_id, {"status": "disabled"})
    await maker.syncs.delete(kept.org_id, kept.sync.sync_id, keep_records=True)
    properties = Properties(shown={}, secrets={"secret": Secret("sk_test_another")})
    await maker.credentials.replace(
        replaced.org_id, replaced.credential.credential_id, account="a", secret_print="p", properties=properties
    )
    # What a worker sees of a sync is no configuration.
    await leases.save_observations(untouched.sync_no, health={}, progress={})
    await leases.complete_backfill(untouched.sync_no)
    seen = {sync.sync_no: sync.version for sync in await leases.list_configured_syncs(worker, within_seconds=60)}
    assert seen == {
        disabled.sync_no: None,
        kept.sync_no: None,  # though nothing says any more whose it was
        replaced.sync_no: LeasedVersion(replaced.credential.credential_no, 2, 1),
    }
    other = await leases.register_worker(HERE, 30)
    assert [sync.sync_no for sync in await leases.list_configured_syncs(other, within_seconds=60)] == [kept.sync_no]


def test_a_killed_process_is_provably_gone() -> None:
    assert not is_gone(this_process().process_start)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = process_start(process.pid)
    assert start is not None
    assert not is_gone(start)
    os.kill(process.pid, signal.SIGKILL)
    # Before anybody has asked for its exit status: what remains of it holds nothing.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(start)
    process.communicate()
    assert is_gone(start)
    # A process that has the number now is another one.
    assert is_gone(f"{os.getpid()}:1")


async def test_what_a_gone_process_held_is_free_at_once(database: Database, leases: LeaseStore) -> None:
    await _syncs(database, 1)
    first = await leases.register_worker(HERE, 3600)
    elsewhere = await leases.register_worker(Process("other boot", "namespace", "1:1"), 3600)
    await leases.claim(first)
    assert await leases.claim(elsewhere) == []
    await leases.remove_workers([first])
    assert len(await leases.claim(elsewhere)) == 1
