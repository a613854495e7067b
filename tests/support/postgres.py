"""One throwaway PostgreSQL for a whole test session, and a migrated database of its own for each test."""

import asyncio
import itertools
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from springline.store.database import Database
from springline.store.embedded import EmbeddedPostgres
from springline.store.migrate import migrate

TEMPLATE = "springline_template"

Result = TypeVar("Result")


class TestPostgres:
    """The server. It lives in a thread with an event loop of its own: those of the tests come and go."""

    __test__ = False

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="springline-test-"))
        # PostgreSQL refuses to run as root; whoever it then runs as must reach the folder.
        self._folder.chmod(0o755)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test postgres")
        self._numbers = itertools.count(1)
        self._server: EmbeddedPostgres | None = None

    def start(self) -> None:
        """Returns when the template database is there."""
        self._thread.start()
        self._run(self._start())

    def stop(self) -> None:
        """Nothing is left of it."""
        if self._server is not None:
            self._run(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self._folder)

    def connect_to(self, name: str) -> dict[str, Any]:
        """Keyword arguments of `asyncpg.connect`."""
        assert self._server is not None
        return {**self._server.dsn, "database": name}

    async def create_database(self, *, template: str = TEMPLATE) -> str:
        """A database of its own, migrated (or not: `template0`), and its name."""
        name = f"test_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def drop_database(self, name: str) -> None:
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(**self.connect_to("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _start(self) -> None:
        self._server = await EmbeddedPostgres.open(self._folder / "data")
        await self._execute(f"CREATE DATABASE {TEMPLATE}")
        database = await Database.open(self.connect_to(TEMPLATE))
        await migrate(database)
        await database.close()

    def _run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=90)
