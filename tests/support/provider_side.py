"""A provider's side of a test: a sandbox, looked at and changed behind Springline's back."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp

from springline.sandbox.common.state import Arrival, Sandbox


class Running(Protocol):
    """A sandbox that answers."""

    @property
    def url(self) -> str: ...

    @property
    def control_url(self) -> str: ...

    @property
    def sandbox(self) -> Sandbox: ...


class ProviderSide:
    """What is the same for every provider: faults, the clock, and what has arrived."""

    def __init__(self, running: Running, session: aiohttp.ClientSession) -> None:
        self._running = running
        self._session = session

    @property
    def url(self) -> str:
        return self._running.url

    @property
    def arrivals(self) -> Sequence[Arrival]:
        return self._running.sandbox.arrivals

    def count(self, path: str, *, since: int = 0) -> int:
        """Arrived requests for exactly this path."""
        return sum(arrival.path == path for arrival in self.arrivals[since:])

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(
            method, self._running.control_url + path, data=b"" if body is None else json.dumps(body).encode()
        ) as response:
            text = await response.read()
            assert response.status < 300, text
            return json.loads(text)

    async def fault(self, kind: str, *, match: dict[str, Any] | None = None, **fields: Any) -> str:
        """Something goes wrong from now on; returns the fault's id."""
        made = await self.control("POST", "/faults", {"kind": kind, "match": match or {}, **fields})
        fault_id: str = made["id"]
        return fault_id

    async def fault_fired(self, fault_id: str, times: int = 1) -> None:
        await self.control("GET", f"/faults/{fault_id}/wait?fired={times}")

    async def release(self, fault_id: str) -> None:
        await self.control("POST", f"/faults/{fault_id}/release")

    async def mend(self, fault_id: str) -> None:
        """The fault ends; what it held goes on."""
        await self.control("DELETE", f"/faults/{fault_id}")

    async def time_passes(self, seconds: float) -> None:
        """By the sandbox's clock, which can also go back."""
        await self.control("POST", "/clock", {"shift_seconds": seconds})
