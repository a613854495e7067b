"""What options may hold: durations, rate limits, JSON objects, secrets by where they come from."""

import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from springline.cli import output
from springline.cli.errors import CommandFailed

if TYPE_CHECKING:
    from springline.client.objects import RateLimit

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


SECRET_SOURCE: Final = "-|env:NAME|@FILE"  # noqa: S105 - how to say where one is


def duration(text: str) -> timedelta:
    """`500ms`, `30s`, `5m`, `1h`. Raises click.BadParameter."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no duration: write 500ms, 30s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2]]


def rate_limit(text: str) -> "RateLimit":
    """`100/60s`: requests, slash, window. Raises click.BadParameter."""
    from springline.client.objects import RateLimit

    match = re.fullmatch(r"(\d{1,9})/(\d{0,6})(ms|s|m|h|d)?", text.strip())
    if match is None or not (match[2] or match[3]):
        raise click.BadParameter(f"{text!r} is no rate limit: write 100/60s for 100 requests in any 60 seconds")
    window = int(match[2] or 1) * _UNITS[match[3] or "s"]
    return RateLimit(allowed_requests=int(match[1]), interval=window.total_seconds())


def json_object(text: str) -> dict[str, Any]:
    """A JSON object, or `@FILE` that holds one. Raises click.BadParameter."""
    import msgspec

    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return msgspec.json.decode(raw, type=dict[str, Any])
    except OSError as error:
        raise click.BadParameter(f"cannot read {text[1:]}: {error.strerror}") from None
    except ValueError:
        raise click.BadParameter(f"""{text!r} is no JSON object: write '{{"plan": "gold"}}'""") from None


def read_secret(source: str, *, option: str, variable: str | None = None) -> str:
    """A secret from where `source` says: `-` standard input, `env:NAME` (or `env`: `variable`), `@FILE`; else the text
    itself, with a warning. Raises CommandFailed."""
    if source == "-":
        if sys.stdin.isatty():
            return prompt_secret(option.lstrip("-").replace("-", " "))
        return _given(sys.stdin.readline().strip(), "standard input")
    if source == "env" and variable is not None:
        source = f"env:{variable}"
    if source.startswith("env:"):
        name = source.removeprefix("env:")
        return _given(os.environ.get(name, "").strip(), f"the environment variable {name}")
    if source.startswith("@"):
        path = Path(source[1:])
        try:
            return _given(path.read_text().strip(), str(path))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise CommandFailed(f"cannot read the secret from {path}: {reason}") from None
    output.warn(f"{option}: a secret on the command line is seen in the process list and kept by the shell; - reads it")
    return source


def prompt_secret(what: str) -> str:
    """Asks on the terminal, without showing what is typed. Raises CommandFailed where there is none."""
    if not sys.stdin.isatty():
        raise CommandFailed(f"there is no terminal to ask for the {what}: use --secret-from-env NAME or --secret-stdin")
    return str(click.prompt(what, hide_input=True, err=True)).strip()


def _given(secret: str, place: str) -> str:
    if not secret:
        raise CommandFailed(f"{place} holds no secret")
    return secret
