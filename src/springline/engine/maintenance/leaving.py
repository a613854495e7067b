"""Records that leave by our own configuration: a collection taken away, a sync deleted, `max_age_days` reached.

They are published as deleted, with a reason of their own. No lease is needed: no checkpoint is written (I3).
"""

import time
from collections.abc import Sequence
from typing import Final

from springline.domain.records import DeletedReason, DetectedBy
from springline.engine.page_commit import StreamWriters
from springline.store.pages import Page, RecordWrite
from springline.store.records import RecordStore
from springline.store.retention import RetentionStore, Source

_BATCH: Final = 500
#: Configuration is newer than any read.
_NOW_OR_LATER: Final = 2**62
_DAY_US: Final = 86_400_000_000


class Leaving:
    """Publishes deletions that follow from configuration."""

    def __init__(self, retention: RetentionStore, records: RecordStore, writers: StreamWriters) -> None:
        self._retention = retention
        self._records = records
        self._writers = writers

    async def publish(self) -> int:
        """All live records of sources that were removed; returns how many. A source that is added again meanwhile
        keeps what it has left."""
        published = 0
        for source in await self._retention.list_removed_sources():
            while await self._retention.is_removed(source):
                live = await self._records.list_live(source.stream_no, source.source_no, after="", limit=_BATCH)
                if not live:
                    await self._retention.end_removal(source)
                    break
                await self._write(source, [record.upstream_id for record in live], DeletedReason(source.removed_reason))
                published += len(live)
        await self._retention.end_departures()
        return published

    async def publish_aged(self) -> int:
        """Live records that have grown older than their sync's `max_age_days`; returns how many."""
        published = 0
        for source in await self._retention.list_aging_sources():
            before_us = int(time.time() * 1_000_000 - (source.max_age_days or 0) * _DAY_US)
            after_idx = 0
            while True:
                aged = await self._records.list_aged(
                    source.stream_no, source.source_no, after_idx=after_idx, before_us=before_us, limit=_BATCH
                )
                if not aged:
                    break
                await self._write(source, [row["upstream_id"] for row in aged], DeletedReason.aged_out)
                published += len(aged)
                after_idx = aged[-1]["idx"]
        return published

    async def _write(self, source: Source, upstream_ids: Sequence[str], reason: DeletedReason) -> None:
        writes = [
            RecordWrite(source.source_no, upstream_id, _NOW_OR_LATER, DetectedBy.configuration, deleted_reason=reason)
            for upstream_id in upstream_ids
        ]
        await self._writers.writer(source.stream_no).commit(Page(sync_no=0, epoch=0, records=writes))
