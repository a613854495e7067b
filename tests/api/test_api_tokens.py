"""API tokens over HTTP."""

import asyncio
import uuid

import pytest
from tests.support.api import Client, RunningApi

from springline.api.auth import BELIEVED_SECONDS, Authenticator
from springline.domain.errors import Refused
from springline.store.database import Database
from springline.store.tokens import TokenStore


async def test_a_token_is_shown_once(api: RunningApi, database: Database) -> None:
    reply = await api.ours.post("/v1/tokens", {"name": "ci"})
    made = reply.expect(201)
    text = made.pop("token")
    assert reply.headers["Location"] == f"/v1/tokens/{made['id']}"
    assert text.startswith("spl_")
    assert len(text) == 47
    listed = await api.ours.get("/v1/tokens")
    assert made in listed.expect(200)["data"]
    assert text.encode() not in listed.body
    assert text.encode() not in b"".join(row[0] for row in await database.fetch("SELECT token_hash FROM api_tokens"))
    as_ci = Client(api.ours.session, api.ours.url, text)
    assert (await as_ci.stream())["org_id"] == made["org_id"]


async def test_revoked_at_once_in_this_process(api: RunningApi) -> None:
    made = (await api.ours.post("/v1/tokens", {"name": "ci"})).expect(201)
    as_ci = Client(api.ours.session, api.ours.url, made["token"])
    (await as_ci.get("/v1/streams")).expect(200)
    (await api.ours.delete(f"/v1/tokens/{made['id']}")).expect(204)
    assert (await as_ci.get("/v1/streams")).code == "token.unknown"
    assert (await api.ours.delete(f"/v1/tokens/{made['id']}")).code == "token.not_found"
    (await api.ours.get("/v1/streams")).expect(200)


async def test_the_name_of_the_settings_token_is_kept(api: RunningApi) -> None:
    reply = await api.ours.post("/v1/tokens", {"name": "settings"})
    assert (reply.status, list(reply.fields)) == (422, ["name"])


async def test_revoked_within_a_second_in_any_other(api: RunningApi) -> None:
    """Another process has no word of it: it must look again by itself."""
    now = 100.0
    elsewhere = Authenticator(api.services.tokens, clock=lambda: now)
    made = (await api.ours.post("/v1/tokens", {"name": "ci"})).expect(201)
    header = f"Bearer {made['token']}"
    org_id = await elsewhere.organisation_of(header)
    assert org_id == uuid.UUID(made["org_id"])
    (await api.ours.delete(f"/v1/tokens/{made['id']}")).expect(204)
    assert BELIEVED_SECONDS < 1
    now += BELIEVED_SECONDS - 0.01
    assert await elsewhere.organisation_of(header) == org_id
    now += 0.02
    with pytest.raises(Refused, match="not known"):
        await elsewhere.organisation_of(header)


async def test_a_request_costs_no_query(api: RunningApi, database: Database) -> None:
    """Many requests at once and one after the other: one look-up."""

    class Counting(TokenStore):
        asked = 0

        async def organisation_of(self, digest: bytes) -> uuid.UUID | None:
            self.asked += 1
            return await super().organisation_of(digest)

    store = Counting(database)
    authenticator = Authenticator(store, clock=lambda: 0.0)
    header = f"Bearer {api.ours.token}"
    await asyncio.gather(*(authenticator.organisation_of(header) for _ in range(50)))
    for _ in range(50):
        await authenticator.organisation_of(header)
    assert store.asked == 1


async def test_one_that_goes_away_does_not_take_the_answer_along(api: RunningApi) -> None:
    authenticator = Authenticator(api.services.tokens)
    header = f"Bearer {api.ours.token}"
    first = asyncio.create_task(authenticator.organisation_of(header))
    second = asyncio.create_task(authenticator.organisation_of(header))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == await authenticator.organisation_of(header)
