"""How a command reaches a running server: settings, token, client, and its errors in words."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from springline.cli import output
from springline.cli.errors import CommandFailed

if TYPE_CHECKING:
    from springline.client import ApiError, SpringlineClient
    from springline.settings import Settings

Done = TypeVar("Done")


def load_settings(changes: Mapping[str, str] | None = None) -> "Settings":
    """The environment's settings, with some variables changed. Warns about unknown variables; raises CommandFailed for
    a wrong one."""
    from springline.settings import Settings, SettingsError

    try:
        settings = Settings.from_environment({**os.environ, **(changes or {})})
    except SettingsError as error:
        raise CommandFailed(str(error)) from None
    for warning in settings.warnings:
        output.warn(warning)
    return settings


def ask(question: "Callable[[SpringlineClient], Awaitable[Done]]") -> Done:
    """Runs `question` with a client of the server that the settings name. Raises CommandFailed for its errors."""
    settings = load_settings()
    token = read_token(settings)

    async def answer() -> Done:
        from springline.client import SpringlineClient

        async with SpringlineClient(settings.url, token) as springline:
            return await question(springline)

    from springline.client import ApiError, NotSpringline, Unreachable

    try:
        return asyncio.run(answer())
    except Unreachable as error:
        raise CommandFailed(f"{error}; {way_to_a_server()}") from None
    except NotSpringline as error:
        raise CommandFailed(f"{error} (SPRINGLINE_URL says where Springline is)") from None
    except ApiError as error:
        raise CommandFailed(refusal(error, settings)) from None


def way_to_a_server() -> str:
    if os.environ.get("SPRINGLINE_URL", "").strip():
        return "is `springline serve` running there? SPRINGLINE_URL is what it is set to"
    return "is `springline serve` running? SPRINGLINE_URL says where, if it is elsewhere"


def refusal(error: "ApiError", settings: "Settings") -> str:
    """The API's error as a command words it: its sentence, or one line for each of several wrong fields."""
    if error.status == 401:
        if settings.api_token:
            source, way_out = "SPRINGLINE_API_TOKEN", "set it to one of that server's"
        else:
            source = str(settings.token_file)
            way_out = "set SPRINGLINE_API_TOKEN, or SPRINGLINE_DATA_DIR to that server's data directory"
        return f"the server at {settings.url} does not know the token from {source}: {way_out}"
    wrong = [f"{field} {sentence}" for field, sentences in error.fields.items() for sentence in sentences]
    if len(wrong) > 1:
        return "\n  ".join(["the server refuses this:", *map(output.printable, wrong)])
    return output.printable(error.message)


def read_token(settings: "Settings") -> str:
    """The API token from the environment, else from the data directory. Raises CommandFailed."""
    if settings.api_token:
        return settings.api_token
    path = settings.token_file
    try:
        token = path.read_text("ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise CommandFailed(
            "there is no API token: set SPRINGLINE_API_TOKEN, or run `springline serve`, whose first start writes one "
            f"to {path} (SPRINGLINE_DATA_DIR says where the data directory is)"
        ) from None
    except PermissionError:
        raise CommandFailed(
            f"only the user who runs the server may read {path}: run this as that user, or set SPRINGLINE_API_TOKEN"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"cannot read the API token from {path}: {error}; set SPRINGLINE_API_TOKEN") from None
    if not token.isprintable() or not token or " " in token:
        raise CommandFailed(f"{path} holds no API token: set SPRINGLINE_API_TOKEN, or restore the file")
    return token
