"""The bundled PostgreSQL: joined or started, watched, restarted, and stopped by the last process that uses it.

Four locks in the data directory say who is here. The kernel drops each with its holder, so that a `kill -9`
of anybody at any time leaves nothing behind that lies (ADR 0002).

    users.lock       shared, by every process that uses the directory; whoever gets it alone is the last one
    start.lock       alone, for the short moments of joining and leaving
    supervisor.lock  alone, by the one process that may start PostgreSQL; any other takes over when it is gone
    server.lock      by PostgreSQL's own processes (postmaster.py)
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import asyncpg

from springline.store.cluster import DATABASE, check_version
from springline.store.data_directory import DataDirectory, EmbeddedPostgresError, refusing
from springline.store.file_locks import FileLock
from springline.store.postgres_binaries import installed_binaries
from springline.store.postmaster import Postmaster
from springline.store.probe import LOST, Answer, Connection, close, connect_to, probe
from springline.store.socket_directory import remove_socket_directory

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_log = logging.getLogger(__name__)

READY: Final = "ready"

_POLL_SECONDS = 0.02
_TICK_SECONDS = 0.25
#: A new connection shows what an old one does not: a socket that is gone, a server that refuses newcomers.
_RECHECK_SECONDS = 5.0
#: How long `open` waits while nothing moves; a recovery that moves on may take as long as it takes.
_UNMOVED_SECONDS = 60.0
#: How long a PostgreSQL may live without a socket, or refuse everybody because it stops, before we stop it.
_UNREACHABLE_SECONDS = 10.0
_STOPPING_SECONDS = 1.0
_FAST_STOP_SECONDS = 10.0
_IMMEDIATE_STOP_SECONDS = 10.0
_RESTART_SECONDS = 1.0
_RETRY_SECONDS = 5.0


class EmbeddedPostgres:
    """One process's use of the PostgreSQL in a data directory."""

    def __init__(self, directory: DataDirectory, on_state: Callable[[str], None] | None) -> None:
        """Use `open`."""
        self._directory = directory
        self._on_state = on_state
        self._state = "starting: PostgreSQL has not been reached yet"
        self._postmaster = Postmaster(directory, installed_binaries())
        self._users = FileLock(directory.open_file("users.lock", os.O_RDWR))
        self._turn = FileLock(directory.open_file("start.lock", os.O_RDWR))
        self._supervisor = FileLock(directory.open_file("supervisor.lock", os.O_RDWR))
        self._supervises = False
        self._unproven = False
        self._started_at = -_RESTART_SECONDS
        self._starting: asyncio.Future[bool] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._connection: Connection | None = None

    @classmethod
    async def open(cls, data_dir: Path, *, on_state: Callable[[str], None] | None = None) -> "EmbeddedPostgres":
        """Joins the running server of `data_dir`, or starts one, and returns when it accepts connections.

        `on_state` gets each new value of `state()`. Waits for as long as a recovery moves on. Raises
        EmbeddedPostgresError, one or two sentences with the way out; nothing is left running then.
        """
        directory = await asyncio.to_thread(DataDirectory.prepare, data_dir)
        with refusing(directory.path):
            check_version(directory)
            postgres = cls(directory, on_state)
            try:
                await postgres._join()
                postgres._connection = await postgres._until_it_answers()
                await postgres._ensure_database(postgres._connection)
            except BaseException:
                await postgres.close()
                raise
        postgres._watching = asyncio.create_task(postgres._watch(), name="embedded PostgreSQL")
        return postgres

    @property
    def dsn(self) -> dict[str, Any]:
        """Keyword arguments for `asyncpg.connect` and `create_pool`; the same for as long as this is open."""
        return connect_to(self._directory, DATABASE)

    def state(self) -> str:
        """`ready`, or `starting: …` / `recovering: …` with a sentence on what is being waited for."""
        return self._state

    async def close(self) -> None:
        """Leaves; the last process of the data directory stops the server. May be called twice."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave(), name="leave embedded PostgreSQL")
        await asyncio.shield(self._leaving)

    # Coming and going ------------------------------------------------------------------------------

    async def _join(self) -> None:
        if not await self._take_turn(within_seconds=_UNMOVED_SECONDS):
            raise EmbeddedPostgresError(
                f"another process has been starting or stopping the PostgreSQL of {self._directory.path} for "
                f"{_UNMOVED_SECONDS:.0f} s: look for one that hangs, end it and start again"
            )
        try:
            # Alone it is held only by who stops the server, and that one has the turn.
            self._users.try_shared()
            self._try_to_supervise()
        finally:
            self._turn.release()

    async def _leave(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if self._starting is not None:
            # A thread cannot be cancelled: what it starts has to be stopped.
            await asyncio.wait([self._starting])
        await self._drop_connection()
        try:
            if await self._take_turn(within_seconds=_TICK_SECONDS * 10) and self._users.try_exclusive():
                self._try_to_supervise()
                if self._supervises:
                    await self._stop_server()
        except (OSError, EmbeddedPostgresError) as error:
            _log.warning("PostgreSQL could not be stopped cleanly: %s", error)
        finally:
            # In this order: who takes over must find the server as it is.
            self._postmaster.let_go()
            for lock in (self._supervisor, self._users, self._turn):
                lock.close()
            self._state = "starting: this process has left PostgreSQL"

    async def _stop_server(self) -> None:
        for number, patience_seconds in (
            (signal.SIGINT, _FAST_STOP_SECONDS),
            (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS),
        ):
            if not self._postmaster.lives() or not self._postmaster.send(number):
                break
            deadline = time.monotonic() + patience_seconds
            while self._postmaster.lives():
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(_POLL_SECONDS / 2)
        if self._postmaster.lives():
            _log.warning("PostgreSQL in %s did not stop; the next start will find it", self._directory.path)
            return
        await asyncio.to_thread(remove_socket_directory, self._directory)

    async def _take_turn(self, *, within_seconds: float) -> bool:
        deadline = time.monotonic() + within_seconds
        while not self._turn.try_exclusive():
            if time.monotonic() > deadline:
                return False
            if self._leaving is None:
                self._say("starting: waiting for another process that stops PostgreSQL")
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def _try_to_supervise(self) -> None:
        self._supervises = self._supervises or self._supervisor.try_exclusive()

    # Watching --------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            try:
                if self._connection is None:
                    self._connection = await self._until_it_answers()
                await self._until_it_fails(self._connection)
            except (EmbeddedPostgresError, OSError) as error:
                _log.error("PostgreSQL does not run: %s", error)
                self._say(f"starting: {error}")
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:
                # Nobody else would start PostgreSQL as long as this process lives.
                _log.exception("watching PostgreSQL went wrong")
                await asyncio.sleep(_RETRY_SECONDS)
            await self._drop_connection()

    async def _until_it_fails(self, connection: Connection) -> None:
        """Returns when PostgreSQL has dropped us or refuses newcomers. Takes over supervision meanwhile."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        recheck_at = time.monotonic() + _RECHECK_SECONDS
        while not lost.is_set() and not connection.is_closed():
            with suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), _TICK_SECONDS)
            self._try_to_supervise()
            if time.monotonic() > recheck_at:
                recheck_at = time.monotonic() + _RECHECK_SECONDS
                newcomer = await probe(self._directory)
                if not isinstance(newcomer, Answer):
                    await close(newcomer)
                elif newcomer is not Answer.FULL:
                    return
                if self._supervises:
                    await asyncio.to_thread(self._postmaster.trim_log)

    async def _until_it_answers(self) -> Connection:
        """A connection to the maintenance database; as supervisor, starts what has stopped.

        Raises EmbeddedPostgresError when PostgreSQL ends while it starts, or nothing moves any more.
        """
        patience = _Patience(time.monotonic())
        while True:
            answer = await probe(self._directory)
            if not isinstance(answer, Answer):
                self._unproven = False
                self._say(READY)
                return answer
            self._try_to_supervise()
            said = self._postmaster.said()
            patience.see(answer, said, now=time.monotonic())
            if answer is not Answer.NOBODY or self._postmaster.lives():
                self._say(self._waiting_for(answer, said))
                self._stop_what_is_stuck(answer, patience)
            elif self._supervises:
                await self._start(retry=patience.seconds < _UNMOVED_SECONDS / 2)
                patience.renew(now=time.monotonic())
            else:
                self._say("starting: waiting for the process that supervises PostgreSQL")
            # Whoever supervises may need long for a first start on a slow disk, and says nothing meanwhile.
            if patience.unmoved_seconds > _UNMOVED_SECONDS * (1 if self._supervises else 5):
                raise EmbeddedPostgresError(self._nothing_moves(answer))
            await asyncio.sleep(min(_POLL_SECONDS + patience.seconds / 10, _TICK_SECONDS))

    async def _start(self, *, retry: bool) -> None:
        if self._unproven and self._postmaster.has_failed:
            self._unproven = False
            complaint = self._postmaster.complaint()
            if not (retry and "still in use" in complaint):
                raise EmbeddedPostgresError(
                    f"PostgreSQL stopped while it was starting in {self._directory.path}: {complaint}. "
                    f"Its log is {self._directory.log}"
                )
        self._say("starting: PostgreSQL is being started")
        # One that dies as soon as it answers must not be started a hundred times a minute.
        await asyncio.sleep(self._started_at + _RESTART_SECONDS - time.monotonic())
        self._started_at = time.monotonic()
        self._starting = asyncio.ensure_future(asyncio.to_thread(self._postmaster.start))
        self._unproven = await asyncio.shield(self._starting) or self._unproven

    def _stop_what_is_stuck(self, answer: Answer, patience: "_Patience") -> None:
        # Told to stop while clients are connected, PostgreSQL waits for them and refuses everybody else for ever.
        grace_seconds = {Answer.STOPPING: _STOPPING_SECONDS, Answer.NOBODY: _UNREACHABLE_SECONDS}.get(answer)
        if not self._supervises or grace_seconds is None or not patience.stops:
            return
        if patience.same_seconds > grace_seconds + (2 - len(patience.stops)) * _FAST_STOP_SECONDS:
            number = patience.stops.pop(0)
            if self._postmaster.send(number):
                _log.warning("PostgreSQL: %s; stopped with %s, to start it anew", answer.value, number.name)

    def _waiting_for(self, answer: Answer, said: list[str]) -> str:
        if answer is Answer.STARTING:
            if any("interrupted" in line or "recovery" in line or "redo" in line for line in said):
                return f"recovering: PostgreSQL repeats what its last run had not finished ({said[-1]})"
            return "starting: PostgreSQL is being started"
        if answer is Answer.NOBODY and not self._unproven:
            return "starting: PostgreSQL is not there yet, or its last processes have not ended yet"
        if answer is Answer.NOBODY:
            return "starting: PostgreSQL is being started"
        return f"starting: PostgreSQL is {answer.value}"

    def _nothing_moves(self, answer: Answer) -> str:
        where = f"the PostgreSQL of {self._directory.path} has not moved on for a minute or more"
        if answer is Answer.NOBODY:
            return f"{where}: processes of it live, but none answers. End them, then start again"
        return f"{where} ({answer.value}): look into {self._directory.log}, or at a disk that hangs"

    async def _ensure_database(self, connection: Connection) -> None:
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                # Another process may be making it at this moment.
                with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
        except LOST as error:
            raise EmbeddedPostgresError(
                f"the database could not be made in {self._directory.path}: {error}. PostgreSQL's log is "
                f"{self._directory.log}"
            ) from error

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        await close(connection)

    def _say(self, state: str) -> None:
        if state != self._state:
            self._state = state
            if self._on_state is not None:
                self._on_state(state)


class _Patience:
    """What was seen while waiting: since when the answer is the same, and when anything last moved."""

    def __init__(self, now: float) -> None:
        self._begun_at = self._same_since = self._moved_at = self._now = now
        self._answer: Answer | None = None
        self._said: list[str] = []
        self.stops = [signal.SIGINT, signal.SIGQUIT]

    def see(self, answer: Answer, said: list[str], *, now: float) -> None:
        self._now = now
        if answer is not self._answer:
            self._same_since = self._moved_at = now
        if said[-1:] != self._said[-1:]:
            self._moved_at = now
        self._answer, self._said = answer, said

    def renew(self, *, now: float) -> None:
        """After a start: the new server has all the time that the old one had."""
        self._same_since = self._moved_at = now
        self.stops = [signal.SIGINT, signal.SIGQUIT]

    @property
    def seconds(self) -> float:
        return self._now - self._begun_at

    @property
    def same_seconds(self) -> float:
        return self._now - self._same_since

    @property
    def unmoved_seconds(self) -> float:
        return self._now - self._moved_at
