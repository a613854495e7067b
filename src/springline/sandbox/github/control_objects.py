"""The control API's data: seed, look at, change and delete objects outside limits and faults."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from aiohttp import web

from springline.sandbox.common.control import ControlError, read_order, reply
from springline.sandbox.github.collection import Collection, Operation
from springline.sandbox.github.collections.issue_changes import change_issue
from springline.sandbox.github.collections.issues import transfer_issue
from springline.sandbox.github.control import PREFIX
from springline.sandbox.github.resources import write
from springline.sandbox.github.seeding import call_below, make_changes, seed_objects
from springline.sandbox.github.state import DEFAULT_ORGANIZATION, GithubSandbox
from springline.sandbox.github.tables import Row

_DAY_SECONDS = 86_400


class SeedOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`count` objects below `parent`, created at times spread over the span (Unix seconds; default: the last year).

    `at` gives all of them one time. Without a parent each lands below one that there is, by chance; `seed` makes
    the same again.
    """

    collection: str
    count: int
    parent: str | int | None = None
    at: int | None = None
    created_from: int | None = None
    created_until: int | None = None
    seed: int | None = None


class WriteOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`params` as the API takes them, or `set`: fields put onto the row as they are. `at` (Unix seconds) dates it."""

    params: dict[str, Any] | None = None
    set: dict[str, Any] | None = None
    parent: str | int | None = None
    at: int | None = None


class ChangesOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`count` made-up changes in these collections (default: all that can be made up); a `seed` repeats a history."""

    count: int
    collections: list[str] | None = None
    seed: int | None = None


class TransferOrder(msgspec.Struct, forbid_unknown_fields=True):
    repository: str


class ObjectControl:
    """Handlers for /seed, /objects, /raw, /changes and /transfer."""

    def __init__(self, sandbox: GithubSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        one = f"{PREFIX}/objects/{{collection}}/{{id:.+}}"
        return [
            web.post(f"{PREFIX}/seed", self.seed),
            web.post(f"{PREFIX}/changes", self.change),
            web.get(f"{PREFIX}/objects/{{collection}}", self.dump),
            web.post(f"{PREFIX}/objects/{{collection}}", self.create),
            web.get(one, self.show),
            web.post(one, self.update),
            web.delete(one, self.delete),
            web.put(f"{PREFIX}/raw/{{collection}}/{{id:.+}}", self.put_raw),
            web.post(f"{PREFIX}/transfer/{{id}}", self.transfer),
        ]

    async def seed(self, request: web.Request) -> web.Response:
        order = await read_order(request, SeedOrder)
        collection = self._named(order.collection)
        if collection.seed is None:
            raise ControlError(f"{collection.name} cannot be seeded by itself")
        now = int(self._sandbox.clock.now())
        until = order.at or (now if order.created_until is None else order.created_until)
        start = order.at or (until - 365 * _DAY_SECONDS if order.created_from is None else order.created_from)
        if start > until or order.count < 0:
            raise ControlError("created_from is after created_until, or count is negative")
        rows = seed_objects(
            self._sandbox,
            collection,
            parent=self._parent(collection, order.parent),
            count=order.count,
            created_from=start,
            created_until=until,
            rng=self._sandbox.chance(order.seed),
        )
        ids = [row["id"] for row in rows]
        return reply({"collection": collection.name, "ids": ids, "keys": [str(row[collection.key]) for row in rows]})

    async def change(self, request: web.Request) -> web.Response:
        """A made-up history; answers what was done, in order."""
        order = await read_order(request, ChangesOrder)
        kinds = self._sandbox.collections.values()
        named = order.collections
        collections = tuple(kind for kind in kinds if kind.seed is not None and (named is None or kind.name in named))
        if not collections or (named is not None and len(collections) < len(set(named))):
            raise ControlError(f"no such collections that can be made up: {named}", status=404)
        changes = make_changes(self._sandbox, collections, count=order.count, rng=self._sandbox.chance(order.seed))
        return reply([asdict(change) for change in changes])

    async def dump(self, request: web.Request) -> web.Response:
        """A JSON array of every object, as lists show it (`?view=detail`: as a read by id does), oldest first.

        `?parent=` (an id, `acme`, `acme/web` or `acme/web#3`) takes only what belongs to it.
        """
        collection, world = self._collection(request), self._sandbox.world
        parent = self._parent(collection, request.query.get("parent"), default=False)
        if parent is not None:
            rows = collection.rows(world, parent)
        elif collection.rows_of is None or collection.parent is None:
            rows = list(world[collection.name])
        else:
            rows = [row for each in world[collection.parent] for row in collection.rows(world, each)]
        view = request.query.get("view", "list")
        body = b"[" + b",".join(world.text(collection.name, row, view) for row in rows) + b"]"
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    async def show(self, request: web.Request) -> web.Response:
        """The object's text as a read by id shows it (`?view=list`: as lists do); 404 where there is none."""
        collection, row = self._collection(request), self._row(request)
        text = self._sandbox.world.text(collection.name, row, request.query.get("view", "detail"))
        return web.Response(body=text, headers={"Content-Type": "application/json"})

    async def create(self, request: web.Request) -> web.Response:
        """Create as the API does (`params`), make one up (neither), or make one up and put fields onto it (`set`)."""
        collection, order = self._collection(request), await self._write_order(request)
        parent = self._parent(collection, order.parent, default=True)
        call = call_below(self._sandbox, collection, parent, now=order.at)
        if order.params is not None:
            body = write(collection, _operation(collection, "create", call.rows), call, order.params).text() or b"{}"
            return web.Response(body=body, headers={"Content-Type": "application/json"})
        if collection.seed is None:
            raise ControlError(f"{collection.name} cannot be made up by itself")
        row = collection.seed(call, self._sandbox.chance(None))
        if row is None:
            raise ControlError("nothing fits there", status=409)
        if order.set:
            row = self._renumbered(collection, row, row_id=int(order.set.get("id") or row["id"]))
            row = self._sandbox.world.change(collection.name, row, **self._fields(row, order.set))
        return self._written(collection, row)

    async def update(self, request: web.Request) -> web.Response:
        """Update as the API does (`params`), or put fields onto the row (`set`; `updated` becomes now unless given)."""
        collection, row, order = self._collection(request), self._row(request), await self._write_order(request)
        call = call_below(self._sandbox, collection, self._parent_of(collection, row), now=order.at)
        if order.params is not None:
            call.rows[collection.name] = row
            write(collection, _operation(collection, "update", call.rows), call, order.params)
        else:
            fields = {"updated": call.now, **self._fields(row, order.set or {})}
            self._sandbox.world.change(collection.name, row, **fields)
            issue = self._sandbox.world["issue"].get(row["issue"] if collection.name == "pull_request" else row["id"])
            if issue is not None and collection.name in {"issue", "pull_request"}:
                change_issue(call, issue, updated=fields["updated"])
        return self._written(collection, self._sandbox.world.row(collection.name, row["id"]))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete as GitHub does, with what follows; `?mode=vanish` takes the row away and changes nothing else."""
        collection, row = self._collection(request), self._row(request)
        if request.query.get("mode", "api") == "vanish":
            self._sandbox.world.remove(collection.name, row)
        else:
            call = call_below(self._sandbox, collection, self._parent_of(collection, row))
            if collection.remove is None or not collection.remove(call, row):
                raise ControlError(f"GitHub does not delete this {collection.name} (?mode=vanish does)", status=409)
        return reply({"id": row["id"], "deleted": True})

    async def put_raw(self, request: web.Request) -> web.Response:
        """Show this text as the object from now on, byte for byte, in lists and reads by id.

        The body must be JSON; `?unchecked=true` takes any bytes. Lists keep sorting by the row behind it.
        """
        collection, row, text = self._collection(request), self._row(request), await request.read()
        if request.query.get("unchecked") != "true":
            try:
                json.loads(text)
            except (ValueError, RecursionError) as error:
                raise ControlError(f"{error} (?unchecked=true takes any bytes)") from error
        now = int(self._sandbox.clock.now())
        self._sandbox.world.put(collection.name, {**row, "raw": text, "updated": now})
        return reply({"id": row["id"], "bytes": len(text)})

    async def transfer(self, request: web.Request) -> web.Response:
        """Move the issue of this id to another repository: its old place redirects."""
        order, world = await read_order(request, TransferOrder), self._sandbox.world
        number = request.match_info["id"]
        issue = world["issue"].get(int(number)) if number.isdecimal() else None
        target = self._parent(self._named("issue"), order.repository)
        if issue is None or target is None or issue["pull"] is not None:
            raise ControlError("no such issue, or no such repository", status=404)
        call = call_below(self._sandbox, self._named("issue"), target)
        return self._written(self._named("issue"), transfer_issue(call, issue, target))

    async def _write_order(self, request: web.Request) -> WriteOrder:
        order = await read_order(request, WriteOrder)
        if order.params is not None and order.set is not None:
            raise ControlError("either params or set")
        return order

    def _renumbered(self, collection: Collection, row: Row, *, row_id: int) -> Row:
        """The new row under an id of the caller's: one that was deleted comes back."""
        world = self._sandbox.world
        if row_id == row["id"]:
            return row
        if world[collection.name].get(row_id) is not None:
            world.remove(collection.name, row)
            raise ControlError("an object with this id exists", status=409)
        world.remove(collection.name, row)
        world.put(collection.name, {**row, "id": row_id})
        return world.row(collection.name, row_id)

    def _fields(self, row: Row, given: dict[str, Any]) -> dict[str, Any]:
        unknown = given.keys() - row.keys()
        if unknown:
            raise ControlError(f"no such fields: {', '.join(sorted(unknown))}; there are {', '.join(sorted(row))}")
        return given

    def _written(self, collection: Collection, row: Row) -> web.Response:
        text = self._sandbox.world.text(collection.name, row, "detail")
        return web.Response(body=text, headers={"Content-Type": "application/json", "X-Sandbox-Id": str(row["id"])})

    def _row(self, request: web.Request) -> Row:
        """The row by its id, or by its key below `?parent=`."""
        collection, text = self._collection(request), request.match_info["id"]
        world, row = self._sandbox.world, None
        parent = request.query.get("parent")
        if parent is None and text.isdecimal():
            row = world[collection.name].get(int(text))
        if row is None:
            above = self._parent(collection, parent, default=False)
            scope = 0 if above is None else above["id"] if collection.scoped_by_parent else above["scope"]
            row = world[collection.name].find(scope, text)
        if row is None:
            raise ControlError("no such object", status=404)
        return row

    def _parent_of(self, collection: Collection, row: Row) -> Row | None:
        if collection.parent is None:
            return None
        return self._sandbox.world[collection.parent].get(row["parent"])

    def _parent(self, collection: Collection, given: str | int | None, *, default: bool = False) -> Row | None:
        """The parent of this id or name; for the organization's own the default one, else any that there is."""
        world, name = self._sandbox.world, collection.parent
        if name is None:
            return None
        if given is None:
            if name == "organization" and default:
                return world["organization"].find(0, DEFAULT_ORGANIZATION)
            rows = list(world[name]) if default else []
            return rows[0] if rows else None
        text = str(given)
        row = world[name].get(int(text)) if text.isdecimal() else self._row_named(name, text)
        if row is None:
            raise ControlError(f"no {name} {given}", status=404)
        return row

    def _row_named(self, name: str, text: str) -> Row | None:
        """`acme`, `acme/web`, `acme/web#3` (or `#` and any other key), `acme/#core` for a team."""
        world = self._sandbox.world
        above, marked, key = text.partition("#")
        owner, _, short = above.rstrip("/").partition("/")
        if not marked:
            return world.repository_named(owner, short) if name == "repository" else world[name].find(0, text)
        scope = world.repository_named(owner, short) if short else world["organization"].find(0, owner)
        return None if scope is None else world[name].find(scope["id"], key)

    def _collection(self, request: web.Request) -> Collection:
        return self._named(request.match_info["collection"])

    def _named(self, name: str) -> Collection:
        if name not in self._sandbox.collections:
            known = ", ".join(self._sandbox.collections)
            raise ControlError(f"no collection {name}; there are {known}", status=404)
        return self._sandbox.collections[name]


def _operation(collection: Collection, kind: str, rows: Mapping[str, Row]) -> Operation:
    """The API's own way to create or update one, if its path names just these rows. Raises ControlError."""
    for operation in collection.operations:
        named = set(re.findall(r"\{(\w+)", operation.path))
        is_complete = named <= rows.keys() and (kind == "create" or collection.name in named)
        if operation.kind == kind and is_complete:
            return operation
    raise ControlError(f"GitHub cannot {kind} a {collection.name} by params alone: use `set`, or the API itself")
