"""OAuth apps over HTTP: what a team registered at a provider, so that its customers can connect their accounts."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Metadata, Nothing, given_fields, or_none
from springline.api.lists import Listed, ListQuery, page
from springline.api.properties import property_fault
from springline.api.routing import Call, Route, answer, created, no_content
from springline.api.values import nearest
from springline.domain.credentials import Properties, split_properties
from springline.domain.errors import Refused
from springline.domain.health import PartHealth
from springline.domain.oauth_apps import OAuthApp
from springline.domain.secrets import Secret
from springline.providers.access import CredentialField
from springline.providers.vocabulary import Provider
from springline.store.oauth_apps import OAuthAppInUse

AppName = Annotated[str, Meta(min_length=1, max_length=1000, description="For people.")]
RedirectUris = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=2000)]],
    Meta(max_length=100, description="Where users may be sent back to. https, or http on this machine."),
]
TruncateSecrets = Annotated[bool, Meta(description="False: secrets are answered in clear.")]

_CLIENT_ID = CredentialField(name="client_id", required=True, description="The app's client id at the provider.")
_CLIENT_SECRET = CredentialField(name="client_secret", secret=True, required=True, description="Its client secret.")
#: What only some providers' apps have; the provider's description says which.
_SPECIAL = ("app_id", "private_key")
_SECRETS = ("client_secret", "private_key")
_LOCAL = ("localhost", "127.0.0.1", "::1")


class CreateOAuthApp(Body):
    provider: str
    name: AppName
    client_id: Annotated[str, Meta(description="The app's client id at the provider.")]
    client_secret: (
        Annotated[str, Meta(description="Required, except for a GitHub App with its private key.")] | UnsetType
    ) = UNSET
    app_id: (
        Annotated[
            Annotated[int, Meta(ge=1, le=2**53)] | str,
            Meta(description="GitHub Apps: the app's own id, a number.", examples=[12345]),
        ]
        | UnsetType
    ) = UNSET
    private_key: Annotated[str, Meta(description="GitHub Apps: a private key of the app, in PEM.")] | UnsetType = UNSET
    redirect_uris: RedirectUris | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class UpdateOAuthApp(Body):
    name: AppName | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET
    private_key: Annotated[str, Meta(description="GitHub Apps: another private key of the app.")] | UnsetType = UNSET
    redirect_uris: RedirectUris | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("provider", "client_id", "app_id"), "cannot change; create another OAuth app"
    )


class SecretsQuery(Body):
    truncate_secrets: TruncateSecrets = True


class ListOAuthApps(ListQuery):
    provider: str | UnsetType = UNSET
    health_status: Literal["ok", "warn", "error"] | UnsetType = msgspec.field(default=UNSET, name="health.status")
    truncate_secrets: TruncateSecrets = True
    metadata: Metadata | UnsetType = UNSET


class OAuthAppObject(msgspec.Struct, frozen=True, kw_only=True):
    """A client of a provider. Secrets are answered as asterisks, unless `truncate_secrets=false` asks for them."""

    id: uuid.UUID
    name: str
    provider: str
    client_id: str
    client_secret: str | None
    app_id: int | str | UnsetType = UNSET
    private_key: str | UnsetType = UNSET
    redirect_uris: list[str]
    metadata: dict[str, Any]
    health: PartHealth
    created_at: datetime
    updated_at: datetime


async def create_oauth_app(call: Call[CreateOAuthApp, Nothing]) -> Response:
    """Create an OAuth app: the client that was registered at a provider."""
    provider = _check_provider(call)
    _check_redirect_uris(call)
    properties = None if provider is None else _check_properties(call, provider)
    body = call.body
    assert properties is not None
    app = await call.services.oauth_apps.create(
        call.org_id,
        provider=body.provider,
        name=body.name,
        client_id=body.client_id,
        properties=properties,
        redirect_uris=or_none(body.redirect_uris) or [],
        metadata=or_none(body.metadata) or {},
    )
    return created(oauth_app_object(app, app.properties), f"/v1/oauth-apps/{app.oauth_app_id}")


async def list_oauth_apps(call: Call[Nothing, ListOAuthApps]) -> Response:
    """List OAuth apps, by provider, health and metadata."""
    query = call.query
    rows = await call.services.oauth_apps.list(
        call.org_id,
        provider=or_none(query.provider),
        health_status=or_none(query.health_status),
        metadata=or_none(query.metadata),
        after=query.after,
        limit=query.limit + 1,
    )
    found = page(rows, query.limit, key=lambda app: app.oauth_app_id, show=lambda app: app)
    shown = await _shown(call, found.data, truncated=query.truncate_secrets)
    return answer(Listed(data=shown, next_cursor=found.next_cursor), headers=_NOT_STORED)


async def get_oauth_app(call: Call[Nothing, SecretsQuery]) -> Response:
    """Get an OAuth app, its secrets masked unless asked for."""
    query = call.query
    (shown,) = await _shown(call, [await _find(call)], truncated=query.truncate_secrets)
    return answer(shown, headers=_NOT_STORED)


async def update_oauth_app(call: Call[UpdateOAuthApp, Nothing]) -> Response:
    """Change an OAuth app's name, secrets, redirect URIs or metadata. What had failed with the old secrets is tried
    again."""
    app = await _find(call)
    _check_redirect_uris(call)
    _check_secrets(call, app)
    changes = given_fields(call.body)
    secrets = {name: Secret(changes.pop(name)) for name in _SECRETS if name in changes}
    changed: OAuthApp | None = app
    if secrets:
        changed = await call.services.oauth_apps.replace_secrets(call.org_id, app.oauth_app_id, secrets)
        call.services.wake_syncs()
    if changes and changed is not None:
        changed = await call.services.oauth_apps.describe(call.org_id, app.oauth_app_id, changes)
    if changed is None:
        raise call.not_found("oauth_app")
    return answer(oauth_app_object(changed, changed.properties))


async def delete_oauth_app(call: Call[Nothing, Nothing]) -> Response:
    """Delete an OAuth app that no credential was made with."""
    try:
        found = await call.services.oauth_apps.delete(call.org_id, call.path_id("oauth_app"))
    except OAuthAppInUse:
        raise Refused("oauth_app.in_use", "credentials were made with this OAuth app; delete them first") from None
    if not found:
        raise call.not_found("oauth_app")
    return no_content()


def oauth_app_object(app: OAuthApp, properties: Mapping[str, Any]) -> OAuthAppObject:
    """An app as it is answered, with these properties: masked, or in clear."""
    return OAuthAppObject(
        id=app.oauth_app_id,
        name=app.name,
        provider=app.provider,
        client_id=app.client_id,
        client_secret=properties.get("client_secret"),
        app_id=properties.get("app_id", UNSET),
        private_key=properties.get("private_key", UNSET),
        redirect_uris=app.redirect_uris,
        metadata=app.metadata,
        health=app.health,
        created_at=app.created_at,
        updated_at=app.updated_at,
    )


#: It may hold secrets.
_NOT_STORED = {"Cache-Control": "no-store"}


async def _shown(call: Call[Any, Any], apps: list[OAuthApp], *, truncated: bool) -> list[OAuthAppObject]:
    if truncated:
        return [oauth_app_object(app, app.properties) for app in apps]
    clear = await call.services.oauth_apps.properties(call.org_id, [app.oauth_app_id for app in apps])
    # One that was deleted between the two queries is left out.
    return [oauth_app_object(app, clear[app.oauth_app_id].reveal()) for app in apps if app.oauth_app_id in clear]


async def _find(call: Call[Any, Any]) -> OAuthApp:
    app = await call.services.oauth_apps.get(call.org_id, call.path_id("oauth_app"))
    if app is None:
        raise call.not_found("oauth_app")
    return app


def _check_provider(call: Call[CreateOAuthApp, Any]) -> Provider | None:
    name = call.draft.get("provider")
    if name is None:
        return None
    providers = call.services.providers
    if name not in providers:
        known = ", ".join(f"`{each}`" for each in providers)
        call.problems.add("provider", f"must be one of {known}{nearest(name, providers)}")
    return providers.get(name)


def _check_redirect_uris(call: Call[Any, Any]) -> None:
    for uri in call.draft.get("redirect_uris", ()):
        fault = _redirect_fault(uri)
        if fault is not None:
            call.problems.add("redirect_uris", f"holds one that {fault}")


def _redirect_fault(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        return "is no URL"
    if parts.scheme not in {"https", "http"} or not host or parts.username is not None or not uri.isprintable():
        return "is no https URL"
    if parts.scheme == "http" and host not in _LOCAL:
        return "must be https: codes are sent there"
    return "must have no fragment" if "#" in uri else None


def _fields(provider: Provider) -> dict[str, CredentialField]:
    """The fields of this provider's OAuth apps."""
    special = () if provider.oauth_app is None else provider.oauth_app.fields
    return {field.name: field for field in (_CLIENT_ID, _CLIENT_SECRET, *special)}


def _check_properties(call: Call[CreateOAuthApp, Any], provider: Provider) -> Properties | None:
    """The app's properties beside its client id; None: something is wrong with them."""
    given = {name: call.draft[name] for name in ("client_id", "client_secret", *_SPECIAL) if name in call.draft}
    fields = _fields(provider)
    fine = _check_values(call, provider, given, fields)
    special = provider.oauth_app
    wanted = special.stands_for_secret if special is not None else ()
    # A key without its app, or an app without its key, opens nothing.
    needed = wanted if any(name in given for name in wanted) else ("client_secret",)
    otherwise = f", or else {' and '.join(wanted)}" if wanted and needed != wanted else ""
    for name in needed:
        if name not in given and name not in call.problems:
            call.problems.add(name, f"is required{otherwise}")
            fine = False
    if not fine:
        return None
    secret_names = frozenset(name for name, field in fields.items() if field.secret)
    return split_properties({name: value for name, value in given.items() if name != "client_id"}, secret_names)


def _check_secrets(call: Call[UpdateOAuthApp, Any], app: OAuthApp) -> None:
    provider = call.services.providers.get(app.provider)
    given = {name: call.draft[name] for name in _SECRETS if name in call.draft}
    if provider is None or not given:
        return
    if "private_key" in given and "app_id" not in app.properties:
        call.problems.add("private_key", "belongs to an app_id, which this app lacks; create another OAuth app")
        return
    _check_values(call, provider, given, _fields(provider))


def _check_values(
    call: Call[Any, Any], provider: Provider, given: Mapping[str, Any], fields: Mapping[str, CredentialField]
) -> bool:
    faults = {}
    for name, value in given.items():
        if name not in fields:
            faults[name] = f"is not a field of {provider.title}'s OAuth apps"
            continue
        fault = property_fault(fields[name], str(value) if name == "app_id" else value)
        if fault is not None:
            faults[name] = fault
    if not faults and provider.oauth_app is not None:
        refused = provider.oauth_app.refuse(given)
        if refused is not None:
            faults[refused[0]] = refused[1]
    for name, fault in faults.items():
        call.problems.add(name, fault)
    return not faults


routes = (
    Route("POST", "/v1/oauth-apps", create_oauth_app, answers=OAuthAppObject, status=201),
    Route("GET", "/v1/oauth-apps", list_oauth_apps, answers=Listed[OAuthAppObject]),
    Route("GET", "/v1/oauth-apps/{id}", get_oauth_app, answers=OAuthAppObject),
    Route("PATCH", "/v1/oauth-apps/{id}", update_oauth_app, answers=OAuthAppObject),
    Route("DELETE", "/v1/oauth-apps/{id}", delete_oauth_app, status=204, refuses=("oauth_app.in_use",)),
)
