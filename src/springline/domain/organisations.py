"""Who owns what: every object belongs to one organisation, and so does every API token."""

import hashlib
import uuid
from datetime import datetime
from typing import Final

import msgspec

#: The organisation that is there from the first start.
DEFAULT_ORGANISATION: Final = "default"
#: The name of the token that SPRINGLINE_API_TOKEN holds.
SETTINGS_TOKEN: Final = "settings"  # noqa: S105 - a name

_PREFIX = "spl_"


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """An owner of streams, syncs, credentials and consumers."""

    org_id: uuid.UUID
    name: str
    created_at: datetime


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """A key to one organisation, without its text: of that only a hash is kept."""

    token_id: uuid.UUID
    org_id: uuid.UUID
    name: str
    created_at: datetime


def token_text(encoded_chance: str) -> str:
    """The text of a token from 256 random bits in base64url: the prefix lets scanners of leaked secrets find it."""
    return _PREFIX + encoded_chance


def token_hash(text: str) -> bytes:
    """What the database keeps of a token. A plain hash will do: there is nothing to guess in 256 random bits."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
