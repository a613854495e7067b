"""More providers: one for what can only be seen where there are two, and one whose credentials obtain tokens."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec

from springline.domain.errors import AppRefused, CredentialDead, ProviderError, RetryLater
from springline.domain.secrets import Secret
from springline.providers.access import (
    Account,
    Answer,
    CredentialField,
    CredentialKind,
    Grant,
    Obtained,
    RateLimit,
    Request,
)
from springline.providers.github.app import GITHUB_APP, GITHUB_APP_FIELDS
from springline.providers.vocabulary import Collection, CursorById, Detection, ListEndpoint, Provider, ReadById


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


def _classify_hub(request: Request, answer: Answer) -> ProviderError:
    if answer.status in (401, 403):
        return CredentialDead(f"hub said {answer.status}", status=answer.status)
    return RetryLater(f"hub said {answer.status}", status=answer.status)


#: GitHub's way in, before the smallest API that there can be: `hub_side.HubSide`.
HUB_APP = msgspec.structs.replace(
    GITHUB_APP,
    name="hub_app",
    rate_limit=lambda properties: RateLimit(allowed_requests=1000, interval=1.0, max_concurrent_requests=1),
)


def _refresh(properties: Mapping[str, Any], app: Mapping[str, Any], now: datetime) -> Request:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": properties["refresh_token"],
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
    }
    return Request(
        method="POST",
        path="/login/oauth/access_token",
        headers=(("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")),
        body=urlencode(form).encode(),
    )


class _Refreshed(msgspec.Struct):
    access_token: str = ""
    refresh_token: str = ""
    expires_in: float = 0
    error: str = ""


def _read_refreshed(answer: Answer, now: datetime) -> Obtained:
    """GitHub refuses with a 200."""
    read = msgspec.json.decode(answer.body, type=_Refreshed)
    if read.error == "bad_refresh_token":
        gone = CredentialDead(f"{read.error}: the refresh token is incorrect or expired", status=answer.status)
        gone.is_doubtful = True
        gone.remedy = "Connect the account again."
        raise gone
    if read.error:
        raise AppRefused(read.error, status=answer.status)
    return Obtained(
        access_token=Secret(read.access_token),
        expires_at=now + timedelta(seconds=read.expires_in),
        rotated={"refresh_token": Secret(read.refresh_token)},
    )


#: A refresh token that counts once, as GitHub Apps give their users.
HUB_USER = CredentialKind(
    name="hub_user",
    fields=(
        CredentialField(name="refresh_token", required=True, secret=True, description="Counts once, and rotates."),
        CredentialField(name="login", required=True, description="Who it is."),
    ),
    headers=lambda properties: {"Authorization": f"Bearer {properties['access_token']}"},
    check=Request(path="/installation/repositories"),
    identify=_nobody,
    account_of=lambda properties: str(properties["login"]),
    identity_of=lambda properties: None,
    rate_limit=lambda properties: RateLimit(allowed_requests=1000, interval=1.0),
    grant=Grant(
        app_fields=("client_secret",),
        request=_refresh,
        read=_read_refreshed,
        classify=lambda request, answer: RetryLater(f"hub said {answer.status}", status=answer.status),
    ),
)

HUB = Provider(
    name="hub",
    title="Hub",
    base_url="https://hub.invalid",
    credential_kinds=(HUB_APP, HUB_USER),
    collections=(
        Collection(
            name="repository",
            description="A repository.",
            listing=ListEndpoint(path="/repositories", pagination=CursorById(after="after", size=("limit", 100))),
            read=ReadById(path="/repositories/{id}"),
            detection=Detection(inserts=("sweep",), updates=("sweep",), deletes=("sweep",)),
        ),
    ),
    oauth_app=GITHUB_APP_FIELDS,
    classify=_classify_hub,
)
