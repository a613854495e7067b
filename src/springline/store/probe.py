"""Asking the embedded server itself: the only thing that tells whether it is there, and whether it is ours."""

import os
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

from springline.store.cluster import ROLE
from springline.store.data_directory import DataDirectory, EmbeddedPostgresError
from springline.store.socket_directory import PORT, find_socket_directory

Connection: TypeAlias = asyncpg.Connection  # of asyncpg.Record

#: What a connection raises that breaks, or that nobody answers in time (TimeoutError is an OSError).
#: InternalClientError is what asyncpg 0.32 says when the server dies between connecting and the first query.
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_CONNECT_SECONDS = 5.0


class Answer(Enum):
    """Why there is no connection."""

    NOBODY = "not there"
    SILENT = "not answering in time"
    STARTING = "starting or recovering"
    STOPPING = "shutting down"
    FULL = "out of connections"


def connect_to(directory: DataDirectory, database: str) -> dict[str, Any]:
    """Keyword arguments for `asyncpg.connect`."""
    folder = find_socket_directory(directory) or directory.path / "run"
    # ssl: not even PGSSLMODE in our environment may ask for it on a socket.
    return {"host": str(folder), "port": PORT, "user": ROLE, "database": database, "ssl": False}


async def probe(directory: DataDirectory) -> Connection | Answer:
    """A connection to the maintenance database of the directory's own server, or what stood in its way.

    Raises EmbeddedPostgresError if a server answers that is not ours or does not know us.
    """
    if find_socket_directory(directory) is None:
        return Answer.NOBODY
    try:
        connection: Connection = await asyncpg.connect(
            **connect_to(directory, "postgres"),
            timeout=_CONNECT_SECONDS,
            server_settings={"application_name": "springline: watch"},
        )
    except (FileNotFoundError, ConnectionRefusedError):
        return Answer.NOBODY
    except asyncpg.CannotConnectNowError as error:
        return Answer.STOPPING if "shutting down" in str(error) else Answer.STARTING
    except asyncpg.TooManyConnectionsError:
        return Answer.FULL
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise EmbeddedPostgresError(
            f"the PostgreSQL of {directory.path} was started by another user and does not know this one: "
            "run this command as that user"
        ) from error
    except LOST:
        return Answer.SILENT
    return await _verified(directory, connection)


async def close(connection: Connection | None) -> None:
    """Closes a connection that may have been lost already."""
    if connection is not None:
        with suppress(*LOST):
            await connection.close(timeout=1)


async def _verified(directory: DataDirectory, connection: Connection) -> Connection | Answer:
    try:
        served: str = await connection.fetchval("SHOW data_directory", timeout=_CONNECT_SECONDS)
    except LOST:
        connection.terminate()
        return Answer.SILENT
    if _is_same(served, directory.cluster):
        return connection
    connection.terminate()
    raise EmbeddedPostgresError(
        f"at the socket of {directory.path} answers a PostgreSQL that runs on {served}: was the directory "
        "moved or copied while it was in use? Stop what uses it, then start again"
    )


def _is_same(served: str, cluster: Path) -> bool:
    try:
        return os.path.samefile(served, cluster)
    except OSError:
        return False
