"""Records in a stream, written as a page commit writes them."""

import uuid
import zlib
from collections.abc import Sequence

from springline.domain.records import DeletedReason, DetectedBy, Evidence, Outcome, record_id
from springline.store.database import Database
from springline.store.pages import Page, PageStore, RecordWrite


async def write_records(
    database: Database, sync_id: str, upstream_ids: Sequence[str], *, collection_id: str = "stripe:customer"
) -> list[uuid.UUID]:
    """New records of a sync's collection, and their ids."""
    stream_no, source_no = await _source(database, sync_id, collection_id)
    writes = [
        RecordWrite(
            source_no,
            upstream_id,
            0,
            DetectedBy.backfill,
            data=b'{"id":"%s"}' % upstream_id.encode(),
            raw_print=zlib.crc32(upstream_id.encode()),
        )
        for upstream_id in upstream_ids
    ]
    head_idx, (committed,) = await PageStore(database).commit(stream_no, [Page(sync_no=0, epoch=0, records=writes)])
    assert set(committed.outcomes) == {Outcome.created}
    first = head_idx - len(writes) + 1
    return [record_id(stream_no, first + place) for place in range(len(writes))]


async def change_record(
    database: Database,
    sync_id: str,
    upstream_id: str,
    data: bytes | None,
    *,
    collection_id: str = "stripe:customer",
    detected_by: DetectedBy = DetectedBy.feed,
    evidence: Evidence = Evidence.none,
) -> None:
    """A new version of a record, or, without data, its deletion in the API."""
    stream_no, source_no = await _source(database, sync_id, collection_id)
    change = RecordWrite(
        source_no,
        upstream_id,
        2**62,
        detected_by,
        data=data,
        raw_print=zlib.crc32(data or b""),
        deleted_reason=DeletedReason.upstream if data is None else DeletedReason.live,
        evidence=evidence,
        compared=True,
    )
    _, (committed,) = await PageStore(database).commit(stream_no, [Page(sync_no=0, epoch=0, records=[change])])
    assert not {Outcome.unchanged, Outcome.stale, Outcome.compare} & set(committed.outcomes)


async def _source(database: Database, sync_id: str, collection_id: str) -> tuple[int, int]:
    row = await database.fetch_row(
        "SELECT stream_no, source_no FROM sources WHERE sync_id = $1 AND collection_id = $2",
        uuid.UUID(sync_id),
        collection_id,
    )
    assert row is not None
    return row["stream_no"], row["source_no"]


async def hold_something(
    database: Database,
    sync_id: str,
    *,
    kind: str = "record",
    reason: str = "has no id",
    content: bytes = b'{"n":1}',
    count: int = 1,
) -> uuid.UUID:
    """A hold of a sync's first collection."""
    hold_id = uuid.uuid4()
    await database.execute(
        """INSERT INTO holds (stream_no, hold_id, sync_no, source_no, kind, reason, content, print, held_us, count)
        SELECT stream_no, $2::uuid, sync_no, source_no, $3, $4, $5, hashtextextended($2::uuid::text, 0), now_us(), $6
        FROM sources WHERE sync_id = $1 ORDER BY source_no LIMIT 1""",
        uuid.UUID(sync_id),
        hold_id,
        kind,
        reason,
        content,
        count,
    )
    return hold_id
