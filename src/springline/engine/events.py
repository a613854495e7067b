"""The event log as JSON bytes: what changed, how it was found, what proves it."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from springline.domain.fingerprints import content_print
from springline.domain.records import ChangeKind, DetectedBy, Evidence, event_id
from springline.engine.deliveries import MOST_BYTES
from springline.engine.messages import REASON_UNKNOWN, RecordEncoder, timestamp
from springline.store.events import EventStore, ScannedEvent
from springline.store.records import StreamPlace

#: So many entries are looked at in one statement …
_SCANNED_AT_ONCE: Final = 1000
#: … and in one call, where hardly any of them passes the filter.
_SCANNED_AT_MOST: Final = 50_000
_EVIDENCE: Final = {
    Evidence.none: b"null",
    Evidence.event: b'"event"',
    Evidence.sweep_and_read: b'"sweep+read"',
    Evidence.sweep: b'"sweep"',
}
#: The version in `place` 3 of `list_events` is the one before a tombstone that has left.
_OF_TOMBSTONE: Final = 3


class EventsRead(NamedTuple):
    """Entries as JSON, and the index up to which the log was looked at."""

    events: list[bytes]
    reached_idx: int


class EventLog:
    """Reads the event log of any stream. No answer holds more than 16 MiB, but always at least one entry."""

    def __init__(self, events: EventStore, encoder: RecordEncoder) -> None:
        self._events = events
        self._encoder = encoder

    async def read(
        self, place: StreamPlace, *, after_idx: int, limit: int, source_nos: Sequence[int] | None
    ) -> EventsRead:
        """The next entries above `after_idx`, of `source_nos` or of all."""
        wanted = None if source_nos is None else frozenset(source_nos)
        chosen: list[int] = []
        room = MOST_BYTES
        reached = after_idx
        scanned = 0
        while len(chosen) < limit and scanned < _SCANNED_AT_MOST:
            ask = _SCANNED_AT_ONCE if wanted is not None else min(_SCANNED_AT_ONCE, limit - len(chosen))
            found = await self._events.scan(place.stream_no, after_idx=reached, head_idx=place.head_idx, limit=ask)
            scanned += len(found)
            for event in found:
                if event.source_no is not None and (wanted is None or event.source_no in wanted):
                    room -= self._size(event)
                    if len(chosen) == limit or (room < 0 and chosen):
                        return EventsRead(await self._encode(place, chosen), reached)
                    chosen.append(event.idx)
                reached = event.idx
            if len(found) < ask:
                break
        return EventsRead(await self._encode(place, chosen), reached)

    async def history(self, place: StreamPlace, *, from_idx: int, limit: int) -> list[bytes]:
        """Entries about one record, from the one at `from_idx` backwards."""
        chosen: list[int] = []
        room = MOST_BYTES
        for event in await self._events.scan_history(place.stream_no, from_idx=from_idx, limit=limit):
            room -= self._size(event)
            if room < 0 and chosen:
                break
            chosen.append(event.idx)
        return await self._encode(place, chosen)

    def _size(self, event: ScannedEvent) -> int:
        return event.size + self._encoder.overhead_bytes()

    async def _encode(self, place: StreamPlace, idxs: Sequence[int]) -> list[bytes]:
        rows = [dict(row) for row in await self._events.list(place.stream_no, idxs)]
        for row in rows:
            if row["place"] == _OF_TOMBSTONE:
                row["deleted_reason"] = REASON_UNKNOWN
                row["inserted_us"] = row["event_us"]
        records = await self._encoder.encode(place.stream_no, place.stream_id, rows)
        return [_event(place.stream_no, row, record) for row, record in zip(rows, records, strict=True)]


def _event(stream_no: int, row: dict[str, Any], record: bytes) -> bytes:
    kind = ChangeKind(row["kind"])
    changes = b"{}"
    if kind is ChangeKind.updated:
        before = row["previous_data"]
        changes = b"null" if before is None else changed_fields(before, row["data"])
    head = b'{"event_id":"%s","event":"%s","changes":%s,"detected_by":"%s","evidence":%s,"event_inserted_at":"%s",' % (
        str(event_id(stream_no, row["idx"])).encode(),
        kind.name.encode(),
        changes,
        DetectedBy(row["detected_by"]).name.encode(),
        _EVIDENCE[Evidence(row["evidence"])],
        timestamp(row["event_us"]).encode(),
    )
    return head + record[1:]


def changed_fields(before: bytes, after: bytes) -> bytes:
    """JSON: each top-level field that differs, with its value before (null: it was not there). The order of keys and
    white space make no difference. `null` as a whole: not to be told."""
    try:
        old, new = (msgspec.json.decode(each, type=dict[str, msgspec.Raw]) for each in (before, after))
        names = [name for name in (*new, *(name for name in old if name not in new)) if _differs(name, old, new)]
        fields = {name: old.get(name, msgspec.Raw(b"null")) for name in names}
        return msgspec.json.encode(fields)
    except (ValueError, RecursionError):
        return b"null"


def _differs(name: str, old: dict[str, msgspec.Raw], new: dict[str, msgspec.Raw]) -> bool:
    if name not in old or name not in new:
        return True
    before, after = bytes(old[name]), bytes(new[name])
    return before != after and content_print(before) != content_print(after)


def joined(parts: Iterable[bytes]) -> bytes:
    """A JSON array of what is JSON already."""
    return b"[" + b",".join(parts) + b"]"


def event_uuid(event: bytes) -> uuid.UUID:
    """The id of an entry that was encoded here."""
    return uuid.UUID(event[len(b'{"event_id":"') :][:36].decode())
