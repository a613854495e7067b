"""Where a sync stands: what is saved with the records that it covers (I1), as JSON under a name of its own."""

from typing import TypeVar

import msgspec

State = TypeVar("State", bound=msgspec.Struct)


class BackfillState(msgspec.Struct, kw_only=True):
    """How far a collection's first walk has come. `last_created`: Unix seconds of the last record, so that a walk
    whose cursor was deleted can be taken up; `until`: such a bound in force."""

    cursor: str | None = None
    until: int | None = None
    last_created: int | None = None
    done: bool = False
    records: int = 0


class FeedState(msgspec.Struct, kw_only=True):
    """Everything that the feed said up to `seen_to` has been read again and written. `cutoff` was taken before the
    first backfill request: what changed before it, the backfill sees. Both in Unix seconds by the server's clock."""

    cutoff: int
    seen_to: int


class SweepState(msgspec.Struct, kw_only=True):
    """When a collection was last walked to the end (Unix seconds)."""

    completed_at: float


FEED = "feed"


def backfill_name(collection_id: str, generation: int) -> str:
    """The checkpoint of a collection's first walk; a collection that was taken away and added again walks anew."""
    return f"backfill:{collection_id}:{generation}"


def sweep_name(collection_id: str, generation: int) -> str:
    return f"sweep:{collection_id}:{generation}"


def encode(state: msgspec.Struct) -> bytes:
    return msgspec.json.encode(state)


def decode(data: bytes | None, kind: type[State]) -> State | None:
    """None for a checkpoint that there is not."""
    return None if data is None else msgspec.json.decode(data, type=kind)
