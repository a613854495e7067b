"""What can be synced, before there is a credential."""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from springline.api.bodies import Nothing
from springline.api.lists import Listed
from springline.api.routing import Call, Route, answer
from springline.api.sync_objects import RateLimitObject
from springline.domain.errors import Refused
from springline.providers.access import CredentialField, CredentialKind, FieldType
from springline.providers.vocabulary import Collection, Detection, Provider


class FieldObject(msgspec.Struct, frozen=True, kw_only=True):
    """One of a credential's properties."""

    name: str
    type: FieldType
    required: bool
    secret: bool
    description: str


class KindObject(msgspec.Struct, frozen=True, kw_only=True):
    """One way to be let in."""

    name: str
    aliases: tuple[str, ...]
    fields: tuple[FieldObject, ...]
    needs_oauth_app: Annotated[bool, Meta(description="Whether such a credential names an OAuth app: `oauth_app_id`.")]
    default_rate_limit: Annotated[
        RateLimitObject, Meta(description="What a sync with such a credential is allotted; it may depend on the key.")
    ]


class CollectionObject(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of object. `key` is the field that `upstream_id` is made of."""

    id: str
    name: str
    description: str
    key: str
    detection: Annotated[Detection, Meta(description="How inserts, updates and deletes are each found, fastest first.")]
    longest_interval_seconds: Annotated[float, Meta(description="How long a quiet collection is not looked at.")]


class ProviderObject(msgspec.Struct, frozen=True, kw_only=True):
    """An API that can be synced."""

    name: str
    title: str
    credential_kinds: tuple[KindObject, ...]
    collections: tuple[CollectionObject, ...]


async def list_providers(call: Call[Nothing, Nothing]) -> Response:
    """List the APIs that can be synced."""
    shown = [provider_object(provider) for provider in call.services.providers.values()]
    return answer(Listed(data=shown, next_cursor=None))


async def get_provider(call: Call[Nothing, Nothing]) -> Response:
    """Get an API: how it lets us in, and what can be synced of it."""
    name: str = call.request.path_params["name"]
    provider = call.services.providers.get(name)
    if provider is None:
        known = ", ".join(call.services.providers)
        raise Refused("provider.not_found", f"no provider is called {name[:64]!r}; there are: {known}")
    return answer(provider_object(provider))


def provider_object(provider: Provider) -> ProviderObject:
    """A provider as it is answered."""
    return ProviderObject(
        name=provider.name,
        title=provider.title,
        credential_kinds=tuple(_kind(kind) for kind in provider.credential_kinds),
        collections=tuple(_collection(provider, collection) for collection in provider.collections),
    )


def _kind(kind: CredentialKind) -> KindObject:
    return KindObject(
        name=kind.name,
        aliases=kind.aliases,
        fields=tuple(_field(field) for field in kind.fields),
        needs_oauth_app=kind.needs_app,
        default_rate_limit=RateLimitObject(**msgspec.structs.asdict(kind.rate_limit(_NO_PROPERTIES))),
    )


def _field(field: CredentialField) -> FieldObject:
    return FieldObject(
        name=field.name,
        type=field.type,
        required=field.required,
        secret=field.secret,
        description=field.description,
    )


def _collection(provider: Provider, collection: Collection) -> CollectionObject:
    return CollectionObject(
        id=provider.collection_id(collection),
        name=collection.name,
        description=collection.description,
        key=collection.key_text,
        detection=collection.detection,
        longest_interval_seconds=collection.longest_interval / timedelta(seconds=1),
    )


_NO_PROPERTIES: dict[str, Any] = {}

routes = (
    Route("GET", "/v1/providers", list_providers, answers=Listed[ProviderObject]),
    Route("GET", "/v1/providers/{name}", get_provider, answers=ProviderObject, refuses=("provider.not_found",)),
)
