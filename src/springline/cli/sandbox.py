"""`springline sandbox`: stateful fakes of providers, to try things out without an account."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

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
    """A fake of Stripe's API: customers, invoices, payments and all else that syncs read, with its events.

    Point Springline at it with SPRINGLINE_STRIPE_BASE_URL=http://127.0.0.1:12111 and any key sk_test_…
    """

    from springline.sandbox.stripe.server import serve_forever

    _serve(
        lambda stop: serve_forever(
            host=host,
            port=port,
            seed=seed,
            customers=customers,
            stop=stop,
            say=say,
            changes_per_second=changes_per_second,
        ),
        address=f"{host}:{port}",
    )


@sandbox.command("github")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=12112, show_default=True, help="0: a free one.")
@click.option("--repositories", type=click.IntRange(min=0), default=5, show_default=True, help="How many to make up.")
@click.option("--issues", type=click.IntRange(min=0), default=100, show_default=True, help="How many in each.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same data.")
@click.option(
    "--changes-per-second", type=click.FloatRange(min=0, max=1000), default=0.0, help="Keep changing by itself."
)
def sandbox_github(host: str, port: int, repositories: int, issues: int, seed: int, changes_per_second: float) -> None:
    """A fake of GitHub's REST API: organizations, repositories, issues, pull requests and what belongs to them.

    Point Springline at it with SPRINGLINE_GITHUB_BASE_URL=http://127.0.0.1:12112 and any token ghp_…
    """
    from springline.sandbox.github.server import serve_forever

    _serve(
        lambda stop: serve_forever(
            host=host,
            port=port,
            seed=seed,
            repositories=repositories,
            issues=issues,
            stop=stop,
            say=say,
            changes_per_second=changes_per_second,
        ),
        address=f"{host}:{port}",
    )


def _serve(serve: Callable[[asyncio.Event], Awaitable[None]], *, address: str) -> None:
    """Run a sandbox until SIGINT or SIGTERM."""

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(stop)

    try:
        asyncio.run(run())
    except OSError as error:
        # asyncio puts the address into the error's own words.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CommandFailed(f"cannot listen on {address}: {reason}; choose another --port") from None
