"""How GitHub lets us in: by a user's token."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from springline.providers.access import Account, Answer, CredentialField, CredentialKind, RateLimit, Request
from springline.providers.github.limits import limits

_TOKEN = re.compile(r"(?:gh[opu]_|github_pat_)\w+|[0-9a-f]{40}")
# What people paste instead, and what to do about it.
_MISTAKES = (
    ("ghs_", "is an installation's token, which lives for an hour; connect the app itself with kind github_app"),
    ("ghr_", "is a refresh token, which reads nothing; use a personal access token (ghp_… or github_pat_…)"),
    ("eyJ", "is a signed web token of an app; connect the app itself with kind github_app"),
    ("-----BEGIN", "is an app's private key; it belongs to the OAuth app, with kind github_app"),
    ("Bearer ", "begins with a word of the header; give the token alone"),
    ("token ", "begins with a word of the header; give the token alone"),
)


class _User(msgspec.Struct):
    id: int
    login: str


def _headers(properties: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {properties['token']}"}


def _identify(answer: Answer) -> Account | None:
    try:
        user = msgspec.json.decode(answer.body, type=_User)
    except (msgspec.DecodeError, RecursionError):
        return None
    return Account(identity=str(user.id), label=user.login)


def _identity_of(properties: Mapping[str, Any]) -> str | None:
    """Each token sees what its scopes, or its repositories, let it see."""
    return hashlib.sha256(str(properties["token"]).encode()).hexdigest()[:16]


def _refuse(properties: Mapping[str, Any]) -> str | None:
    token: str = properties["token"]
    for beginning, why in _MISTAKES:
        if token.startswith(beginning):
            return why
    if not _TOKEN.fullmatch(token):
        return "is no GitHub token: those begin with ghp_, github_pat_ or gho_"
    return None


def _rate_limit(properties: Mapping[str, Any]) -> RateLimit:
    # GitHub allows a user 5,000/h over all tokens, and a hundred requests at once; this leaves the user's own programs
    # a fifth. docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api, November 2026
    return RateLimit(allowed_requests=4000, interval=3600.0, max_concurrent_requests=5)


GITHUB_TOKEN = CredentialKind(
    name="github_token",
    fields=(
        CredentialField(
            name="token",
            required=True,
            secret=True,
            description="A personal access token: classic (ghp_…) with the scopes repo and read:org, or fine-grained "
            "(github_pat_…) with read access to what is synced.",
        ),
    ),
    headers=_headers,
    check=Request(path="/user"),
    identify=_identify,
    identity_of=_identity_of,
    refuse=_refuse,
    rate_limit=_rate_limit,
    limits=limits,
)
