"""Parts of the engine in a test's own hands: a sync without a worker, or a worker in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

from tests.support.github_side import GithubSide
from tests.support.made import Made, Maker
from tests.support.stripe_side import StripeSide
from tests.support.waiting import until

from springline.domain.records import DetectedBy
from springline.engine.backfills import BackfillWalk
from springline.engine.deletions import Deletions
from springline.engine.feeds import FeedPoll
from springline.engine.fetch import Fetcher, HttpClient, Origin
from springline.engine.owners import Owners
from springline.engine.page_commit import StreamWriters
from springline.engine.partitions import Partition
from springline.engine.polls import IncrementalPoll
from springline.engine.quota_owner import QuotaOwner
from springline.engine.quotas import SyncQuota
from springline.engine.record_writes import RecordWriter
from springline.engine.rereads import Rereader
from springline.engine.session import CollectionSession, SyncSession
from springline.engine.sweeps import SweepWalk
from springline.engine.wakeups import Wakeups
from springline.engine.worker import Worker
from springline.metrics import Metrics
from springline.providers.access import RateLimit
from springline.providers.registry import PROVIDERS
from springline.store.database import Database, Row
from springline.store.leases import LeasedSync, LeaseStore, Process
from springline.store.owners import OwnerStore
from springline.store.pages import PageStore
from springline.store.quotas import HeldCredential, QuotaStore
from springline.store.records import RecordStore


class Held:
    """What a stream holds of one sync."""

    def __init__(self, database: Database, made: Made) -> None:
        self.database = database
        self.made = made

    @property
    def provider(self) -> str:
        return self.made.sync.provider

    async def versions(self, collection_id: str | None = None) -> list[Row]:
        """Current versions in order, tombstones included."""
        source_nos = None if collection_id is None else [self.made.sources[collection_id]]
        return await RecordStore(self.database).list_versions(
            self.made.stream_no,
            after_idx=0,
            head_idx=2**62,
            limit=100_000,
            source_nos=source_nos,
            most_bytes=2**40,
            overhead_bytes=0,
        )

    async def live(self, collection: str = "customer") -> dict[str, Any]:
        rows = await self.versions(f"{self.provider}:{collection}")
        return {row["upstream_id"]: json.loads(row["data"]) for row in rows if not row["deleted_reason"]}

    async def gone(self, collection: str = "customer") -> set[str]:
        return {
            row["upstream_id"] for row in await self.versions(f"{self.provider}:{collection}") if row["deleted_reason"]
        }

    async def events(self) -> list[tuple[str, int]]:
        """(upstream id, kind) of every change in order."""
        rows = await self.database.fetch(
            """SELECT r.upstream_id, e.kind FROM events e
            JOIN records r ON r.stream_no = e.stream_no AND r.record_no = e.record_no
            WHERE e.stream_no = $1 ORDER BY e.idx""",
            self.made.stream_no,
        )
        return [(row["upstream_id"], row["kind"]) for row in rows]

    async def checkpoint(self, name: str) -> dict[str, Any] | None:
        state = await self.database.fetch_value(
            "SELECT state FROM checkpoints WHERE sync_no = $1 AND name = $2", self.made.sync_no, name
        )
        return None if state is None else json.loads(state)

    async def sync(self) -> Row:
        row = await self.database.fetch_row("SELECT * FROM syncs WHERE sync_no = $1", self.made.sync_no)
        assert row is not None
        return row

    async def is_equal(self, side: StripeSide | GithubSide, *collections: str) -> bool:
        """Whether the stream holds what the API has."""
        for collection in collections or ("customer",):
            if isinstance(side, StripeSide):
                there = side.objects(collection)
            else:
                there = {str(each["id"]): each for each in await side.objects(collection)}
            if await self.live(collection) != there:
                return False
        return True


class Driven(Held):
    """A leased sync whose works a test runs by hand."""

    def __init__(self, database: Database, made: Made, session: SyncSession) -> None:
        super().__init__(database, made)
        self.session = session
        self.rereader = Rereader(session)
        session.reread = self.rereader.reread
        rewalks = {cid: partial(self.rewalk, part) for cid, part in session.collections.items()}
        self._feed = (
            FeedPoll(session, session.provider.feed, self.rereader, rewalks=rewalks)
            if session.provider.feed is not None
            else None
        )
        #: By collection, as a run of the sync keeps them.
        self._backfills: dict[str, BackfillWalk] = {}
        self._polls: dict[str, IncrementalPoll] = {}
        self._rewalks: dict[str, SweepWalk] = {}

    @property
    def feed(self) -> FeedPoll:
        assert self._feed is not None
        return self._feed

    def part(self, collection: str = "customer") -> CollectionSession:
        return self.session.collections[f"{self.provider}:{collection}"]

    async def backfill(self, collection: str = "customer") -> None:
        """From where it stands to the end; of a child collection also what its parents lead to."""
        if collection not in self._backfills:
            part = self.part(collection)
            self._backfills[collection] = BackfillWalk(self.session, part, rewalk=partial(self.rewalk, part))
        await self._backfills[collection].run()

    def poll(self, collection: str) -> IncrementalPoll:
        """Always the same: what it remembers is part of how it works."""
        if collection not in self._polls:
            part = self.part(collection)
            assert part.collection.incremental is not None
            self._polls[collection] = IncrementalPoll(self.session, part, part.collection.incremental)
        return self._polls[collection]

    def sweep(self, collection: str = "customer") -> SweepWalk:
        """A new one, which also reads parents' lists again from now on."""
        part = self.part(collection)
        self._rewalks[collection] = SweepWalk(self.session, part, Deletions(self.session, part, self.rereader))
        return self._rewalks[collection]

    async def rewalk(self, part: CollectionSession, partition: Partition, detected_by: DetectedBy) -> None:
        sweep = self._rewalks.get(part.collection.name) or self.sweep(part.collection.name)
        await sweep.rewalk(partition, detected_by)


class Driver:
    """Opens sessions over one database and one sandbox."""

    def __init__(self, database: Database, side: StripeSide | GithubSide, client: HttpClient) -> None:
        self.database = database
        self.side = side
        self.client = client
        self.leases = LeaseStore(database)
        self.maker = Maker(database)
        self.writers = StreamWriters(PageStore(database), on_commit=lambda _: None)

    async def open(self, made: Made, *, limit: RateLimit | None = None) -> Driven:
        """A session of a sync, after a takeover from whoever had it."""
        worker_no = await self.leases.register_worker(Process("test", "test", "1:1"), 3600)
        await self.database.execute("UPDATE credentials SET lease_worker_no = NULL")
        await self.leases.claim(worker_no)
        sync = await self.leases.get_leased_sync(made.sync_no, worker_no)
        assert sync is not None
        quota = SyncQuota(limit or RateLimit(**sync.rate_limit), clock=asyncio.get_running_loop().time)
        provider = PROVIDERS[made.sync.provider]
        kind = provider.find_kind(sync.kind)
        assert kind is not None
        origin = Origin(
            provider, kind, base_url=self.side.url, open_properties=lambda: open_properties(self.maker, sync)
        )
        writer = self.writers.writer(sync.stream_no)
        session = SyncSession(
            sync,
            provider,
            fetcher=Fetcher(self.client, origin, quota),
            quota=quota,
            records=RecordWriter(
                sync_no=sync.sync_no,
                epoch=sync.lease_epoch,
                max_age_days=sync.max_age_days,
                writer=writer,
                store=self.writers.store,
            ),
            stored=RecordStore(self.database),
            checkpoints=await self.leases.list_checkpoints(sync.stream_no, sync.sync_no),
        )
        await writer.refresh_head()
        return Driven(self.database, made, session)

    async def sync(self, *collection_ids: str, **options: Any) -> Driven:
        """A new sync, and a session of it."""
        return await self.open(await self.maker.sync(*collection_ids, epoch=0, **options))


async def open_properties(maker: Maker, of: LeasedSync | HeldCredential) -> Mapping[str, Any]:
    properties = await maker.credentials.properties(of.org_id, of.credential_id)
    return {} if properties is None else properties.reveal()


@asynccontextmanager
async def driver(database: Database, side: StripeSide | GithubSide) -> AsyncIterator[Driver]:
    client = HttpClient.open()
    made = Driver(database, side, client)
    try:
        yield made
    finally:
        await made.writers.close()
        await client.close()


class Side(Protocol):
    """A provider, as far as a worker knows it."""

    @property
    def url(self) -> str: ...


class Working:
    """A worker of this process."""

    def __init__(self, worker: Worker, database: Database, quotas: QuotaOwner, owners: Owners) -> None:
        self.worker = worker
        self.database = database
        self.quotas = quotas
        self.owners = owners

    async def until_backfilled(self, made: Made, *, within_seconds: float = 20.0) -> None:
        async def is_backfilled() -> bool:
            statement = "SELECT initial_backfill_completed_at FROM syncs WHERE sync_no = $1"
            return await self.database.fetch_value(statement, made.sync_no) is not None

        await until(is_backfilled, within_seconds=within_seconds, what="a completed backfill")


@asynccontextmanager
async def working(
    database: Database,
    side: Side,
    *,
    lease_seconds: float = 30.0,
    published_limits: bool = False,
    metrics: Metrics | None = None,
) -> AsyncIterator[Working]:
    """A worker that runs while the block does, and then stops as one does that is told to."""
    metrics = metrics or Metrics()
    client = HttpClient.open(metrics)
    writers = StreamWriters(PageStore(database), on_commit=lambda _: None, metrics=metrics)
    maker = Maker(database)
    wakeups = Wakeups(database)
    owners = Owners(OwnerStore(database), wakeups)
    quotas = QuotaOwner(
        store=QuotaStore(database),
        owner_store=OwnerStore(database),
        owners=owners,
        providers=PROVIDERS,
        open_properties=lambda of: open_properties(maker, of),
        published_limits=published_limits,
    )
    worker = Worker(
        leases=LeaseStore(database),
        records=RecordStore(database),
        writers=writers,
        client=client,
        providers=PROVIDERS,
        base_url_of=lambda _: side.url,
        open_properties=lambda sync: open_properties(maker, sync),
        quotas=quotas,
        lease_seconds=lease_seconds,
        metrics=metrics,
    )
    stop = asyncio.Event()
    running = asyncio.gather(worker.run(stop), wakeups.run(stop))
    try:
        yield Working(worker, database, quotas, owners)
    finally:
        stop.set()
        await running
        await quotas.close()
        await owners.close()
        await writers.close()
        await client.close()
