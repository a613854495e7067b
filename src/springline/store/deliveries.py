"""What consumers are handed, and what they say of it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from springline.store.database import Database, Row
from springline.store.statements import load_statements

Verb = Literal["ack", "nack", "extend"]


class Token(NamedTuple):
    """Names one delivery: a record, the version handed out, and a number that is never used twice."""

    record_no: int
    idx: int
    delivery_no: int


class Batch(NamedTuple):
    """What one receive handed out: rows with the fields of `receive_v1`. `drained`: nothing was left behind."""

    rows: list[Row]
    ack_pending: int
    drained: bool


class Settled(NamedTuple):
    """How many tokens were stale, and how many messages became available at once."""

    stale: int
    available: int


class DeliveryStore:
    """Deliveries of any consumer. Methods return None where the consumer is unknown."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("deliveries")

    async def receive(
        self, stream_no: int, consumer_no: int, *, batch_size: int, most_bytes: int, overhead_bytes: int
    ) -> Batch | None:
        """Hands out messages: at most `batch_size`, and `most_bytes` of them (but one), each counted with its data and
        `overhead_bytes`."""
        rows = await self._database.fetch(
            self._sql["receive"], stream_no, consumer_no, batch_size, most_bytes, overhead_bytes
        )
        if not rows:
            return None
        first = rows[0]
        return Batch(rows if first["idx"] is not None else [], first["ack_pending"], first["drained"])

    async def settle(
        self, verb: Verb, stream_no: int, consumer_no: int, tokens: Sequence[Token], *, delay_us: int | None = None
    ) -> Settled | None:
        """Acks, nacks (again after `delay_us`) or extends deliveries; a token that is not exactly a running delivery
        is stale and skipped."""
        arguments: list[object] = [
            stream_no,
            consumer_no,
            [token.record_no for token in tokens],
            [token.idx for token in tokens],
            [token.delivery_no for token in tokens],
        ]
        if verb == "nack":
            arguments.append(delay_us)
        row = await self._database.fetch_row(self._sql[verb], *arguments)
        return None if row is None else Settled(row["stale"], row["available"])

    async def reset(self, stream_no: int, consumer_no: int, position: int) -> bool:
        """Moves the position; False if the consumer is unknown."""
        return bool(await self._database.fetch_value(self._sql["reset"], stream_no, consumer_no, position))

    async def pending(self, stream_no: int, consumer_no: int, most: int) -> int | None:
        """How many messages are still to be delivered, at most `most`."""
        count: int | None = await self._database.fetch_value(self._sql["pending"], stream_no, consumer_no, most)
        return count

    async def position_at(self, stream_no: int, at_us: int) -> int:
        """The position just below the first message that entered at or after a time (µs since 1970)."""
        return int(await self._database.fetch_value(self._sql["position_at"], stream_no, at_us))

    async def head_idx(self, stream_no: int) -> int:
        return int(await self._database.fetch_value(self._sql["head_idx"], stream_no) or 0)
