"""What this is, and whether it is well."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.responses import Response

from springline import __version__
from springline.api.bodies import Nothing
from springline.api.errors import error_response
from springline.api.routing import Call, Route, answer
from springline.domain.errors import Refused
from springline.store.database import UNAVAILABLE
from springline.store.migrate import missing_migrations

#: A database that takes longer to answer is not ready.
_READY_SECONDS: Final = 2.0


class AboutObject(msgspec.Struct, frozen=True, kw_only=True):
    """What answers here."""

    name: str
    version: str
    about: str
    documentation: str
    openapi: str


class StateObject(msgspec.Struct, frozen=True, kw_only=True):
    """How the process does."""

    status: str


async def get_root(call: Call[Nothing, Nothing]) -> Response:
    """Say what answers here."""
    return answer(
        AboutObject(
            name="springline",
            version=__version__,
            about="Springline syncs SaaS APIs into durable streams. Every endpoint under /v1 needs an API token.",
            documentation="/docs",
            openapi="/openapi.json",
        )
    )


async def get_health(call: Call[Nothing, Nothing]) -> Response:
    """Say that the process runs."""
    return answer(StateObject(status="ok"), headers={"Cache-Control": "no-store"})


async def get_readiness(call: Call[Nothing, Nothing]) -> Response:
    """Say whether the database can be reached and its schema is up to date; if not, why."""
    reason = await _why_not_ready(call)
    if reason is not None:
        return error_response(Refused("service.unavailable", reason), headers={"Retry-After": "1"})
    return answer(StateObject(status="ready"), headers={"Cache-Control": "no-store"})


async def _why_not_ready(call: Call[Nothing, Nothing]) -> str | None:
    looking = asyncio.create_task(missing_migrations(call.services.database))
    # Not awaited after its time: a server that is frozen does not even answer that a statement is given up.
    await asyncio.wait({looking}, timeout=_READY_SECONDS)
    if not looking.done():
        looking.add_done_callback(_forget)
        looking.cancel()
        return call.services.database_state() or f"the database does not answer within {_READY_SECONDS:g} seconds"
    try:
        missing = looking.result()
    except UNAVAILABLE as error:
        return call.services.database_state() or f"the database cannot be reached: {type(error).__name__}"
    if missing:
        return f"the database lacks the migrations {', '.join(missing)}; run `springline migrate`"
    return None


def _forget(looking: asyncio.Task[Sequence[str]]) -> None:
    """What became of it in the end interests nobody."""
    if not looking.cancelled():
        looking.exception()


routes = (
    Route("GET", "/", get_root, answers=AboutObject, public=True),
    Route("GET", "/healthz", get_health, answers=StateObject, public=True),
    Route("GET", "/readyz", get_readiness, answers=StateObject, public=True, refuses=("service.unavailable",)),
)
