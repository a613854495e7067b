"""The quotas of a worker: several syncs of one credential, what a successor counts, what is lent to other processes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from tests.engine.test_quota_windows import SHARE_OF_INTERVAL, most_in_a_window
from tests.support.driven import working
from tests.support.made import Made, Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.domain.errors import OwnerUnavailable
from springline.engine.connect import CredentialCheck, Unverifiable, Verified
from springline.engine.fetch import HttpClient
from springline.engine.owners import Owners
from springline.engine.permits import BorrowedPermit, Permits
from springline.engine.quota_owner import QuotaOwner, SnapshotQuestion
from springline.engine.quotas import Priority, QuotaSnapshot, SyncQuota
from springline.engine.wakeups import Wakeups
from springline.providers.registry import PROVIDERS
from springline.providers.vocabulary import RateLimit, Request
from springline.store.database import Database
from springline.store.leases import LeasedSync, LeaseStore, Process
from springline.store.owners import OwnerStore
from springline.store.quotas import NewBlock, QuotaStore

REQUEST = Request(path="/v1/customers")
A_MINUTE = {"allowed_requests": 200, "interval": 60.0, "max_concurrent_requests": 0}


class Holder:
    """A worker's quotas, and its lease as a test has it."""

    def __init__(self, database: Database, *, published_limits: bool = False) -> None:
        self.database = database
        self.leases = LeaseStore(database)
        self.wakeups = Wakeups(database)
        self.owners = Owners(OwnerStore(database), self.wakeups)
        self.worker_no: int | None = None
        self.has_time = True

        async def no_properties(_: object) -> Mapping[str, Any]:
            return {}

        self.quotas = QuotaOwner(
            store=QuotaStore(database),
            owner_store=OwnerStore(database),
            owners=self.owners,
            providers=PROVIDERS,
            open_properties=no_properties,
            published_limits=published_limits,
        )
        self.quotas.follow(self)
        self.permits = Permits(self.owners, self.quotas)

    def may_start(self) -> bool:
        return self.has_time

    async def take_over(self) -> None:
        """Whoever held it is gone."""
        await self.database.execute("UPDATE credentials SET lease_worker_no = NULL")
        self.worker_no = await self.leases.register_worker(Process("", "", "x"), 60.0)
        await self.leases.claim(self.worker_no)

    async def sync(self, made: Made) -> LeasedSync:
        assert self.worker_no is not None
        sync = await self.leases.get_leased_sync(made.sync_no, self.worker_no)
        assert sync is not None
        return sync

    async def quota(self, made: Made) -> SyncQuota:
        return await self.quotas.sync_quota(await self.sync(made))


@asynccontextmanager
async def holder(database: Database, *, published_limits: bool = False) -> AsyncIterator[Holder]:
    made = Holder(database, published_limits=published_limits)
    stop = asyncio.Event()
    listening = asyncio.create_task(made.wakeups.run(stop))
    await until(lambda: made.wakeups._connection is not None)
    try:
        yield made
    finally:
        await made.quotas.close()
        await made.owners.close()
        stop.set()
        await listening


@pytest.fixture
def maker(database: Database) -> Maker:
    return Maker(database)


async def use(quota: SyncQuota, count: int, priority: Priority = Priority.urgent) -> None:
    for _ in range(count):
        async with quota.permit(priority, REQUEST):
            pass


async def credential_no(database: Database, made: Made) -> int:
    number: int = await database.fetch_value("SELECT credential_no FROM syncs WHERE sync_no = $1", made.sync_no)
    return number


async def test_syncs_of_one_credential_share_what_the_provider_allows(
    database: Database, side: StripeSide, maker: Maker
) -> None:
    """Each may have 20 a second, the account has 25 in test mode."""
    twenty = {"allowed_requests": 20, "interval": 1.0, "max_concurrent_requests": 0}
    first = await maker.sync("stripe:customer", "stripe:product", epoch=0, rate_limit=twenty)
    second = await maker.sync(
        "stripe:plan", "stripe:coupon", epoch=0, rate_limit=twenty, beside=first, credential=first.credential
    )
    for collection in ("customer", "product", "plan", "coupon"):
        await side.seed(collection, 2500)
    async with working(database, side, published_limits=True) as work:
        await work.until_backfilled(first)
        await work.until_backfilled(second)
    times = [arrival.at for arrival in side.arrivals]
    assert most_in_a_window(times, SHARE_OF_INTERVAL) <= 25
    assert len(times) / (times[-1] - times[0]) >= 21  # more than one of them alone


async def test_long_windows_are_written_ahead_and_a_successor_counts_them(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0, rate_limit=A_MINUTE)
    async with holder(database) as first:
        await first.take_over()
        await use(await first.quota(made), 5)
        assert await database.fetch_value("SELECT count(*) FROM quota_starts") == 0  # a fortieth is free
        await use(await first.quota(made), 32)
        rows = await database.fetch("SELECT quota_key, starts FROM quota_starts")
        assert {row["quota_key"] for row in rows} == {f"sync:{made.sync_no}"}
        assert 32 <= sum(row["starts"] for row in rows) <= 37
    async with holder(database) as second:
        await second.take_over()
        quota = await second.quota(made)
        assert 37 <= quota.used() <= 37 + 200 // 20
        known = (await second.quota(made)) is quota
        assert known


async def test_the_first_holder_follows_on_nobody(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0, rate_limit=A_MINUTE)
    async with holder(database) as first:
        await first.take_over()
        assert (await first.quota(made)).used() == 0


async def test_blocks_of_all_quotas_are_one_statement(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0, rate_limit={**A_MINUTE, "allowed_requests": 10})
    others = [await maker.sync(epoch=0, rate_limit={**A_MINUTE, "allowed_requests": 10}, beside=made) for _ in range(9)]
    async with holder(database) as first:
        await first.take_over()
        written: list[int] = []
        open_blocks = first.quotas._store.open_blocks

        async def count(blocks: list[NewBlock]) -> None:
            written.append(len(blocks))
            await open_blocks(blocks)

        first.quotas._store.open_blocks = count  # type: ignore[method-assign,assignment]
        quotas = [await first.quota(each) for each in (made, *others)]
        await asyncio.gather(*(use(quota, 1) for quota in quotas))
        assert sum(written) == 10
        assert len(written) <= 2


async def test_what_no_window_reaches_is_forgotten(database: Database) -> None:
    store = QuotaStore(database)
    await store.open_blocks([NewBlock("a", 5, 60.0), NewBlock("b", 6, 60.0)])
    await database.execute("UPDATE quota_starts SET opened_at = opened_at - interval '50 s'")
    await store.open_blocks([NewBlock("a", 7, 60.0)])
    blocks = (await store.list_blocks(["a", "c"]))["a"]
    assert [block.starts for block in blocks] == [5, 7]
    assert 50 <= blocks[0].age_seconds < 59
    await database.execute("UPDATE quota_starts SET kept_until = now() - interval '1 s' WHERE starts < 7")
    await store.open_blocks([NewBlock("b", 1, 60.0)])
    assert await database.fetch_value("SELECT array_agg(starts ORDER BY block_no) FROM quota_starts") == [7, 1]


async def test_without_the_database_long_windows_wait_and_go_on_by_themselves(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0, rate_limit={**A_MINUTE, "allowed_requests": 10})
    async with holder(database) as first:
        await first.take_over()
        quota = await first.quota(made)
        await database.execute("ALTER TABLE quota_starts RENAME TO quota_starts_gone")
        using = asyncio.create_task(use(quota, 1))
        await until(lambda: quota.is_waited_for)
        snapshot = first.quotas.snapshot(await credential_no(database, made))
        assert snapshot is not None
        assert snapshot.windows[-1].closed_because == "the database has not recorded the next starts yet"
        await database.execute("ALTER TABLE quota_starts_gone RENAME TO quota_starts")
        await using


async def test_a_limit_that_is_changed_keeps_what_was_used(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0, rate_limit=A_MINUTE)
    async with holder(database) as first:
        await first.take_over()
        await use(await first.quota(made), 12)
        await database.execute(
            "UPDATE syncs SET rate_limit = $2 WHERE sync_no = $1", made.sync_no, {**A_MINUTE, "allowed_requests": 100}
        )
        quota = await first.quota(made)
        assert quota.limit.allowed_requests == 100
        assert quota.used() == 12
        first.quotas.keep_only({})
        assert first.quotas.snapshot(await credential_no(database, made)) is None
        assert (await first.quota(made)).used() == 12  # disabled for a moment


# permits for other processes -----------------------------------------------------------------------------


async def ask_for(side: Holder, database: Database, made: Made, *, timeout_seconds: float = 10.0) -> Any:
    return side.permits.permit(
        await credential_no(database, made),
        REQUEST,
        valid_seconds=5.0,
        timeout_seconds=timeout_seconds,
        sync=(made.sync_no, RateLimit(**made.sync.rate_limit)),
    )


async def test_a_lent_permit_counts_from_its_grant(database: Database, maker: Maker) -> None:
    limit = {"allowed_requests": 50, "interval": 1.0, "max_concurrent_requests": 1}
    made = await maker.sync(epoch=0, rate_limit=limit)
    async with holder(database) as owner, holder(database) as other:
        await owner.take_over()
        quota = await owner.quota(made)
        async with await ask_for(other, database, made) as permit:
            assert isinstance(permit, BorrowedPermit)
            assert 3.0 < permit.seconds_left <= 5.0
            assert quota.used() == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), quota.permit(Priority.waiting):
                    pass
            permit.started(asyncio.get_running_loop().time())
            permit.answered(429)
            permit.slow_down(30.0, "429, too many")
        await until(lambda: not owner.quotas._loans)
        snapshot = owner.quotas.snapshot(await credential_no(database, made))
        assert snapshot is not None
        assert snapshot.windows[0].closed_because == "429, too many"
        assert snapshot.windows[0].closed_seconds > 25
        assert snapshot.windows[-1].used_by == {"waiting": 1}
        assert snapshot.windows[-1].running == 0


async def test_in_the_owner_s_process_a_permit_is_its_own(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0)
    async with holder(database) as owner:
        await owner.take_over()
        quota = await owner.quota(made)
        async with await ask_for(owner, database, made) as permit:
            assert not isinstance(permit, BorrowedPermit)
            assert quota.used() == 1
        assert await database.fetch_value("SELECT last_value FROM owner_questions_question_no_seq") == 1


async def test_a_borrower_that_is_killed_holds_its_slot_for_a_while(
    database: Database, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("springline.engine.quota_loans.STATEMENT_SECONDS", 0.5)
    made = await maker.sync(epoch=0, rate_limit={"allowed_requests": 1, "interval": 0.5, "max_concurrent_requests": 1})
    async with holder(database) as owner, holder(database) as other:
        await owner.take_over()
        quota = await owner.quota(made)
        borrowing = other.permits.permit(
            await credential_no(database, made), REQUEST, valid_seconds=0.0, timeout_seconds=5.0, sync=None
        )
        await borrowing.__aenter__()  # and that was the last that was heard of it
        whole = quota.credential.whole
        assert whole.running == 1
        await until(lambda: whole.running == 0, within_seconds=5)
        await borrowing.__aexit__(None, None, None)


async def test_who_takes_over_counts_what_was_lent(database: Database, maker: Maker) -> None:
    limit = {"allowed_requests": 50, "interval": 1.0, "max_concurrent_requests": 1}
    made = await maker.sync(epoch=0, rate_limit=limit)
    async with holder(database) as first, holder(database) as second, holder(database) as other:
        await first.take_over()
        await first.quota(made)
        async with await ask_for(other, database, made):
            await second.take_over()
            quota = await second.quota(made)
            assert len(second.quotas._loans) == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.3), quota.permit(Priority.waiting):
                    pass
        async with asyncio.timeout(5), quota.permit(Priority.waiting):
            pass


async def test_a_credential_that_rests_is_answered_for_too(database: Database, maker: Maker) -> None:
    """Its worker holds the lease and has not needed its quota yet; one that nobody holds is refused."""
    made = await maker.sync(epoch=0)
    async with holder(database) as owner, holder(database) as other:
        with pytest.raises(OwnerUnavailable, match="no worker holds it"):
            async with await ask_for(other, database, made, timeout_seconds=0.2):
                pass
        await owner.take_over()
        async with await ask_for(other, database, made):
            pass
        owner.has_time = False  # its lease's last seconds
        with pytest.raises(OwnerUnavailable, match="did not answer"):
            async with await ask_for(other, database, made, timeout_seconds=0.4):
                pass


async def test_trying_a_stored_credential_draws_on_its_quota(
    database: Database, side: StripeSide, maker: Maker
) -> None:
    made = await maker.sync(epoch=0)
    number = await credential_no(database, made)
    stripe = PROVIDERS["stripe"]
    client = HttpClient.open()
    try:
        async with holder(database, published_limits=True) as owner, holder(database) as other:
            check = CredentialCheck(client, base_url_of=lambda _: side.url, permits=Permits(other.owners))
            kind, properties = stripe.credential_kinds[0], {"secret": "sk_test_springline"}
            # Nobody runs it: nobody counts, and nobody else draws on it.
            assert isinstance(await check(stripe, kind, properties, credential_no=number), Verified)
            await owner.take_over()
            quota = await owner.quota(made)
            assert isinstance(await check(stripe, kind, properties, credential_no=number), Verified)
            account = quota.credential.limits.fixed[0]
            assert account.used_by_purpose(quota.credential.ledger.clock()) == {Priority.waiting: 1}
            assert quota.used() == 0  # in nobody's name
            owner.has_time = False
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("springline.engine.connect._PERMIT_SECONDS", 0.3)
                assert isinstance(await check(stripe, kind, properties, credential_no=number), Unverifiable)
    finally:
        await client.close()


async def test_another_process_sees_how_the_quota_stands(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0, rate_limit=A_MINUTE)
    async with holder(database, published_limits=True) as owner, holder(database) as other:
        await owner.take_over()
        await use(await owner.quota(made), 2, Priority.poll)
        number = await credential_no(database, made)
        for side in (owner, other):
            answer = await side.owners.ask(number, SnapshotQuestion(), timeout_seconds=5)
            windows = {each.name: each for each in msgspec.json.decode(answer, type=QuotaSnapshot).windows}
            assert windows[f"sync:{made.sync_no}"].used_by == {"poll": 2}
            assert windows[f"credential:{number}/account"].used == 2
            assert windows[f"credential:{number}/endpoint GET customers"].used == 2


async def test_who_lost_the_lease_lends_nothing(database: Database, maker: Maker) -> None:
    made = await maker.sync(epoch=0)
    async with holder(database) as owner, holder(database) as other:
        await owner.take_over()
        await owner.quota(made)
        await database.execute("UPDATE credentials SET lease_worker_no = NULL")
        with pytest.raises(OwnerUnavailable):
            async with await ask_for(other, database, made, timeout_seconds=0.3):
                pass
        owner.quotas.give_up(await credential_no(database, made))
        assert not owner.quotas.holds(await credential_no(database, made))
