"""Tokens: who a request speaks for, and what it may."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from springline.sandbox.github.collection import Collection
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.tables import Row

Access = Literal["none", "read", "write"]
State = Literal["active", "revoked", "suspended"]

_FORM = re.compile(r"(ghp|gho|ghu|ghs)_\w+|github_pat_\w+")

INSTALLATION_TOKEN_SECONDS = 3600


@dataclass(slots=True)
class Token:
    """One token. `permissions` by collection or by GitHub's own name; what is not named is allowed.

    `repositories` (ids) are those it may see, None all; `owner_id` keeps it to one account's.
    `expires_at` is Unix seconds.
    """

    text: str
    login: str
    state: State = "active"
    permissions: dict[str, Access] = field(default_factory=dict)
    repositories: frozenset[int] | None = None
    owner_id: int | None = None
    expires_at: float | None = None
    installation_id: int | None = None

    @property
    def whose(self) -> str:
        """Who shares its rate limit: all tokens of a user, or one installation."""
        return f"installation {self.installation_id}" if self.installation_id is not None else f"user {self.login}"

    @property
    def scopes(self) -> str | None:
        """A classic token's scopes; other kinds have permissions instead."""
        return "repo, read:org" if self.text.startswith(("ghp_", "gho_")) else None

    def sees(self, repository: Row) -> bool:
        if self.owner_id is not None and repository["parent"] != self.owner_id:
            return False
        return self.repositories is None or repository["id"] in self.repositories

    def check(self, collection: Collection, *, writes: bool) -> None:
        """Raises GithubError 403 where the token lacks the permission."""
        unnamed: Access = "none" if self.installation_id is not None else "write"
        needed = (collection.write_permission if writes else None) or collection.permission
        if needed == "metadata" and not writes:
            unnamed = "read"
        allowed = self.permissions.get(collection.name, self.permissions.get(needed, unnamed))
        if allowed == "write" or (allowed == "read" and not writes):
            return
        who = "integration" if self.installation_id is not None else "personal access token"
        raise GithubError(
            f"Resource not accessible by {who}",
            status=403,
            docs=collection.docs,
            headers={"X-Accepted-GitHub-Permissions": f"{needed}={'write' if writes else 'read'}"},
        )


class TokenRing:
    """All known tokens. A personal one that nobody added belongs to the default user."""

    def __init__(self, default_login: str) -> None:
        self._default_login = default_login
        self.tokens: dict[str, Token] = {}

    def put(self, token: Token) -> None:
        """Add a token, or replace one. Raises ValueError for what no GitHub token looks like."""
        if not _FORM.fullmatch(token.text):
            raise ValueError("a token looks like ghp_…, github_pat_…, gho_…, ghu_… or ghs_…")
        self.tokens[token.text] = token

    def known(self, text: str) -> Token:
        """The token of this text, or the one that it would be. Raises GithubError 401."""
        token = self.tokens.get(text)
        if token is None and _FORM.fullmatch(text) and not text.startswith("ghs_"):
            token = Token(text, self._default_login)
        if token is None:
            raise bad_credentials()
        return token

    def authenticate(self, headers: Mapping[str, str], *, now: float) -> Token:
        """The token of a request at `now` (Unix seconds). Raises GithubError 401 or 403."""
        token = self.known(presented(headers))
        if token.state == "suspended":
            raise GithubError("This installation has been suspended", status=403)
        if token.state == "revoked" or (token.expires_at is not None and token.expires_at <= now):
            raise bad_credentials()
        return token


def presented(headers: Mapping[str, str]) -> str:
    """What the Authorization header holds. Raises GithubError 401 where there is none."""
    scheme, _, rest = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() not in {"bearer", "token"} or not rest.strip():
        raise GithubError("Requires authentication", status=401)
    return rest.strip()


def bad_credentials() -> GithubError:
    return GithubError("Bad credentials", status=401)
