"""`springline sandbox`: stateful fakes of providers, to try things out without an account."""

import asyncio
import os
import signal

import click

from springline.cli.errors import CommandFailed
from springline.cli.output import say


@click.group()
def sandbox() -> None:
    """Stateful fakes of providers."""


@sandbox.command("stripe")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=12111, show_default=True, help="0: a free one.")
@click.option("--customers", type=click.IntRange(min=0), default=1000, show_default=True, help="How many to make up.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same data.")
@click.option(
    "--changes-per-second", type=click.FloatRange(min=0, max=1000), default=0.0, help="Keep changing by itself."
)
def sandbox_stripe(host: str, port: int, customers: int, seed: int, changes_per_second: float) -> None:
    """A fake of Stripe's API: customers, products, plans, coupons, subscriptions, invoices and their events.

    Point Springline at it with SPRINGLINE_STRIPE_BASE_URL=http://127.0.0.1:12111 and any key sk_test_…
    """

    async def run() -> None:
        from springline.sandbox.stripe.server import serve_forever

        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve_forever(
            host=host,
            port=port,
            seed=seed,
            customers=customers,
            stop=stop,
            say=say,
            changes_per_second=changes_per_second,
        )

    try:
        asyncio.run(run())
    except OSError as error:
        # asyncio puts the address into the error's own words.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CommandFailed(f"cannot listen on {host}:{port}: {reason}; choose another --port") from None
