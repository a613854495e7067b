"""GitHub's part of the sandbox's own API under /_sandbox/github: tokens, apps and limits.

`control_objects` has the data; what is no GitHub matter is in `springline.sandbox.common`.
"""

from dataclasses import asdict
from typing import Any

import msgspec
from aiohttp import web

from springline.sandbox.common.control import CONTROL, ControlError, Handler, read_order, reply
from springline.sandbox.github.apps import App, Installation, read_public_key
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.limits import RateLimits
from springline.sandbox.github.state import DEFAULT_ORGANIZATION, GithubSandbox
from springline.sandbox.github.tables import Row
from springline.sandbox.github.tokens import Access, State, Token

PREFIX = f"{CONTROL}/github"


class TokenOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A token to add or change.

    Permissions by collection or by GitHub's own names; what is not named is allowed. `repositories` are full
    names, `expires_at` and `expires_in_seconds` say when by the sandbox's clock. What is left out stays as it was.
    """

    token: str
    login: str | None = None
    state: State | None = None
    permissions: dict[str, Access] | None = None
    repositories: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    expires_at: float | msgspec.UnsetType | None = msgspec.UNSET
    expires_in_seconds: float | None = None


class AppOrder(msgspec.Struct, forbid_unknown_fields=True):
    """An app; `public_key` is the PEM of the key that its JWTs are verified with."""

    public_key: str
    id: int = 12_345
    client_id: str = "Iv23liSandboxApp0000"
    slug: str = "springline-app"


class InstallationOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The app in an organization, or a change of that; `repositories` are full names, null is all of them."""

    id: int | None = None
    organization: str = DEFAULT_ORGANIZATION
    permissions: dict[str, Access] = {}
    repositories: list[str] | None = None
    suspended: bool = False


class PagingOrder(msgspec.Struct, forbid_unknown_fields=True):
    deepest_rows: int


@web.middleware
async def github_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What GitHub itself would refuse, as a refusal of the control API."""
    try:
        return await handler(request)
    except GithubError as error:
        return reply({"error": error.message, "github": error.body()}, status=400)


class Control:
    """Handlers for tokens, apps and limits."""

    def __init__(self, sandbox: GithubSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{PREFIX}/rate_limit", self.get_rate_limit),
            web.post(f"{PREFIX}/rate_limit", self.set_rate_limit),
            web.post(f"{PREFIX}/paging", self.set_paging),
            web.get(f"{PREFIX}/tokens", self.list_tokens),
            web.post(f"{PREFIX}/tokens", self.put_token),
            web.get(f"{PREFIX}/apps", self.list_apps),
            web.post(f"{PREFIX}/apps", self.put_app),
            web.post(f"{PREFIX}/apps/{{app}}/installations", self.put_installation),
            web.delete(f"{PREFIX}/apps/{{app}}/installations/{{installation}}", self.delete_installation),
        ]

    async def get_rate_limit(self, request: web.Request) -> web.Response:
        return reply(self._sandbox.rate_limits.get(request.query.get("whose", ""), self._sandbox.default_limits))

    async def set_rate_limit(self, request: web.Request) -> web.Response:
        """The limits of everybody, or of `?whose=` (`user octo-admin`, `installation 7`); `{}` takes them away."""
        limits = await read_order(request, RateLimits)
        whose = request.query.get("whose")
        if whose is None:
            self._sandbox.default_limits = limits
            self._sandbox.rate_limits.clear()
            self._sandbox.limiters.clear()
        else:
            self._sandbox.rate_limits[whose] = limits
            self._sandbox.limiters.pop(whose, None)
        return reply(limits)

    async def set_paging(self, request: web.Request) -> web.Response:
        """How deep page numbers reach on lists that take cursors."""
        self._sandbox.deepest_rows = (await read_order(request, PagingOrder)).deepest_rows
        return reply({"deepest_rows": self._sandbox.deepest_rows})

    async def list_tokens(self, _: web.Request) -> web.Response:
        return reply([_shown(token) for token in self._sandbox.tokens.tokens.values()])

    async def put_token(self, request: web.Request) -> web.Response:
        """Add a token, or expire, revoke, restore or restrict one."""
        order, sandbox = await read_order(request, TokenOrder), self._sandbox
        known = sandbox.collections.keys() | {
            name for kind in sandbox.collections.values() for name in (kind.permission, kind.write_permission)
        }
        unknown = (order.permissions or {}).keys() - known
        if unknown:
            raise ControlError(f"no such permission: {', '.join(sorted(unknown))}")
        try:
            token = sandbox.tokens.known(order.token)
            if order.login is not None:
                token.login = sandbox.user(order.login)["login"]
            token.state = order.state or token.state
            token.permissions = token.permissions if order.permissions is None else dict(order.permissions)
            if order.repositories is not msgspec.UNSET:
                token.repositories = self._repository_ids(order.repositories)
            if order.expires_at is not msgspec.UNSET:
                token.expires_at = order.expires_at
            if order.expires_in_seconds is not None:
                token.expires_at = sandbox.clock.now() + order.expires_in_seconds
            sandbox.tokens.put(token)
        except (ValueError, GithubError) as error:
            raise ControlError(str(error)) from error
        sandbox.world.forget()
        return await self.list_tokens(request)

    async def list_apps(self, _: web.Request) -> web.Response:
        return reply([_shown_app(app) for app in self._sandbox.apps.values()])

    async def put_app(self, request: web.Request) -> web.Response:
        """Add an app, or change its key."""
        order = await read_order(request, AppOrder)
        try:
            key = read_public_key(order.public_key)
        except ValueError as error:
            raise ControlError(f"public_key: {error}") from error
        known = self._sandbox.apps.get(order.id)
        app = App(order.id, order.client_id, order.slug, key, int(self._sandbox.clock.now()))
        app.installations = known.installations if known is not None else {}
        self._sandbox.apps[order.id] = app
        return reply(_shown_app(app))

    async def put_installation(self, request: web.Request) -> web.Response:
        """Install an app, or change what an installation may, sees, or whether it is suspended."""
        app, order = self._app(request), await read_order(request, InstallationOrder)
        organization = self._sandbox.world["organization"].find(0, order.organization)
        if organization is None:
            raise ControlError(f"no organization {order.organization}", status=404)
        installation_id = order.id or 40_000_000 + len(app.installations) + 1
        app.installations[installation_id] = Installation(
            installation_id,
            organization["id"],
            order.permissions,
            self._repository_ids(order.repositories),
            int(self._sandbox.clock.now()),
            order.suspended,
        )
        for token in self._sandbox.tokens.tokens.values():
            if token.installation_id == installation_id:
                token.state = "suspended" if order.suspended else "active"
        return reply({"id": installation_id})

    async def delete_installation(self, request: web.Request) -> web.Response:
        """Uninstall: its tokens are worth nothing any more."""
        app, installation_id = self._app(request), int(request.match_info["installation"])
        if app.installations.pop(installation_id, None) is None:
            raise ControlError("no such installation", status=404)
        for token in self._sandbox.tokens.tokens.values():
            if token.installation_id == installation_id:
                token.state = "revoked"
        return reply({"id": installation_id})

    def _app(self, request: web.Request) -> App:
        number = request.match_info["app"]
        app = self._sandbox.apps.get(int(number)) if number.isdecimal() else None
        if app is None:
            raise ControlError("no such app", status=404)
        return app

    def _repository_ids(self, names: list[str] | None) -> frozenset[int] | None:
        if names is None:
            return None
        return frozenset(self._repository(name)["id"] for name in names)

    def _repository(self, name: str) -> Row:
        owner, _, short = name.partition("/")
        row = self._sandbox.world.repository_named(owner, short)
        if row is None:
            raise ControlError(f"no repository {name}", status=404)
        return row


def _shown(token: Token) -> dict[str, Any]:
    return {**asdict(token), "repositories": None if token.repositories is None else sorted(token.repositories)}


def _shown_app(app: App) -> dict[str, Any]:
    return {
        "id": app.id,
        "client_id": app.client_id,
        "slug": app.slug,
        "installations": [
            {**asdict(each), "repositories": None if each.repositories is None else sorted(each.repositories)}
            for each in app.installations.values()
        ],
    }
