"""One write to an account: reads what it needs, stores what changes, leaves the events of it."""

from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.errors import resource_missing
from springline.sandbox.stripe.events import event_text, previous_attributes
from springline.sandbox.stripe.ids import new_id
from springline.sandbox.stripe.records import Record
from springline.sandbox.stripe.texts import Object

_TOLD_WITH_BEFORE = frozenset({"automatically_updated", "detached", "refunded", "updated"})
"""Changes whose events say what was there before."""


class Given(Enum):
    """Values of a new object that depend on the write."""

    NOW = "now"
    LIVEMODE = "livemode"


@dataclass
class Write:
    """The context that an operation works in. `now` dates everything that it makes."""

    account: Account
    api_version: str
    now: int
    request_id: str | None = None
    idempotency_key: str | None = None
    events: bool = True
    """False: the change happens and no event tells of it."""
    emitted: list[str] = field(default_factory=list)
    """Types of the events written, in order."""

    def collection(self, name: str) -> Collection:
        return self.account.kinds[name]

    def new_id(self, prefix: str, length: int) -> str:
        return new_id(prefix, rng=self.account.rng, length=length)

    def blank(self, collection: str) -> Object:
        """A new object of its own id that holds what it does when nothing is given; not stored."""
        kind = self.collection(collection)
        given = {Given.NOW: self.now, Given.LIVEMODE: self.account.livemode}
        fields = {
            name: given[value] if isinstance(value, Given) else deepcopy(value)
            for name, value in sorted(kind.fields.items())
        }
        return {"id": self.new_id(kind.id_prefix, kind.id_length), "object": kind.object, **fields}

    def find(self, collection: str, wanted: str, *, param: str = "id", status: int = 404) -> Object:
        """A copy of the object. Raises StripeError `resource_missing` where there is none."""
        record = self.account.tables[collection].get(wanted)
        if record is None:
            raise resource_missing(self.collection(collection).object, wanted, param=param, status=status)
        return self.account.whole(collection, record)

    def named(self, collection: str, wanted: str, *, param: str) -> Object:
        """The object that a parameter names: one that does not exist is a 400."""
        return self.find(collection, wanted, param=param, status=400)

    def having(self, collection: str, **values: Any) -> list[Object]:
        return [self.account.whole(collection, record) for record in self.account.tables[collection].where(**values)]

    def below(self, collection: str, parent: str) -> list[Object]:
        """The parent's objects of this collection, in the order of lists."""
        return [self.account.whole(collection, record) for record in self.account.tables[collection].of(parent)]

    def insert(self, collection: str, value: Object, *changes: str, parent: str | None = None) -> Object:
        """Store a new object and emit its events (default: `created`)."""
        if self._is_embedded(collection):
            return self._put_entry(collection, value, parent=parent)
        record = self.account.store(collection, value, parent=parent, created=self.now)
        for change in changes or ("created",):
            self.tell(change, collection, record)
        return value

    def replace(self, collection: str, value: Object, *changes: str) -> Object:
        """Store a new version; each name in `changes` is an event (default `updated`) with what was before.

        A version that equals the stored one leaves no trace, as with Stripe. What is shown within a parent
        changes the parent.
        """
        before = self.find(collection, value["id"])
        if not previous_attributes(before, value):
            return value
        if self._is_embedded(collection):
            return self._put_entry(collection, value)
        record = self.account.store(collection, deepcopy(value))
        previous = previous_attributes(self.account.shown(collection, before), self.account.shown(collection, value))
        for change in changes or ("updated",):
            told = previous if change in _TOLD_WITH_BEFORE else None
            self.tell(change, collection, record, previous=told)
        return value

    def remove(self, collection: str, value: Object) -> Object:
        """Delete an object and what is below it, emit `.deleted` with its last state, return what that answers."""
        kind = self.collection(collection)
        if self._is_embedded(collection):
            self._take_entry(collection, value["id"])
            return deleted_stub(kind, value["id"])
        record = self.account.tables[collection].remove(value["id"])
        for child in self.account.children.get(collection, ()):
            table = self.account.tables[child.name]
            for below in list(table.of(record.id)):
                table.remove(below.id)
        if kind.stub_after_deletion:
            self.account.deleted[collection].add(value["id"])
        self.tell("deleted", collection, record)
        return deleted_stub(kind, value["id"])

    def tell(self, change: str, collection: str, record: Record, *, previous: Object | None = None) -> None:
        """Emit `{prefix}.{change}` if there is such an event."""
        kind = self.collection(collection)
        if change in kind.events:
            self.emit(f"{kind.event_prefix}.{change}", collection, record, previous=previous)

    def emit(self, event_type: str, collection: str, subject: Record, *, previous: Object | None = None) -> None:
        if not self.events:
            return
        account = self.account
        header = {
            "id": self.new_id("evt_1", 23),
            "object": "event",
            "api_version": self.api_version,
            "created": self.now,
            "livemode": account.livemode,
            "pending_webhooks": 0,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": event_type,
        }
        if collection == "account":
            header["account"] = subject.id
        text, raw = event_text(header, subject=subject, previous=previous)
        account.events.put(
            Record(
                id=str(header["id"]),
                created=self.now,
                text=text,
                raw=raw,
                fields={"type": event_type, "object": collection, "subject": subject.id},
                appeared_at=account.clock.now(),
                order=account.next_order(),
            )
        )
        account.events_written += 1
        self.emitted.append(event_type)

    def _is_embedded(self, collection: str) -> bool:
        parent = self.collection(collection).parent
        return parent is not None and parent.embedded_as is not None

    def _put_entry(self, collection: str, value: Object, *, parent: str | None = None) -> Object:
        """Put a new or changed entry into its parent's list, which is a change of the parent."""
        holder, entries = self._entries(collection, value["id"], parent=parent or self._parent_id(collection, value))
        known = [entry["id"] for entry in entries]
        if value["id"] in known:
            entries[known.index(value["id"])] = value
        elif self.collection(collection).oldest_first:
            entries.append(value)
        else:
            entries.insert(0, value)
        self.replace(self._holder(collection), holder)
        return value

    def _take_entry(self, collection: str, wanted: str) -> None:
        holder, entries = self._entries(collection, wanted)
        entries[:] = [entry for entry in entries if entry["id"] != wanted]
        self.replace(self._holder(collection), holder)

    def _entries(self, collection: str, wanted: str, *, parent: str | None = None) -> tuple[Object, list[Object]]:
        """The parent and its list, which is part of it."""
        record = self.account.tables[collection].get(wanted)
        found = record.parent if record is not None else parent
        kind = self.collection(collection).parent
        if kind is None or kind.embedded_as is None or found is None:
            raise resource_missing(self.collection(collection).object, wanted)
        holder = self.find(kind.collection, found)
        listing: Object = holder[kind.embedded_as]
        entries: list[Object] = listing["data"]
        return holder, entries

    def _holder(self, collection: str) -> str:
        parent = self.collection(collection).parent
        assert parent is not None
        return parent.collection

    def _parent_id(self, collection: str, value: Object) -> str | None:
        parent = self.collection(collection).parent
        return value.get(parent.field) if parent is not None and parent.field is not None else None


def deleted_stub(kind: Collection, object_id: str) -> Object:
    return {"id": object_id, "object": kind.object, "deleted": True}
