"""Collections over HTTP: what can be synced with one credential."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from springline.api.bodies import Body, Nothing
from springline.api.lists import Listed
from springline.api.routing import Call, Route, answer
from springline.api.values import nearest_collection
from springline.domain.credentials import Credential
from springline.domain.errors import Refused
from springline.providers.vocabulary import Collection, Provider

FieldType = Literal["string", "timestamp", "number"]


class CollectionQuery(Body):
    include: Annotated[
        Literal["", "upstream_metadata"],
        Meta(description="`upstream_metadata`: also what the provider itself says of it, where it says something."),
    ] = ""


class CollectionField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the collection's records that has a meaning here: its key, a time, a version. `accessor` is its path
    in `data`."""

    id: str
    name: str
    accessor: str
    type: FieldType
    primary_key: bool
    metadata: dict[str, Any]


class CredentialCollection(msgspec.Struct, frozen=True, kw_only=True):
    """A collection that can be synced with a credential. `id` is what `collection_ids` of a sync take."""

    id: str
    upstream_id: str
    name: str
    description: str
    fields: tuple[CollectionField, ...]
    links: tuple[dict[str, Any], ...]


class RefreshObject(msgspec.Struct, frozen=True, kw_only=True):
    """When it was looked at last what a credential can see, and what came of it."""

    credential_id: uuid.UUID
    last_started_at: datetime
    last_succeeded_at: datetime | None
    status: Literal["processing", "succeeded", "failed"]
    error: str | None


async def list_collections(call: Call[Nothing, CollectionQuery]) -> Response:
    """List the collections that can be synced with a credential."""
    call.problems.raise_if_any()
    provider = _provider(call, await _credential(call))
    shown = [collection_object(provider, collection) for collection in provider.collections]
    return answer(Listed(data=shown, next_cursor=None))


async def get_collection(call: Call[Nothing, CollectionQuery]) -> Response:
    """Get a collection that can be synced with a credential, by its id: `stripe:customer`."""
    call.problems.raise_if_any()
    provider = _provider(call, await _credential(call))
    name: str = call.request.path_params["collection"]
    collection = provider.find_collection(name)
    if collection is None:
        known = [provider.collection_id(each) for each in provider.collections]
        raise Refused(
            "collection.not_found",
            f"{provider.title} has no collection {name[:100]!r}{nearest_collection(name, known)}",
        )
    return answer(collection_object(provider, collection))


async def start_refresh(call: Call[Nothing, Nothing]) -> Response:
    """Look again at what a credential can see. What is the same for all accounts is known without asking."""
    credential = await _credential(call)
    _provider(call, credential)
    refreshed_at = await call.services.credentials.refresh_collections(call.org_id, credential.credential_id)
    if refreshed_at is None:
        raise _not_found(call)
    return answer(_refresh(credential, refreshed_at))


async def get_refresh(call: Call[Nothing, Nothing]) -> Response:
    """Say what came of the last look at what a credential can see."""
    credential = await _credential(call)
    refreshed_at = await call.services.credentials.collections_refreshed_at(call.org_id, credential.credential_id)
    return answer(_refresh(credential, refreshed_at or credential.created_at))


def collection_object(provider: Provider, collection: Collection) -> CredentialCollection:
    """A collection as it is answered: what its description says."""
    collection_id = provider.collection_id(collection)
    roles: list[tuple[str | None, FieldType, bool]] = [
        *((key, "string", True) for key in collection.keys),
        (collection.created, "timestamp", False),
        (collection.updated, "timestamp", False),
        (collection.version, "number", False),
    ]
    fields: dict[str, CollectionField] = {}
    for accessor, kind, is_key in roles:
        if accessor is not None and accessor not in fields:
            fields[accessor] = CollectionField(
                id=f"{collection_id}.{accessor}",
                name=accessor.rpartition(".")[2],
                accessor=accessor,
                type=kind,
                primary_key=is_key,
                metadata={},
            )
    return CredentialCollection(
        id=collection_id,
        upstream_id=collection.name,
        name=collection.name,
        description=collection.description,
        fields=tuple(fields.values()),
        links=(),
    )


def _refresh(credential: Credential, refreshed_at: datetime) -> RefreshObject:
    return RefreshObject(
        credential_id=credential.credential_id,
        last_started_at=refreshed_at,
        last_succeeded_at=refreshed_at,
        status="succeeded",
        error=None,
    )


async def _credential(call: Call[Any, Any]) -> Credential:
    credential = await call.services.credentials.get(call.org_id, call.path_id("credential", "credential_id"))
    if credential is None:
        raise _not_found(call)
    return credential


def _not_found(call: Call[Any, Any]) -> Refused:
    return call.not_found("credential", "credential_id")


def _provider(call: Call[Any, Any], credential: Credential) -> Provider:
    provider = call.services.providers.get(credential.provider)
    if provider is None:
        raise Refused("provider.not_found", f"this version knows no provider {credential.provider!r}")
    return provider


_CREDENTIAL = "/v1/collections/{credential_id}"
_REFUSES = ("credential.not_found", "provider.not_found")

routes = (
    Route("GET", _CREDENTIAL, list_collections, answers=Listed[CredentialCollection], refuses=_REFUSES),
    Route(
        "GET",
        f"{_CREDENTIAL}/{{collection}}",
        get_collection,
        answers=CredentialCollection,
        refuses=(*_REFUSES, "collection.not_found"),
    ),
    Route("POST", f"{_CREDENTIAL}/refresh/start", start_refresh, answers=RefreshObject, refuses=_REFUSES),
    Route("GET", f"{_CREDENTIAL}/refresh/status", get_refresh, answers=RefreshObject, refuses=_REFUSES),
)
