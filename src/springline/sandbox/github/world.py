"""Everything that one fake GitHub holds, and the rules that reach across collections."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from springline.sandbox.common.clock import SandboxClock
from springline.sandbox.github.tables import Row, Table

if TYPE_CHECKING:
    from springline.sandbox.github.collection import Collection

_HEX = "0123456789abcdef"
_MOST_HISTORIES = 64
_GHOST: Row = {"id": 10_137, "login": "ghost"}
"""github.com/ghost: the author of what deleted accounts wrote."""


class World:
    """The tables, and what is derived from them. A copy shows this moment for ever."""

    def __init__(self, collections: Mapping[str, "Collection"], *, clock: SandboxClock, rng: Random) -> None:
        self.collections = collections
        self.clock = clock
        self.api_url = "https://api.github.com"
        """Where the `url` fields of objects point: the sandbox itself, once it listens."""
        self.tables = {name: Table(kind.key) for name, kind in collections.items()}
        self.moved: dict[str, int] = {}
        """Repositories by a full name that they no longer have."""
        self.moved_issues: dict[tuple[int, int], int] = {}
        """Transferred issues: repository and number that were, id that still is."""
        self.deleted_issues: set[tuple[int, int]] = set()
        """Repository and number: GitHub answers 410 for them, not 404."""
        self._rng = rng
        self._next_ids = {name: kind.first_id for name, kind in collections.items()}
        self._numbers: dict[tuple[int, str], int] = {}
        self._texts: dict[tuple[str, int, str], bytes] = {}
        self._orders: dict[Any, list[Row]] = {}
        self._histories: dict[tuple[int, str], list[Row]] = {}

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    def copy(self) -> "World":
        """This moment, to look at later."""
        other = World(self.collections, clock=self.clock, rng=self._rng)
        other.api_url = self.api_url
        other.tables = {name: table.copy() for name, table in self.tables.items()}
        other.moved = self.moved.copy()
        other.moved_issues = self.moved_issues.copy()
        other.deleted_issues = self.deleted_issues.copy()
        return other

    # What everything is made of.

    def row(self, name: str, row_id: int) -> Row:
        row = self.tables[name].get(row_id)
        assert row is not None, (name, row_id)
        return row

    def insert(self, name: str, parent: Row | None, /, *, now: int, **values: Any) -> Row:
        """Add a row below `parent`; its id is new unless given."""
        row_id = values.pop("id", None) or self.new_id(name)
        scope = 0
        if parent is not None:
            scope = parent["id"] if self.collections[name].scoped_by_parent else parent["scope"]
        row = {
            "id": row_id,
            "scope": scope,
            "parent": parent["id"] if parent is not None else 0,
            "created": now,
            "updated": now,
            "seen_at": self.clock.now(),
            **values,
        }
        self.put(name, row)
        return row

    def change(self, name: str, row: Row, /, **values: Any) -> Row:
        """Put another version in the row's place, which shows its fields again if it was put raw."""
        changed = {**self.row(name, row["id"]), **values}
        changed.pop("raw", None)
        self.put(name, changed)
        return changed

    def put(self, name: str, row: Row) -> None:
        """Keep this version of a row in place of the one with its id, if there is one."""
        if name == "commit" and self.tables[name].get(row["id"]) is not None:
            self._histories.clear()
        self.tables[name].put(row)
        self.forget()

    def remove(self, name: str, row: Row) -> None:
        """Take away a row and all that belongs to it."""
        for child in self.collections.values():
            if child.parent == name:
                for below in self.tables[child.name].children(row["id"]):
                    self.remove(child.name, below)
        if self.tables[name].get(row["id"]) is not None:
            self.tables[name].remove(row["id"])
        if name == "commit":
            self._histories.clear()
        self.forget()

    def new_id(self, name: str) -> int:
        self._next_ids[name] += self._rng.randint(1, 9)
        return self._next_ids[name]

    def next_number(self, scope: int, kind: str) -> int:
        """Numbers count from 1 in each repository, and are never given twice."""
        self._numbers[scope, kind] = self._numbers.get((scope, kind), 0) + 1
        return self._numbers[scope, kind]

    def take_number(self, scope: int, kind: str, number: int) -> None:
        """A number that somebody chose: later ones come after it."""
        self._numbers[scope, kind] = max(number, self._numbers.get((scope, kind), 0))

    def new_sha(self) -> str:
        return "".join(self._rng.choices(_HEX, k=40))

    def new_token(self, length: int = 36) -> str:
        return "".join(self._rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789", k=length))

    # What reads show.

    def text(self, name: str, row: Row, view: str) -> bytes:
        """The row's JSON as a list (`list`) or a read by id (`detail`) shows it."""
        if "raw" in row:
            raw: bytes = row["raw"]
            return raw
        key = (name, row["id"], view)
        kind = self.collections[name]
        if self.tables[name].get(row["id"]) is not row:
            # Derived, or from another moment: nothing to keep it under.
            return msgspec.json.encode(kind.view(view)(self, row))
        if key not in self._texts:
            self._texts[key] = msgspec.json.encode(kind.view(view)(self, row))
        return self._texts[key]

    def embedded(self, name: str, row_id: int | None, view: str = "list") -> msgspec.Raw | None:
        """Another object inside one: its JSON, or None where it is gone."""
        row = self.tables[name].get(row_id)
        return None if row is None else msgspec.Raw(self.text(name, row, view))

    def account(self, account_id: int | None) -> msgspec.Raw | None:
        """A user or an organization as objects show their owner, author or actor; who has left is a ghost."""
        if account_id is None:
            return None
        if self.tables["organization"].get(account_id) is not None:
            return self.embedded("organization", account_id, "owner")
        user = self.tables["user"].get(account_id)
        return msgspec.Raw(self.text("user", _GHOST if user is None else user, "list"))

    def login(self, account_id: int) -> str:
        row = self.tables["user"].get(account_id) or self.tables["organization"].get(account_id)
        return str(row["login"]) if row is not None else "ghost"

    def full_name(self, repository: Row) -> str:
        return f"{self.login(repository['parent'])}/{repository['name']}"

    def repository_named(self, owner: str, name: str) -> Row | None:
        account = self.tables["organization"].find(0, owner) or self.tables["user"].find(0, owner)
        return None if account is None else self.tables["repository"].find(account["id"], name)

    def ordered(self, key: Any, rows: Callable[[], list[Row]], position: Callable[[Row], Any]) -> list[Row]:
        """The rows in ascending order; kept under `key` until something is written."""
        if key not in self._orders:
            self._orders[key] = sorted(rows(), key=position)
        return self._orders[key]

    # Git.

    def commit(self, repository: Row, sha: str) -> Row | None:
        return self.tables["commit"].find(repository["id"], sha)

    def resolve(self, repository: Row, ref: str) -> Row | None:
        """The commit that a branch, a tag or a (shortened) sha names."""
        name = ref.removeprefix("refs/").removeprefix("heads/").removeprefix("tags/")
        for kind in ("branch", "tag"):
            row = self.tables[kind].find(repository["id"], name)
            if row is not None and row["name"] == name:
                return self.commit(repository, row["sha"])
        found = self.commit(repository, ref)
        if found is not None or len(ref) < 7 or set(ref.lower()) - set(_HEX):
            return found
        return next(
            (row for row in self.tables["commit"].in_scope(repository["id"]) if row["sha"].startswith(ref)), None
        )

    def history(self, repository: Row, sha: str) -> list[Row]:
        """The commit and all before it, by committer date, newest first."""
        key = (repository["id"], sha)
        if key not in self._histories:
            found: dict[str, Row] = {}
            waiting = [sha]
            while waiting:
                row = self.commit(repository, waiting.pop())
                if row is not None and row["sha"] not in found:
                    found[row["sha"]] = row
                    waiting += row["parents"]
            while len(self._histories) >= _MOST_HISTORIES:
                del self._histories[next(iter(self._histories))]
            self._histories[key] = sorted(found.values(), key=lambda row: (-row["committed"], -row["id"]))
        return self._histories[key]

    def forget(self) -> None:
        """Drop what was worked out from the rows: they have changed, or who may see them."""
        self._texts.clear()
        self._orders.clear()


def iso(seconds: float | None) -> str | None:
    """Unix seconds as GitHub writes a time: UTC, whole seconds."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
