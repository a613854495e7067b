"""The control API's faults: make them, look at them, wait for them, end them."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from springline.sandbox.common.control import CONTROL, ControlError, read_order, reply
from springline.sandbox.common.faults import ActiveFault, Fault, StalePageFault
from springline.sandbox.common.state import Sandbox


class FaultControl:
    """Handlers for /faults. `kinds` is the union of the faults that this sandbox knows."""

    def __init__(self, sandbox: Sandbox, kinds: Any) -> None:
        self._sandbox = sandbox
        self._kinds = kinds

    def routes(self) -> list[web.RouteDef]:
        prefix = f"{CONTROL}/{self._sandbox.provider}"
        return [
            web.post(f"{prefix}/faults", self.add),
            web.get(f"{prefix}/faults", self.list_active),
            web.delete(f"{prefix}/faults", self.clear),
            web.get(f"{prefix}/faults/{{id}}", self.show),
            web.delete(f"{prefix}/faults/{{id}}", self.remove),
            web.post(f"{prefix}/faults/{{id}}/release", self.release),
            web.get(f"{prefix}/faults/{{id}}/wait", self.wait),
        ]

    async def add(self, request: web.Request) -> web.Response:
        """Something goes wrong from now on; the body is a `Fault` with its `kind`."""
        fault: Fault = await read_order(request, self._kinds)
        picture = self._sandbox.picture() if isinstance(fault, StalePageFault) else None
        return reply(_shown(self._sandbox.faults.add(fault, picture=picture)), status=201)

    async def list_active(self, _: web.Request) -> web.Response:
        return reply([_shown(active) for active in self._sandbox.faults.active.values()])

    async def clear(self, _: web.Request) -> web.Response:
        """End all faults; requests that they hold go on."""
        self._sandbox.faults.clear()
        return reply([])

    async def show(self, request: web.Request) -> web.Response:
        return reply(_shown(self._fault(request)))

    async def remove(self, request: web.Request) -> web.Response:
        active = self._fault(request)
        self._sandbox.faults.remove(active.id)
        return reply(_shown(active))

    async def release(self, request: web.Request) -> web.Response:
        """Let the requests go on that this fault holds; it holds later ones again."""
        active = self._fault(request)
        active.release()
        return reply(_shown(active))

    async def wait(self, request: web.Request) -> web.Response:
        """Answer when the fault has happened `?fired=` times; 408 after `?timeout_ms=`."""
        active = self._fault(request)
        try:
            count = int(request.query.get("fired", "1"))
            timeout = int(request.query.get("timeout_ms", "10000")) / 1_000
        except ValueError:
            raise ControlError("fired and timeout_ms are integers") from None
        try:
            await asyncio.wait_for(active.fired_times(count), timeout)
        except TimeoutError:
            raise ControlError(f"fired {active.fired} times so far", status=408) from None
        return reply(_shown(active))

    def _fault(self, request: web.Request) -> ActiveFault:
        active = self._sandbox.faults.active.get(request.match_info["id"])
        if active is None:
            raise ControlError("no such fault", status=404)
        return active


def _shown(active: ActiveFault) -> dict[str, Any]:
    return {
        "id": active.id,
        "fault": msgspec.to_builtins(active.fault),
        "matched": active.matched,
        "fired": active.fired,
        "holding": active.holding,
    }
