"""Streams: durable queues of records."""

import uuid
from datetime import datetime
from typing import Final

import msgspec

#: Unique in an organisation.
SLUG: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$(?!\n)"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream with its settings and how full it is. `event_retention_days` 0: no history is kept."""

    stream_no: int
    stream_id: uuid.UUID
    org_id: uuid.UUID
    slug: str
    event_retention_days: float
    tombstone_days: float
    created_at: datetime
    updated_at: datetime
    head_idx: int
    record_count: int
    sync_count: int
    consumer_count: int
