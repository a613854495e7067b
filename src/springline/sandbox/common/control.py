"""The sandbox's own API under /_sandbox/{provider}: what is the same for every provider.

JSON in, JSON out, no authentication, loopback only.
"""

import ipaddress
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from springline.sandbox.common.state import Sandbox
from springline.sandbox.common.texts import pretty

CONTROL = "/_sandbox"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")


class ResetOrder(msgspec.Struct, forbid_unknown_fields=True):
    seed: int | None = None


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Either where the offset shall stand, or how far it moves."""

    offset_seconds: float | None = None
    shift_seconds: float | None = None


class LatencyOrder(msgspec.Struct, forbid_unknown_fields=True):
    ms: float


class ControlError(Exception):
    """A control request that cannot be carried out."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def control_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Control requests: from this machine only, and every refusal as JSON."""
    if request.path != CONTROL and not request.path.startswith(CONTROL + "/"):
        return await handler(request)
    if not is_this_machine(request.remote):
        return reply({"error": "the control API answers this machine only"}, status=403)
    try:
        return await handler(request)
    except ControlError as error:
        return reply({"error": str(error)}, status=error.status)


def is_this_machine(remote: str | None) -> bool:
    """Whether a peer's address, as aiohttp gives it, is a loopback one."""
    if remote is None:
        return False
    address = ipaddress.ip_address(remote.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def reply(value: Any, *, status: int = 200) -> web.Response:
    body = pretty(msgspec.to_builtins(value)) + b"\n"
    return web.Response(status=status, body=body, headers={"Content-Type": "application/json"})


async def read_order(request: web.Request, kind: type[T]) -> T:
    """The request's JSON body as `kind`; an empty body is an empty object. Raises ControlError."""
    try:
        # Not msgspec's decoder: it refuses the lone surrogates that a fidelity test sends.
        return msgspec.convert(json.loads(await request.read() or b"{}"), type=kind)
    except (ValueError, RecursionError) as error:
        raise ControlError(str(error)) from error


class MachineControl:
    """Handlers for the clock, latency and what has arrived, below `/_sandbox/{provider}`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        prefix = f"{CONTROL}/{self._sandbox.provider}"
        return [
            web.get(prefix, self.summary),
            web.post(f"{prefix}/reset", self.reset),
            web.get(f"{prefix}/clock", self.get_clock),
            web.post(f"{prefix}/clock", self.set_clock),
            web.post(f"{prefix}/latency", self.set_latency),
            web.get(f"{prefix}/arrivals", self.list_arrivals),
            web.delete(f"{prefix}/arrivals", self.forget_arrivals),
            web.get(f"{prefix}/counters", self.counters),
        ]

    async def summary(self, _: web.Request) -> web.Response:
        """What there is: the data by kind, the clock, the faults in force."""
        sandbox = self._sandbox
        return reply(
            {
                "provider": sandbox.provider,
                "seed": sandbox.seed,
                **sandbox.summary(),
                "clock": sandbox.clock.now(),
                "latency_ms": sandbox.latency_ms,
                "faults": list(sandbox.faults.active),
                "arrivals": sandbox.forgotten_arrivals + len(sandbox.arrivals),
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        """Begin anew: no data, no faults, no credentials, the clock as it runs."""
        order = await read_order(request, ResetOrder)
        self._sandbox.reset(seed=self._sandbox.seed if order.seed is None else order.seed)
        return reply({"seed": self._sandbox.seed})

    async def get_clock(self, _: web.Request) -> web.Response:
        clock = self._sandbox.clock
        return reply({"now": clock.now(), "offset_seconds": clock.offset_seconds})

    async def set_clock(self, request: web.Request) -> web.Response:
        order = await read_order(request, ClockOrder)
        clock = self._sandbox.clock
        if order.offset_seconds is not None:
            clock.offset_seconds = order.offset_seconds
        clock.offset_seconds += order.shift_seconds or 0
        return await self.get_clock(request)

    async def set_latency(self, request: web.Request) -> web.Response:
        """How long every request to the API waits before it is carried out."""
        self._sandbox.latency_ms = (await read_order(request, LatencyOrder)).ms
        return reply({"ms": self._sandbox.latency_ms})

    async def list_arrivals(self, request: web.Request) -> web.Response:
        """Every request to the API since `?since=` (an index), in order; `at` is monotonic seconds."""
        sandbox = self._sandbox
        try:
            since = int(request.query.get("since", "0"))
        except ValueError:
            raise ControlError("since is the index of an arrival") from None
        wanted = sandbox.arrivals[max(since - sandbox.forgotten_arrivals, 0) :]
        return reply([asdict(arrival) for arrival in wanted])

    async def forget_arrivals(self, _: web.Request) -> web.Response:
        self._sandbox.forget_arrivals()
        return reply({"forgotten": self._sandbox.forgotten_arrivals})

    async def counters(self, _: web.Request) -> web.Response:
        """Totals since the start or the last reset."""
        by_status: Counter[str] = Counter()
        by_endpoint: Counter[str] = Counter()
        for (endpoint, status), count in self._sandbox.answered.items():
            by_status[str(status)] += count
            by_endpoint[endpoint] += count
        return reply(
            {
                "requests": sum(by_status.values()),
                "by_status": by_status,
                "by_endpoint": by_endpoint,
                **self._sandbox.totals(),
            }
        )
