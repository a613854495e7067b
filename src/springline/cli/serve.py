"""`springline serve`, `worker` and `migrate`: the commands that open the database."""

import os
import sys
from typing import TYPE_CHECKING

import click

from springline.cli.inside import run_inside
from springline.cli.output import say
from springline.cli.remote import load_settings

if TYPE_CHECKING:
    from springline.settings import Settings


@click.command()
@click.option("--host", help="Listen on this address instead of SPRINGLINE_HOST.")
@click.option("--port", help="Listen on this port instead of SPRINGLINE_PORT; 0: a free one.")
def serve(host: str | None, port: str | None) -> int:
    """Starts everything: API, worker, PostgreSQL."""
    from springline import composition

    changes = {"SPRINGLINE_HOST": host, "SPRINGLINE_PORT": port}
    settings = load_settings({name: value for name, value in changes.items() if value is not None})
    configure_logs(settings)
    return run_inside(composition.serve(settings, say=say))


@click.command()
def worker() -> int:
    """One more worker, beside a running server."""
    from springline import composition

    settings = load_settings()
    configure_logs(settings)
    return run_inside(composition.work(settings, say=say))


@click.command()
def migrate() -> int:
    """Brings the database up to date, and ends. `serve` does the same at its start."""
    from springline import composition

    settings = load_settings()
    configure_logs(settings, for_a_moment=True)
    return run_inside(composition.migrate(settings, say=say))


def configure_logs(settings: "Settings", *, for_a_moment: bool = False) -> None:
    """Logs go to stderr; what is said to the person who started the command goes to stdout. A command that runs
    `for_a_moment` logs only what is wrong, unless the level is set."""
    from springline import telemetry

    level = settings.log_level
    if for_a_moment and not os.environ.get("SPRINGLINE_LOG_LEVEL", "").strip():
        level = "warning"
    telemetry.configure_logging(format=settings.log_format, level=level, stream=sys.stderr, secrets=settings.secrets())
