"""Serves the app: bind first, so that the address is known before anything is said."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

#: How long answers that are under way may take when the server stops.
DRAIN_SECONDS: Final = 2


class ListenError(Exception):
    """The address cannot be listened on; the message says why and what to do."""


def bind(host: str, port: int, *, setting: str = "SPRINGLINE_PORT") -> socket.socket:
    """A bound socket; port 0 takes a free one. `setting` is where the port comes from. Raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio turns Nagle's algorithm off only where it sees TCP: else answers wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ListenError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; set SPRINGLINE_HOST and {setting}"
        ) from None
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Signals are the composition's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """The app behind a socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        config = uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            backlog=2048,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when requests are answered."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn tells by a flag
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Accepts nothing more, lets answers end, then closes."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
