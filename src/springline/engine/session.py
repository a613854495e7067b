"""What everything that works for one sync shares."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from springline.domain.checkpoints import backfill_name, ids_name, poll_name, sweep_name
from springline.domain.records import DetectedBy, RejectedRecord
from springline.engine.fetch import Fetcher
from springline.engine.partitions import WHOLE, Lineage, Partition, Partitions, lineage
from springline.engine.quotas import SyncQuota
from springline.engine.record_writes import Reading, RecordWriter, Written
from springline.providers.pages import PageParser, ParsedPage
from springline.providers.record_readers import field_at
from springline.providers.vocabulary import Collection, ListEndpoint, Provider
from springline.store.leases import LeasedSource, LeasedSync
from springline.store.pages import HeldDeletions
from springline.store.records import RecordStore

_MOST_DELETED: Final = 100_000


class CollectionSession:
    """One collection of a running sync. `lineage` is None where it has no parents."""

    def __init__(
        self,
        collection: Collection,
        *,
        collection_id: str,
        source: LeasedSource,
        listing: ListEndpoint,
        lineage: Lineage | None,
    ) -> None:
        self.collection = collection
        self.collection_id = collection_id
        self.source_no = source.source_no
        self.listing = listing
        self.lineage = lineage
        self.backfill_name = backfill_name(collection_id, source.generation)
        self.poll_name = poll_name(collection_id, source.generation)
        self.sweep_name = sweep_name(collection_id, source.generation)
        self.ids_name = ids_name(collection_id, source.generation)
        self.parser = PageParser(collection, listing)
        self.phase = "backfill"
        self.records = 0
        self.requests = 0
        #: How many records and pages are held, and why the last one was.
        self.held: tuple[int, str | None] = (0, None)
        #: Deletions that the share limit stopped, decided or not, by `deletions_print` of their partition.
        self.held_deletions: dict[int, HeldDeletions] = {}
        #: Partitions that could not be read, by the parent's upstream id: why.
        self.unread: dict[str, str] = {}
        #: Records without a read by id that the last walk over their partition did not see.
        self.missed: set[int] = set()
        #: Records that this process has published as gone, by number: an answer that only says that a list is as it was
        #: does not bring them back. `deleted_dropped`: how often there were too many of them to be remembered.
        self.deleted: set[int] = set()
        self.deleted_dropped = 0
        #: Monotonic time of the last change found, by whatever means.
        self.changed_at = time.monotonic()
        #: Monotonic time when a walk over a list last met a record.
        self.met_at = float("-inf")
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
        self.partitions = Partitions(stored, provider, stream_no=sync.stream_no)
        self.collections: dict[str, CollectionSession] = {}
        source_nos = {
            collection.name: source.source_no
            for collection_id, source in sync.sources.items()
            if (collection := provider.find_collection(collection_id)) is not None
        }
        for collection_id, source in sync.sources.items():
            collection = provider.find_collection(collection_id)
            if collection is not None:
                self.collections[collection_id] = CollectionSession(
                    collection,
                    collection_id=collection_id,
                    source=source,
                    listing=collection.listing_of(sync.kind),
                    lineage=lineage(provider, collection, source_nos),
                )
        #: Bound by the sync's run, so that whatever writes a page can have its stale records read again.
        self.reread: Callable[[CollectionSession, list[str], DetectedBy], Awaitable[Written]]
        self.asking_the_time = asyncio.Lock()
        #: Called when records of a collection have changed.
        self.on_changed: Callable[[CollectionSession], None] = lambda part: None

    def part_of(self, name: str) -> CollectionSession | None:
        """The collection of this name, if the sync has it."""
        return next((part for part in self.collections.values() if part.collection.name == name), None)

    def parent_of(self, part: CollectionSession) -> CollectionSession | None:
        """The collection whose records are a child collection's parents."""
        parent = part.collection.parent
        return None if parent is None else self.part_of(parent.collection)

    async def write_page(
        self,
        part: CollectionSession,
        page: ParsedPage,
        *,
        partition: Partition = WHOLE,
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
            parent_nos=dict.fromkeys((record.upstream_id for record in page.records), partition.parent_no)
            if partition.parent_no
            else {},
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

    async def parents_named(self, part: CollectionSession, documents: Mapping[str, bytes]) -> dict[str, int]:
        """The parents' numbers of records, by upstream id, where the records name their parents and these are known."""
        parent = part.collection.parent
        if parent is None or parent.field is None or part.lineage is None:
            return {}
        named: dict[str, str] = {}
        for upstream_id, data in documents.items():
            try:
                parent_id = field_at(msgspec.json.decode(data), parent.field)
            except (msgspec.DecodeError, RecursionError):
                continue
            if isinstance(parent_id, str | int):
                named[upstream_id] = str(parent_id)
        if not named:
            return {}
        known = await self.partitions.find(part.lineage, set(named.values()))
        return {key: known[parent_id].parent_no for key, parent_id in named.items() if parent_id in known}

    async def hold(self, part: CollectionSession, rejected: list[RejectedRecord]) -> None:
        """Keeps back what is no record that can be kept, and takes note of it."""
        if rejected:
            await self.records.hold(part.source_no, rejected)
            part.held = await self.records.summarise_holds(part.source_no)

    def count(self, part: CollectionSession, written: Written) -> None:
        """Takes note of what was written."""
        if written.changed:
            part.changed_at = time.monotonic()
            self.on_changed(part)
        part.records += written.created - written.deleted
        if written.deleted and part.listing.conditional:
            part.deleted.update(written.seen)
            if len(part.deleted) > _MOST_DELETED:
                part.deleted.clear()
                part.deleted_dropped += 1

    async def save(self, checkpoints: dict[str, bytes | None]) -> None:
        await self.records.save(checkpoints)
        self.remember(checkpoints)

    def remember(self, checkpoints: dict[str, bytes | None]) -> None:
        for name, state in checkpoints.items():
            if state is None:
                self.checkpoints.pop(name, None)
            else:
                self.checkpoints[name] = state

    def path_fields(self, partition: Partition) -> Mapping[str, Any]:
        """What paths may name: fields of a partition's ancestors, and the credential's properties, secrets masked."""
        shown = {f"credential.{name}": value for name, value in self.sync.shown.items()}
        return {**shown, **partition.fields}
