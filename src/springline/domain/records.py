"""Records, their versions and what happened to them."""

import uuid
from enum import IntEnum
from typing import NamedTuple

#: A longer upstream id does not fit an index entry; such a record is held.
UPSTREAM_ID_BYTES = 1024
_EVENT_MARK = 1


class DeletedReason(IntEnum):
    """Why a record is gone; the numbers stand in the database, the names in the API."""

    live = 0
    upstream = 1
    aged_out = 2
    collection_removed = 3
    sync_deleted = 4


class DetectedBy(IntEnum):
    """How a change was found."""

    backfill = 1
    poll = 2
    feed = 3
    webhook = 4
    sweep = 5
    audit = 6
    mutation = 7
    configuration = 8


class ChangeKind(IntEnum):
    """What happened to a record."""

    created = 1
    updated = 2
    deleted = 3


class Evidence(IntEnum):
    """What proves a deletion (I5)."""

    none = 0
    event = 1
    sweep_and_read = 2
    sweep = 3
    parent = 4


class Outcome(IntEnum):
    """What the page commit did with a record; the numbers are those of `commit_pages_v2`."""

    fenced_off = 0
    unchanged = 1
    created = 2
    updated = 3
    deleted = 4
    stale = 5
    compare = 6
    older = 7


class PageRecord(NamedTuple):
    """One object as a page brought it. `data` is the API's JSON, byte for byte; times are µs since 1970, UTC."""

    upstream_id: str
    data: bytes
    created_us: int | None = None
    updated_us: int | None = None
    version: int | None = None


class RejectedRecord(NamedTuple):
    """A piece of a page that is no record we can keep; it is held, its neighbours go on."""

    data: bytes
    reason: str


def record_id(stream_no: int, record_no: int) -> uuid.UUID:
    """A record's public id: UUID version 8 made of its stream (48 bits) and its number (62 bits).

    The same over every version, a new backfill and a restored database; it routes, and needs no column and no index.
    """
    return uuid.UUID(int=(stream_no << 80) | (0x8 << 76) | (0b10 << 62) | record_no)


def record_id_prefix(stream_no: int) -> str:
    """What the ids of a stream's records begin with; `record_id_suffix` is the rest."""
    return str(record_id(stream_no, 0))[:19]


def record_id_suffix(record_no: int) -> str:
    """The rest of a record's id: the hot path makes thousands of them a second."""
    digits = f"{(0b10 << 62) | record_no:016x}"
    return f"{digits[:4]}-{digits[4:]}"


def parse_record_id(record: uuid.UUID) -> tuple[int, int] | None:
    """(stream_no, record_no) of a record's id; None if the id is of another kind."""
    value = record.int
    if (value >> 76) & 0xF != 0x8 or (value >> 62) & 0b11 != 0b10 or (value >> 64) & 0xFFF:
        return None
    stream_no = value >> 80
    return (stream_no, value & ((1 << 62) - 1)) if stream_no < 2**31 else None


def event_id(stream_no: int, idx: int) -> uuid.UUID:
    """The public id of the event log's entry at an index: as a record's, with a mark that no record's has."""
    return uuid.UUID(int=record_id(stream_no, idx).int | (_EVENT_MARK << 64))


def parse_event_id(event: uuid.UUID) -> tuple[int, int] | None:
    """(stream_no, idx) of an entry's id; None if the id is of another kind."""
    if (event.int >> 64) & 0xFFF != _EVENT_MARK:
        return None
    return parse_record_id(uuid.UUID(int=event.int ^ (_EVENT_MARK << 64)))
