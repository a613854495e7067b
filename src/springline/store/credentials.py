"""Credentials, their secrets encrypted."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from springline.domain.credentials import Credential, Properties
from springline.domain.health import PartHealth
from springline.domain.ids import new_id
from springline.domain.secrets import Secret
from springline.store.database import Database, Row
from springline.store.secrets import Sealed, SecretBox, SecretPlace
from springline.store.statements import load_statements


class AccountTaken(Exception):
    """The organisation has another credential of this kind for this account."""


class CredentialInUse(Exception):
    """Syncs still use the credential, or records of one are still leaving."""


class CredentialStore:
    """Credentials of any organisation. What takes an id returns None where the organisation has none of it."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._sql = load_statements("credentials")

    async def create(
        self,
        org_id: uuid.UUID,
        *,
        provider: str,
        kind: str,
        account: str,
        secret_print: str,
        name: str | None,
        properties: Properties,
        metadata: Mapping[str, Any],
        oauth_app_id: uuid.UUID | None = None,
    ) -> Credential:
        """A new credential. Raises AccountTaken."""
        credential_id = new_id()
        sealed = self._seal(org_id, credential_id, properties)
        row = await self._database.fetch_row(
            self._sql["create_credential"],
            credential_id,
            org_id,
            provider,
            kind,
            account,
            secret_print,
            name,
            properties.masked(),
            sealed.content,
            sealed.key_id,
            metadata,
            oauth_app_id,
        )
        if row is None:
            raise AccountTaken
        return _credential(row)

    async def get(self, org_id: uuid.UUID, credential_id: uuid.UUID) -> Credential | None:
        row = await self._database.fetch_row(self._sql["get_credential"], org_id, credential_id)
        return None if row is None else _credential(row)

    async def find(
        self, org_id: uuid.UUID, *, provider: str, kind: str, accounts: Sequence[str], secret_prints: Sequence[str]
    ) -> Credential | None:
        """The credential of the first of these accounts that has one, else one that holds this very secret."""
        row = await self._database.fetch_row(
            self._sql["find_credential"], org_id, provider, kind, accounts, secret_prints
        )
        return None if row is None else _credential(row)

    async def list(
        self,
        org_id: uuid.UUID,
        *,
        provider: str | None = None,
        kind: str | None = None,
        health_status: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        after: uuid.UUID | None,
        limit: int,
    ) -> list[Credential]:
        """Credentials that match all that is given, by id, above one."""
        rows = await self._database.fetch(
            self._sql["list_credentials"], org_id, provider, kind, health_status, metadata, after, limit
        )
        return [_credential(row) for row in rows]

    async def of_syncs(self, org_id: uuid.UUID, credential_nos: Sequence[int]) -> dict[int, Credential]:
        """Credentials by their numbers."""
        rows = await self._database.fetch(self._sql["list_credentials_by_number"], org_id, credential_nos)
        return {row["credential_no"]: _credential(row) for row in rows}

    async def describe(
        self, org_id: uuid.UUID, credential_id: uuid.UUID, changes: Mapping[str, Any]
    ) -> Credential | None:
        """Sets what `changes` names of name and metadata."""
        row = await self._database.fetch_row(
            self._sql["describe_credential"],
            org_id,
            credential_id,
            "name" in changes,
            changes.get("name"),
            changes.get("metadata"),
        )
        return None if row is None else _credential(row)

    async def refresh_collections(self, org_id: uuid.UUID, credential_id: uuid.UUID) -> datetime | None:
        """Notes that it was looked at now what the credential can see; returns when."""
        at: datetime | None = await self._database.fetch_value(self._sql["refresh_collections"], org_id, credential_id)
        return at

    async def collections_refreshed_at(self, org_id: uuid.UUID, credential_id: uuid.UUID) -> datetime | None:
        """When that was last; None: never since it was made."""
        at: datetime | None = await self._database.fetch_value(
            self._sql["collections_refreshed_at"], org_id, credential_id
        )
        return at

    async def replace(
        self,
        org_id: uuid.UUID,
        credential_id: uuid.UUID,
        *,
        account: str,
        secret_print: str,
        properties: Properties,
        oauth_app_id: uuid.UUID | None = None,
    ) -> Credential | None:
        """Replaces the properties; what was obtained with the old ones goes, health starts anew, and the syncs that use
        it take it up. Raises AccountTaken."""
        sealed = self._seal(org_id, credential_id, properties)
        try:
            row = await self._database.fetch_row(
                self._sql["replace_credential"],
                org_id,
                credential_id,
                account,
                secret_print,
                properties.masked(),
                sealed.content,
                sealed.key_id,
                oauth_app_id,
            )
        except asyncpg.UniqueViolationError:
            raise AccountTaken from None
        return None if row is None else _credential(row)

    async def properties(self, org_id: uuid.UUID, credential_id: uuid.UUID) -> Properties | None:
        """The properties with their secrets. Raises SecretError if they cannot be decrypted."""
        row = await self._database.fetch_row(self._sql["get_secrets"], org_id, credential_id)
        if row is None:
            return None
        content = self._box.decrypt(Sealed(row["secret_key_id"], row["secrets"]), _place(org_id, credential_id))
        secrets = msgspec.json.decode(content, type=dict[str, str])
        shown = {name: value for name, value in row["properties"].items() if name not in secrets}
        return Properties(shown=shown, secrets={name: Secret(text) for name, text in secrets.items()})

    async def delete(self, org_id: uuid.UUID, credential_id: uuid.UUID) -> bool:
        """False: unknown. Raises CredentialInUse."""
        try:
            tag = await self._database.execute(self._sql["delete_credential"], org_id, credential_id)
        except asyncpg.ForeignKeyViolationError:
            raise CredentialInUse from None
        return tag != "DELETE 0"

    def _seal(self, org_id: uuid.UUID, credential_id: uuid.UUID, properties: Properties) -> Sealed:
        secrets = {name: secret.reveal() for name, secret in properties.secrets.items()}
        return self._box.encrypt(msgspec.json.encode(secrets), _place(org_id, credential_id))


def _place(org_id: uuid.UUID, credential_id: uuid.UUID) -> SecretPlace:
    return SecretPlace(org_id, "credentials", str(credential_id), "secrets")


def _credential(row: Row) -> Credential:
    fields = dict(row)
    fields["health"] = msgspec.convert(fields["health"], PartHealth)
    return Credential(**fields)
