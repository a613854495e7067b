"""One write to an account: reads what it needs, stores what changes, leaves the events of it."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.errors import resource_missing
from springline.sandbox.stripe.events import event_text, previous_attributes
from springline.sandbox.stripe.ids import new_id
from springline.sandbox.stripe.records import Record
from springline.sandbox.stripe.texts import Object


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
        return next(kind for kind in self.account.collections if kind.name == name)

    def new_id(self, prefix: str, length: int) -> str:
        return new_id(prefix, rng=self.account.rng, length=length)

    def find(self, collection: str, wanted: str, *, param: str = "id", status: int = 404) -> Object:
        """A copy of the object. Raises StripeError `resource_missing` where there is none."""
        record = self.account.tables[collection].get(wanted)
        if record is None:
            raise resource_missing(collection, wanted, param=param, status=status)
        return record.value()

    def named(self, collection: str, wanted: str, *, param: str) -> Object:
        """The object that a parameter names: one that does not exist is a 400."""
        return self.find(collection, wanted, param=param, status=400)

    def having(self, collection: str, **values: Any) -> list[Object]:
        return [record.value() for record in self.account.tables[collection].where(**values)]

    def insert(self, collection: str, value: Object) -> Object:
        """Store a new object and emit `.created`."""
        record = self.account.store(collection, value)
        self.emit(f"{self.collection(collection).event_prefix}.created", collection, record)
        return value

    def replace(self, collection: str, value: Object, *changes: str) -> Object:
        """Store a new version; each name in `changes` is an event (default `updated`) with what was before.

        A version that equals the stored one leaves no trace, as with Stripe.
        """
        before = self.find(collection, value["id"])
        previous = previous_attributes(before, value)
        if not previous:
            return value
        record = self.account.store(collection, deepcopy(value))
        prefix = self.collection(collection).event_prefix
        for change in changes or ("updated",):
            told = previous if change == "updated" else None
            self.emit(f"{prefix}.{change}", collection, record, previous=told)
        return value

    def remove(self, collection: str, value: Object) -> Object:
        """Delete an object, emit `.deleted` with its last state, return what a deletion answers."""
        record = self.account.tables[collection].remove(value["id"])
        kind = self.collection(collection)
        if kind.stub_after_deletion:
            self.account.deleted[collection].add(value["id"])
        self.emit(f"{kind.event_prefix}.deleted", collection, record)
        return deleted_stub(collection, value["id"])

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


def deleted_stub(collection: str, object_id: str) -> Object:
    return {"id": object_id, "object": collection, "deleted": True}
