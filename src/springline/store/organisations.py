"""Organisations, and the default one that is there from the first start."""

import base64
import os
import uuid
from typing import Final

from springline.domain.ids import new_id
from springline.domain.organisations import (
    DEFAULT_ORGANISATION,
    SETTINGS_TOKEN,
    Organisation,
    token_hash,
    token_text,
)
from springline.domain.secrets import Secret
from springline.store.database import Connection, Database, DatabaseError
from springline.store.statements import load_statements

#: Any constant: held while the first start makes the default organisation, so that processes take turns.
_BOOTSTRAP_LOCK: Final = 0x5350524D
_FIRST_TOKEN = "first start"  # noqa: S105 - a name


class OrganisationExists(Exception):
    """Another organisation has this name."""


class OrganisationStore:
    """Organisations and what a start needs of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("organisations") | load_statements("tokens")

    async def create(self, name: str) -> tuple[Organisation, Secret]:
        """A new organisation and the first token of it. Raises OrganisationExists."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(self._sql["create_organisation"], new_id(), name)
            if row is None:
                raise OrganisationExists(name)
            organisation = Organisation(**dict(row))
            return organisation, await self._add_token(connection, organisation.org_id, _FIRST_TOKEN)

    async def list(self) -> list[Organisation]:
        """All of them, by name."""
        return [Organisation(**dict(row)) for row in await self._database.fetch(self._sql["list_organisations"])]

    async def ensure_default(self, settings_token: Secret | None) -> Secret | None:
        """Makes sure that the default organisation exists and can be reached; safe with several processes at once.

        `settings_token` becomes its token `settings`; one of that name that differs is revoked. Without it, a token is
        made and returned if the organisation has none at all. Raises DatabaseError if another organisation has the
        given token.
        """
        async with self._database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _BOOTSTRAP_LOCK)
            await connection.execute(self._sql["ensure_organisation"], new_id(), DEFAULT_ORGANISATION)
            org_id: uuid.UUID = await connection.fetchval(self._sql["find_organisation"], DEFAULT_ORGANISATION)
            if settings_token is not None:
                await self._register(connection, org_id, settings_token)
                return None
            if await connection.fetchval(self._sql["has_tokens"], org_id):
                return None
            return await self._add_token(connection, org_id, _FIRST_TOKEN)

    async def _register(self, connection: Connection, org_id: uuid.UUID, token: Secret) -> None:
        digest = token_hash(token.reveal())
        await connection.execute(self._sql["revoke_other_tokens_of_name"], org_id, SETTINGS_TOKEN, digest)
        await connection.execute(self._sql["register_token"], new_id(), org_id, SETTINGS_TOKEN, digest)
        if await connection.fetchval(self._sql["find_token_by_hash"], digest) != org_id:
            raise DatabaseError("SPRINGLINE_API_TOKEN is the token of another organisation; choose one of its own")

    async def _add_token(self, connection: Connection, org_id: uuid.UUID, name: str) -> Secret:
        token = make_token()
        await connection.execute(self._sql["register_token"], new_id(), org_id, name, token_hash(token.reveal()))
        return token


def make_token() -> Secret:
    """A new API token."""
    return Secret(token_text(base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()))
