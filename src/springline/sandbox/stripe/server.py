"""The sandbox as a server: in a test's own event loop, or as a command."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from springline.sandbox.common.control import MachineControl
from springline.sandbox.common.control_faults import FaultControl
from springline.sandbox.common.faults import AnyFault
from springline.sandbox.common.server import listen
from springline.sandbox.stripe.control import PREFIX, Control, stripe_refusals
from springline.sandbox.stripe.control_objects import ObjectControl
from springline.sandbox.stripe.routes import Api
from springline.sandbox.stripe.seeding import make_changes, seed_objects
from springline.sandbox.stripe.state import StripeSandbox


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A listening sandbox; `sandbox` is its state, for tests in the same process."""

    url: str
    """The API's base: `{url}/v1/customers`."""
    control_url: str
    """The control API's base: `{control_url}/seed`."""
    sandbox: StripeSandbox
    _runner: web.AppRunner

    async def close(self) -> None:
        """Stop listening. Requests held by faults are let go first."""
        self.sandbox.faults.clear()
        await self._runner.cleanup()


async def start_sandbox(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> RunningSandbox:
    """Start an empty sandbox; port 0 takes a free one. `now` gives Unix seconds, `monotonic` dates arrivals.

    Raises OSError where the address cannot be had.
    """
    sandbox = StripeSandbox(seed=seed, now=now, monotonic=monotonic)
    routes = (
        *MachineControl(sandbox).routes(),
        *Control(sandbox).routes(),
        *FaultControl(sandbox, AnyFault).routes(),
        *ObjectControl(sandbox).routes(),
    )
    runner, url = await listen(routes, Api(sandbox).handle, host=host, port=port, middlewares=(stripe_refusals,))
    return RunningSandbox(url, url + PREFIX, sandbox, runner)


async def serve_forever(
    *,
    host: str,
    port: int,
    seed: int,
    customers: int,
    stop: asyncio.Event,
    say: Callable[[str], None],
    changes_per_second: float = 0,
) -> None:
    """Serve a sandbox with this many customers (and some of everything else) until `stop` is set.

    `say` gets the lines for a person at a terminal. With `changes_per_second` the data keeps changing by
    itself. Raises OSError where the address cannot be had.
    """
    running = await start_sandbox(host=host, port=port, seed=seed)
    try:
        fill(running.sandbox, customers=customers)
        say(f"Stripe sandbox at {running.url}, any key sk_test_…")
        say(f"  {customers} customers, account {running.sandbox.default_account_id}")
        say(f"  try: curl -u sk_test_123: '{running.url}/v1/customers?limit=3'")
        say(f"  change data and inject faults at {running.control_url}")
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), 1 / changes_per_second if changes_per_second else None)
            except TimeoutError:
                _change_something(running.sandbox, say=say)
    finally:
        await running.close()


def fill(sandbox: StripeSandbox, *, customers: int) -> None:
    """Give the default account's test data this many customers and a fitting number of the rest."""
    account = sandbox.accounts[sandbox.default_account_id, False]
    now = int(sandbox.clock.now())
    counts = {
        "product": 1 + customers // 500,
        "plan": 2 + customers // 250,
        "coupon": 1 + customers // 500,
        "customer": customers,
        "subscription": customers // 10,
        "invoice": customers // 5,
    }
    few = min(customers // 20, 100)
    counts |= {kind.name: few for kind in sandbox.collections if kind.name not in counts}
    for name, count in counts.items():
        if customers:
            seed_objects(
                sandbox,
                account,
                sandbox.by_name[name],
                count=count,
                created_from=now - 365 * 86_400,
                created_until=now,
                events=False,
            )


def _change_something(sandbox: StripeSandbox, *, say: Callable[[str], None]) -> None:
    account = sandbox.accounts[sandbox.default_account_id, False]
    kinds = tuple(kind for kind in sandbox.collections if kind.seed is not None)
    for change in make_changes(sandbox, account, kinds, count=1, rng=sandbox.chance(None), events=True):
        say(f"{change.kind} {change.collection} {change.id}")
