"""Made-up data and made-up histories, the same for the same seed."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.state import StripeSandbox
from springline.sandbox.stripe.texts import Object
from springline.sandbox.stripe.writes import Write


def seed_objects(
    sandbox: StripeSandbox,
    account: Account,
    collection: Collection,
    *,
    count: int,
    created_from: int,
    created_until: int,
    events: bool,
) -> list[str]:
    """Create `count` objects with creation times spread over the span; returns their ids, oldest first.

    What they need (a customer, a charge, …) is made where there is none.
    """
    assert collection.seed is not None
    rng = sandbox.chance(None)
    times = sorted(rng.randint(created_from, created_until) for _ in range(count))
    ids = []
    for created in times:
        write = sandbox.write(account, now=created, events=events)
        ids.append(str(collection.seed(write, rng)["id"]))
    return ids


@dataclass(frozen=True, slots=True)
class MadeChange:
    """One step of a made-up history."""

    collection: str
    id: str
    kind: str
    """insert, update or delete."""


def make_changes(
    sandbox: StripeSandbox,
    account: Account,
    collections: tuple[Collection, ...],
    *,
    count: int,
    rng: Random,
    events: bool,
) -> list[MadeChange]:
    """A history of inserts (25 %), updates (60 %) and deletes (15 %), dated now.

    An update is one by the API or whatever else happens to such an object (a payment succeeds, a payout
    arrives). A delete is what the API calls so: subscriptions are canceled, payment methods detached, of
    invoices only drafts go. Where nothing fits to be updated or deleted, something is inserted.
    """
    account.catch_up()
    return [_make_change(sandbox.write(account, events=events), rng.choice(collections), rng) for _ in range(count)]


def _make_change(write: Write, collection: Collection, rng: Random) -> MadeChange:
    chance = rng.random()
    if chance < 0.15 and collection.removal is not None:
        value = _some(write, collection, rng, fits=collection.may_delete)
        if value is not None:
            collection.removal.run(write, value, {})
            return MadeChange(collection.name, value["id"], "delete")
    elif chance < 0.75:
        value = _some(write, collection, rng, fits=collection.may_update)
        if value is not None and _change(write, collection, value, rng):
            return MadeChange(collection.name, value["id"], "update")
    assert collection.seed is not None
    return MadeChange(collection.name, collection.seed(write, rng)["id"], "insert")


def _change(write: Write, collection: Collection, value: Object, rng: Random) -> bool:
    """Change the object in one of the ways that its collection knows; False where it knows none."""
    updates = collection.update is not None and collection.sample_update is not None
    if collection.evolve is not None and (not updates or rng.random() < 0.5):
        collection.evolve(write, value, rng)
        return True
    if collection.update is None or collection.sample_update is None:
        return False
    collection.update.run(write, value, collection.sample_update(rng))
    return True


def _some(write: Write, collection: Collection, rng: Random, *, fits: Callable[[Write, Object], bool]) -> Object | None:
    """An object that fits, found in a few tries. Raw ones are left alone: parsing would spoil them."""
    table = write.account.tables[collection.name]
    for _ in range(min(len(table), 10)):
        record = table.nth_newest(rng.randrange(len(table)))
        if not record.raw:
            value = write.account.whole(collection.name, record)
            if fits(write, value):
                return value
    return None
