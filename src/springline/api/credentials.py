"""Credentials over HTTP."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from springline.api.bodies import Body, Metadata, Nothing, given_fields, or_none
from springline.api.lists import Listed, ListQuery, page
from springline.api.properties import CheckedProperties, check_properties
from springline.api.routing import Call, Route, answer, created, no_content
from springline.domain.credentials import Credential
from springline.domain.errors import Refused
from springline.domain.health import PartHealth
from springline.domain.oauth_apps import OAuthApp
from springline.engine.credentials import CredentialImporter, Presented
from springline.providers.vocabulary import CredentialKind
from springline.store.credentials import CredentialInUse

CredentialName = Annotated[str, Meta(min_length=1, max_length=1000, description="For people.")]
FreeProperties = Annotated[
    dict[str, Any],
    Meta(
        description="`kind`, and what credentials of this kind have: see `GET /v1/providers`.",
        examples=[{"kind": "stripe_key", "secret": "sk_test_…"}],
        extra={"checked_later": True},
    ),
]
Verify = Annotated[bool, Meta(description="Whether the provider is asked if it lets this credential in.")]


class CreateCredential(Body):
    properties: FreeProperties
    name: CredentialName | UnsetType | None = UNSET
    oauth_app_id: uuid.UUID | None = None
    metadata: Metadata | UnsetType = UNSET


class ImportQuery(Body):
    verify: Verify = True
    replace: Annotated[
        bool, Meta(description="Whether properties that were not verified may replace those that the account has.")
    ] = False


class UpdateCredential(Body):
    name: CredentialName | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
    properties: (
        Annotated[
            dict[str, Any],
            Meta(
                description="Of the same kind and account; properties left out stay, null takes one away.",
                extra={"checked_later": True},
            ),
        ]
        | UnsetType
    ) = UNSET

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("provider", "kind", "oauth_app_id"), "cannot change; create another credential"
    )


class UpdateQuery(Body):
    verify: Verify = True


class ListCredentials(ListQuery):
    provider: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    health_status: Literal["ok", "warn", "error"] | UnsetType = msgspec.field(default=UNSET, name="health.status")
    metadata: Metadata | UnsetType = UNSET


class CredentialObject(msgspec.Struct, frozen=True, kw_only=True):
    """One account's secret. Secret properties are answered as asterisks."""

    id: uuid.UUID
    provider: str
    kind: str
    name: str | None
    oauth_app_id: uuid.UUID | None
    oauth_app: dict[str, Any] | None
    properties: dict[str, Any]
    health: PartHealth
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


async def create_credential(call: Call[CreateCredential, ImportQuery]) -> Response:
    """Import a credential: an upsert by account.

    The same account twice gives one credential (200 the second time). The provider is asked first; `?verify=false`
    skips that.
    """
    checked, app = await check_credential(call, call.draft)
    body, query = call.body, call.query
    assert checked is not None
    imported = await importer(call).import_credential(
        call.org_id, presented(checked, body, app), verify=query.verify, replace=query.replace
    )
    if imported.replaced:
        call.services.wake_syncs()
    shown = credential_object(imported.credential)
    return created(shown, f"/v1/credentials/{shown.id}") if imported.created else answer(shown)


async def list_credentials(call: Call[Nothing, ListCredentials]) -> Response:
    """List credentials, by provider, kind, health and metadata."""
    query = call.query
    rows = await call.services.credentials.list(
        call.org_id,
        provider=or_none(query.provider),
        kind=or_none(query.kind),
        health_status=or_none(query.health_status),
        metadata=or_none(query.metadata),
        after=query.after,
        limit=query.limit + 1,
    )
    return answer(page(rows, query.limit, key=lambda credential: credential.credential_id, show=credential_object))


async def get_credential(call: Call[Nothing, Nothing]) -> Response:
    """Get a credential, its secrets masked."""
    return answer(credential_object(await _find(call)))


async def update_credential(call: Call[UpdateCredential, UpdateQuery]) -> Response:
    """Change a credential's name, metadata or properties.

    New properties are of the same kind and account: this is how a dead key is replaced. The provider is asked first.
    """
    credential = await _find(call)
    checked = await _check_changed_properties(call, credential)
    changes = given_fields(call.body)
    if checked is not None:
        app_id = credential.oauth_app_id
        app = None if app_id is None else await call.services.oauth_apps.get(call.org_id, app_id)
        replaced = await importer(call).replace_properties(
            call.org_id, credential, presented(checked, call.body, app), verify=call.query.verify
        )
        if replaced is None:
            raise call.not_found("credential")
        credential = replaced
        call.services.wake_syncs()
    changes.pop("properties", None)
    if changes:
        described = await call.services.credentials.describe(call.org_id, credential.credential_id, changes)
        if described is None:
            raise call.not_found("credential")
        credential = described
    return answer(credential_object(credential))


async def delete_credential(call: Call[Nothing, Nothing]) -> Response:
    """Delete a credential that no sync uses."""
    try:
        found = await call.services.credentials.delete(call.org_id, call.path_id("credential"))
    except CredentialInUse:
        raise Refused(
            "credential.in_use", "syncs use this credential, or their records are still leaving; delete them first"
        ) from None
    if not found:
        raise call.not_found("credential")
    return no_content()


async def check_credential(
    call: Call[Any, Any], draft: Mapping[str, Any], path: str = ""
) -> tuple[CheckedProperties | None, OAuthApp | None]:
    """What a credential's draft presents, and the OAuth app that it was made with; what is wrong goes into the call's
    problems."""
    app_id: uuid.UUID | None = draft.get("oauth_app_id")
    app = None if app_id is None else await call.services.oauth_apps.get(call.org_id, app_id)
    if app_id is not None and app is None:
        call.problems.add(f"{path}oauth_app_id", "is not the id of an OAuth app of this organisation")
    if "properties" not in draft:
        return None, app
    checked = check_properties(draft["properties"], call.services.providers, call.problems, f"{path}properties")
    if checked is not None and (app is not None or app_id is None):
        fault = _app_fault(checked, app)
        if fault is not None:
            call.problems.add(f"{path}oauth_app_id", fault)
    return checked, app


def _app_fault(checked: CheckedProperties, app: OAuthApp | None) -> str | None:
    kind = checked.kind
    if app is None:
        return f"is required for `{kind.name}`: the app that was connected" if kind.needs_app else None
    if app.provider != checked.provider.name:
        return f"is an app of {app.provider}, not of {checked.provider.name}"
    if not kind.needs_app:
        return f"is not used by `{kind.name}`; leave it out"
    missing = [name for name in kind.app_fields if name not in app.properties]
    return f"is an app without {' and '.join(missing)}, which `{kind.name}` needs" if missing else None


def presented(checked: CheckedProperties, body: CreateCredential | UpdateCredential, app: OAuthApp | None) -> Presented:
    """The credential as the importer takes it."""
    changes = {name: value for name, value in given_fields(body).items() if name in {"name", "metadata"}}
    return Presented(checked.provider, checked.kind, checked.properties, changes, app)


def importer(call: Call[Any, Any]) -> CredentialImporter:
    services = call.services
    return CredentialImporter(
        services.credentials,
        services.secrets,
        services.verify_credential,
        apps=services.oauth_apps,
        grants=services.grants,
    )


def credential_object(credential: Credential) -> CredentialObject:
    """A credential as it is answered."""
    return CredentialObject(
        id=credential.credential_id,
        provider=credential.provider,
        kind=credential.kind,
        name=credential.name,
        oauth_app_id=credential.oauth_app_id,
        oauth_app=None,
        properties={"kind": credential.kind, **credential.properties},
        health=credential.health,
        metadata=credential.metadata,
        created_at=credential.created_at,
        updated_at=credential.updated_at,
    )


async def _find(call: Call[Any, Any]) -> Credential:
    credential = await call.services.credentials.get(call.org_id, call.path_id("credential"))
    if credential is None:
        raise call.not_found("credential")
    return credential


async def _check_changed_properties(call: Call[Any, Any], credential: Credential) -> CheckedProperties | None:
    """The properties as they are to be; None: they stay as they are, or something is wrong."""
    given: dict[str, Any] | None = call.draft.get("properties")
    if given is None:
        return None
    provider = call.services.providers.get(credential.provider)
    kind = provider.find_kind(credential.kind) if provider is not None else None
    named = given.get("kind", credential.kind)
    if provider is None or kind is None or not isinstance(named, str) or provider.find_kind(named) is not kind:
        call.problems.add("properties.kind", f"must stay `{credential.kind}`; create another credential")
        return None
    stored = await _present_properties(call, credential, kind)
    aliases = {alias: field.name for field in kind.fields for alias in field.aliases}
    replaced = {aliases.get(name, name) for name in given}
    kept = {name: value for name, value in stored.items() if name not in replaced}
    return check_properties({**kept, **given, "kind": kind.name}, {provider.name: provider}, call.problems)


async def _present_properties(call: Call[Any, Any], credential: Credential, kind: CredentialKind) -> dict[str, Any]:
    """The properties in clear, with what has rotated since they were entered: a refresh token that is spent would
    be refused."""
    if kind.grant is None:
        stored = await call.services.credentials.properties(call.org_id, credential.credential_id)
        if stored is None:
            raise call.not_found("credential")
        return stored.reveal()
    held = await call.services.grants.get(call.org_id, credential.credential_id)
    if held is None:
        raise call.not_found("credential")
    names = {field.name for field in kind.fields}
    return {name: value for name, value in held.properties.items() if name in names}


_IMPORT_REFUSALS = ("credential.rejected", "provider.nonsense", "provider.timeout")

routes = (
    Route(
        "POST",
        "/v1/credentials",
        create_credential,
        answers=CredentialObject,
        status=201,
        refuses=(*_IMPORT_REFUSALS, "credential.unverified_replacement"),
    ),
    Route("GET", "/v1/credentials", list_credentials, answers=Listed[CredentialObject]),
    Route("GET", "/v1/credentials/{id}", get_credential, answers=CredentialObject),
    Route(
        "PATCH",
        "/v1/credentials/{id}",
        update_credential,
        answers=CredentialObject,
        refuses=(*_IMPORT_REFUSALS, "credential.exists"),
    ),
    Route("DELETE", "/v1/credentials/{id}", delete_credential, status=204, refuses=("credential.in_use",)),
)
