"""API tokens: hashes of them, and whose they are."""

import uuid

from springline.domain.ids import new_id
from springline.domain.organisations import ApiToken, token_hash
from springline.domain.secrets import Secret
from springline.store.database import Database
from springline.store.organisations import make_token
from springline.store.statements import load_statements


class TokenStore:
    """API tokens of any organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("tokens")

    async def create(self, org_id: uuid.UUID, name: str) -> tuple[ApiToken, Secret]:
        """A new token with its text, which nobody can learn again."""
        text = make_token()
        row = await self._database.fetch_row(
            self._sql["create_token"], new_id(), org_id, name, token_hash(text.reveal())
        )
        assert row is not None
        return ApiToken(**dict(row)), text

    async def list(self, org_id: uuid.UUID, *, after: uuid.UUID | None, limit: int) -> list[ApiToken]:
        """Tokens by id, above one."""
        rows = await self._database.fetch(self._sql["list_tokens"], org_id, after, limit)
        return [ApiToken(**dict(row)) for row in rows]

    async def delete(self, org_id: uuid.UUID, token_id: uuid.UUID) -> bytes | None:
        """Revokes a token and returns its hash; None if there is none of this id."""
        digest: bytes | None = await self._database.fetch_value(self._sql["delete_token"], org_id, token_id)
        return digest

    async def organisation_of(self, digest: bytes) -> uuid.UUID | None:
        """Whose token has this hash; None: nobody's."""
        org_id: uuid.UUID | None = await self._database.fetch_value(self._sql["find_token_by_hash"], digest)
        return org_id
