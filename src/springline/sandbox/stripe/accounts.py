"""One account in one mode: its objects, its events and what Stripe remembers about its requests."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any

from springline.sandbox.common.clock import SandboxClock
from springline.sandbox.stripe.collection import Collection, Feature
from springline.sandbox.stripe.idempotency import IdempotentRequests
from springline.sandbox.stripe.limits import LIVE_LIMITS, TEST_LIMITS, Limiter
from springline.sandbox.stripe.records import Record, Table
from springline.sandbox.stripe.texts import Object, pretty

EVENT_RETENTION_SECONDS = 30 * 86_400
EMBEDDED_ENTRIES = 10
"""How many of its lines an object shows within itself."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An account's objects and events at one moment."""

    tables: dict[str, Table]
    events: Table
    deleted: dict[str, set[str]]


@dataclass
class Account:
    """Live and test data of one Stripe account are two of these and know nothing of each other."""

    id: str
    livemode: bool
    name: str
    created: int
    clock: SandboxClock
    collections: tuple[Collection, ...]
    rng: Random
    """Ids come from here: the same requests in the same order make the same ids."""
    tables: dict[str, Table] = field(default_factory=dict)
    events: Table = field(default_factory=Table)
    deleted: dict[str, set[str]] = field(default_factory=dict)
    """Deleted ids by collection, where a stub stays readable."""
    idempotent: IdempotentRequests = field(default_factory=IdempotentRequests)
    unanswered: int = 0
    """Requests being worked on."""
    events_written: int = 0
    features: set[Feature] = field(default_factory=lambda: {"connect", "issuing"})
    """What is switched on."""
    _orders: int = 0
    _ripening: list[tuple[int, int, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = Limiter(LIVE_LIMITS if self.livemode else TEST_LIMITS)
        self.kinds = {collection.name: collection for collection in self.collections}
        self.children: dict[str, list[Collection]] = {}
        """The collections below each collection."""
        for collection in self.collections:
            self.tables[collection.name] = Table()
            self.deleted[collection.name] = set()
            if collection.parent is not None:
                self.children.setdefault(collection.parent.collection, []).append(collection)
        self._fields = {collection.name: collection.kept_fields for collection in self.collections}

    def next_order(self) -> int:
        self._orders += 1
        return self._orders

    def store(self, collection: str, value: Object, *, parent: str | None = None, created: int | None = None) -> Record:
        """Keep this version of an object; its place in lists stays if it has one.

        `parent` is whose it is and `created` when it was made, where it does not say so itself. The entries of
        an embedded list are kept as objects of their own; the object shows the first ten.
        """
        kind = self.kinds[collection]
        before = self.tables[collection].get(value["id"])
        if kind.created_field is not None and value.get(kind.created_field) is not None:
            created = int(value[kind.created_field])
        elif before is not None:
            created = before.created
        elif created is None:
            created = int(self.clock.now())
        if kind.parent is not None and kind.parent.field is not None:
            parent = value.get(kind.parent.field)
        elif before is not None:
            parent = before.parent
        for child, _, entries in self._listings(collection, value):
            self._keep_entries(child, value["id"], entries)
        shown = self.shown(collection, value)
        record = self._keep(kind, value["id"], created, text=pretty(shown), fields=value, parent=parent)
        if kind.ripening is not None:
            due = kind.ripening.due(value)
            if due is not None:
                heappush(self._ripening, (due, record.order, collection, record.id))
        return record

    def store_raw(
        self, collection: str, record_id: str, *, text: bytes, created: int, fields: dict[str, Any]
    ) -> Record:
        """Keep this text byte for byte as the version of an object."""
        kind = self.kinds[collection]
        parent = None if kind.parent is None or kind.parent.field is None else fields.get(kind.parent.field)
        return self._keep(kind, record_id, created, text=text, fields=fields, parent=parent, raw=True)

    def whole(self, collection: str, record: Record) -> Object:
        """The object with every entry of its embedded lists, not only the first ones."""
        value = record.value()
        for child in self.children.get(collection, ()):
            listing = value.get(child.parent.embedded_as) if child.parent and child.parent.embedded_as else None
            if isinstance(listing, dict) and listing.get("has_more"):
                listing["data"] = [entry.value() for entry in self.tables[child.name].of(record.id)]
                listing["has_more"] = False
        return value

    def recent_events(self) -> Table:
        """The events that are still kept: older ones are gone for good."""
        self.events.drop_before(int(self.clock.now()) - EVENT_RETENTION_SECONDS)
        return self.events

    def catch_up(self) -> None:
        """Let happen what the clock has made due."""
        now = int(self.clock.now())
        while self._ripening and self._ripening[0][0] <= now:
            due, _, collection, record_id = heappop(self._ripening)
            ripening, record = self.kinds[collection].ripening, self.tables[collection].get(record_id)
            if ripening is None or record is None or record.raw:
                continue
            value = record.value()
            if ripening.due(value) == due:
                self.store(collection, ripening.ripened(value))

    def checkpoint(self) -> Checkpoint:
        """What the account holds now, to look at later or to go back to."""
        tables = {name: table.copy() for name, table in self.tables.items()}
        deleted = {name: ids.copy() for name, ids in self.deleted.items()}
        return Checkpoint(tables, self.events.copy(), deleted)

    def restore(self, checkpoint: Checkpoint) -> None:
        self.tables, self.events, self.deleted = checkpoint.tables, checkpoint.events, checkpoint.deleted

    def shown(self, collection: str, value: Object) -> Object:
        """The object as an answer shows it: with the first entries of its embedded lists."""
        shown = value
        for _, name, entries in self._listings(collection, value):
            first = {**value[name], "data": entries[:EMBEDDED_ENTRIES], "has_more": len(entries) > EMBEDDED_ENTRIES}
            if "total_count" in first:
                first["total_count"] = len(entries)
            shown = {**shown, name: first}
        return shown

    def _listings(self, collection: str, value: Object) -> Iterator[tuple[Collection, str, list[Object]]]:
        """The embedded lists of an object: whose entries, in which field, and which."""
        for child in self.children.get(collection, ()):
            name = child.parent.embedded_as if child.parent else None
            listing = value.get(name) if name else None
            if name is not None and isinstance(listing, dict) and isinstance(listing.get("data"), list):
                entries = listing["data"]
                if all(isinstance(entry, dict) and "id" in entry for entry in entries):
                    yield child, name, entries

    def _keep_entries(self, child: Collection, parent: str, entries: list[Object]) -> None:
        table = self.tables[child.name]
        wanted = {entry["id"] for entry in entries}
        for gone in [record.id for record in table.of(parent) if record.id not in wanted]:
            table.remove(gone)
        for entry in entries if child.oldest_first else reversed(entries):
            before = table.get(entry["id"])
            if before is None or before.text != pretty(entry):
                self.store(child.name, entry, parent=parent)

    def _keep(
        self,
        kind: Collection,
        record_id: str,
        created: int,
        *,
        text: bytes,
        fields: dict[str, Any],
        parent: str | None,
        raw: bool = False,
    ) -> Record:
        table = self.tables[kind.name]
        before = table.get(record_id)
        order = before.order if before else self.next_order()
        if kind.oldest_first:
            # Newest first by these two is oldest first by what they stand for.
            created, order = 0, order if before else -order
        record = Record(
            id=record_id,
            created=created,
            text=text,
            raw=raw,
            fields={name: fields.get(name) for name in self._fields[kind.name]},
            appeared_at=before.appeared_at if before else self.clock.now(),
            order=order,
            parent=parent,
        )
        table.put(record)
        self.deleted[kind.name].discard(record_id)
        return record
