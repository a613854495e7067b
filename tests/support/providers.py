"""A second provider, for what can only be seen where there are two."""

from collections.abc import Mapping
from typing import Any

from springline.domain.errors import CredentialDead
from springline.providers.vocabulary import (
    Account,
    Answer,
    Collection,
    CredentialField,
    CredentialKind,
    CursorById,
    Detection,
    ListEndpoint,
    Provider,
    RateLimit,
    ReadById,
    Request,
)


def _headers(properties: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Token {properties['token']}"}


def _nobody(answer: Answer) -> Account | None:
    return None


def _account_of(properties: Mapping[str, Any]) -> str | None:
    return properties.get("desk_id")


DESK_TOKEN = CredentialKind(
    name="desk_token",
    aliases=("desk",),
    fields=(
        CredentialField(name="token", required=True, secret=True, description="The token."),
        CredentialField(name="desk_id", description="Whose desk."),
        CredentialField(name="seats", type="integer", description="How many seats."),
        CredentialField(name="scopes", type="strings", description="What it may see."),
    ),
    headers=_headers,
    check=Request(path="/me"),
    identify=_nobody,
    account_of=_account_of,
    identity_of=lambda properties: None,
    rate_limit=lambda properties: RateLimit(allowed_requests=10, interval=60.0),
)

#: Finds everything by sweeps, and never says whose a token is.
DESK = Provider(
    name="desk",
    title="Desk",
    base_url="https://desk.invalid",
    credential_kinds=(DESK_TOKEN,),
    collections=(
        Collection(
            name="ticket",
            description="A request for help.",
            listing=ListEndpoint(path="/tickets", pagination=CursorById(after="after", size=("limit", 100))),
            read=ReadById(path="/tickets/{id}"),
            detection=Detection(inserts=("sweep",), updates=("sweep",), deletes=("sweep",)),
        ),
    ),
    classify=lambda request, answer: CredentialDead("who are you?"),
)
