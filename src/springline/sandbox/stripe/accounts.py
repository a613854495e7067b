"""One account in one mode: its objects, its events and what Stripe remembers about its requests."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from springline.sandbox.common.clock import SandboxClock
from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.idempotency import IdempotentRequests
from springline.sandbox.stripe.limits import LIVE_LIMITS, TEST_LIMITS, Limiter
from springline.sandbox.stripe.records import Record, Table
from springline.sandbox.stripe.texts import Object, pretty

EVENT_RETENTION_SECONDS = 30 * 86_400


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
    _orders: int = 0

    def __post_init__(self) -> None:
        self.limiter = Limiter(LIVE_LIMITS if self.livemode else TEST_LIMITS)
        for collection in self.collections:
            self.tables[collection.name] = Table()
            self.deleted[collection.name] = set()
        self._fields = {collection.name: collection.filter_fields for collection in self.collections}

    def next_order(self) -> int:
        self._orders += 1
        return self._orders

    def store(self, collection: str, value: Object) -> Record:
        """Keep this version of an object; its place in lists stays if it has one."""
        return self._keep(collection, value["id"], int(value["created"]), text=pretty(value), fields=value)

    def store_raw(
        self, collection: str, record_id: str, *, text: bytes, created: int, fields: dict[str, Any]
    ) -> Record:
        """Keep this text byte for byte as the version of an object."""
        return self._keep(collection, record_id, created, text=text, fields=fields, raw=True)

    def recent_events(self) -> Table:
        """The events that are still kept: older ones are gone for good."""
        self.events.drop_before(int(self.clock.now()) - EVENT_RETENTION_SECONDS)
        return self.events

    def checkpoint(self) -> Checkpoint:
        """What the account holds now, to look at later or to go back to."""
        tables = {name: table.copy() for name, table in self.tables.items()}
        deleted = {name: ids.copy() for name, ids in self.deleted.items()}
        return Checkpoint(tables, self.events.copy(), deleted)

    def restore(self, checkpoint: Checkpoint) -> None:
        self.tables, self.events, self.deleted = checkpoint.tables, checkpoint.events, checkpoint.deleted

    def _keep(
        self,
        collection: str,
        record_id: str,
        created: int,
        *,
        text: bytes,
        fields: dict[str, Any],
        raw: bool = False,
    ) -> Record:
        table = self.tables[collection]
        before = table.get(record_id)
        record = Record(
            id=record_id,
            created=created,
            text=text,
            raw=raw,
            fields={name: fields.get(name) for name in self._fields[collection]},
            appeared_at=before.appeared_at if before else self.clock.now(),
            order=before.order if before else self.next_order(),
        )
        table.put(record)
        self.deleted[collection].discard(record_id)
        return record
