"""What a collection holds: each object as the bytes that reads return, in the order that lists show."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from springline.sandbox.stripe.texts import Object, parse

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one object."""

    id: str
    created: int
    """Unix seconds."""
    text: bytes
    """What a read by id returns (without the newline at the end)."""
    raw: bool
    """`text` was put here as it stands: never laid out anew."""
    fields: Mapping[str, Any]
    """The values that list filters look at."""
    appeared_at: float
    """When the object came to be here, by the sandbox's clock; `created` may say otherwise."""
    order: int
    """Position among objects of the same second."""
    parent: str | None = None
    """The id of the object that this one belongs to."""

    def value(self) -> Object:
        """A fresh copy as Python values."""
        value: Object = parse(self.text)
        return value


@dataclass(frozen=True, slots=True)
class Window:
    """One page's bounds: `created` inclusive, at most one of the two neighbouring ids."""

    limit: int = 10
    earliest: int | None = None
    latest: int | None = None
    after: str | None = None
    before: str | None = None


class Table:
    """Records by id and by time. Records never change: an update puts another in the same place."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, Record]] = []
        self._by_id: dict[str, Record] = {}
        self._families: dict[str, Table] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._by_id

    def __iter__(self) -> Iterator[Record]:
        """Newest first."""
        return (row[2] for row in reversed(self._rows))

    def get(self, record_id: str) -> Record | None:
        return self._by_id.get(record_id)

    def nth_newest(self, index: int) -> Record:
        return self._rows[-1 - index][2]

    def put(self, record: Record) -> None:
        """Add the record, or replace the version of the same id."""
        before = self._by_id.get(record.id)
        if self._families is not None:
            self._move(before, record)
        if before is not None and (before.created, before.order) == (record.created, record.order):
            self._rows[self._position(before)] = (record.created, record.order, record)
        else:
            if before is not None:
                del self._rows[self._position(before)]
            insort(self._rows, (record.created, record.order, record))
        self._by_id[record.id] = record

    def remove(self, record_id: str) -> Record:
        record = self._by_id.pop(record_id)
        del self._rows[self._position(record)]
        if self._families is not None:
            self._move(record, None)
        return record

    def of(self, parent: str) -> "Table":
        """The parent's records, as a table to read."""
        if self._families is None:
            self._families = {}
            for record in self._by_id.values():
                self._move(None, record)
        return self._families.get(parent) or Table()

    def drop_before(self, created: int) -> None:
        """Forget everything created before that second."""
        end = bisect_left(self._rows, (created,))
        if end:
            for _, _, record in self._rows[:end]:
                del self._by_id[record.id]
            del self._rows[:end]
            self._families = None

    def copy(self) -> "Table":
        other = Table()
        other._rows = self._rows.copy()
        other._by_id = self._by_id.copy()
        return other

    def page(self, window: Window, accepts: Callable[[Record], bool]) -> tuple[list[Record], bool]:
        """The window's records, newest first, and whether more lie beyond in its direction.

        `after` and `before` must name records of this table.
        """
        low = 0 if window.earliest is None else bisect_left(self._rows, (window.earliest,))
        high = len(self._rows) if window.latest is None else bisect_left(self._rows, (window.latest + 1,))
        if window.before is not None:
            low = max(low, self._position(self._by_id[window.before]) + 1)
            found = self._collect(range(low, high), accepts, window.limit + 1)
            return found[: window.limit][::-1], len(found) > window.limit
        if window.after is not None:
            high = min(high, self._position(self._by_id[window.after]))
        found = self._collect(range(high - 1, low - 1, -1), accepts, window.limit + 1)
        return found[: window.limit], len(found) > window.limit

    def where(self, **values: Any) -> list[Record]:
        """Every record whose filter fields have these values, newest first."""
        return [
            record
            for record in self
            if all(record.fields.get(name, _MISSING) == value for name, value in values.items())
        ]

    def _move(self, before: Record | None, after: Record | None) -> None:
        assert self._families is not None
        if before is not None and before.parent is not None and (after is None or after.parent != before.parent):
            family = self._families[before.parent]
            family.remove(before.id)
            if not len(family):
                del self._families[before.parent]
        if after is not None and after.parent is not None:
            self._families.setdefault(after.parent, Table()).put(after)

    def _collect(self, indexes: range, accepts: Callable[[Record], bool], enough: int) -> list[Record]:
        found = []
        for index in indexes:
            record = self._rows[index][2]
            if accepts(record):
                found.append(record)
                if len(found) == enough:
                    break
        return found

    def _position(self, record: Record) -> int:
        return bisect_left(self._rows, (record.created, record.order))
