"""OAuth apps, their secrets encrypted."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from springline.domain.credentials import Properties
from springline.domain.health import PartHealth
from springline.domain.ids import new_id
from springline.domain.oauth_apps import OAuthApp
from springline.domain.secrets import Secret
from springline.store.database import Database, Row
from springline.store.secrets import Sealed, SecretBox, SecretPlace
from springline.store.statements import load_statements


class OAuthAppInUse(Exception):
    """Credentials were made with the app."""


class OAuthAppStore:
    """OAuth apps of any organisation. What takes an id returns None where the organisation has none of it."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._sql = load_statements("oauth_apps")

    async def create(
        self,
        org_id: uuid.UUID,
        *,
        provider: str,
        name: str,
        client_id: str,
        properties: Properties,
        redirect_uris: Sequence[str],
        metadata: Mapping[str, Any],
    ) -> OAuthApp:
        app_id = new_id()
        sealed = self._seal(org_id, app_id, properties)
        row = await self._database.fetch_row(
            self._sql["create_oauth_app"],
            app_id,
            org_id,
            provider,
            name,
            client_id,
            properties.masked(),
            sealed.content,
            sealed.key_id,
            redirect_uris,
            metadata,
        )
        assert row is not None
        return _app(row)

    async def get(self, org_id: uuid.UUID, app_id: uuid.UUID) -> OAuthApp | None:
        row = await self._database.fetch_row(self._sql["get_oauth_app"], org_id, app_id)
        return None if row is None else _app(row)

    async def list(
        self,
        org_id: uuid.UUID,
        *,
        provider: str | None = None,
        health_status: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        after: uuid.UUID | None,
        limit: int,
    ) -> list[OAuthApp]:
        """Apps that match all that is given, by id, above one."""
        rows = await self._database.fetch(
            self._sql["list_oauth_apps"], org_id, provider, health_status, metadata, after, limit
        )
        return [_app(row) for row in rows]

    async def properties(self, org_id: uuid.UUID, app_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Properties]:
        """What the apps have, their client ids included, with their secrets. Raises SecretError if they cannot be
        decrypted."""
        rows = await self._database.fetch(self._sql["list_oauth_app_secrets"], org_id, app_ids)
        return {row["oauth_app_id"]: self._open(org_id, row["oauth_app_id"], row) for row in rows}

    async def describe(self, org_id: uuid.UUID, app_id: uuid.UUID, changes: Mapping[str, Any]) -> OAuthApp | None:
        """Sets what `changes` names of name, metadata and redirect_uris."""
        row = await self._database.fetch_row(
            self._sql["describe_oauth_app"],
            org_id,
            app_id,
            changes.get("name"),
            changes.get("metadata"),
            changes.get("redirect_uris"),
        )
        return None if row is None else _app(row)

    async def replace_secrets(
        self, org_id: uuid.UUID, app_id: uuid.UUID, secrets: Mapping[str, Secret]
    ) -> OAuthApp | None:
        """Replaces some secrets, the others stay. Health starts anew, and what had failed is tried again."""
        async with self._database.transaction() as connection:
            locked = await connection.fetchrow(self._sql["lock_oauth_app"], org_id, app_id)
            if locked is None:
                return None
            known = self._open(org_id, app_id, locked)
            shown = {name: value for name, value in known.shown.items() if name != "client_id" and name not in secrets}
            properties = Properties(shown=shown, secrets={**known.secrets, **secrets})
            sealed = self._seal(org_id, app_id, properties)
            row = await connection.fetchrow(
                self._sql["replace_oauth_app_properties"],
                org_id,
                app_id,
                properties.masked(),
                sealed.content,
                sealed.key_id,
            )
        return None if row is None else _app(row)

    async def save_health(self, org_id: uuid.UUID, app_id: uuid.UUID, health: PartHealth) -> None:
        await self._database.execute(self._sql["save_oauth_app_health"], org_id, app_id, health)

    async def delete(self, org_id: uuid.UUID, app_id: uuid.UUID) -> bool:
        """False: unknown. Raises OAuthAppInUse."""
        try:
            tag = await self._database.execute(self._sql["delete_oauth_app"], org_id, app_id)
        except asyncpg.ForeignKeyViolationError:
            raise OAuthAppInUse from None
        return tag != "DELETE 0"

    def _seal(self, org_id: uuid.UUID, app_id: uuid.UUID, properties: Properties) -> Sealed:
        secrets = {name: secret.reveal() for name, secret in properties.secrets.items()}
        return self._box.encrypt(msgspec.json.encode(secrets), _place(org_id, app_id))

    def _open(self, org_id: uuid.UUID, app_id: uuid.UUID, row: Row) -> Properties:
        content = self._box.decrypt(Sealed(row["secret_key_id"], row["secrets"]), _place(org_id, app_id))
        secrets = msgspec.json.decode(content, type=dict[str, str])
        shown = {name: value for name, value in row["properties"].items() if name not in secrets}
        return Properties(
            shown={"client_id": row["client_id"], **shown},
            secrets={name: Secret(text) for name, text in secrets.items()},
        )


def _place(org_id: uuid.UUID, app_id: uuid.UUID) -> SecretPlace:
    return SecretPlace(org_id, "oauth_apps", str(app_id), "secrets")


def _app(row: Row) -> OAuthApp:
    fields = dict(row)
    fields["health"] = msgspec.convert(fields["health"], PartHealth)
    return OAuthApp(**fields)
