"""The connection pool, opened once per process."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record
#: A connection outside the pool.
Apart: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

#: A statement that takes longer is broken off: none of ours does.
STATEMENT_SECONDS = 30.0
#: More are slower on few cores, and a waiting receiver holds none.
POOL_CONNECTIONS = 8

#: What a lost, restarting or exhausted database raises: the operation may be tried again.
UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it is starting, stopping or failing over, or somebody cancelled the statement
    asyncpg.InsufficientResourcesError,  # its disk, its memory or its connections are used up
    asyncpg.TransactionRollbackError,  # a deadlock or a conflict
    asyncpg.ReadOnlySQLTransactionError,  # the other server of a pair took over
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    asyncio.TimeoutError,
    OSError,
)


class _PooledConnection(asyncpg.Connection):
    """Nothing of ours leaves state in a session, so nothing is reset when a connection goes back to the pool: that
    would be a round trip for every statement."""

    def get_reset_query(self) -> str:
        return ""


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""


async def _prepare(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind,
            schema="pg_catalog",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=msgspec.json.decode,
        )


class Database:
    """A pool of connections to one PostgreSQL. `connect_to` is a DSN or keyword arguments of `asyncpg.connect`."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", connect_to: str | dict[str, Any]) -> None:
        self._pool = pool
        self._connect_to = connect_to

    @classmethod
    async def open(cls, connect_to: str | dict[str, Any]) -> "Database":
        """Opens the pool. Raises DatabaseError if the server cannot be reached or is older than 15."""
        arguments = _arguments(connect_to)
        try:
            pool = await asyncpg.create_pool(
                **arguments,
                min_size=1,
                max_size=POOL_CONNECTIONS,
                command_timeout=STATEMENT_SECONDS,
                connection_class=_PooledConnection,
                init=_prepare,
            )
        except (*UNAVAILABLE, asyncpg.PostgresError, ssl.SSLError, ValueError) as error:
            raise DatabaseError(_why_unreachable(connect_to, error)) from None
        database = cls(pool, connect_to)
        version: int = await pool.fetchval("SELECT current_setting('server_version_num')::int")
        if version < 150000:
            await pool.close()
            raise DatabaseError(
                f"PostgreSQL {version // 10000} is too old: Springline needs 15 or newer; "
                "upgrade it, or unset SPRINGLINE_DATABASE_URL to use the embedded one"
            )
        return database

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit."""
        async with self._pool.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction that ends with the block."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

    async def fetch(self, statement: str, *arguments: object) -> list[Row]:
        return await self._pool.fetch(statement, *arguments)

    async def fetch_row(self, statement: str, *arguments: object) -> Row | None:
        return await self._pool.fetchrow(statement, *arguments)

    async def fetch_value(self, statement: str, *arguments: object) -> Any:
        return await self._pool.fetchval(statement, *arguments)

    async def execute(self, statement: str, *arguments: object) -> str:
        """Returns the command tag, as `UPDATE 3`."""
        return await self._pool.execute(statement, *arguments)

    async def connect_apart(self) -> Apart:
        """A connection outside the pool, for LISTEN and NOTIFY: what it commits need not be durable."""
        arguments = _arguments(self._connect_to)
        arguments["server_settings"] |= {"synchronous_commit": "off"}
        return await asyncpg.connect(**arguments)

    async def close(self) -> None:
        """Closes the pool; what is still running after 2 s is cut off."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout=2.0)
        except (TimeoutError, *UNAVAILABLE):
            self._pool.terminate()


def _why_unreachable(connect_to: str | dict[str, Any], error: Exception) -> str:
    """One line with the way out. The driver's own words may quote parts of a URL that it could not read: a password."""
    if isinstance(error, ValueError):
        return (
            "SPRINGLINE_DATABASE_URL cannot be read as user:password@host:port/database: "
            "percent-encode special characters of the user and the password"
        )
    said = str(error).partition("\n")[0] or type(error).__name__
    why = (error.strerror or said) if isinstance(error, OSError) else said
    if not isinstance(connect_to, str):
        return f"cannot reach PostgreSQL: {why}"
    at = urlsplit(connect_to)
    where = f" at {at.hostname}:{at.port or 5432}" if at.hostname else ""
    return f"cannot use the PostgreSQL{where}: {why}; look whether it runs, and at SPRINGLINE_DATABASE_URL"


def _arguments(connect_to: str | dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {"dsn": connect_to} if isinstance(connect_to, str) else dict(connect_to)
    # JIT compiles for seconds what runs for milliseconds.
    arguments["server_settings"] = {"application_name": "springline", "jit": "off", "timezone": "UTC"}
    return arguments
