"""What an app asks with its JWT: itself, its installations, and tokens for them."""

from typing import Any

import msgspec
from aiohttp import web

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.apps import App, Installation, app_of_jwt
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.params import read_body
from springline.sandbox.github.state import GithubSandbox
from springline.sandbox.github.tokens import INSTALLATION_TOKEN_SECONDS, Token, presented
from springline.sandbox.github.world import iso

_DOCS = "apps/apps"
_GRANTS = {("write", "write"), ("write", "read"), ("read", "read")}
"""What an installation has, and what its token may be given of it."""


def is_app_path(path: str) -> bool:
    return path.strip("/").split("/")[0] == "app"


def answer(sandbox: GithubSandbox, request: web.Request, body: bytes) -> Answer:
    """The answer to a request below /app. Raises GithubError."""
    app = app_of_jwt(presented(request.headers), sandbox.apps, now=sandbox.clock.now())
    match request.method, request.path.strip("/").split("/")[1:]:
        case "GET", []:
            return answer_value(_app_shape(sandbox, app))
        case "GET", ["installations"]:
            return answer_value([_installation_shape(sandbox, app, each) for each in app.installations.values()])
        case "GET", ["installations", number]:
            return answer_value(_installation_shape(sandbox, app, _installation(app, number)))
        case "POST", ["installations", number, "access_tokens"]:
            return _mint(sandbox, app, _installation(app, number), read_body(body))
    raise not_found(_DOCS)


def _installation(app: App, number: str) -> Installation:
    found = app.installations.get(int(number)) if number.isdecimal() else None
    if found is None:
        raise not_found(_DOCS)
    return found


def _mint(sandbox: GithubSandbox, app: App, installation: Installation, body: Any) -> Answer:
    """A token for an hour, with all of the installation's permissions or fewer."""
    if installation.suspended:
        raise GithubError("This installation has been suspended", status=403, docs=_DOCS)
    if not isinstance(body, dict):
        raise GithubError("Body should be a JSON object", status=400)
    wanted = body.get("permissions") or installation.permissions
    if not isinstance(wanted, dict):
        raise GithubError("Invalid request.\n\nFor 'properties/permissions', that is not an object.", docs=_DOCS)
    beyond = [
        name for name, access in wanted.items() if (installation.permissions.get(name, "none"), access) not in _GRANTS
    ]
    if beyond:
        raise GithubError("The permissions requested are not granted to this installation.", docs=_DOCS)
    repositories = _chosen_repositories(sandbox, installation, body)
    expires_at = int(sandbox.clock.now()) + INSTALLATION_TOKEN_SECONDS
    token = Token(
        "ghs_" + sandbox.world.new_token(),
        f"{app.slug}[bot]",
        permissions={"metadata": "read", **wanted},
        repositories=repositories,
        owner_id=installation.organization_id,
        expires_at=expires_at,
        installation_id=installation.id,
    )
    sandbox.tokens.put(token)
    minted: dict[str, Any] = {
        "token": token.text,
        "expires_at": iso(expires_at),
        "permissions": token.permissions,
        "repository_selection": "all" if repositories is None else "selected",
    }
    if body.get("repositories") or body.get("repository_ids"):
        minted["repositories"] = [
            msgspec.Raw(sandbox.world.text("repository", sandbox.world.row("repository", row_id), "list"))
            for row_id in sorted(repositories or ())
        ]
    return answer_value(minted, status=201)


def _chosen_repositories(
    sandbox: GithubSandbox, installation: Installation, body: dict[str, Any]
) -> frozenset[int] | None:
    """The repositories that a new token may see: the installation's, or those of them that the body names."""
    own = sandbox.world["repository"].children(installation.organization_id)
    reached = {
        row["name"].casefold(): row["id"]
        for row in own
        if installation.repositories is None or row["id"] in installation.repositories
    }
    named, ids = body.get("repositories") or [], body.get("repository_ids") or []
    if not named and not ids:
        return installation.repositories
    chosen = {reached.get(str(name).casefold()) for name in named} | {
        number if number in reached.values() else None for number in ids
    }
    if None in chosen:
        raise GithubError(
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
            docs=_DOCS,
        )
    return frozenset(each for each in chosen if each is not None)


def _app_shape(sandbox: GithubSandbox, app: App) -> dict[str, Any]:
    owner = next((each.organization_id for each in app.installations.values()), None)
    if owner is None:
        owner = sandbox.user("octo-admin")["id"]
    return {
        "id": app.id,
        "slug": app.slug,
        "client_id": app.client_id,
        "node_id": f"A_{app.id}",
        "owner": sandbox.world.account(owner),
        "name": app.slug,
        "description": None,
        "external_url": "https://example.com",
        "html_url": f"https://github.com/apps/{app.slug}",
        "created_at": iso(app.created),
        "updated_at": iso(app.created),
        "permissions": next((each.permissions for each in app.installations.values()), {}),
        "events": [],
        "installations_count": len(app.installations),
    }


def _installation_shape(sandbox: GithubSandbox, app: App, installation: Installation) -> dict[str, Any]:
    url = f"{sandbox.world.api_url}/app/installations/{installation.id}"
    return {
        "id": installation.id,
        "client_id": app.client_id,
        "account": sandbox.world.account(installation.organization_id),
        "repository_selection": "all" if installation.repositories is None else "selected",
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{sandbox.world.api_url}/installation/repositories",
        "html_url": f"https://github.com/organizations/{installation.organization_id}/settings/installations",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": installation.organization_id,
        "target_type": "Organization",
        "permissions": installation.permissions,
        "events": [],
        "created_at": iso(installation.created),
        "updated_at": iso(installation.created),
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": None,
        "suspended_at": iso(installation.created) if installation.suspended else None,
    }
