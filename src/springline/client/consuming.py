"""Reading a consumer for ever: receive, hand out, acknowledge what was handled."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Final, TypeVar

from springline.client.consumers import Consumers
from springline.client.errors import ApiError, ClientError, Unreachable
from springline.client.objects import Message

_log = logging.getLogger("springline.client")
_FIRST_PAUSE: Final = timedelta(milliseconds=200)
_LONGEST_PAUSE: Final = timedelta(seconds=5)
#: What is handled is acknowledged at the end of a batch, or after this time in the midst of one.
_ACK_AT_LEAST_EVERY: Final = timedelta(seconds=1)
Done = TypeVar("Done")


class Messages:
    """An endless iterator of messages. A message is acknowledged after its body has ended, in batches.

        async with springline.consume(consumer_id) as messages:
            async for message in messages:
                ...

    When the block is left, what was handled (also a body left by `break`) is acknowledged and the rest given back at
    once; without `async with` that waits for the consumer's ack wait. A body that raises leaves its message to be
    delivered again. While bodies run, the ack wait of the messages behind them is extended; a single body must end
    within two thirds of it.

    A server that goes away after the first answer is waited for, however long that takes. Other errors are raised.
    """

    def __init__(self, consumers: Consumers, consumer_id: str, *, batch_size: int, wait_for: timedelta) -> None:
        self._consumers = consumers
        self._consumer_id = consumer_id
        self._batch_size = batch_size
        self._wait_for = wait_for
        self._ack_wait: timedelta | None = None
        self._waiting: deque[Message] = deque()
        self._current: Message | None = None
        self._handled: list[str] = []
        self._deadline_set_at = 0.0
        self._acked_at = 0.0

    def __aiter__(self) -> "Messages":
        return self

    async def __anext__(self) -> Message:
        if self._ack_wait is None:
            consumer = await self._consumers.get(self._consumer_id)
            self._ack_wait = timedelta(milliseconds=consumer.ack_wait_ms)
        if self._current is not None:
            self._handled.append(self._current.ack_token)
            self._current = None
        await self._acknowledge()
        await self._keep(self._ack_wait)
        while not self._waiting:
            self._deadline_set_at = time.monotonic()
            received = await _patiently(
                lambda: self._consumers.next(self._consumer_id, batch_size=self._batch_size, wait_for=self._wait_for)
            )
            self._waiting.extend(received.data)
        self._current = self._waiting.popleft()
        return self._current

    async def _acknowledge(self) -> None:
        now = time.monotonic()
        if self._handled and (not self._waiting or now - self._acked_at >= _ACK_AT_LEAST_EVERY.total_seconds()):
            await _patiently(lambda: self._consumers.ack(self._consumer_id, self._handled))
            self._handled.clear()
            self._acked_at = now

    async def _keep(self, ack_wait: timedelta) -> None:
        """Keeps the messages that wait here ours. What may be another receiver's by now is dropped: it comes again."""
        age = time.monotonic() - self._deadline_set_at
        if not self._waiting or age < ack_wait.total_seconds() / 3:
            return
        if age < ack_wait.total_seconds():
            before = time.monotonic()
            stale = await _patiently(
                lambda: self._consumers.extend(self._consumer_id, [message.ack_token for message in self._waiting])
            )
            if not stale:
                self._deadline_set_at = before
                return
        self._waiting.clear()

    async def __aenter__(self) -> "Messages":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._current is not None and kind is None:
            self._handled.append(self._current.ack_token)
        elif self._current is not None:
            self._waiting.appendleft(self._current)
        self._current = None
        rest = [message.ack_token for message in self._waiting]
        self._waiting.clear()
        try:
            await self._consumers.ack(self._consumer_id, self._handled)
            await self._consumers.nack(self._consumer_id, rest)
        except ClientError as failure:  # the ack wait does the same, later
            _log.warning("messages were not given back: %s", failure)


async def _patiently(call: Callable[[], Awaitable[Done]]) -> Done:
    """The call's result, after as many tries as it takes while the server cannot be reached."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call()
        except (Unreachable, ApiError) as error:
            if isinstance(error, ApiError) and error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            if pause == _FIRST_PAUSE:
                _log.warning("%s; trying again until it answers", error)
        await asyncio.sleep(pause.total_seconds())
        pause = min(pause * 2, _LONGEST_PAUSE)
