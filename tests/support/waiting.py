"""Waiting for what a database or a server will show in its own time, and for nothing else."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from springline.store.database import Database

_BLOCKED = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def until(
    holds: Callable[[], Awaitable[Any] | Any], *, within_seconds: float = 10.0, what: str = "", every: float = 0.01
) -> Any:
    """Returns what `holds` answers as soon as that is true. Fails after `within_seconds`."""
    try:
        async with asyncio.timeout(within_seconds):
            while True:
                answer = holds()
                if inspect.isawaitable(answer):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(every)
    except TimeoutError:
        raise AssertionError(f"not within {within_seconds:g} s: {what or holds}") from None


async def until_blocked(database: Database, *, statements: int = 1) -> None:
    """Returns when this many statements of this database wait for a lock."""

    async def are_blocked() -> bool:
        blocked: int = await database.fetch_value(_BLOCKED)
        return blocked >= statements

    await until(are_blocked, what="a statement that waits for a lock")
