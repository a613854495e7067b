"""What a person typed, id or name, turned into the object that is meant."""

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from springline.cli.errors import CommandFailed

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import ApiObject, Consumer, Credential, OAuthApp, Stream, Sync

Named = TypeVar("Named", bound="ApiObject")


async def find_stream(springline: "SpringlineClient", text: str) -> "Stream":
    """By id or slug. Raises CommandFailed, ClientError."""
    if is_id(text):
        return await springline.streams.get(text)
    return _match(await springline.streams.list(), text, lambda stream: stream.slug, noun="stream")


async def find_sync(springline: "SpringlineClient", text: str) -> "Sync":
    """By id or name. Raises CommandFailed, ClientError."""
    if is_id(text):
        return await springline.syncs.get(text)
    return _match(await springline.syncs.list(), text, lambda sync: sync.name, noun="sync")


async def find_credential(springline: "SpringlineClient", text: str) -> "Credential":
    """By id or name. Raises CommandFailed, ClientError."""
    if is_id(text):
        return await springline.credentials.get(text)
    return _match(
        await springline.credentials.list(), text, lambda credential: credential.name or "", noun="credential"
    )


async def find_oauth_app(springline: "SpringlineClient", text: str) -> "OAuthApp":
    """By id or name. Raises CommandFailed, ClientError."""
    if is_id(text):
        return await springline.oauth_apps.get(text)
    return _match(await springline.oauth_apps.list(), text, lambda app: app.name, noun="OAuth app")


async def find_consumer(springline: "SpringlineClient", text: str) -> "Consumer":
    """By id or name. Raises CommandFailed, ClientError."""
    if is_id(text):
        return await springline.consumers.get(text)
    return _match(await springline.consumers.list(), text, lambda consumer: consumer.name, noun="consumer")


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _match(found: Sequence[Named], text: str, name_of: Callable[[Named], str], *, noun: str) -> Named:
    matches = [one for one in found if name_of(one) == text]
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(str(getattr(match, "id", "")) for match in matches)
        raise CommandFailed(f"{len(matches)} {noun}s are called {text!r}: say which by its id ({ids})")
    names = sorted({name_of(one) for one in found if name_of(one)})
    nameless = sum(not name_of(one) for one in found)
    raise CommandFailed(f"there is no {noun} {text!r}{_hint(names, text, noun=noun, nameless=nameless)}")


def _hint(names: Sequence[str], text: str, *, noun: str, nameless: int) -> str:
    nearest = difflib.get_close_matches(text, names, n=1)
    if nearest:
        return f": did you mean {nearest[0]!r}?"
    if nameless:
        return f": `springline {noun}s list` shows all {len(names) + nameless}, also those without a name"
    if not names:
        return f": there are none yet (`springline {noun}s create --help`)"
    if len(names) <= 5:
        return f": there is {', '.join(repr(name) for name in names)} (or give its id)"
    return f": `springline {noun}s list` shows all {len(names)}"
