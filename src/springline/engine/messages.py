"""Records as JSON bytes: the stored bytes are spliced in, never decoded (I6)."""

import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from springline.domain.records import DeletedReason, record_id_prefix, record_id_suffix
from springline.store.records import RecordStore

#: What rides along on records is at most this old.
DESCRIPTIONS_SECONDS: Final = 1.0
#: What a record takes besides its data and its sync's metadata.
OVERHEAD_BYTES: Final = 2048
_MOST_DESCRIPTIONS: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: In place of a `deleted_reason`: deleted, and why is not kept any more.
REASON_UNKNOWN: Final = -1
_REASONS: Final = {
    REASON_UNKNOWN: b"null",
    **{
        reason.value: b"null" if reason is DeletedReason.live else b'"%s"' % reason.name.encode()
        for reason in DeletedReason
    },
}


def timestamp(us: int) -> str:
    """ISO 8601 UTC with `Z`, of µs since 1970."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


class RecordEncoder:
    """Encodes rows of payloads as records of `api.md` section 2."""

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._descriptions: dict[int, tuple[float, bytes]] = {}
        self._longest = 0

    async def encode(self, stream_no: int, stream_id: uuid.UUID, rows: Iterable[Any]) -> list[bytes]:
        """One JSON object per row, in their order."""
        rows = list(rows)
        await self._describe(stream_no, {row["source_no"] for row in rows})
        prefix = b'{"id":"%s' % record_id_prefix(stream_no).encode()
        stream = b'","stream_id":"%s",' % str(stream_id).encode()
        times: dict[int | None, bytes] = {None: b"null"}
        return [self._encode(prefix, stream, row, times) for row in rows]

    def overhead_bytes(self) -> int:
        """What a record takes at most besides its data, as far as is known."""
        return OVERHEAD_BYTES + self._longest

    def _encode(self, prefix: bytes, stream: bytes, row: Any, times: dict[int | None, bytes]) -> bytes:
        for us in (row["upstream_created_us"], row["upstream_updated_us"], row["inserted_us"]):
            if us not in times:
                times[us] = b'"%s"' % timestamp(us).encode()
        reason: int = row["deleted_reason"]
        return b"".join(
            (
                prefix,
                record_id_suffix(row["record_no"]).encode(),
                stream,
                self._descriptions[row["source_no"]][1],
                b',"upstream_id":',
                msgspec.json.encode(row["upstream_id"]),
                b',"updated_idx":%d,"deleted":%s,"deleted_reason":%s'
                % (
                    row["idx"],
                    b"true" if reason else b"false",
                    _REASONS[reason],
                ),
                b',"upstream_created_at":',
                times[row["upstream_created_us"]],
                b',"upstream_updated_at":',
                times[row["upstream_updated_us"]],
                b',"inserted_at":',
                times[row["inserted_us"]],
                b',"data":',
                row["data"],
                b"}",
            )
        )

    async def _describe(self, stream_no: int, source_nos: set[int]) -> None:
        """Knows what rides along on records of these sources, as of a second ago at the latest."""
        fresh = time.monotonic() - DESCRIPTIONS_SECONDS
        missing = [no for no in source_nos if self._descriptions.get(no, (float("-inf"),))[0] < fresh]
        if not missing:
            return
        if len(self._descriptions) > _MOST_DESCRIPTIONS:
            self._descriptions = {no: known for no, known in self._descriptions.items() if known[0] >= fresh}
        now = time.monotonic()
        for source_no, source in (await self._records.describe_sources(stream_no, missing)).items():
            text = msgspec.json.encode(
                {
                    "sync_id": source.sync_id,
                    "provider": source.provider,
                    "collection_id": source.collection_id,
                    "sync": {"id": source.sync_id, "external_id": source.external_id, "metadata": source.metadata},
                }
            )
            self._descriptions[source_no] = (now, text[1:-1])
            self._longest = max(self._longest, len(text))
