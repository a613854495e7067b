"""Access tokens, encrypted, and the claim of the one process that obtains another (I8)."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from springline.domain.grants import Fault, Setback, overlaid, renewal_seconds
from springline.domain.secrets import Secret
from springline.store.database import Database, Row
from springline.store.secrets import Sealed, SecretBox, SecretPlace
from springline.store.statements import load_statements

#: A process that was killed while it asked keeps the others waiting so long; an attempt takes less.
CLAIM_SECONDS: Final = 30.0
#: A token that is refused when it is younger than this was not withdrawn: the next one would be refused as well.
NEW_SECONDS: Final = 10.0


class Token(NamedTuple):
    """An access token with what rotated with it. `lifetime_seconds` None: it does not expire."""

    access_token: Secret
    rotated: Mapping[str, Secret]
    lifetime_seconds: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldGrant:
    """A credential with what was obtained for it. `properties` are in clear, with what has rotated since; they hold
    `access_token` if there is one, living or not. `version` None: nothing was obtained yet."""

    credential_no: int
    oauth_app_id: uuid.UUID | None
    properties: dict[str, Any] = field(repr=False)
    version: int | None
    seconds_left: float
    retry_seconds: float
    refusals: int
    failures: int
    fault: Fault | None


class DueGrant(NamedTuple):
    """A token that is to be renewed: the one of this version."""

    org_id: uuid.UUID
    credential_id: uuid.UUID
    provider: str
    kind: str
    version: int


class GrantStore:
    """Tokens of any organisation's credentials."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._sql = load_statements("grants")

    async def get(self, org_id: uuid.UUID, credential_id: uuid.UUID) -> HeldGrant | None:
        """None: there is no such credential. Raises SecretError if secrets cannot be decrypted."""
        row = await self._database.fetch_row(self._sql["get_grant"], org_id, credential_id)
        if row is None:
            return None
        return HeldGrant(
            credential_no=row["credential_no"],
            oauth_app_id=row["oauth_app_id"],
            properties=self._properties(row),
            version=row["version"],
            seconds_left=row["seconds_left"],
            retry_seconds=row["retry_seconds"],
            refusals=row["refusals"],
            failures=row["failures"],
            fault=None if row["fault"] is None else msgspec.convert(row["fault"], Fault),
        )

    async def claim(self, credential_no: int, claimant: uuid.UUID, *, seen_version: int | None) -> int | None:
        """The version of the row that is claimed; None: it is somebody else's, no more what was seen, or it is too
        early to ask."""
        version: int | None = await self._database.fetch_value(
            self._sql["claim_grant"], credential_no, claimant, CLAIM_SECONDS, seen_version
        )
        return version

    async def keep(
        self, org_id: uuid.UUID, credential_id: uuid.UUID, *, credential_no: int, version: int, token: Token
    ) -> bool:
        """Stores a token in place of the version that it was obtained for. False: that is gone, and so is its use."""
        sealed = self._seal(org_id, credential_id, token)
        kept = await self._database.fetch_value(
            self._sql["keep_grant"], credential_no, version, sealed.content, sealed.key_id, *_times(token)
        )
        return kept is not None

    async def begin(self, org_id: uuid.UUID, credential_id: uuid.UUID, *, credential_no: int, token: Token) -> None:
        """Stores the token that a credential was tried with when it was imported."""
        sealed = self._seal(org_id, credential_id, token)
        await self._database.execute(
            self._sql["begin_grant"], credential_no, sealed.content, sealed.key_id, *_times(token)
        )

    async def give_up(self, credential_no: int, claimant: uuid.UUID, setback: Setback) -> None:
        """Ends a claim without a token."""
        await self._database.execute(
            self._sql["give_up_claim"],
            credential_no,
            claimant,
            setback.refusals,
            setback.fault,
            setback.retry_seconds,
        )

    async def withdraw(self, credential_no: int) -> bool:
        """The provider refuses the token. False: it is so new that another one would be refused as well."""
        withdrawn = await self._database.fetch_value(self._sql["withdraw_token"], credential_no, NEW_SECONDS)
        return withdrawn is not None

    async def list_due(self, worker_no: int, *, limit: int) -> list[DueGrant]:
        """Living tokens that are to be renewed, the most urgent first, of what this worker runs."""
        rows = await self._database.fetch(self._sql["list_due_grants"], worker_no, limit)
        return [DueGrant(**row) for row in rows]

    def _properties(self, row: Row) -> dict[str, Any]:
        own = self._box.decrypt(
            Sealed(row["secret_key_id"], row["secrets"]),
            SecretPlace(row["org_id"], "credentials", str(row["credential_id"]), "secrets"),
        )
        secrets = msgspec.json.decode(own, type=dict[str, str])
        properties = {**row["properties"], **secrets}
        if row["grant_secrets"] is None:
            return properties
        obtained = self._box.decrypt(
            Sealed(row["grant_key_id"], row["grant_secrets"]), _place(row["org_id"], row["credential_id"])
        )
        kept = msgspec.json.decode(obtained, type=_Kept)
        return overlaid(properties, kept.rotated, kept.access_token)

    def _seal(self, org_id: uuid.UUID, credential_id: uuid.UUID, token: Token) -> Sealed:
        rotated = {name: secret.reveal() for name, secret in token.rotated.items()}
        kept = _Kept(access_token=token.access_token.reveal(), rotated=rotated)
        return self._box.encrypt(msgspec.json.encode(kept), _place(org_id, credential_id))


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is encrypted."""

    access_token: str
    rotated: dict[str, str] = {}

    def __repr__(self) -> str:
        return "_Kept(…)"


def _place(org_id: uuid.UUID, credential_id: uuid.UUID) -> SecretPlace:
    return SecretPlace(org_id, "grants", str(credential_id), "secrets")


def _times(token: Token) -> tuple[float | None, float | None]:
    """In how many seconds a token ends, and in how many it is renewed."""
    lifetime = token.lifetime_seconds
    return lifetime, None if lifetime is None else renewal_seconds(lifetime)
