"""Everything that one GitHub sandbox knows: its world, tokens, apps and limits."""

from collections.abc import Mapping
from random import Random
from typing import Any

from springline.sandbox.common.state import Sandbox
from springline.sandbox.github.apps import App, Installation
from springline.sandbox.github.collection import Call, Collection
from springline.sandbox.github.collections import COLLECTIONS
from springline.sandbox.github.limits import Limiter, RateLimits
from springline.sandbox.github.router import Router
from springline.sandbox.github.tables import Row
from springline.sandbox.github.tokens import Token, TokenRing, bad_credentials
from springline.sandbox.github.world import World

API_VERSIONS = ("2022-11-28", "2026-03-10")
"""The first is what a request without X-GitHub-Api-Version gets. The sandbox answers both alike."""
DEEPEST_ROWS = 10_000
"""Page numbers do not reach so far on lists that take cursors too.

Page 100 of 100 issues is refused: github.com/google/go-github/issues/3565, seen 2026-11.
"""
DEFAULT_LOGIN = "octo-admin"
DEFAULT_ORGANIZATION = "acme"


class GithubSandbox(Sandbox):
    """One fake GitHub. The same seed, clock and requests give the same ids, data and faults."""

    provider = "github"
    collections: Mapping[str, Collection] = {kind.name: kind for kind in COLLECTIONS}
    router = Router(collections)
    api_url = "https://api.github.com"

    def reset_data(self) -> None:
        self.world = World(self.collections, clock=self.clock, rng=self.random("world"))
        self.world.api_url = self.api_url
        self.deepest_rows = DEEPEST_ROWS
        self.rate_limits: dict[str, RateLimits] = {}
        self.default_limits = RateLimits()
        self.limiters: dict[str, Limiter] = {}
        self.apps: dict[int, App] = {}
        self.tokens = TokenRing(DEFAULT_LOGIN)
        long_ago = int(self.clock.now()) - 400 * 86_400
        world = self.world
        admin = world.insert("user", None, now=long_ago, login=DEFAULT_LOGIN, name="Octo Admin", email=None)
        acme = world.insert(
            "organization",
            None,
            now=long_ago,
            id=world.new_id("user"),
            login=DEFAULT_ORGANIZATION,
            name="Acme",
            type="Organization",
        )
        world.insert("member", acme, now=long_ago, user=admin["id"], role="admin")

    def serve_at(self, url: str) -> None:
        """The `url` fields of objects point to this base from now on."""
        self.api_url = self.world.api_url = url

    def picture(self) -> World:
        return self.world.copy()

    def summary(self) -> dict[str, Any]:
        return {
            "api_versions": list(API_VERSIONS),
            "default_login": DEFAULT_LOGIN,
            "default_organization": DEFAULT_ORGANIZATION,
            "objects": {name: len(table) for name, table in self.world.tables.items() if len(table)},
            "repositories": [self.world.full_name(row) for row in self.world["repository"]],
            "tokens": len(self.tokens.tokens),
        }

    def totals(self) -> dict[str, int]:
        return {"rate_limited": sum(limiter.refused for limiter in self.limiters.values())}

    def new_request_id(self, rng: Random) -> str:
        digits = "".join(rng.choices("0123456789ABCDEF", k=32))
        return f"{digits[:4]}:{digits[4:10]}:{digits[10:17]}:{digits[17:24]}:{digits[24:]}"

    def user(self, login: str) -> Row:
        """The user of this login; one that a token was made for and nobody else knows is made now."""
        row = self.world["user"].find(0, login)
        if row is None:
            row = self.world.insert(
                "user", None, now=int(self.clock.now()), login=login, name=None, email=None,
                type="Bot" if login.endswith("[bot]") else "User",
            )  # fmt: skip
        return row

    def authenticate(self, headers: Mapping[str, str]) -> Token:
        """The token of a request. Raises GithubError 401 or 403; a user's tokens end with their account."""
        token = self.tokens.authenticate(headers, now=self.clock.now())
        if token.installation_id is None and self.world["user"].find(0, token.login) is None:
            raise bad_credentials()
        return token

    def limiter(self, token: Token) -> Limiter:
        """What counts the requests of this token's user or installation."""
        if token.whose not in self.limiters:
            number = token.installation_id or self.user(token.login)["id"]
            kind = "installation" if token.installation_id is not None else "user"
            limits = self.rate_limits.get(token.whose, self.default_limits)
            self.limiters[token.whose] = Limiter(limits, f"{kind} ID {number}")
        return self.limiters[token.whose]

    def call(self, token: Token, *, now: float | None = None) -> Call:
        return Call(
            world=self.world,
            now=int(self.clock.now() if now is None else now),
            actor=self.user(token.login),
            token=token,
        )

    def own_call(self, *, now: float | None = None) -> Call:
        """A call of the sandbox itself, as the default user."""
        return self.call(Token("ghp_sandbox", DEFAULT_LOGIN), now=now)

    def installation(self, installation_id: int) -> tuple[App, Installation] | None:
        for app in self.apps.values():
            if installation_id in app.installations:
                return app, app.installations[installation_id]
        return None
