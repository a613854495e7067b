"""The sandbox's own API under /_sandbox/stripe: the machinery around the data.

JSON in, JSON out, no authentication, loopback only. `control_objects` has the data, `control_faults` the
faults; this module the rest and what all three share.
"""

import ipaddress
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.keys import Access, State
from springline.sandbox.stripe.limits import RateLimits
from springline.sandbox.stripe.state import StripeSandbox
from springline.sandbox.stripe.texts import pretty

PREFIX = "/_sandbox/stripe"

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


class KeyOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A key to add or change. Permissions by collection name; what is not named is allowed."""

    key: str
    account: str | None = None
    state: State = "active"
    permissions: dict[str, Access] = {}


class AccountOrder(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str = "Connected account"


class ControlError(Exception):
    """A control request that cannot be carried out."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def control_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Control requests: from this machine only, and every refusal as JSON."""
    if not request.path.startswith(PREFIX):
        return await handler(request)
    if not is_this_machine(request.remote):
        return reply({"error": "the control API answers this machine only"}, status=403)
    try:
        return await handler(request)
    except ControlError as error:
        return reply({"error": str(error)}, status=error.status)
    except StripeError as error:
        return reply({"error": error.message, "stripe": error.body()["error"]}, status=400)


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


def chosen_account(sandbox: StripeSandbox, request: web.Request) -> Account:
    """The account of `?account=` and `?livemode=true`; by default the default one's test data."""
    account_id = request.query.get("account", sandbox.default_account_id)
    livemode = request.query.get("livemode", "false") == "true"
    account = sandbox.accounts.get((account_id, livemode))
    if account is None:
        raise ControlError(f"no account {account_id}", status=404)
    return account


class Control:
    """Handlers for everything but objects and faults."""

    def __init__(self, sandbox: StripeSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PREFIX, self.summary),
            web.post(f"{PREFIX}/reset", self.reset),
            web.get(f"{PREFIX}/clock", self.get_clock),
            web.post(f"{PREFIX}/clock", self.set_clock),
            web.post(f"{PREFIX}/latency", self.set_latency),
            web.get(f"{PREFIX}/rate_limit", self.get_rate_limit),
            web.post(f"{PREFIX}/rate_limit", self.set_rate_limit),
            web.post(f"{PREFIX}/keys", self.put_key),
            web.get(f"{PREFIX}/keys", self.list_keys),
            web.post(f"{PREFIX}/accounts", self.add_account),
            web.get(f"{PREFIX}/arrivals", self.list_arrivals),
            web.delete(f"{PREFIX}/arrivals", self.forget_arrivals),
            web.get(f"{PREFIX}/counters", self.counters),
        ]

    async def summary(self, _: web.Request) -> web.Response:
        """What there is: accounts with their objects, the clock, the faults in force."""
        sandbox = self._sandbox
        accounts = [
            {
                "id": account.id,
                "livemode": account.livemode,
                "objects": {name: len(table) for name, table in account.tables.items()},
                "events": len(account.events),
            }
            for account in sandbox.accounts.values()
        ]
        return reply(
            {
                "provider": "stripe",
                "seed": sandbox.seed,
                "api_version": sandbox.api_version,
                "default_account": sandbox.default_account_id,
                "clock": sandbox.clock.now(),
                "latency_ms": sandbox.latency_ms,
                "accounts": accounts,
                "faults": list(sandbox.faults.active),
                "arrivals": sandbox.forgotten_arrivals + len(sandbox.arrivals),
            }
        )

    async def reset(self, request: web.Request) -> web.Response:
        """Begin anew: no data, no faults, no keys, the clock as it runs."""
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

    async def get_rate_limit(self, request: web.Request) -> web.Response:
        return reply(chosen_account(self._sandbox, request).limiter.limits)

    async def set_rate_limit(self, request: web.Request) -> web.Response:
        """Limits of one account; `{}` takes them all away."""
        limiter = chosen_account(self._sandbox, request).limiter
        limiter.limits = await read_order(request, RateLimits)
        return reply(limiter.limits)

    async def put_key(self, request: web.Request) -> web.Response:
        """Add a key, or expire, revoke, restore or restrict one."""
        order = await read_order(request, KeyOrder)
        unknown = order.permissions.keys() - self._sandbox.by_name.keys() - {"event"}
        if unknown:
            raise ControlError(f"no such permission: {', '.join(sorted(unknown))}")
        if order.account is not None and (order.account, False) not in self._sandbox.accounts:
            raise ControlError(f"no account {order.account}", status=404)
        try:
            self._sandbox.keys.put(
                order.key, account_id=order.account, state=order.state, permissions=order.permissions
            )
        except ValueError as error:
            raise ControlError(str(error)) from error
        return await self.list_keys(request)

    async def list_keys(self, _: web.Request) -> web.Response:
        return reply([asdict(key) for key in self._sandbox.keys.keys.values()])

    async def add_account(self, request: web.Request) -> web.Response:
        """A connected account: every key reaches it by the Stripe-Account header, or a key of its own."""
        order = await read_order(request, AccountOrder)
        self._sandbox.add_account(order.id, name=order.name)
        return reply({"id": order.id})

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
        sandbox = self._sandbox
        by_status: Counter[str] = Counter()
        by_endpoint: Counter[str] = Counter()
        for (endpoint, status), count in sandbox.answered.items():
            by_status[str(status)] += count
            by_endpoint[endpoint] += count
        return reply(
            {
                "requests": sum(by_status.values()),
                "by_status": by_status,
                "by_endpoint": by_endpoint,
                "rate_limited": sum(account.limiter.refused for account in sandbox.accounts.values()),
                "events": sum(account.events_written for account in sandbox.accounts.values()),
            }
        )
