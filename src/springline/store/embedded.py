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
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg

from springline.store.cluster import DATABASE, ROLE, check_version
from springline.store.data_directory import DataDirectory, EmbeddedPostgresError, refusing
from springline.store.file_locks import FileLock
from springline.store.postgres_binaries import installed_binaries
from springline.store.postmaster import Postmaster
from springline.store.socket_directory import PORT, find_socket_directory, remove_socket_directory

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_log = logging.getLogger(__name__)

Connection: TypeAlias = asyncpg.Connection  # of asyncpg.Record

READY: Final = "ready"

_POLL_SECONDS = 0.02
_TICK_SECONDS = 0.25
#: A new connection shows what an old one does not: a socket that is gone, a server that refuses newcomers.
_RECHECK_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
#: How long `open` waits while nothing moves; a recovery that moves on may take as long as it takes.
_UNMOVED_SECONDS = 60.0
#: How long a PostgreSQL may live without a socket, or refuse everybody because it stops, before we stop it.
_UNREACHABLE_SECONDS = 10.0
_STOPPING_SECONDS = 1.0
_FAST_STOP_SECONDS = 10.0
_IMMEDIATE_STOP_SECONDS = 10.0
_RESTART_SECONDS = 1.0
_RETRY_SECONDS = 5.0


#: What a connection raises that breaks, or that nobody answers in time (TimeoutError is an OSError).
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class _Answer(Enum):
    NOBODY = "no server at the socket"
    SILENT = "no answer in time"
    STARTING = "starting or recovering"
    STOPPING = "shutting down"
    FULL = "all connections are in use"


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
        return self._connect_to(DATABASE)

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
                newcomer = await self._knock()
                if isinstance(newcomer, _Answer) and newcomer is not _Answer.FULL:
                    return
                if not isinstance(newcomer, _Answer):
                    await newcomer.close(timeout=1)
                if self._supervises:
                    await asyncio.to_thread(self._postmaster.trim_log)

    async def _until_it_answers(self) -> Connection:
        """A connection to the maintenance database; as supervisor, starts what has stopped.

        Raises EmbeddedPostgresError when PostgreSQL ends while it starts, or nothing moves any more.
        """
        patience = _Patience(time.monotonic())
        while True:
            answer = await self._knock()
            if not isinstance(answer, _Answer):
                self._unproven = False
                self._say(READY)
                return answer
            self._try_to_supervise()
            patience.see(answer, self._postmaster.log_bytes(), now=time.monotonic())
            if answer is not _Answer.NOBODY or self._postmaster.lives():
                self._say(self._waiting_for(answer))
                self._stop_what_is_stuck(answer, patience)
            elif self._supervises:
                await self._start(retry=patience.seconds < _UNMOVED_SECONDS / 2)
                patience.renew(now=time.monotonic())
            else:
                self._say("starting: waiting for the process that supervises PostgreSQL")
            if patience.unmoved_seconds > _UNMOVED_SECONDS:
                raise EmbeddedPostgresError(self._nothing_moves(answer))
            await asyncio.sleep(_POLL_SECONDS if patience.seconds < 2 else _TICK_SECONDS)

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

    def _stop_what_is_stuck(self, answer: _Answer, patience: "_Patience") -> None:
        # Told to stop while clients are connected, PostgreSQL waits for them and refuses everybody else for ever.
        grace_seconds = {_Answer.STOPPING: _STOPPING_SECONDS, _Answer.NOBODY: _UNREACHABLE_SECONDS}.get(answer)
        if not self._supervises or grace_seconds is None or not patience.stops:
            return
        if patience.same_seconds > grace_seconds + (2 - len(patience.stops)) * _FAST_STOP_SECONDS:
            number = patience.stops.pop(0)
            if self._postmaster.send(number):
                _log.warning("PostgreSQL: %s; stopped with %s, to start it anew", answer.value, number.name)

    def _waiting_for(self, answer: _Answer) -> str:
        if answer is _Answer.STARTING:
            said = [line.partition("LOG:  ")[2] for line in self._postmaster.log_lines() if "LOG:  " in line]
            if any("interrupted" in line or "recovery" in line or "redo" in line for line in said):
                return f"recovering: PostgreSQL repeats what its last run had not finished ({said[-1]})"
            return "starting: PostgreSQL is being started"
        if answer is _Answer.NOBODY and not self._unproven:
            return "starting: PostgreSQL is not there yet, or its last processes have not ended yet"
        if answer is _Answer.NOBODY:
            return "starting: PostgreSQL is being started"
        return f"starting: PostgreSQL is {answer.value}"

    def _nothing_moves(self, answer: _Answer) -> str:
        where = f"the PostgreSQL of {self._directory.path} has not moved for {_UNMOVED_SECONDS:.0f} s"
        if answer is _Answer.NOBODY:
            return f"{where}: processes of it live, but none answers. End them, then start again"
        return f"{where} ({answer.value}): look into {self._directory.log}, or at a disk that hangs"

    # Connections -----------------------------------------------------------------------------------

    async def _knock(self) -> Connection | _Answer:
        """A verified connection, or what stood in its way."""
        if find_socket_directory(self._directory) is None:
            return _Answer.NOBODY
        try:
            connection: Connection = await asyncpg.connect(
                **self._connect_to("postgres"),
                timeout=_CONNECT_SECONDS,
                server_settings={"application_name": "springline: watch"},
            )
        except (FileNotFoundError, ConnectionRefusedError):
            return _Answer.NOBODY
        except asyncpg.CannotConnectNowError as error:
            return _Answer.STOPPING if "shutting down" in str(error) else _Answer.STARTING
        except asyncpg.TooManyConnectionsError:
            return _Answer.FULL
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise EmbeddedPostgresError(
                f"the PostgreSQL of {self._directory.path} was started by another user and does not know this one: "
                "run this command as that user"
            ) from error
        except _LOST:
            return _Answer.SILENT
        return await self._verified(connection)

    async def _verified(self, connection: Connection) -> Connection | _Answer:
        try:
            served: str = await connection.fetchval("SHOW data_directory", timeout=_CONNECT_SECONDS)
        except _LOST:
            connection.terminate()
            return _Answer.SILENT
        if _is_same(served, self._directory.cluster):
            return connection
        connection.terminate()
        raise EmbeddedPostgresError(
            f"at the socket of {self._directory.path} answers a PostgreSQL that runs on {served}: was the directory "
            "moved or copied while it was in use? Stop what uses it, then start again"
        )

    async def _ensure_database(self, connection: Connection) -> None:
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                # Another process may be making it at this moment.
                with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
        except _LOST as error:
            raise EmbeddedPostgresError(
                f"the database could not be made in {self._directory.path}: {error}. PostgreSQL's log is "
                f"{self._directory.log}"
            ) from error

    def _connect_to(self, database: str) -> dict[str, Any]:
        folder = find_socket_directory(self._directory) or self._directory.path / "run"
        # ssl: not even PGSSLMODE in our environment may ask for it on a socket.
        return {"host": str(folder), "port": PORT, "user": ROLE, "database": database, "ssl": False}

    async def _drop_connection(self) -> None:
        if self._connection is not None:
            with suppress(*_LOST):
                await self._connection.close(timeout=1)
            self._connection = None

    def _say(self, state: str) -> None:
        if state != self._state:
            self._state = state
            if self._on_state is not None:
                self._on_state(state)


class _Patience:
    """What was seen while waiting: since when the answer is the same, and when anything last moved."""

    def __init__(self, now: float) -> None:
        self._begun_at = self._same_since = self._moved_at = self._now = now
        self._answer: _Answer | None = None
        self._log_bytes = 0
        self.stops = [signal.SIGINT, signal.SIGQUIT]

    def see(self, answer: _Answer, log_bytes: int, *, now: float) -> None:
        self._now = now
        if answer is not self._answer:
            self._same_since = self._moved_at = now
        if log_bytes != self._log_bytes:
            self._moved_at = now
        self._answer, self._log_bytes = answer, log_bytes

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


def _is_same(served: str, cluster: Path) -> bool:
    try:
        return os.path.samefile(served, cluster)
    except OSError:
        return False
