"""`springline demo`: one record's whole way, on a sandbox or, read-only, on a real account."""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from springline.cli.errors import CommandFailed
from springline.cli.inside import run_inside
from springline.cli.output import note, warn
from springline.cli.parameters import SECRET_SOURCE, read_secret

if TYPE_CHECKING:
    from springline.cli.demo_screen import Screen
    from springline.cli.demo_story import Story

_COLLECTIONS: Final = ("stripe:customer", "stripe:product", "stripe:plan", "stripe:subscription")
_BACKFILL_WITHIN: Final = timedelta(seconds=40)
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ACCOUNT_WITHIN: Final = timedelta(seconds=30)


@click.command()
@click.option(
    "--customers", type=click.IntRange(20, 100_000), default=3000, show_default=True, help="How many the sandbox has."
)
@click.option(
    "--stripe-key", metavar=SECRET_SOURCE, help="Show a real account instead, read-only. `env` is STRIPE_API_KEY."
)
def demo(customers: int, stripe_key: str | None) -> int:
    """Shows one record's whole way, in under a minute.

    Starts a sandbox that fakes Stripe, and Springline with a database of its own in a temporary directory; syncs the
    sandbox's customers into a consumer, changes some, and shows how soon the consumer holds each change. Everything is
    removed at the end. With --stripe-key it reads your account instead; nothing is ever written there.
    """
    if stripe_key is None:
        return _run(lambda screen, data_dir: _on_sandbox(screen, data_dir, customers=customers))
    secret = _checked(read_secret(stripe_key, option="--stripe-key", variable="STRIPE_API_KEY"))
    return _run(lambda screen, data_dir: _on_account(screen, data_dir, secret))


async def _on_sandbox(screen: "Screen", data_dir: Path, *, customers: int) -> None:
    import aiohttp

    from springline.cli.demo_account import DEMO_KEY, Account
    from springline.client.objects import RateLimit
    from springline.sandbox.stripe.server import start_sandbox

    screen.say("Springline's demo: one record's whole way, from an API to a consumer. Nothing of it is kept.")
    screen.say()
    # Four fifths of what Stripe lets a test key do; without it the sync would be allotted less.
    limit = RateLimit(allowed_requests=20, interval=1)
    began = time.monotonic()
    sandbox = await start_sandbox(host="127.0.0.1", port=0, seed=7)
    try:
        async with aiohttp.ClientSession() as session:
            account = Account(session, url=sandbox.url, control_url=sandbox.control_url)
            counts = {"product": 6, "plan": 12, "customer": customers, "subscription": customers // 20}
            await account.fill(counts)
            took = time.monotonic() - began
            screen.say(f"   a sandbox that fakes Stripe, with {customers:,} customers  {took:.1f} s  {sandbox.url}")
            async with _springline(screen, data_dir, stripe_url=sandbox.url, keeps_data=True) as story:
                sync, consumer = await story.set_up(DEMO_KEY, _COLLECTIONS, rate_limit=limit)
                async with story.reading(consumer):
                    if not await story.watch_backfill(sync, within=_BACKFILL_WITHIN):
                        raise CommandFailed(f"the backfill was not over after {_BACKFILL_WITHIN.total_seconds():.0f} s")
                    delays = await story.watch_changes(account, updates=10, inserts=3, deletes=3)
                    await story.compare(account)
                    story.summarise(delays)
    finally:
        await sandbox.close()
    screen.say(
        "Your own: `springline serve`, then `springline syncs create --help`; or `springline demo --stripe-key env`."
    )


async def _on_account(screen: "Screen", data_dir: Path, secret: str) -> None:
    screen.say("Springline's demo on your Stripe account: it only reads, and nothing of it is kept.")
    screen.say()
    # Only an operator may point a provider elsewhere; whoever starts the demo is one.
    stripe_url = os.environ.get("SPRINGLINE_STRIPE_BASE_URL", "")
    async with _springline(screen, data_dir, stripe_url=stripe_url, keeps_data=False) as story:
        sync, consumer = await story.set_up(secret, _COLLECTIONS, rate_limit=None)
        async with story.reading(consumer):
            if not await story.watch_backfill(sync, within=_ACCOUNT_WITHIN):
                screen.say("   The account is larger than this demo: the backfill goes on while changes are shown.")
            seconds = _ACCOUNT_WITHIN.total_seconds()
            screen.step(6, f"Changes, as they happen, for {seconds:.0f} s: edit a customer in the dashboard.")
            await story.follow(within=_ACCOUNT_WITHIN)
    screen.say()
    screen.say(
        f"{story.reader.messages:,} messages. Your own: `springline serve`, then `springline syncs create --help`."
    )


@asynccontextmanager
async def _springline(screen: "Screen", data_dir: Path, *, stripe_url: str, keeps_data: bool) -> "AsyncIterator[Story]":
    """A whole Springline in this directory, with its own PostgreSQL; stopped when the block ends."""
    from springline import composition, telemetry
    from springline.cli.demo_story import Story
    from springline.client import SpringlineClient
    from springline.settings import Settings, SettingsError

    variables = {
        "SPRINGLINE_DATA_DIR": str(data_dir),
        "SPRINGLINE_PORT": "0",
        "SPRINGLINE_LOG_LEVEL": os.environ.get("SPRINGLINE_LOG_LEVEL", "").strip() or "error",
        "SPRINGLINE_STRIPE_BASE_URL": stripe_url,
    }
    try:
        settings = Settings.from_environment(variables)
    except SettingsError as error:
        raise CommandFailed(str(error)) from None
    telemetry.configure_logging(format="text", level=settings.log_level, stream=sys.stderr)
    began = time.monotonic()
    async with composition.running_server(settings, say=lambda line: None) as server:
        took = time.monotonic() - began
        screen.say(f"   Springline, with a PostgreSQL of its own  {took:.1f} s  {server.url}")
        async with SpringlineClient(server.url, server.token) as client:
            yield Story(client, screen, keeps_data=keeps_data)


@contextmanager
def _temporary_directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="springline-demo-"))
    try:
        yield path
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            warn(f"could not remove {path}: it is safe to remove it by hand")


def _run(story: "Callable[[Screen, Path], Awaitable[None]]") -> int:
    """Tells the story. A signal ends it as its end does: everything is stopped and removed first."""
    import springline.composition  # noqa: F401 - a slow import comes before there is anything to remove
    from springline.cli.demo_screen import Screen
    from springline.client import ClientError

    received: list[int] = []

    async def tell(data_dir: Path) -> None:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: int) -> None:
            if not received:
                received.append(number)
                note("\nstopping; the temporary data is removed")
                task.cancel()

        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        await story(Screen(), data_dir)

    try:
        # Outside of the event loop: its threads have ended when the directory goes.
        with _temporary_directory() as data_dir:
            run_inside(tell(data_dir))
    except asyncio.CancelledError:
        return 128 + (received[0] if received else signal.SIGTERM)
    except ClientError as error:
        raise CommandFailed(str(error)) from None
    return 0


def _checked(secret: str) -> str:
    """Raises CommandFailed for what can be no key that reads an account. Never shows it."""
    if secret.startswith("pk_"):
        raise CommandFailed(
            "a publishable key (pk_…) cannot read an account: give a restricted (rk_…) or secret key (sk_…)"
        )
    if not re.fullmatch(r"(sk|rk)_(test|live)_[A-Za-z0-9]+", secret):
        raise CommandFailed("this is no Stripe key: one looks like rk_live_…, rk_test_…, sk_live_… or sk_test_…")
    return secret
