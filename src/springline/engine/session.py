"""What everything that works for one sync shares."""

import time
from collections.abc import Awaitable, Callable

from springline.domain.checkpoints import backfill_name, sweep_name
from springline.domain.errors import ProviderBroken
from springline.domain.records import DetectedBy, RejectedRecord
from springline.engine.fetch import Fetcher
from springline.engine.quotas import SyncQuota
from springline.engine.record_writes import Reading, RecordWriter, Written
from springline.providers.pages import PageParser, ParsedPage
from springline.providers.vocabulary import Answer, Collection, Provider
from springline.store.leases import LeasedSource, LeasedSync
from springline.store.records import RecordStore


class CollectionSession:
    """One collection of a running sync."""

    def __init__(self, collection: Collection, *, collection_id: str, source: LeasedSource) -> None:
        self.collection = collection
        self.collection_id = collection_id
        self.source_no = source.source_no
        self.backfill_name = backfill_name(collection_id, source.generation)
        self.sweep_name = sweep_name(collection_id, source.generation)
        self.parser = PageParser(collection, collection.listing)
        self.phase = "backfill"
        self.records = 0
        self.requests = 0
        #: How many records and pages are held, and why the last one was.
        self.held: tuple[int, str | None] = (0, None)
        #: Monotonic time of the last change found, by whatever means.
        self.changed_at = time.monotonic()
        self.last_sweep_at: float | None = None
        self.poll_interval: float | None = None
        self.lag_seconds: float | None = None


class SyncSession:
    """A running sync: its collections, its way to the provider and to the store."""

    def __init__(
        self,
        sync: LeasedSync,
        provider: Provider,
        *,
        fetcher: Fetcher,
        quota: SyncQuota,
        records: RecordWriter,
        stored: RecordStore,
        checkpoints: dict[str, bytes],
    ) -> None:
        self.sync = sync
        self.provider = provider
        self.fetcher = fetcher
        self.quota = quota
        self.records = records
        self.stored = stored
        self.checkpoints = checkpoints
        self.collections: dict[str, CollectionSession] = {}
        for collection_id, source in sync.sources.items():
            collection = provider.find_collection(collection_id)
            if collection is not None:
                self.collections[collection_id] = CollectionSession(
                    collection, collection_id=collection_id, source=source
                )
        #: Bound by the sync's run, so that whatever writes a page can have its stale records read again.
        self.reread: Callable[[CollectionSession, list[str], DetectedBy], Awaitable[Written]]

    async def write_page(
        self,
        part: CollectionSession,
        page: ParsedPage,
        *,
        reading: Reading,
        detected_by: DetectedBy,
        mostly_known: bool,
        checkpoints: dict[str, bytes | None] | None = None,
    ) -> Written:
        """Writes a page and settles what it leaves open: rejected pieces are held, stale records are read again, and
        only then its checkpoints are written (I1)."""
        await self.hold(part, page.rejected)
        written = await self.records.write(
            part.source_no,
            page.records,
            reading=reading,
            detected_by=detected_by,
            mostly_known=mostly_known,
            checkpoints=checkpoints,
        )
        self.count(part, written)
        if written.stale:
            again = await self.reread(part, written.stale, detected_by)
            written.changed += again.changed
            written.seen += again.seen
            if checkpoints:
                await self.records.save(checkpoints)
        if checkpoints:
            self.remember(checkpoints)
        return written

    async def hold(self, part: CollectionSession, rejected: list[RejectedRecord]) -> None:
        """Keeps back what is no record that can be kept, and takes note of it."""
        if rejected:
            await self.records.hold(part.source_no, rejected)
            part.held = await self.records.summarise_holds(part.source_no)

    def count(self, part: CollectionSession, written: Written) -> None:
        """Takes note of what was written."""
        if written.changed:
            part.changed_at = time.monotonic()
        part.records += written.created - written.deleted

    async def save(self, checkpoints: dict[str, bytes | None]) -> None:
        await self.records.save(checkpoints)
        self.remember(checkpoints)

    def remember(self, checkpoints: dict[str, bytes | None]) -> None:
        for name, state in checkpoints.items():
            if state is None:
                self.checkpoints.pop(name, None)
            else:
                self.checkpoints[name] = state


def parse_page(part: CollectionSession, answer: Answer, *, cursor: str | None) -> ParsedPage:
    """The answer's page. Raises ProviderBroken if it is none, or leads back to where it came from."""
    page = part.parser.parse_page(answer)
    if page.next_cursor is not None and page.next_cursor == cursor:
        raise ProviderBroken(f"answered with a page that leads back to itself (after {cursor})")
    return page
