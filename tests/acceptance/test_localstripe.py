"""Springline against localstripe, a fake of Stripe that others wrote.

It lists oldest first, refuses names of event types, answers 404 for a deleted customer, and has neither an account nor
prices. Its events tell what happens to customers and little else: what other objects go through is found by sweeps.
"""

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import aiohttp
from tests.support.api import Client
from tests.support.localstripe_process import KEY, Localstripe, running_localstripe
from tests.support.processes import Place
from tests.support.view import Held, Key, View, reading

#: 231 objects; the customers fill more than one page.
COUNTS: Final = {"customers": 120, "products": 15, "plans": 20, "coupons": 20, "subscriptions": 28, "invoices": 28}
COLLECTION_IDS: Final = {name: f"stripe:{name.removesuffix('s')}" for name in COUNTS}
#: localstripe has no limits of its own.
UNLIMITED: Final = {"SPRINGLINE_PROVIDER_LIMITS": "off"}
RATE_LIMIT: Final = {"allowed_requests": 50, "interval": 1}
FEED_SECONDS: Final = 5.0
SWEEP_SECONDS: Final = 15.0
ROUNDS: Final = 1

Found = Callable[[Held], bool]


class Delay(NamedTuple):
    """How long after its request was sent a change was in the consumer's hands."""

    collection: str
    change: str
    seconds: float


async def test_everything_arrives_from_localstripe_in_time(place: Place) -> None:
    async with running_localstripe() as stripe, aiohttp.ClientSession() as session:
        server = await (
            await place.start(settings={"SPRINGLINE_STRIPE_BASE_URL": stripe.url, **UNLIMITED})
        ).until_ready()
        client = Client(session, server.url, server.token)
        # The feed begins with what was made a moment ago: that must not hold up what changes from now on.
        account = Account(stripe)
        await account.fill()
        begun = time.monotonic()
        consumer = await set_up(client)
        async with reading(server.url, server.token, consumer["id"]) as view:
            await view.until(lambda: len(view.records) == 231, within_seconds=30, what="231 objects backfilled")
            print(f"\n231 objects backfilled and delivered in {time.monotonic() - begun:.2f} s")
            await assert_equal(view, stripe)
            delays = await change_everything(account, view, rounds=ROUNDS)
            show(delays)
            await assert_equal(view, stripe)
            # Whatever is read again unchanged is not delivered again.
            messages = view.messages
            await stripe.until_asked({f"/v1/{name}": 2 for name in COUNTS}, within_seconds=4 * SWEEP_SECONDS)
            await assert_equal(view, stripe)
            assert view.messages == messages
        assert view.unchanged == []
        assert view.backwards == []
        await server.terminate()
        assert not server.left()


async def set_up(client: Client) -> Any:
    """Stream, credential, consumer and a sync of all six collections; returns the consumer."""
    stream = (await client.post("/v1/streams", {"slug": "main"})).expect(201)
    properties = {"kind": "stripe_key", "secret": KEY}
    credential = (await client.post("/v1/credentials", {"properties": properties})).expect(201)
    consumer = (await client.post("/v1/http-consumers", {"stream_id": stream["id"]})).expect(201)
    sync = {
        "provider": "stripe",
        "name": "Acme",
        "stream_id": stream["id"],
        "credential_id": credential["id"],
        "collection_ids": list(COLLECTION_IDS.values()),
        "rate_limit": RATE_LIMIT,
    }
    (await client.post("/v1/syncs", sync)).expect(201)
    return consumer


class Account:
    """What is in localstripe, and how it is changed there."""

    def __init__(self, stripe: Localstripe) -> None:
        self.stripe = stripe
        self._numbers = itertools.count(1)
        self._ids: dict[str, list[str]] = {name: [] for name in COUNTS}
        self._forms: dict[str, Callable[[int], dict[str, Any]]] = {
            "customers": self._new_customer,
            "products": self._new_product,
            "plans": self._new_plan,
            "coupons": self._new_coupon,
            "subscriptions": self._new_subscription,
            "invoices": self._new_invoice,
        }

    async def fill(self) -> None:
        """Makes `COUNTS`. An invoice comes with each subscription."""
        for name in ("customers", "products", "plans", "coupons", "subscriptions"):
            for _ in range(COUNTS[name]):
                await self.insert(name)
        made = {name: len(await self.stripe.list(name)) for name in COUNTS}
        assert made == COUNTS
        assert sum(made.values()) == 231

    async def insert(self, name: str) -> tuple[str, Found]:
        """A new object; returns its id, and what tells that a record shows the change."""
        made = await self.stripe.create(name, **self._forms[name](next(self._numbers)))
        self._ids[name].append(made["id"])
        return made["id"], lambda held: not held.deleted

    async def update(self, name: str) -> tuple[str, Found]:
        """Changes the oldest object; returns as `insert` does."""
        object_id, number = self._ids[name][0], next(self._numbers)
        if name == "subscriptions":  # localstripe takes no metadata for these
            at = 2_000_000_000 + number
            await self.stripe.update(name, object_id, cancel_at=at)
            return object_id, lambda held: held.data["cancel_at"] == at
        await self.stripe.update(name, object_id, metadata={"mark": str(number)})
        return object_id, lambda held: held.data["metadata"].get("mark") == str(number)

    async def delete(self, name: str) -> tuple[str, Found]:
        """Deletes the newest object, on which nothing hangs; a subscription is canceled and stays."""
        object_id = self._ids[name].pop()
        await self.stripe.delete(name, object_id)
        if name == "subscriptions":
            return object_id, lambda held: held.data["status"] == "canceled" and not held.deleted
        return object_id, lambda held: held.deleted

    def _new_customer(self, number: int) -> dict[str, Any]:
        return {"name": f"Customer {number}", "email": f"customer{number}@example.com", "balance": -number}

    def _new_product(self, number: int) -> dict[str, Any]:
        return {"name": f"Product {number}", "description": "Größe “L” 🚀"}

    def _new_plan(self, number: int) -> dict[str, Any]:
        # Nobody has a payment method here: the plans that are subscribed to are free.
        amount = 0 if len(self._ids["plans"]) < 4 else 100 * number
        product = self._ids["products"][number % 4]
        return {"product": product, "amount": amount, "currency": "eur", "interval": "month"}

    def _new_coupon(self, number: int) -> dict[str, Any]:
        return {"id": f"coupon/{number} ä", "percent_off": 12.5, "duration": "once"}

    def _new_subscription(self, number: int) -> dict[str, Any]:
        customer = self._ids["customers"][len(self._ids["subscriptions"]) % 100]
        return {"customer": customer, "items": [{"plan": self._ids["plans"][number % 4]}]}

    def _new_invoice(self, number: int) -> dict[str, Any]:
        return {"customer": self._ids["customers"][0], "subscription": self._ids["subscriptions"][0]}


async def change_everything(account: Account, view: View, *, rounds: int) -> list[Delay]:
    """Inserts, updates and deletes in all collections side by side; each waits until the consumer holds it."""
    delays: list[Delay] = []
    others = [name for name in COUNTS if name != "customers"]
    async with asyncio.TaskGroup() as group:
        swept = [group.create_task(change(account, view, name, delays, rounds=rounds)) for name in others]
        while not all(task.done() for task in swept):
            await change(account, view, "customers", delays, rounds=1)
    return delays


async def change(account: Account, view: View, name: str, delays: list[Delay], *, rounds: int) -> None:
    """An insert, an update and a deletion after the other, so many times."""
    for act, make in rounds * (("insert", account.insert), ("update", account.update), ("delete", account.delete)):
        sent_at = time.monotonic()
        object_id, shows = await make(name)
        await view.until(
            partial(_shown, view, (COLLECTION_IDS[name], object_id), shows),
            within_seconds=FEED_SECONDS if name == "customers" else SWEEP_SECONDS,
            what=f"{act} of {object_id}",
        )
        delays.append(Delay(name, act, time.monotonic() - sent_at))


def _shown(view: View, key: Key, shows: Found) -> bool:
    return key in view.records and shows(view.records[key])


def show(delays: list[Delay]) -> None:
    """The delays as a table: how many, the middle one and the longest, in seconds."""
    print(f"\n{'collection':<14}{'change':<9}{'times':>5}{'median':>8}{'longest':>9}")
    for name, act in itertools.product(COUNTS, ("insert", "update", "delete")):
        found = sorted(delay.seconds for delay in delays if (delay.collection, delay.change) == (name, act))
        print(f"{name:<14}{act:<9}{len(found):>5}{statistics.median(found):>8.2f}{found[-1]:>9.2f}")


async def assert_equal(view: View, stripe: Localstripe) -> None:
    """The consumer's view is what localstripe lists, by JSON value, within a sweep's time."""
    listed = {name: {made["id"]: made for made in await stripe.list(name)} for name in COUNTS}

    def differing() -> list[str]:
        return [name for name in COUNTS if text(view.live(COLLECTION_IDS[name])) != text(listed[name])]

    await view.until(lambda: not differing(), within_seconds=SWEEP_SECONDS, what="the view equals localstripe")


def text(value: Any) -> str:
    """Equal for equal JSON values, and for nothing else."""
    return json.dumps(value, sort_keys=True)
