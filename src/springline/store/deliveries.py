"""What consumers are handed, and what they say of it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from springline.store.database import Database, Row
from springline.store.statements import load_statements

Verb = Literal["ack", "nack", "extend", "term"]


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


class Redriven(NamedTuple):
    """How many dead letters were taken, and how many of their messages became available."""

    taken: int
    available: int


class Standing(NamedTuple):
    """How many messages of a consumer are out, and how many may be. `oldest`: where there are so many, the record
    number of the one that has been out longest."""

    ack_pending: int
    max_ack_pending: int
    paused: bool
    oldest: int | None


class DeliveryStore:
    """Deliveries of any consumer. Methods return None where the consumer is unknown."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("deliveries")

    async def receive(
        self,
        stream_no: int,
        consumer_no: int,
        *,
        batch_size: int,
        most_bytes: int,
        overhead_bytes: int,
        receiver: str | None = None,
    ) -> Batch | None:
        """Hands out messages: at most `batch_size`, and `most_bytes` of them (but one), each counted with its data and
        `overhead_bytes`. `receiver`: who is noted for them."""
        rows = await self._database.fetch(
            self._sql["receive"], stream_no, consumer_no, batch_size, most_bytes, overhead_bytes, receiver
        )
        if not rows:
            return None
        first = rows[0]
        return Batch(rows if first["idx"] is not None else [], first["ack_pending"], first["drained"])

    async def settle(
        self,
        verb: Verb,
        stream_no: int,
        consumer_no: int,
        tokens: Sequence[Token],
        *,
        delay_us: int | None = None,
        reason: str | None = None,
    ) -> Settled | None:
        """Acks, nacks (again after `delay_us`), extends or gives up (for a `reason`) deliveries; a token that is not
        exactly a running delivery is stale and skipped."""
        arguments: list[object] = [
            stream_no,
            consumer_no,
            [token.record_no for token in tokens],
            [token.idx for token in tokens],
            [token.delivery_no for token in tokens],
        ]
        if verb == "nack":
            arguments.append(delay_us)
        elif verb == "term":
            arguments.append(reason)
        row = await self._database.fetch_row(self._sql[verb], *arguments)
        return None if row is None else Settled(row["stale"], row["available"])

    async def redrive(
        self, stream_no: int, consumer_no: int, *, record_nos: Sequence[int] | None, most: int
    ) -> Redriven | None:
        """Delivers dead letters again: of these records, or the first ones; at most `most`."""
        row = await self._database.fetch_row(self._sql["redrive"], stream_no, consumer_no, record_nos, most)
        return None if row is None else Redriven(*row)

    async def standing(self, stream_no: int, consumer_no: int) -> Standing | None:
        row = await self._database.fetch_row(self._sql["standing"], stream_no, consumer_no)
        return None if row is None else Standing(*row)

    async def list_pending(self, stream_no: int, consumer_no: int, *, after: int, limit: int) -> list[Row]:
        """Deliveries by record number, above one, with what their records are now."""
        return await self._database.fetch(self._sql["list_pending"], stream_no, consumer_no, after, limit)

    async def list_dead_letters(
        self, stream_no: int, consumer_no: int, *, after: int, limit: int, most_bytes: int, overhead_bytes: int
    ) -> list[Row]:
        """Dead letters by record number, above one, with the fields of their records' current versions (null: the
        record has left). `more` in every row: others did not fit `most_bytes`."""
        return await self._database.fetch(
            self._sql["list_dead_letters"], stream_no, consumer_no, after, limit, most_bytes, overhead_bytes
        )

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
