"""Records that leave by our own configuration: a collection taken away, a sync deleted, `max_age_days` reached.

They are published as deleted, with a reason of their own. No lease is needed: no checkpoint is written (I3).
"""

import time
from collections.abc import Sequence
from typing import Final

from springline.domain.records import DeletedReason, DetectedBy, Outcome
from springline.engine.page_commit import StreamWriters
from springline.store.pages import Page, RecordWrite
from springline.store.records import RecordStore
from springline.store.retention import RetentionStore, Source

_BATCH: Final = 500
_LOOKED_AT_ONCE: Final = 5000
#: Configuration is newer than any read.
_NOW_OR_LATER: Final = 2**62
_DAY_US: Final = 86_400_000_000
#: Looking for what has grown old rests so many times as long as it took.
_REST_FACTOR: Final = 50.0


class Leaving:
    """Publishes deletions that follow from configuration."""

    def __init__(self, retention: RetentionStore, records: RecordStore, writers: StreamWriters) -> None:
        self._retention = retention
        self._records = records
        self._writers = writers
        self._aged_at = float("-inf")

    async def publish(self) -> int:
        """All live records of sources that were removed; returns how many. A source that is added again meanwhile
        keeps what it has left."""
        published = 0
        for source in await self._retention.list_removed_sources():
            published += await self._publish_source(source)
        await self._retention.end_departures()
        return published

    async def _publish_source(self, source: Source) -> int:
        published = 0
        await self._retention.settle_commits(source.stream_no)
        after = ""
        while await self._retention.is_removed(source):
            live = await self._records.list_live(source.stream_no, source.source_no, after=after, limit=_BATCH)
            if not live:
                await self._retention.end_removal(source)
                break
            records = [(_NOW_OR_LATER, record.upstream_id) for record in live]
            published += await self._write(source, records, DeletedReason(source.removed_reason))
            after = live[-1].upstream_id
        return published

    async def publish_aged(self) -> int:
        """Live records that have grown older than their sync's `max_age_days`; returns how many."""
        began = time.monotonic()
        if began < self._aged_at:
            return 0
        published = 0
        for source in await self._retention.list_aging_sources():
            before_us = int(time.time() * 1_000_000 - (source.max_age_days or 0) * _DAY_US)
            reached: int | None = 0
            while reached is not None:
                aged = await self._records.list_aged(
                    source.stream_no, source.source_no, after_idx=reached, before_us=before_us, limit=_LOOKED_AT_ONCE
                )
                for start in range(0, len(aged.records), _BATCH):
                    # As of its own index: one that has changed since is not that old any more.
                    batch = aged.records[start : start + _BATCH]
                    published += await self._write(source, batch, DeletedReason.aged_out)
                reached = aged.reached
        took = time.monotonic() - began
        self._aged_at = began + _REST_FACTOR * took
        return published

    async def _write(self, source: Source, records: Sequence[tuple[int, str]], reason: DeletedReason) -> int:
        """Publishes records (as of an index, upstream id) as deleted; returns how many were."""
        writes = [
            RecordWrite(source.source_no, upstream_id, as_of, DetectedBy.configuration, deleted_reason=reason)
            for as_of, upstream_id in records
        ]
        page = Page(sync_no=0, epoch=0, records=writes)
        committed = await self._writers.writer(source.stream_no).commit(page)
        return sum(outcome is Outcome.deleted for outcome in committed.outcomes)
