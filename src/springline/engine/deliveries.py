"""Delivery: receive, ack, nack, extend, reset (design, section 8)."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from springline.domain.ack_tokens import AckToken, decode_ack_token, encode_ack_token
from springline.domain.errors import Refused
from springline.engine.messages import RecordEncoder
from springline.engine.wakeups import Wakeups
from springline.store.deliveries import Batch, DeliveryStore, Token, Verb

#: More receivers than this do not wait on one consumer.
MOST_RECEIVERS: Final = 1000
#: A waiting receiver looks by itself this often: a wake-up can be lost, a deadline can pass.
LOOK_SECONDS: Final = 1.0
#: An answer's size.
MOST_BYTES: Final = 16 * 1024 * 1024
#: `num_pending` is exact up to this, and at most so old.
MOST_PENDING: Final = 10_000
PENDING_SECONDS: Final = 1.0
#: So many dead letters are delivered again by one call: they count as messages that are out.
MOST_REDRIVEN: Final = 10_000
_REDRIVEN_AT_ONCE: Final = 1000
_FEW_RECEIVERS: Final = 1000


class ConsumerPlace(NamedTuple):
    """A consumer as delivery knows it."""

    consumer_no: int
    stream_no: int
    stream_id: uuid.UUID


class Received(NamedTuple):
    """The answer to a receive: its JSON, and how many messages it holds."""

    body: bytes
    messages: int


class _Receivers:
    """Those of this process who wait on one consumer. They look one after the other."""

    __slots__ = ("_found_nothing", "count", "pending", "pending_at", "turn")

    def __init__(self) -> None:
        self.count = 0
        self.turn = asyncio.Lock()
        self.pending = 0
        self.pending_at = float("-inf")
        self._found_nothing: tuple[asyncio.Event, float, Batch] | None = None

    def note_nothing(self, ticket: asyncio.Event, batch: Batch) -> None:
        """One of them has just looked, with this ticket, and there was nothing."""
        self._found_nothing = (ticket, time.monotonic(), batch)

    def known_nothing(self, ticket: asyncio.Event) -> Batch | None:
        """What one of them found so lately that another need not look: nothing, and nothing has moved since."""
        if self._found_nothing is None:
            return None
        found_with, at, batch = self._found_nothing
        is_known = found_with is ticket and not ticket.is_set() and time.monotonic() - at < LOOK_SECONDS / 2
        return batch if is_known else None


class Deliveries:
    """What every receiver of this process goes through."""

    def __init__(self, store: DeliveryStore, encoder: RecordEncoder, wakeups: Wakeups) -> None:
        self._store = store
        self._encoder = encoder
        self._wakeups = wakeups
        self._receivers: dict[int, _Receivers] = {}
        self._prune_at = _FEW_RECEIVERS
        self._draining = False
        #: By organisation and consumer id. Numbers never change; whether one still exists is seen under its row's lock.
        self.places: dict[tuple[uuid.UUID, uuid.UUID], ConsumerPlace] = {}

    def drain(self) -> None:
        """Whoever waits is answered now, with what there is."""
        self._draining = True
        self._wakeups.wake_all()

    async def receive(
        self,
        consumer: ConsumerPlace,
        *,
        batch_size: int,
        wait_seconds: float,
        is_gone: Callable[[], Awaitable[bool]],
        receiver: str | None = None,
    ) -> Received:
        """Waits until at least one message can be delivered, or until `wait_seconds` are over.

        A client that has gone (`is_gone`) before the receive takes nothing. `receiver` is noted for what is handed out.
        Raises Refused if the consumer is unknown, or if too many wait on it.
        """
        receivers = self._receivers.setdefault(consumer.consumer_no, _Receivers())
        if receivers.count >= MOST_RECEIVERS:
            raise Refused(
                "consumer.too_many_receivers",
                f"{MOST_RECEIVERS} receivers wait on this consumer already; use fewer, or larger batches",
            )
        receivers.count += 1
        try:
            batch = await self._receive(receivers, consumer, batch_size, wait_seconds, is_gone, receiver)
            return await self._answer(receivers, consumer, batch)
        finally:
            receivers.count -= 1
            if len(self._receivers) > self._prune_at:
                self._forget_idle()

    def _forget_idle(self) -> None:
        fresh = time.monotonic() - PENDING_SECONDS
        self._receivers = {no: each for no, each in self._receivers.items() if each.count or each.pending_at > fresh}
        self._prune_at = 2 * len(self._receivers) + _FEW_RECEIVERS

    async def settle(
        self,
        verb: Verb,
        consumer: ConsumerPlace,
        tokens: Sequence[str],
        *,
        delay_ms: int | None = None,
        reason: str | None = None,
    ) -> int:
        """Acks, nacks, extends or gives up; returns how many tokens were stale."""
        decoded = [decode_ack_token(token) for token in tokens]
        ours = [
            Token(token.record_no, token.idx, token.delivery_no)
            for token in decoded
            if token is not None and token.consumer_no == consumer.consumer_no
        ]
        foreign = len(tokens) - len(ours)
        if not ours:
            return foreign
        settled = await self._store.settle(
            verb,
            consumer.stream_no,
            consumer.consumer_no,
            ours,
            delay_us=None if delay_ms is None else delay_ms * 1000,
            reason=reason,
        )
        if settled is None:
            raise _unknown()
        if settled.available:
            self._wakeups.moved(consumer.stream_no)
        receivers = self._receivers.get(consumer.consumer_no)
        if receivers is not None and verb == "nack":
            receivers.pending_at = float("-inf")
        return foreign + settled.stale

    async def redrive(self, consumer: ConsumerPlace, record_nos: Sequence[int] | None) -> int:
        """Delivers dead letters again, of these records or all; at most MOST_REDRIVEN. Returns how many."""
        taken = 0
        while taken < MOST_REDRIVEN:
            redriven = await self._store.redrive(
                consumer.stream_no, consumer.consumer_no, record_nos=record_nos, most=_REDRIVEN_AT_ONCE
            )
            if redriven is None:
                raise _unknown()
            taken += redriven.taken
            if redriven.available:
                self._wakeups.moved(consumer.stream_no)
            if redriven.taken < _REDRIVEN_AT_ONCE:
                break
        receivers = self._receivers.get(consumer.consumer_no)
        if receivers is not None:
            receivers.pending_at = float("-inf")
        return taken

    async def reset(self, consumer: ConsumerPlace, *, position: int | None = None, at_us: int | None = None) -> None:
        """Moves the position: to just above an index, to a time (µs), or, with neither, to the end."""
        stream_no = consumer.stream_no
        if at_us is not None:
            position = await self._store.position_at(stream_no, at_us)
        elif position is None:
            position = await self._store.head_idx(stream_no)
        if not await self._store.reset(stream_no, consumer.consumer_no, position):
            raise _unknown()
        self._receivers.pop(consumer.consumer_no, None)
        self._wakeups.moved(stream_no)

    async def _receive(
        self,
        receivers: _Receivers,
        consumer: ConsumerPlace,
        batch_size: int,
        wait_seconds: float,
        is_gone: Callable[[], Awaitable[bool]],
        receiver: str | None,
    ) -> Batch:
        until = time.monotonic() + wait_seconds
        has_looked = False
        while True:
            woken = self._wakeups.ticket(consumer.stream_no)
            async with receivers.turn:
                if await is_gone():
                    return Batch([], 0, True)
                # Of all who wait, one looks after a wake-up or a second, as long as there is nothing.
                batch = receivers.known_nothing(woken) if has_looked else None
                if batch is None:
                    batch = await self._store.receive(
                        consumer.stream_no,
                        consumer.consumer_no,
                        batch_size=batch_size,
                        most_bytes=MOST_BYTES,
                        overhead_bytes=self._encoder.overhead_bytes(),
                        receiver=receiver,
                    )
                    if batch is None:
                        raise _unknown()
                    if not batch.rows:
                        receivers.note_nothing(woken, batch)
                    has_looked = True
            left = until - time.monotonic()
            if batch.rows or left <= 0 or self._draining:
                return batch
            await self._wakeups.wait(woken, seconds=min(left, LOOK_SECONDS))

    async def _answer(self, receivers: _Receivers, consumer: ConsumerPlace, batch: Batch) -> Received:
        records = await self._encoder.encode(consumer.stream_no, consumer.stream_id, batch.rows)
        messages = [
            b'{"ack_token":"%s","deliver_count":%d,"record":%s}'
            % (
                encode_ack_token(
                    AckToken(consumer.consumer_no, row["record_no"], row["idx"], row["delivery_no"])
                ).encode(),
                row["deliver_count"],
                record,
            )
            for row, record in zip(batch.rows, records, strict=True)
        ]
        pending = await self._pending(receivers, consumer, batch)
        capped = b',"num_pending_capped":true' if pending > MOST_PENDING else b""
        info = b'{"num_pending":%d,"num_ack_pending":%d%s}' % (min(pending, MOST_PENDING), batch.ack_pending, capped)
        return Received(b'{"data":[' + b",".join(messages) + b'],"info":' + info + b"}", len(messages))

    async def _pending(self, receivers: _Receivers, consumer: ConsumerPlace, batch: Batch) -> int:
        """Counted at most once a second, unless it might be zero: that is never guessed."""
        now = time.monotonic()
        known = max(0, receivers.pending - len(batch.rows))
        if now - receivers.pending_at < PENDING_SECONDS and not batch.drained and known > 0:
            receivers.pending = known
            return known
        counted = await self._store.pending(consumer.stream_no, consumer.consumer_no, MOST_PENDING + 1)
        receivers.pending, receivers.pending_at = counted or 0, now
        return receivers.pending


def _unknown() -> Refused:
    return Refused("consumer.not_found", "there is no such consumer")
