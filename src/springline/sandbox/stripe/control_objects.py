"""The control API's data: seed, look at, change and delete objects outside limits and faults."""

from dataclasses import asdict
from typing import Any

import msgspec
from aiohttp import web

from springline.sandbox.common.control import ControlError, read_order, reply
from springline.sandbox.stripe import resources
from springline.sandbox.stripe.collection import Collection, Feature
from springline.sandbox.stripe.control import PREFIX, chosen_account
from springline.sandbox.stripe.forms import flatten
from springline.sandbox.stripe.raw import RawError, read_raw
from springline.sandbox.stripe.seeding import make_changes, seed_objects
from springline.sandbox.stripe.state import StripeSandbox
from springline.sandbox.stripe.texts import pretty

_DAY_SECONDS = 86_400


class SeedOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`count` objects, created at times spread over the span (Unix seconds; default: the last year)."""

    collection: str
    count: int
    created_from: int | None = None
    created_until: int | None = None
    events: bool = False


class WriteOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`params` as the API takes them (JSON values), or `set`: fields put onto the object as they are.

    `events: false` is a change that nothing tells of; `at` (Unix seconds) dates it. `parent` is whose a new
    object is, where it does not show that itself.
    """

    params: dict[str, Any] | None = None
    set: dict[str, Any] | None = None
    events: bool = True
    at: int | None = None
    parent: str | None = None


class FeaturesOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Products of Stripe that an account has, or has not."""

    connect: bool | None = None
    issuing: bool | None = None


class ChangesOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`count` made-up changes in these collections (default: all); a `seed` repeats a history."""

    count: int
    collections: list[str] | None = None
    seed: int | None = None
    events: bool = True


class ObjectControl:
    """Handlers for /seed, /objects, /features, /raw and /changes."""

    def __init__(self, sandbox: StripeSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        one = f"{PREFIX}/objects/{{collection}}/{{id}}"
        return [
            web.post(f"{PREFIX}/seed", self.seed),
            web.post(f"{PREFIX}/changes", self.change),
            web.get(f"{PREFIX}/objects/{{collection}}", self.dump),
            web.post(f"{PREFIX}/objects/{{collection}}", self.create),
            web.get(one, self.show),
            web.post(one, self.update),
            web.delete(one, self.delete),
            web.get(f"{PREFIX}/features", self.get_features),
            web.post(f"{PREFIX}/features", self.set_features),
            web.put(f"{PREFIX}/raw/{{collection}}/{{id}}", self.put_raw),
        ]

    async def seed(self, request: web.Request) -> web.Response:
        order = await read_order(request, SeedOrder)
        collection = self._named(order.collection)
        if collection.seed is None:
            raise ControlError(f"{collection.name} cannot be seeded by itself")
        now = int(self._sandbox.clock.now())
        until = now if order.created_until is None else order.created_until
        start = until - 365 * _DAY_SECONDS if order.created_from is None else order.created_from
        if start > until or order.count < 0:
            raise ControlError("created_from is after created_until, or count is negative")
        ids = seed_objects(
            self._sandbox,
            chosen_account(self._sandbox, request),
            collection,
            count=order.count,
            created_from=start,
            created_until=until,
            events=order.events,
        )
        return reply({"collection": collection.name, "ids": ids})

    async def change(self, request: web.Request) -> web.Response:
        order = await read_order(request, ChangesOrder)
        named = order.collections
        collections = tuple(
            kind
            for kind in self._sandbox.collections
            if kind.seed is not None and (named is None or kind.name in named)
        )
        if not collections or (named is not None and len(collections) < len(named)):
            raise ControlError(f"no such collections: {named}", status=404)
        changes = make_changes(
            self._sandbox,
            chosen_account(self._sandbox, request),
            collections,
            count=order.count,
            rng=self._sandbox.chance(order.seed),
            events=order.events,
        )
        return reply([asdict(change) for change in changes])

    async def dump(self, request: web.Request) -> web.Response:
        """A JSON array of every object as lists return it, in their order, canceled ones included.

        `?parent=` asks for one parent's only. What has left its parent (a detached payment method) is in no
        list and not here either.
        """
        account, collection = chosen_account(self._sandbox, request), self._collection(request)
        account.catch_up()
        table = account.tables[collection.name]
        if "parent" in request.query:
            table = table.of(request.query["parent"])
        listed = [record.text for record in table if collection.parent is None or record.parent is not None]
        body = b"[" + b",".join(listed) + b"]"
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    async def show(self, request: web.Request) -> web.Response:
        """The object's exact text; 404 where there is none."""
        account, collection = chosen_account(self._sandbox, request), self._collection(request)
        account.catch_up()
        record = account.tables[collection.name].get(request.match_info["id"])
        if record is None:
            raise ControlError("no such object", status=404)
        return web.Response(body=record.text, headers={"Content-Type": "application/json"})

    async def create(self, request: web.Request) -> web.Response:
        """Create as the API does (`params`), or put an object of one's own (`set`)."""
        account, collection = chosen_account(self._sandbox, request), self._collection(request)
        order = await self._write_order(request)
        write = self._sandbox.write(account, now=order.at, events=order.events)
        if order.set is None:
            answer = resources.create(collection, flatten(order.params or {}), write=write, parent_id=order.parent)
            return _written(answer.text())
        own = {"created": write.now, "livemode": account.livemode} if not collection.fields else {}
        value = {**write.blank(collection.name), **own, **order.set}
        if value["id"] in account.tables[collection.name]:
            raise ControlError("an object with this id exists", status=409)
        return _written(pretty(write.insert(collection.name, value, parent=order.parent)))

    async def update(self, request: web.Request) -> web.Response:
        """Update as the API does (`params`), or put fields onto the object (`set`; metadata merges)."""
        account, collection = chosen_account(self._sandbox, request), self._collection(request)
        object_id = request.match_info["id"]
        order = await self._write_order(request)
        write = self._sandbox.write(account, now=order.at, events=order.events)
        if order.set is None:
            answer = resources.update(collection, object_id, flatten(order.params or {}), write=write)
            return _written(answer.text())
        before = write.find(collection.name, object_id)
        value = {**before, **order.set, "id": object_id}
        if isinstance(order.set.get("metadata"), dict) and isinstance(before.get("metadata"), dict):
            value["metadata"] = {**before["metadata"], **order.set["metadata"]}
        return _written(pretty(write.replace(collection.name, value)))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete as the API does; `?mode=vanish` makes the object unknown without leave and without a stub."""
        account, collection = chosen_account(self._sandbox, request), self._collection(request)
        object_id = request.match_info["id"]
        events = request.query.get("events", "true") == "true"
        write = self._sandbox.write(account, events=events)
        account.catch_up()
        if request.query.get("mode", "api") == "api":
            return _written(resources.take_out(collection, object_id, write=write).text())
        if object_id not in account.tables[collection.name]:
            raise ControlError("no such object", status=404)
        answer = write.remove(collection.name, {"id": object_id})
        account.deleted[collection.name].discard(object_id)
        return reply(answer)

    async def put_raw(self, request: web.Request) -> web.Response:
        """Put this text as the object, byte for byte, with `.created` or `.updated`.

        The body must be a JSON object with this id; `?unchecked=true` takes any bytes. `?created=` (Unix
        seconds) stands for the text's own `created`, then now.
        """
        account, collection = chosen_account(self._sandbox, request), self._collection(request)
        object_id = request.match_info["id"]
        text = await request.read()
        write = self._sandbox.write(account, events=request.query.get("events", "true") == "true")
        before = account.tables[collection.name].get(object_id)
        try:
            raw = read_raw(text, object_id=object_id, unchecked=request.query.get("unchecked") == "true")
            created = int(request.query.get("created", raw.created or (before.created if before else write.now)))
        except (RawError, ValueError) as error:
            raise ControlError(str(error)) from error
        record = account.store_raw(collection.name, object_id, text=text, created=created, fields=raw.fields)
        if before is None:
            write.emit(f"{collection.event_prefix}.created", collection.name, record)
        elif before.text != text:
            write.emit(f"{collection.event_prefix}.updated", collection.name, record, previous={})
        return reply({"id": object_id, "bytes": len(text), "events": write.emitted})

    async def get_features(self, request: web.Request) -> web.Response:
        features = chosen_account(self._sandbox, request).features
        return reply({"connect": "connect" in features, "issuing": "issuing" in features})

    async def set_features(self, request: web.Request) -> web.Response:
        """Switch Connect or Issuing on or off for an account: off, its objects are refused as Stripe does."""
        order = await read_order(request, FeaturesOrder)
        features = chosen_account(self._sandbox, request).features
        wanted: dict[Feature, bool | None] = {"connect": order.connect, "issuing": order.issuing}
        for feature, on in wanted.items():
            if on:
                features.add(feature)
            elif on is not None:
                features.discard(feature)
        return await self.get_features(request)

    async def _write_order(self, request: web.Request) -> WriteOrder:
        order = await read_order(request, WriteOrder)
        if order.params is not None and order.set is not None:
            raise ControlError("either params or set")
        return order

    def _collection(self, request: web.Request) -> Collection:
        return self._named(request.match_info["collection"])

    def _named(self, name: str) -> Collection:
        if name not in self._sandbox.by_name:
            known = ", ".join(self._sandbox.by_name)
            raise ControlError(f"no collection {name}; there are {known}", status=404)
        return self._sandbox.by_name[name]


def _written(text: bytes) -> web.Response:
    return web.Response(body=text, headers={"Content-Type": "application/json"})
