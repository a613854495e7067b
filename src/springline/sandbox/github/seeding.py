"""Made-up data and made-up histories, the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from springline.sandbox.github.collection import Call, Collection
from springline.sandbox.github.state import DEFAULT_ORGANIZATION, GithubSandbox
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


def seed_objects(
    sandbox: GithubSandbox,
    collection: Collection,
    *,
    parent: Row | None,
    count: int,
    created_from: int,
    created_until: int,
    rng: Random,
) -> list[Row]:
    """Make `count` objects below `parent` with creation times spread over the span; oldest first.

    Without a parent each lands below one that there is; fewer are made where nothing fits.
    """
    assert collection.seed is not None
    made = []
    # Looked up once: what is being seeded does not make parents.
    parents = [parent] if parent is not None else parents_of(sandbox.world, collection)
    for created in sorted(rng.randint(created_from, created_until) for _ in range(count)):
        if not parents:
            break
        call = call_below(sandbox, collection, rng.choice(parents), now=created)
        row = collection.seed(call, rng)
        if row is not None:
            made.append(row)
    return made


def parents_of(world: World, collection: Collection) -> list[Row | None]:
    """Everything that an object of this kind can belong to: of commits, those of default branches."""
    if collection.parent is None:
        return [None]
    above = world.collections[collection.parent]
    if above.rows_of is None or above.parent is None:
        return list(world[above.name])
    return [row for parent in world[above.parent] for row in above.rows(world, parent)]


def call_below(sandbox: GithubSandbox, collection: Collection, parent: Row | None, *, now: float | None = None) -> Call:
    """A call of the sandbox itself with the rows that a path to this parent would name."""
    call = sandbox.own_call(now=now)
    return replace(call, rows=rows_above(sandbox.world, collection.parent, parent))


def rows_above(world: World, name: str | None, row: Row | None) -> dict[str, Row]:
    """The row under its collection's name, and all above it under theirs."""
    rows: dict[str, Row] = {}
    while name is not None and row is not None:
        rows[name] = world[name].get(row["id"]) or row
        name = world.collections[name].parent
        row = world[name].get(row["parent"]) if name is not None else None
    return rows


_DELETES, _RARE_DELETES = 0.15, 0.01
# A history in which these went as often as labels do would soon have nothing left to happen to.
_CONTAINERS = {"organization", "repository"}


@dataclass(frozen=True, slots=True)
class MadeChange:
    """One step of a made-up history."""

    collection: str
    id: int
    key: str
    """What the API reads it by."""
    kind: str
    """insert, update or delete."""


def make_changes(
    sandbox: GithubSandbox, collections: tuple[Collection, ...], *, count: int, rng: Random
) -> list[MadeChange]:
    """A history of inserts (25 %), updates (60 %) and deletes (15 %), dated now.

    What GitHub cannot change or delete is left alone; where nothing fits, something is inserted. A change may
    have more behind it: a comment changes its issue.
    """
    return list(_changes(sandbox, collections, count, rng))


def _changes(
    sandbox: GithubSandbox, collections: tuple[Collection, ...], count: int, rng: Random
) -> Iterator[MadeChange]:
    for _ in range(count):
        for _ in range(10):
            change = _make_change(sandbox, rng.choice(collections), rng)
            if change is not None:
                yield change
                break


def _make_change(sandbox: GithubSandbox, collection: Collection, rng: Random) -> MadeChange | None:
    chance = rng.random()
    if chance < (_RARE_DELETES if collection.name in _CONTAINERS else _DELETES) and collection.remove is not None:
        row = _some(sandbox.world, collection, rng)
        if row is not None and collection.remove(_call_for(sandbox, collection, row), row):
            return _made(collection, row, "delete")
    elif chance < 0.75 and collection.sample_update is not None:
        row = _some(sandbox.world, collection, rng)
        if row is not None:
            changed = collection.sample_update(_call_for(sandbox, collection, row), row, rng)
            if changed is not None:
                return _made(collection, changed, "update")
    if collection.seed is None:
        return None
    parents = parents_of(sandbox.world, collection)
    if not parents:
        return None
    row = collection.seed(call_below(sandbox, collection, rng.choice(parents)), rng)
    return None if row is None else _made(collection, row, "insert")


def _call_for(sandbox: GithubSandbox, collection: Collection, row: Row) -> Call:
    name = collection.parent
    return call_below(sandbox, collection, sandbox.world[name].get(row["parent"]) if name is not None else None)


def _some(world: World, collection: Collection, rng: Random) -> Row | None:
    """Any object but those put raw: parsing would spoil them."""
    rows = [row for row in world[collection.name] if "raw" not in row]
    return rng.choice(rows) if rows else None


def _made(collection: Collection, row: Row, kind: str) -> MadeChange:
    return MadeChange(collection.name, row["id"], str(row[collection.key]), kind)


def fill(sandbox: GithubSandbox, *, repositories: int, issues: int) -> None:
    """Give the default organization members, repositories and some of everything in them."""
    rng, now = sandbox.random("fill"), int(sandbox.clock.now())
    start = now - 365 * 86_400
    organization = sandbox.world["organization"].find(0, DEFAULT_ORGANIZATION)
    assert organization is not None
    _seed(sandbox, "member", organization, 5, start, now, rng)
    for row in _seed(sandbox, "repository", organization, repositories, start, now, rng):
        counts = {"commit": 10, "label": 3, "milestone": 2, "tag": 2, "branch": 2, "collaborator": 2, "stargazer": 3}
        for name, count in counts.items():
            _seed(sandbox, name, row, count, row["created"], now, rng)
        for issue in _seed(sandbox, "issue", row, issues, row["created"], now, rng):
            if rng.random() < 0.3:
                _seed(sandbox, "issue_comment", issue, 1, issue["created"], now, rng)
        for pull in _seed(sandbox, "pull_request", row, issues // 10, row["created"], now, rng):
            _seed(sandbox, "review", pull, 1, pull["created"], now, rng)


def _seed(sandbox: GithubSandbox, name: str, parent: Row, count: int, start: int, until: int, rng: Random) -> list[Row]:
    return seed_objects(
        sandbox,
        sandbox.collections[name],
        parent=parent,
        count=count,
        created_from=start,
        created_until=until,
        rng=rng,
    )
