"""Wake-ups: after a commit, whoever waits for a stream is told; never inside the commit (design, section 5).

Receivers of this process are woken directly; those of others by one merged NOTIFY per process and 5 ms. A notification
can be lost: everybody who waits also looks by themselves.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from springline import telemetry
from springline.store.database import UNAVAILABLE, Apart, Database

log = telemetry.logger("wakeups")

MERGE_SECONDS: Final = 0.005
_STREAMS: Final = "springline_streams"
_SYNCS: Final = "springline_syncs"
_OWNERS: Final = "springline_owners"
_NOTIFY: Final = "SELECT pg_notify($1, $2)"
#: A NOTIFY's payload ends at 8,000 bytes.
_MOST_STREAMS: Final = 700
_RECONNECT_SECONDS: Final = 1.0


class Wakeups:
    """Tells this process's waiters, and those of others, that a stream moved or that syncs were configured; and passes
    words between those who ask the holder of a lease and the holder."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[int, asyncio.Event] = {}
        self._moved: set[int] = set()
        self._syncs_changed = False
        self._sending: asyncio.Task[None] | None = None
        self._on_syncs: Callable[[], None] = lambda: None
        self._words: list[str] = []
        self._on_word: Callable[[str], None] = lambda word: None
        #: Listens and notifies; None while it is being made anew.
        self._connection: Apart | None = None

    def on_syncs(self, callback: Callable[[], None]) -> None:
        """Called when syncs were configured, in whatever process."""
        self._on_syncs = callback

    def moved(self, stream_no: int) -> None:
        """A stream has new messages, or some that became available again."""
        self._wake(stream_no)
        self._moved.add(stream_no)
        self._send_soon()

    def configured(self) -> None:
        """Syncs were made, changed or deleted."""
        self._on_syncs()
        self._syncs_changed = True
        self._send_soon()

    def on_word(self, callback: Callable[[str], None]) -> None:
        """Called with what another process tells the holders of leases and those who ask them."""
        self._on_word = callback

    def tell(self, word: str) -> None:
        """Tells every other process; at most 8,000 bytes."""
        self._words.append(word)
        self._send_soon()

    def ticket(self, stream_no: int) -> asyncio.Event:
        """To be taken before looking: it is set by whatever moves the stream from now on."""
        return self._waiting.setdefault(stream_no, asyncio.Event())

    async def wait(self, ticket: asyncio.Event, *, seconds: float) -> None:
        """Returns when the stream moved since the ticket was taken, or after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ticket.wait()

    def wake_all(self) -> None:
        """Wakes everybody who waits in this process."""
        for stream_no in list(self._waiting):
            self._wake(stream_no)

    async def run(self, stop: asyncio.Event) -> None:
        """Listens to other processes until `stop`; a lost connection is made anew."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                try:
                    await self._listen(stopped)
                except Exception as error:  # most likely the database is not there; whoever waits looks by themselves
                    log.debug("wakeups.not_listening", fault=type(error).__name__)
                    await asyncio.wait([stopped], timeout=_RECONNECT_SECONDS)
        finally:
            stopped.cancel()
            if self._sending is not None:
                self._sending.cancel()
            await asyncio.gather(stopped, return_exceptions=True)

    async def _listen(self, stopped: "asyncio.Task[Any]") -> None:
        connection = await self._database.connect_apart()
        own_pid = connection.get_server_pid()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())

        def hear(_connection: object, pid: int, channel: str, payload: object) -> None:
            if pid == own_pid:
                return  # this process's waiters were woken directly
            if channel == _OWNERS:
                self._on_word(str(payload))
                return
            if channel == _SYNCS:
                self._on_syncs()
            for stream_no in str(payload).split():
                self._wake(int(stream_no))

        try:
            for channel in (_STREAMS, _SYNCS, _OWNERS):
                await connection.add_listener(channel, hear)
            self._connection = connection
            losing = asyncio.create_task(lost.wait())
            try:
                await asyncio.wait([stopped, losing], return_when=asyncio.FIRST_COMPLETED)
            finally:
                losing.cancel()
        finally:
            self._connection = None
            connection.terminate()

    def _wake(self, stream_no: int) -> None:
        event = self._waiting.pop(stream_no, None)
        if event is not None:
            event.set()

    def _send_soon(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._moved or self._syncs_changed or self._words:
            await asyncio.sleep(MERGE_SECONDS)
            moved, self._moved = sorted(self._moved), set()
            syncs_changed, self._syncs_changed = self._syncs_changed, False
            words, self._words = self._words, []
            connection = self._connection
            if connection is None:
                continue  # lost: whoever waits looks by themselves
            with suppress(*UNAVAILABLE):
                for start in range(0, len(moved), _MOST_STREAMS):
                    payload = " ".join(map(str, moved[start : start + _MOST_STREAMS]))
                    await connection.execute(_NOTIFY, _STREAMS, payload)
                if syncs_changed:
                    await connection.execute(_NOTIFY, _SYNCS, "")
                for word in words:
                    await connection.execute(_NOTIFY, _OWNERS, word)
