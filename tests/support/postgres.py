"""One throwaway PostgreSQL for a whole test session, and a migrated database of its own for each test."""

import asyncio
import itertools
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from springline.store.database import Database
from springline.store.embedded import EmbeddedPostgres
from springline.store.migrate import migrate

TEMPLATE = "springline_template"
MADE_AHEAD = 3

Result = TypeVar("Result")


class TestPostgres:
    """The server. It lives in a thread with an event loop of its own, since those of the tests come and go; there, too,
    databases are made ahead while tests run."""

    __test__ = False

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="springline-test-"))
        # PostgreSQL refuses to run as root; whoever it then runs as must reach the folder.
        self._folder.chmod(0o755)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test postgres")
        self._numbers = itertools.count(1)
        self._server: EmbeddedPostgres | None = None
        self._ready: asyncio.Queue[str] = asyncio.Queue(maxsize=MADE_AHEAD)
        self._maker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Returns when the template database is there."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(timeout=90)

    def stop(self) -> None:
        """Nothing is left of it."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=90)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self._folder)

    @property
    def folder(self) -> Path:
        """Where its data lies."""
        return self._folder

    def connect_to(self, name: str) -> dict[str, Any]:
        """Keyword arguments of `asyncpg.connect`."""
        assert self._server is not None
        return {**self._server.dsn, "database": name}

    async def migrated_database(self) -> str:
        """The name of a fresh, migrated database."""
        return await self._there(self._ready.get())

    async def empty_database(self) -> str:
        """The name of a fresh database without anything in it."""
        return await self._there(self._create("template0"))

    async def drop_database(self, name: str) -> None:
        await self._there(self._execute(f"DROP DATABASE {name} WITH (FORCE)"))

    async def _there(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def _start(self) -> None:
        self._server = await EmbeddedPostgres.open(self._folder / "data")
        # Nobody pulls the plug of this one, and a database is made for every test.
        for setting in ("fsync", "full_page_writes"):
            await self._execute(f"ALTER SYSTEM SET {setting} = off")
        await self._execute("SELECT pg_reload_conf()")
        await self._execute(f"CREATE DATABASE {TEMPLATE}")
        database = await Database.open(self.connect_to(TEMPLATE))
        await migrate(database)
        await database.close()
        self._maker = asyncio.create_task(self._make_ahead())

    async def _stop(self) -> None:
        if self._maker is not None:
            self._maker.cancel()
            with suppress(asyncio.CancelledError):
                await self._maker
        if self._server is not None:
            await self._server.close()

    async def _make_ahead(self) -> None:
        while True:
            await self._ready.put(await self._create(TEMPLATE))

    async def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(**self.connect_to("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
