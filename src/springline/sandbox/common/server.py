"""Listening, as every sandbox does."""

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Middleware

from springline.sandbox.common.control import Handler, control_errors

LARGEST_BODY_BYTES = 256 * 1024 * 1024


async def listen(
    routes: Iterable[web.RouteDef],
    api: Handler,
    *,
    host: str,
    port: int,
    middlewares: Iterable[Middleware] = (),
) -> tuple[web.AppRunner, str]:
    """Serve the control API's `routes` and, for all else, `api`; returns the runner and the base URL.

    Port 0 takes a free one. Raises OSError where the address cannot be had.
    """
    app = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[control_errors, *middlewares])
    app.add_routes(routes)
    app.router.add_route("*", "/{path:.*}", api)
    # Cancelled handlers: a client that went away must not be waited for.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    bound_host, bound_port = runner.addresses[0][:2]
    shown = f"[{bound_host}]" if ":" in bound_host else bound_host
    return runner, f"http://{shown}:{bound_port}"
