"""Who asks: a bearer token names an organisation."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple

from springline.domain.errors import Refused
from springline.domain.organisations import token_hash
from springline.store.tokens import TokenStore

#: How long a token is believed without asking the database. A revoked one stops within a second, so less than that.
BELIEVED_SECONDS: Final = 0.8
#: More tokens than this in use at once are each looked up again a little more often.
_MOST_REMEMBERED: Final = 10_000


class _Known(NamedTuple):
    org_id: uuid.UUID
    until: float


class Authenticator:
    """Finds the organisation of a token; one query a token and second, however many requests it comes with."""

    def __init__(self, tokens: TokenStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._asked: dict[bytes, asyncio.Task[uuid.UUID | None]] = {}

    async def organisation_of(self, authorization: str | None) -> uuid.UUID:
        """The organisation that an `Authorization` header speaks for. Raises Refused (401)."""
        scheme, _, text = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise Refused("token.missing", "send an API token: `Authorization: Bearer <token>`")
        digest = token_hash(text.strip())
        known = self._known.get(digest)
        if known is not None and self._clock() < known.until:
            return known.org_id
        org_id = await self._ask(digest)
        if org_id is None:
            raise Refused("token.unknown", "this API token is not known here; it may have been revoked")
        return org_id

    def forget(self, digest: bytes) -> None:
        """A token was revoked: it is not believed any more."""
        self._known.pop(digest, None)

    async def _ask(self, digest: bytes) -> uuid.UUID | None:
        task = self._asked.get(digest)
        if task is None:
            task = asyncio.create_task(self._look_up(digest))
            self._asked[digest] = task
            task.add_done_callback(lambda _: self._asked.pop(digest, None))
        # One that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def _look_up(self, digest: bytes) -> uuid.UUID | None:
        asked_at = self._clock()
        org_id = await self._tokens.organisation_of(digest)
        if org_id is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = _Known(org_id, asked_at + BELIEVED_SECONDS)
        return org_id
