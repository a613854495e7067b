"""Consumers: named readers of a stream, with acknowledgement."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from springline.client.connection import ANSWER_WITHIN, Connection, milliseconds, segment
from springline.client.objects import Consumer, Listing, Received
from springline.client.operations import DeadLetter, PendingMessages

#: The API takes no more in one call.
TOKENS_A_CALL: Final = 10_000
Filters = Mapping[str, str | Sequence[str]]


class _Redriven(Struct):
    redriven: int


class Consumers:
    """Every method raises ClientError. Those that settle messages return how many tokens were stale: their message was
    acknowledged before, or handed out again since."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(
        self, *, stream_id: str | UnsetType = UNSET, metadata: Mapping[str, Any] | UnsetType = UNSET
    ) -> Listing[Consumer]:
        filters = {"stream_id": stream_id, "metadata": metadata}
        return await self._connection.listing("/v1/http-consumers", Consumer, filters)

    async def get(self, consumer_id: str) -> Consumer:
        return await self._connection.get(_path(consumer_id), Consumer)

    async def create(
        self,
        *,
        stream_id: str,
        name: str | UnsetType = UNSET,
        deliver_policy: str | UnsetType = UNSET,
        ack_wait: timedelta | UnsetType = UNSET,
        max_deliver: int | UnsetType = UNSET,
        max_ack_pending: int | UnsetType = UNSET,
        filters: Filters | UnsetType = UNSET,
        metadata: Mapping[str, Any] | UnsetType = UNSET,
        kind: Literal["record", "event"] | UnsetType = UNSET,
    ) -> Consumer:
        """`deliver_policy` is where it starts: `all`, `new`, `last`, a span such as `1h`, or a timestamp."""
        body = {
            "stream_id": stream_id,
            "name": name,
            "deliver_policy": deliver_policy,
            "ack_wait_ms": milliseconds(ack_wait) if isinstance(ack_wait, timedelta) else UNSET,
            "max_deliver": max_deliver,
            "max_ack_pending": max_ack_pending,
            "filters": filters,
            "metadata": metadata,
            "kind": kind,
        }
        return await self._connection.post("/v1/http-consumers", body, Consumer)

    async def update(
        self,
        consumer_id: str,
        *,
        name: str | UnsetType = UNSET,
        status: Literal["active", "paused"] | UnsetType = UNSET,
        ack_wait: timedelta | UnsetType = UNSET,
        max_deliver: int | UnsetType = UNSET,
        max_ack_pending: int | UnsetType = UNSET,
        filters: Filters | UnsetType = UNSET,
        metadata: Mapping[str, Any] | UnsetType = UNSET,
    ) -> Consumer:
        """Fields left out stay as they are."""
        body = {
            "name": name,
            "status": status,
            "ack_wait_ms": milliseconds(ack_wait) if isinstance(ack_wait, timedelta) else UNSET,
            "max_deliver": max_deliver,
            "max_ack_pending": max_ack_pending,
            "filters": filters,
            "metadata": metadata,
        }
        return await self._connection.patch(_path(consumer_id), body, Consumer)

    async def delete(self, consumer_id: str) -> None:
        await self._connection.request("DELETE", _path(consumer_id))

    async def next(self, consumer_id: str, *, batch_size: int = 1, wait_for: timedelta = timedelta(0)) -> Received:
        """Up to `batch_size` (at most 1000) messages; waits up to `wait_for` (at most 60 s) for the first one."""
        answer = await self._connection.request(
            "POST",
            f"{_path(consumer_id)}/next",
            body={"batch_size": batch_size, "wait_for": milliseconds(wait_for)},
            within=ANSWER_WITHIN + wait_for,
        )
        return self._connection.read(answer, Received)

    async def ack(self, consumer_id: str, ack_tokens: Sequence[str]) -> int:
        """Done with these messages."""
        return await self._settle(consumer_id, "ack", ack_tokens)

    async def nack(self, consumer_id: str, ack_tokens: Sequence[str], *, delay: timedelta | None = None) -> int:
        """Gives these messages back: to be handed out again at once, or after `delay`."""
        fields = {} if delay is None else {"delay_ms": milliseconds(delay)}
        return await self._settle(consumer_id, "nack", ack_tokens, fields)

    async def extend(self, consumer_id: str, ack_tokens: Sequence[str]) -> int:
        """Starts the ack wait of these messages anew."""
        return await self._settle(consumer_id, "extend", ack_tokens)

    async def term(self, consumer_id: str, ack_tokens: Sequence[str], reason: str) -> int:
        """Gives these messages up: they are kept as dead letters."""
        return await self._settle(consumer_id, "term", ack_tokens, {"reason": reason})

    async def pending(
        self, consumer_id: str, *, limit: int | UnsetType = UNSET, cursor: str | UnsetType = UNSET
    ) -> PendingMessages:
        """What is in flight, and whether that stops delivery."""
        query = {"limit": limit, "cursor": cursor}
        answer = await self._connection.request("GET", f"{_path(consumer_id)}/pending", query=query)
        return self._connection.read(answer, PendingMessages)

    async def dead_letters(self, consumer_id: str) -> Listing[DeadLetter]:
        """What was given up: after `max_deliver` deliveries, or by `term`."""
        return await self._connection.listing(f"{_path(consumer_id)}/dead-letters", DeadLetter)

    async def redrive(self, consumer_id: str, record_ids: Sequence[str] | UnsetType = UNSET) -> int:
        """Has dead letters (of these records; default: all, at most 10,000) delivered again. Returns how many."""
        path = f"{_path(consumer_id)}/dead-letters/redrive"
        answer = await self._connection.request("POST", path, body={"record_ids": record_ids})
        return self._connection.decode(answer, _Redriven).redriven

    async def reset(self, consumer_id: str, to: str | int) -> None:
        """Moves the consumer: `beginning`, `end`, a timestamp, or an `updated_idx`."""
        await self._connection.request("POST", f"{_path(consumer_id)}/reset", body={"to": to})

    async def _settle(
        self, consumer_id: str, verb: str, ack_tokens: Sequence[str], fields: Mapping[str, object] | None = None
    ) -> int:
        stale = 0
        for start in range(0, len(ack_tokens), TOKENS_A_CALL):
            body = {"ack_tokens": ack_tokens[start : start + TOKENS_A_CALL], **(fields or {})}
            answer = await self._connection.request("POST", f"{_path(consumer_id)}/{verb}", body=body)
            stale += int(answer.headers.get("X-Stale-Ack-Tokens", "0"))
        return stale


def _path(consumer_id: str) -> str:
    return f"/v1/http-consumers/{segment(consumer_id)}"
