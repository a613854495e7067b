"""Where a sync stands: what is saved with the records that it covers (I1), as JSON under a name of its own."""

import re
from collections.abc import Iterable, Mapping
from typing import Self, TypeVar

import msgspec

State = TypeVar("State", bound=msgspec.Struct)
_OF_COLLECTION = re.compile(r"(?:backfill|poll|ids|sweep):(?P<collection_id>\w+:\w+):(?P<generation>\d+)(?::|$)")


class ListPlace(msgspec.Struct, kw_only=True):
    """How far a walk over a list has come. `last_created`: Unix seconds of the last record, so that a walk whose cursor
    was deleted can be taken up; `until`: such a bound in force; `newest_first`: so far each record was no younger than
    the one before, so that a bound leaves out only what was walked over."""

    cursor: str | None = None
    until: int | None = None
    last_created: int | None = None
    newest_first: bool = True

    def after_page(self, next_cursor: str | None, created_us: Iterable[int | None]) -> Self:
        """The place to which a page leads whose records were created at these times."""
        last_created, newest_first = self.last_created, self.newest_first
        for at_us in created_us:
            if at_us is None:
                newest_first = False
                continue
            at = at_us // 1_000_000
            newest_first = newest_first and (last_created is None or at <= last_created)
            last_created = at
        return msgspec.structs.replace(self, cursor=next_cursor, last_created=last_created, newest_first=newest_first)

    def after_lost_cursor(self, *, can_bound: bool) -> Self:
        """Where to walk on: from the last record's time where the list can be bounded, else from the start."""
        until = self.last_created if can_bound and self.newest_first else None
        return msgspec.structs.replace(self, cursor=None, until=until, last_created=until)


class BackfillState(ListPlace, kw_only=True):
    """How far a collection's first walk has come.

    A child collection is walked parent by parent, in the order in which parents were written: those up to the stream's
    index `parents_to` are done, `parent_no` is the one that the place is in (0: none). It goes on for ever: a parent
    that is written later is new, has changed or is gone.
    """

    done: bool = False
    records: int = 0
    parents_to: int = 0
    parent_no: int = 0


class PollState(msgspec.Struct, kw_only=True):
    """Everything that was updated up to `seen_to` has been written. While a round over many partitions goes on, those
    up to the parent's upstream id `after` have been read, and `next_seen_to` is when it began. Both in Unix seconds by
    the server's clock."""

    seen_to: int
    next_seen_to: int | None = None
    after: str = ""


class FeedState(msgspec.Struct, kw_only=True):
    """Everything that the feed said up to `seen_to` has been read again and written. `cutoff` was taken before the
    first backfill request: what changed before it, the backfill sees. Both in Unix seconds by the server's clock."""

    cutoff: int
    seen_to: int


class SweepState(msgspec.Struct, kw_only=True):
    """When a collection was last walked to the end (Unix seconds)."""

    completed_at: float


class SweepPlace(ListPlace, kw_only=True):
    """How far a sweep that goes on for long has come. `first_as_of`: the stream's index when it began; `met`: how many
    records it was shown; `took`: seconds. What it has seen is saved with it, in pieces (I1). Of a child collection, the
    partitions up to the parent's upstream id `after` are done, and `parent_no` is the one that the place is in."""

    first_as_of: int
    met: int = 0
    took: float = 0.0
    after: str = ""
    parent_no: int = 0


FEED = "feed"


def backfill_name(collection_id: str, generation: int) -> str:
    """The checkpoint of a collection's first walk; a collection that was taken away and added again walks anew."""
    return f"backfill:{collection_id}:{generation}"


def poll_name(collection_id: str, generation: int) -> str:
    """The checkpoint of how far a collection's changes were read."""
    return f"poll:{collection_id}:{generation}"


def ids_name(collection_id: str, generation: int) -> str:
    """The checkpoint of a walk over a collection's ids."""
    return f"ids:{collection_id}:{generation}"


def sweep_name(collection_id: str, generation: int) -> str:
    return f"sweep:{collection_id}:{generation}"


def place_name(sweep: str) -> str:
    """The checkpoint of where a sweep stands."""
    return f"{sweep}:place"


def seen_name(sweep: str, piece_no: int) -> str:
    """The checkpoint of a piece of what a sweep has seen."""
    return f"{sweep}:seen:{piece_no}"


def saved_pieces(sweep: str, checkpoints: Mapping[str, bytes]) -> dict[int, bytes]:
    """The pieces of what a sweep has seen, by number."""
    prefix = seen_name(sweep, 0)[:-1]
    return {int(name[len(prefix) :]): state for name, state in checkpoints.items() if name.startswith(prefix)}


def is_void(name: str, generations: Mapping[str, int]) -> bool:
    """Whether a checkpoint is that of a collection that was taken away, or of before it was added again. What another
    version may have written under a name of its own is not."""
    match = _OF_COLLECTION.match(name)
    return match is not None and int(match["generation"]) != generations.get(match["collection_id"], -1)


def encode(state: msgspec.Struct) -> bytes:
    return msgspec.json.encode(state)


def decode(data: bytes | None, kind: type[State]) -> State | None:
    """None for a checkpoint that there is not."""
    return None if data is None else msgspec.json.decode(data, type=kind)
