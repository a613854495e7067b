"""API tokens over HTTP."""

import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Nothing
from springline.api.lists import Listed, ListQuery, page
from springline.api.routing import Call, Route, answer, created, no_content
from springline.domain.organisations import SETTINGS_TOKEN, ApiToken


class CreateToken(Body):
    name: Annotated[str, Meta(min_length=1, max_length=200, description="What the token is for.")]


class TokenObject(msgspec.Struct, frozen=True, kw_only=True):
    """A key to the organisation. `token` is there only in the answer to its creation: nobody can learn it again."""

    id: uuid.UUID
    name: str
    org_id: uuid.UUID
    created_at: datetime
    token: str | UnsetType = UNSET


async def create_token(call: Call[CreateToken, Nothing]) -> Response:
    """Create an API token. Its text is answered once, here."""
    if call.draft.get("name") == SETTINGS_TOKEN:
        call.problems.add("name", "is kept for the token of SPRINGLINE_API_TOKEN; choose another")
    token, text = await call.services.tokens.create(call.org_id, call.body.name)
    return created(_object(token, text.reveal()), f"/v1/tokens/{token.token_id}")


async def list_tokens(call: Call[Nothing, ListQuery]) -> Response:
    """List API tokens, without their texts."""
    query = call.query
    rows = await call.services.tokens.list(call.org_id, after=query.after, limit=query.limit + 1)
    return answer(page(rows, query.limit, key=lambda token: token.token_id, show=_object))


async def delete_token(call: Call[Nothing, Nothing]) -> Response:
    """Revoke an API token. It stops being accepted within a second, everywhere."""
    digest = await call.services.tokens.delete(call.org_id, call.path_id("token"))
    if digest is None:
        raise call.not_found("token")
    call.authenticator.forget(digest)
    return no_content()


def _object(token: ApiToken, text: str | UnsetType = UNSET) -> TokenObject:
    return TokenObject(id=token.token_id, name=token.name, org_id=token.org_id, created_at=token.created_at, token=text)


routes = (
    Route("POST", "/v1/tokens", create_token, answers=TokenObject, status=201),
    Route("GET", "/v1/tokens", list_tokens, answers=Listed[TokenObject]),
    Route("DELETE", "/v1/tokens/{id}", delete_token, status=204),
)
