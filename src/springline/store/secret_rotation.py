"""Stored secrets, rewritten under the key that encrypts now."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from springline.domain.credentials import Properties
from springline.domain.secrets import Secret
from springline.store.database import Database, Row
from springline.store.secrets import Sealed, SecretBox, SecretPlace
from springline.store.statements import load_statements

_BATCH: Final = 100
_BEFORE_ALL: Final = uuid.UUID(int=0)


class Names(NamedTuple):
    """What of a credential is keyed with our secret key: the fingerprint of its secrets, and its account."""

    secret_print: str
    account: str


#: Works out a credential's names anew: from provider, kind, account as it is stored, and properties.
Rename = Callable[[str, str, str, Properties], Names | None]


class SecretRotation:
    """Each method rewrites one table, in batches, and returns how many rows; what is replaced meanwhile is left alone:
    it was encrypted by whoever replaced it. Raises SecretError where a key is missing."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._sql = load_statements("secrets")

    async def credentials(self, rename: Rename) -> int:
        """`rename` None for one: it keeps its names."""
        rewritten = 0
        after = 0
        while rows := await self._list("list_old_credentials", after):
            for row in rows:
                rewritten += await self._rewrite_credential(row, rename)
            after = rows[-1]["credential_no"]
        return rewritten

    async def oauth_apps(self) -> int:
        rewritten = 0
        after = _BEFORE_ALL
        while rows := await self._list("list_old_oauth_apps", after):
            for row in rows:
                place = SecretPlace(row["org_id"], "oauth_apps", str(row["oauth_app_id"]), "secrets")
                rewritten += await self._rewrite("rewrite_oauth_app", row["oauth_app_id"], row, place)
            after = rows[-1]["oauth_app_id"]
        return rewritten

    async def grants(self) -> int:
        rewritten = 0
        after = 0
        while rows := await self._list("list_old_grants", after):
            for row in rows:
                place = SecretPlace(row["org_id"], "grants", str(row["credential_id"]), "secrets")
                rewritten += await self._rewrite("rewrite_grant", row["credential_no"], row, place)
            after = rows[-1]["credential_no"]
        return rewritten

    async def _list(self, statement: str, after: int | uuid.UUID) -> list[Row]:
        return await self._database.fetch(self._sql[statement], self._box.key_ids[0], after, _BATCH)

    async def _rewrite(self, statement: str, key: Any, row: Row, place: SecretPlace, *more: object) -> int:
        content = self._box.decrypt(Sealed(row["secret_key_id"], row["secrets"]), place)
        sealed = self._box.encrypt(content, place)
        done = await self._database.fetch_value(
            self._sql[statement], key, row["secrets"], sealed.content, sealed.key_id, *more
        )
        return 0 if done is None else 1

    async def _rewrite_credential(self, row: Row, rename: Rename) -> int:
        place = SecretPlace(row["org_id"], "credentials", str(row["credential_id"]), "secrets")
        content = self._box.decrypt(Sealed(row["secret_key_id"], row["secrets"]), place)
        secrets: Mapping[str, str] = msgspec.json.decode(content, type=dict[str, str])
        properties = Properties(
            shown={name: value for name, value in row["properties"].items() if name not in secrets},
            secrets={name: Secret(text) for name, text in secrets.items()},
        )
        known = row["account"]
        names = rename(row["provider"], row["kind"], known, properties)
        if names is None:
            names = Names(row["secret_print"], known)
        key = row["credential_no"]
        try:
            return await self._rewrite("rewrite_credential", key, row, place, names.secret_print, names.account)
        except asyncpg.UniqueViolationError:
            # The same account was imported anew under the new key: this one keeps the name that it has.
            return await self._rewrite("rewrite_credential", key, row, place, names.secret_print, known)
