"""The HTTP API as one ASGI application."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from springline.api import (
    backfills,
    collections,
    consumers,
    credentials,
    deliveries,
    events,
    explanations,
    holds,
    oauth_apps,
    pending,
    providers,
    records,
    refreshes,
    root,
    streams,
    syncs,
    tokens,
    workers,
)
from springline.api.auth import Authenticator
from springline.api.documentation import documentation_routes
from springline.api.errors import error_response
from springline.api.routing import PathEndpoint, Route
from springline.api.services import Services
from springline.domain.errors import Refused

#: Every operation, but for those that describe the others.
ROUTES: tuple[Route, ...] = (
    *root.routes,
    *root.operations,
    *streams.routes,
    *syncs.routes,
    *explanations.routes,
    *holds.routes,
    *backfills.routes,
    *credentials.routes,
    *collections.routes,
    *oauth_apps.routes,
    *consumers.routes,
    *deliveries.routes,
    *pending.routes,
    *records.routes,
    *events.routes,
    *refreshes.routes,
    *providers.routes,
    *tokens.routes,
    *workers.routes,
)


def create_app(services: Services, routes: Sequence[Route] = ROUTES) -> Starlette:
    """The application over these services. It holds nothing that must be closed."""
    authenticator = Authenticator(services.tokens)
    by_path: dict[str, list[Route]] = {}
    for route in (*routes, *documentation_routes(routes)):
        by_path.setdefault(route.path, []).append(route)
    app = Starlette(
        routes=[_at(path, routes, services, authenticator) for path, routes in by_path.items()],
        middleware=[Middleware(_WithoutTrailingSlash)],
    )
    app.router.redirect_slashes = False
    app.router.default = _not_found
    return app


def _at(path: str, routes: Sequence[Route], services: Services, authenticator: Authenticator) -> StarletteRoute:
    return StarletteRoute(path, PathEndpoint(routes, services, authenticator))


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1000, "reason": ""})
        return
    refused = Refused("route.not_found", f"there is nothing at {scope['path'][:200]!r}; see /docs for what there is")
    await error_response(refused)(scope, receive, send)


class _WithoutTrailingSlash:
    """A path with a slash at its end is the path without: a redirect would lose bodies and tokens."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/" and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)
