"""Stripe's part of the sandbox's own API under /_sandbox/stripe: keys, accounts and limits.

`control_objects` has the data; what is no Stripe matter is in `springline.sandbox.common`.
"""

from dataclasses import asdict

import msgspec
from aiohttp import web

from springline.sandbox.common.control import CONTROL, ControlError, Handler, read_order, reply
from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.errors import StripeError
from springline.sandbox.stripe.keys import Access, State
from springline.sandbox.stripe.limits import RateLimits
from springline.sandbox.stripe.state import StripeSandbox

PREFIX = f"{CONTROL}/stripe"


class KeyOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A key to add or change. Permissions by collection name; what is not named is allowed."""

    key: str
    account: str | None = None
    state: State = "active"
    permissions: dict[str, Access] = {}


class AccountOrder(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str = "Connected account"


@web.middleware
async def stripe_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What Stripe itself would refuse, as a refusal of the control API."""
    try:
        return await handler(request)
    except StripeError as error:
        return reply({"error": error.message, "stripe": error.body()["error"]}, status=400)


def chosen_account(sandbox: StripeSandbox, request: web.Request) -> Account:
    """The account of `?account=` and `?livemode=true`; by default the default one's test data."""
    account_id = request.query.get("account", sandbox.default_account_id)
    livemode = request.query.get("livemode", "false") == "true"
    account = sandbox.accounts.get((account_id, livemode))
    if account is None:
        raise ControlError(f"no account {account_id}", status=404)
    return account


class Control:
    """Handlers for keys, accounts and rate limits."""

    def __init__(self, sandbox: StripeSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{PREFIX}/rate_limit", self.get_rate_limit),
            web.post(f"{PREFIX}/rate_limit", self.set_rate_limit),
            web.post(f"{PREFIX}/keys", self.put_key),
            web.get(f"{PREFIX}/keys", self.list_keys),
            web.post(f"{PREFIX}/accounts", self.add_account),
        ]

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
