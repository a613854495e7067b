"""Credentials: one account's secret each, and what makes two of them the same."""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from springline.domain.health import PartHealth
from springline.domain.secrets import MASK, Secret

#: Parts an account from what else distinguishes its keys. Accounts are percent-encoded, so it stands once at most.
_PART = "#"
#: Begins the account of a key that tells nothing of whose it is.
_KEYED = "key:"
#: It is indexed, and an index entry has its limits.
_LONGEST_ACCOUNT = 400


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """A credential's properties: those that may be shown, and the secret ones."""

    shown: dict[str, Any]
    secrets: dict[str, Secret]

    def masked(self) -> dict[str, Any]:
        """As they are stored and answered: asterisks in place of each secret."""
        return self.shown | dict.fromkeys(self.secrets, MASK)

    def reveal(self) -> dict[str, Any]:
        """All of them in clear, for the module that speaks to the provider."""
        return self.shown | {name: secret.reveal() for name, secret in self.secrets.items()}


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One account's secret. `properties` are masked; the secrets are read apart, and only to be used."""

    credential_no: int
    credential_id: uuid.UUID
    org_id: uuid.UUID
    provider: str
    kind: str
    account: str
    name: str | None
    properties: dict[str, Any]
    oauth_app_id: uuid.UUID | None
    metadata: dict[str, Any]
    health: PartHealth
    created_at: datetime
    updated_at: datetime


def known_account(identity: str, *, data_set: str | None, distinction: str | None) -> str:
    """The account column for a provider's account, which of its data sets this key opens, and what distinguishes the
    key from others of the same."""
    account = quote(identity if data_set is None else f"{identity}/{data_set}", safe="/@+=,")
    if len(account) > _LONGEST_ACCOUNT:
        account = "sha256:" + hashlib.sha256(account.encode()).hexdigest()
    return account if distinction is None else f"{account}{_PART}{distinction}"


def redistinguished(account: str, distinction: str) -> str:
    """A known account with another distinction in place of the one that it had, if it had one."""
    base, part, _ = account.partition(_PART)
    return f"{base}{part}{distinction}" if part else account


def keyed_account(fingerprint: str) -> str:
    """The account column where nobody says whose key it is: a keyed hash of the key."""
    return _KEYED + fingerprint


def same_account(stored: str, presented: str) -> bool:
    """Whether a key may take the place of another: both are known to be of one account, or one is not known at all."""
    if stored.startswith(_KEYED) or presented.startswith(_KEYED):
        return True
    return stored.partition(_PART)[0] == presented.partition(_PART)[0]


def is_known(account: str) -> bool:
    """Whether an account column names an account, not just a key."""
    return not account.startswith(_KEYED)


def split_properties(properties: Mapping[str, Any], secret_names: frozenset[str]) -> Properties:
    """Parts the secret properties from those that may be shown."""
    return Properties(
        shown={name: value for name, value in properties.items() if name not in secret_names},
        secrets={name: Secret(value) for name, value in properties.items() if name in secret_names},
    )
