"""The control API's faults: make them, look at them, wait for them, end them."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from springline.sandbox.stripe.control import PREFIX, ControlError, read_order, reply
from springline.sandbox.stripe.faults import ActiveFault, AnyFault, StalePageFault
from springline.sandbox.stripe.state import StripeSandbox


class FaultControl:
    """Handlers for /faults."""

    def __init__(self, sandbox: StripeSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"{PREFIX}/faults", self.add),
            web.get(f"{PREFIX}/faults", self.list_active),
            web.delete(f"{PREFIX}/faults", self.clear),
            web.get(f"{PREFIX}/faults/{{id}}", self.show),
            web.delete(f"{PREFIX}/faults/{{id}}", self.remove),
            web.post(f"{PREFIX}/faults/{{id}}/release", self.release),
            web.get(f"{PREFIX}/faults/{{id}}/wait", self.wait),
        ]

    async def add(self, request: web.Request) -> web.Response:
        """Something goes wrong from now on; the body is a `Fault` with its `kind`."""
        fault: AnyFault = await read_order(request, AnyFault)  # type: ignore[arg-type]
        picture = None
        if isinstance(fault, StalePageFault):
            picture = {name: account.checkpoint() for name, account in self._sandbox.accounts.items()}
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
