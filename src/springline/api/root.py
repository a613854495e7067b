"""What this is, whether it is well, and its figures for Prometheus."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
from starlette.responses import Response

from springline import __version__
from springline.api.bodies import Nothing
from springline.api.errors import error_response
from springline.api.routing import Call, Route, answer
from springline.domain.errors import Refused
from springline.metrics import CONTENT_TYPE, OLDEST_SNAPSHOT, render
from springline.store.database import UNAVAILABLE
from springline.store.migrate import missing_migrations
from springline.store.snapshots import oldest_snapshot_age

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


async def get_metrics(call: Call[Nothing, Nothing]) -> Response:
    """Show this process's figures, as Prometheus reads them. No figure is about one sync or one organisation."""
    observed = {}
    with suppress(*UNAVAILABLE):  # then the others are shown without it
        async with asyncio.timeout(_READY_SECONDS):
            observed[OLDEST_SNAPSHOT] = await oldest_snapshot_age(call.services.database)
    text = render(call.services.metrics, observed)
    return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


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


routes = (Route("GET", "/", get_root, answers=AboutObject, public=True),)
#: What whoever operates a process asks it, a worker without an API too.
operations = (
    Route("GET", "/healthz", get_health, answers=StateObject, public=True),
    Route("GET", "/readyz", get_readiness, answers=StateObject, public=True, refuses=("service.unavailable",)),
    Route("GET", "/metrics", get_metrics, public=True),
)
