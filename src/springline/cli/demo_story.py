"""The demo's story, told through the public HTTP API."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from springline.cli.demo_account import Account, Change
from springline.cli.demo_reader import Held, Reader
from springline.cli.demo_screen import Screen
from springline.cli.errors import CommandFailed
from springline.cli.output import printable, snippet

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Consumer, RateLimit, Record, Stream, Sync

CUSTOMER: Final = "stripe:customer"
#: What a person waits for at most before the demo says that it failed.
_PATIENCE: Final = timedelta(seconds=45)
_CHANGE_EVERY: Final = timedelta(milliseconds=350)
_LOOK_EVERY: Final = timedelta(milliseconds=200)


class Story:
    """Makes stream, credential, sync and consumer, and shows what flows. Raises CommandFailed, ClientError."""

    def __init__(self, springline: "SpringlineClient", screen: Screen, *, keeps_data: bool) -> None:
        self._springline = springline
        self._screen = screen
        self.reader = Reader(keeps_data=keeps_data)

    async def set_up(
        self, secret: str, collections: Sequence[str], *, rate_limit: "RateLimit | None"
    ) -> "tuple[Sync, Consumer]":
        """Steps 1 to 4. Without a rate limit the sync gets what the provider allots to such a key."""
        stream = await self._make_stream()
        self._screen.step(2, "A credential: the account's key, tried out, then encrypted at rest.")
        properties = {"kind": "stripe_key", "secret": secret}
        self._curl("/v1/credentials", {"properties": {**properties, "secret": f"{secret[:8]}…"}})
        credential = await self._springline.credentials.create(properties)
        self._made(f"{printable(credential.name or credential.kind)}, {credential.id}")

        self._screen.step(3, "A sync: keep these collections of this account flowing into that stream.")
        fields: dict[str, Any] = {
            "provider": "stripe",
            "name": "demo",
            "stream_id": stream.id,
            "credential_id": credential.id,
            "collection_ids": list(collections),
        }
        if rate_limit is not None:
            fields["rate_limit"] = rate_limit
        self._curl("/v1/syncs", fields)
        sync = await self._springline.syncs.create(**fields)
        self._made(sync.id)

        self._screen.step(4, "A consumer: a named reader of the stream, with acknowledgement.")
        self._curl("/v1/http-consumers", {"stream_id": stream.id, "name": "demo"})
        consumer = await self._springline.consumers.create(stream_id=stream.id, name="demo")
        self._made(consumer.id)
        return sync, consumer

    def reading(self, consumer: "Consumer") -> AbstractAsyncContextManager[None]:
        """The consumer reads while the block runs."""
        return self.reader.running(self._springline, consumer.id)

    async def watch_backfill(self, sync: "Sync", *, within: timedelta) -> bool:
        """Step 5: True once everything is backfilled and in the consumer's hands, False if time is over before."""
        self._screen.step(5, "The backfill begins, and messages arrive while it runs.")
        began = time.monotonic()
        while True:
            sync = await self._springline.syncs.get(sync.id)
            self._raise_if_dead(sync)
            records = (await self._springline.streams.get(sync.stream_id)).record_count
            requests = sum(progress.requests for progress in sync.progress.values())
            held = self.reader.live().total()
            took = time.monotonic() - began
            if sync.initial_backfill_completed_at is not None and held >= records:
                self._screen.say(
                    f"   {records:,} records with {requests:,} requests in {took:.1f} s, all in the consumer's hands:"
                )
                for collection_id, count in sorted(self.reader.live().items()):
                    self._screen.say(f"     {collection_id:<22} {count:>9,}")
                return True
            if took > within.total_seconds():
                self._show_notes(sync)
                return False
            self._screen.progress(f"{records:,} records synced, {held:,} in the consumer's hands")
            await asyncio.sleep(_LOOK_EVERY.total_seconds())

    async def watch_changes(self, account: Account, *, updates: int, inserts: int, deletes: int) -> list[float]:
        """Step 6: changes the account, and returns after how many milliseconds the consumer held each change."""
        self._screen.step(
            6, f"The account changes: {updates} customers are updated, {inserts} created, {deletes} deleted."
        )
        self._screen.say("   The clock runs from the API's own confirmation to the message in the consumer's hands.")
        ids = sorted(upstream_id for collection_id, upstream_id in self.reader.view if collection_id == CUSTOMER)
        if len(ids) < updates + deletes:
            raise CommandFailed(f"the consumer holds {len(ids)} customers, too few to change {updates + deletes}")
        steps: list[Callable[[], Awaitable[Change]]] = [
            *(partial(account.update, customer_id, mark=f"change {customer_id}") for customer_id in ids[:updates]),
            *(partial(account.insert, f"Ada {number}") for number in range(1, inserts + 1)),
            *(partial(account.delete, customer_id) for customer_id in ids[-deletes:]),
        ]
        watched: list[asyncio.Task[float]] = []
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                for step in steps:
                    watched.append(asyncio.create_task(self._watch(await step())))
                    await asyncio.sleep(_CHANGE_EVERY.total_seconds())
                return list(await asyncio.gather(*watched))
        except TimeoutError:
            missing = sum(not task.done() for task in watched)
            raise CommandFailed(
                f"{missing} of {len(steps)} changes did not reach the consumer within {_PATIENCE.total_seconds():.0f} s"
            ) from None
        finally:
            for task in watched:
                task.cancel()

    async def compare(self, account: Account) -> None:
        """Step 7: the consumer's view against the account. Raises CommandFailed if they stay different."""
        self._screen.step(7, "The consumer's view against the account itself.")
        until = time.monotonic() + _PATIENCE.total_seconds()
        while different := self._differences(await account.customers()):
            if time.monotonic() > until:
                raise CommandFailed(f"{len(different)} customers differ from the account, for example {different[0]}")
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
        again = "none twice" if not self.reader.repeated else f"{self.reader.repeated:,} of them again"
        count = self.reader.live()[CUSTOMER]
        self._screen.say(f"   {count:,} customers, every field equal; {self.reader.messages:,} messages, {again}")

    def _differences(self, there: Mapping[str, Any]) -> list[str]:
        """The customers that are missing, too many, or not equal by the JSON value of their data."""
        here = {
            upstream_id: held.record.parsed()
            for (collection_id, upstream_id), held in self.reader.view.items()
            if collection_id == CUSTOMER
        }
        unequal = [customer_id for customer_id in there.keys() & here.keys() if there[customer_id] != here[customer_id]]
        return sorted([*(there.keys() ^ here.keys()), *unequal])

    async def follow(self, *, within: timedelta) -> None:
        """Shows what arrives for a while."""
        self.reader.listen(self._show_record)
        until = time.monotonic() + within.total_seconds()
        while (left := until - time.monotonic()) > 0:
            self._screen.progress(f"{self.reader.live().total():,} records in the consumer's hands; {left:.0f} s to go")
            await asyncio.sleep(min(left, _LOOK_EVERY.total_seconds()))

    def summarise(self, milliseconds: Sequence[float]) -> None:
        self._screen.say()
        self._screen.say(
            f"{len(milliseconds)} changes, each in the consumer's hands after {min(milliseconds):,.0f} to "
            f"{max(milliseconds):,.0f} ms (median {statistics.median(milliseconds):,.0f} ms)."
        )

    async def _make_stream(self) -> "Stream":
        self._screen.step(1, "A stream: a durable queue of records.")
        self._curl("/v1/streams", {"slug": "demo"})
        stream = await self._springline.streams.create("demo")
        self._made(stream.id)
        return stream

    async def _watch(self, change: Change) -> float:
        held = await self.reader.hold(lambda: self._holds(change))
        milliseconds = max(0.0, (held.at - change.at) * 1000)
        self._screen.say(f"   {change.kind:<7}  {change.customer_id:<20}  held after {milliseconds:5,.0f} ms")
        return milliseconds

    def _holds(self, change: Change) -> Held | None:
        key = (CUSTOMER, change.customer_id)
        if change.kind == "deleted":
            return self.reader.gone.get(key)
        held = self.reader.view.get(key)
        if held is None or change.mark is None:
            return held
        return held if held.record.parsed()["metadata"].get("seen_in_demo") == change.mark else None

    def _show_record(self, record: "Record") -> None:
        what = "deleted" if record.deleted else "written"
        self._screen.say(f"   {record.collection_id}  {record.upstream_id}  {what}  {snippet(bytes(record.data))}")

    def _raise_if_dead(self, sync: "Sync") -> None:
        """A single collection that fails stops nothing; a dead credential or provider stops everything."""
        for part in (sync.health.credential, sync.health.provider):
            if part is not None and part.status == "error":
                raise CommandFailed(" ".join(map(printable, part.notes)) or "the sync's health says error")

    def _show_notes(self, sync: "Sync") -> None:
        for part in sync.health.collections.values():
            for sentence in part.notes:
                self._screen.say(f"   {printable(sentence)}")

    def _curl(self, path: str, body: Mapping[str, Any]) -> None:
        self._screen.say(f'   curl {self._springline.base_url}{path} -H "Authorization: Bearer $TOKEN" \\')
        self._screen.say(f"     -H 'Content-Type: application/json' -d '{msgspec.json.encode(body).decode()}'")

    def _made(self, what: str) -> None:
        self._screen.say(f"   201  {what}")
