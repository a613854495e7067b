"""What a command prints: tables for people, the API's own JSON for programs, errors on stderr."""

import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

#: So many characters of a record's data are shown in a line for people.
SNIPPET: Final = 80

json_option = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without being asked.")


def prepare() -> None:
    """A character that the terminal's encoding lacks is escaped, not fatal."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Raises BrokenPipeError here rather than while Python exits."""
    sys.stdout.flush()


def discard() -> None:
    """Nobody reads any more: what is still buffered goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):
        return
    finally:
        os.close(nowhere)


def say(line: str) -> None:
    """A line for people, shown at once."""
    print(line, flush=True)


def note(line: str) -> None:
    """A line for people that is no part of the command's result."""
    print(line, file=sys.stderr, flush=True)


def say_error(message: str) -> None:
    note(f"error: {message}")


def warn(message: str) -> None:
    note(f"warning: {message}")


def say_usage_error(error: click.UsageError) -> None:
    message = error.format_message()
    say_error(message[:1].lower() + message[1:])
    if error.ctx is not None:
        note(f"`{error.ctx.command_path} --help` shows how it is used")


def say_fault(error: Exception) -> None:
    """An error that nobody expected. Its traceback is for whoever asked for the log level `debug`."""
    from springline.telemetry import describe, redact

    if os.environ.get("SPRINGLINE_LOG_LEVEL", "").strip().lower() == "debug":
        note(redact("".join(traceback.format_exception(error)).rstrip()))
        say_error(redact(describe(error)))
    else:
        say_error(f"{redact(describe(error))} (a fault in Springline; SPRINGLINE_LOG_LEVEL=debug shows where)")


def print_json(raw: bytes) -> None:
    """Exactly what the API answered, and a line break."""
    sys.stdout.flush()
    sys.stdout.buffer.write(raw + b"\n")
    sys.stdout.buffer.flush()


def one_line(raw: bytes) -> bytes:
    """The same JSON without line breaks: inside strings JSON has none, so all of them are space between values."""
    return raw.replace(b"\r", b" ").replace(b"\n", b" ")


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """`empty` is what to say, and what to do, where there are no rows."""
    if not rows:
        note(empty)
        return
    from tabulate import tabulate

    cells = [[cell(value) for value in row] for row in rows]
    say(tabulate(cells, headers=headers, tablefmt="plain", disable_numparse=True))


def print_details(details: Mapping[str, object]) -> None:
    """One value per line, names in front; values that are None are left out."""
    width = max(len(name) for name in details)
    for name, value in details.items():
        if value is not None:
            first, *rest = cell(value, lines=True).split("\n")
            say(f"{name:<{width}}  {first}".rstrip())
            for line in rest:
                say(f"{'':<{width}}  {line}")


def cell(value: object, *, lines: bool = False) -> str:
    """A value as a person reads it. Control characters are escaped: someone's name is no terminal command."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, Mapping):
        import msgspec

        return printable(msgspec.json.encode(value).decode())
    if isinstance(value, list | tuple):
        return ("\n" if lines else ", ").join(cell(inner) for inner in value) or "–"
    return printable(str(value))


def printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
        for character in text
    )


def snippet(raw: bytes) -> str:
    """The beginning of some JSON, in one line."""
    text = bytes(raw[: 8 * SNIPPET]).decode("utf-8", "replace")
    text = " ".join(text.split())
    return printable(text if len(text) <= SNIPPET else f"{text[: SNIPPET - 1]}…")


def confirm(question: str, *, yes: bool) -> None:
    """Asks before what cannot be undone. Raises click.Abort for a no, click.UsageError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say --yes: there is no terminal to ask on.", click.get_current_context())
    if not click.confirm(question, err=True):
        raise click.Abort
