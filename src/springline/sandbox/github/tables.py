"""What a collection holds: rows by id, by parent, and by the name that the API reads them by."""

from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]
"""One object's own fields; never changed in place, so that a copied table keeps showing what it showed.

Every row has `id`, `scope` (id of its repository, organization or 0), `parent` (id of the row that it belongs
to), `created`, `updated` (Unix seconds) and `seen_at` (when it came to be here, which `created` may deny).
"""


class Table:
    """Rows of one collection. `key` is the field that is unique within a scope."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._rows: dict[int, Row] = {}
        self._by_parent: dict[int, dict[int, None]] = {}
        self._by_scope: dict[int, dict[int, None]] = {}
        self._by_key: dict[tuple[int, str], int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        """In the order of insertion."""
        return iter(list(self._rows.values()))

    def get(self, row_id: int | None) -> Row | None:
        return None if row_id is None else self._rows.get(row_id)

    def find(self, scope: int, key: object) -> Row | None:
        """The row of this scope with this key; names do not tell case apart."""
        return self.get(self._by_key.get((scope, _folded(key))))

    def children(self, parent: int) -> list[Row]:
        return [self._rows[row_id] for row_id in self._by_parent.get(parent, ())]

    def count_children(self, parent: int) -> int:
        return len(self._by_parent.get(parent, ()))

    def in_scope(self, scope: int) -> list[Row]:
        return [self._rows[row_id] for row_id in self._by_scope.get(scope, ())]

    def put(self, row: Row) -> None:
        """Add the row, or replace the version of the same id."""
        before = self._rows.get(row["id"])
        if before is not None:
            self._forget_key(before)
            for index, name in ((self._by_parent, "parent"), (self._by_scope, "scope")):
                if before[name] != row[name]:
                    del index[before[name]][row["id"]]
        self._rows[row["id"]] = row
        self._by_parent.setdefault(row["parent"], {})[row["id"]] = None
        self._by_scope.setdefault(row["scope"], {})[row["id"]] = None
        self._by_key[row["scope"], _folded(row[self._key])] = row["id"]

    def remove(self, row_id: int) -> Row:
        row = self._rows.pop(row_id)
        self._forget_key(row)
        del self._by_parent[row["parent"]][row_id]
        del self._by_scope[row["scope"]][row_id]
        return row

    def copy(self) -> "Table":
        other = Table(self._key)
        other._rows = self._rows.copy()
        other._by_parent = {parent: ids.copy() for parent, ids in self._by_parent.items()}
        other._by_scope = {scope: ids.copy() for scope, ids in self._by_scope.items()}
        other._by_key = self._by_key.copy()
        return other

    def _forget_key(self, row: Row) -> None:
        key = (row["scope"], _folded(row[self._key]))
        if self._by_key.get(key) == row["id"]:
            del self._by_key[key]


def _folded(key: object) -> str:
    return str(key).casefold()
