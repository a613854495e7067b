"""Syncs over HTTP."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from springline.api.bodies import Nothing, given_fields, or_none
from springline.api.credentials import check_credential, importer, presented
from springline.api.errors import refused_field
from springline.api.lists import Listed, page
from springline.api.properties import CheckedProperties
from springline.api.routing import Call, Route, answer, created, no_content
from springline.api.sync_objects import (
    CreateSync,
    CreateSyncQuery,
    DeleteSyncQuery,
    ListSyncs,
    RateLimitObject,
    SyncObject,
    UpdateSync,
    rate_limit_fields,
    sync_object,
)
from springline.api.values import nearest, nearest_collection
from springline.domain.credentials import Credential
from springline.domain.oauth_apps import OAuthApp
from springline.domain.syncs import Sync, parse_frequency
from springline.providers.vocabulary import Provider
from springline.store.syncs import CredentialUnknown, NewSync, StreamUnknown

_NO_STREAM = "is not the id of a stream of this organisation"
_NO_CREDENTIAL = "is not the id of a credential of this organisation"


async def create_sync(call: Call[CreateSync, CreateSyncQuery]) -> Response:
    """Create a sync: keep these collections of this account flowing into that stream.

    Takes a `credential` (imported as by `POST /v1/credentials`) or the `credential_id` of one that exists.
    """
    provider = _check_provider(call)
    await _check_stream(call)
    _check_frequency(call)
    if provider is not None:
        _check_collections(call, provider, call.draft.get("collection_ids"))
    credential, checked, app = await _check_credentials(call, provider)
    body, query = call.body, call.query
    if checked is not None and body.credential is not None:
        imported = await importer(call).import_credential(
            call.org_id,
            presented(checked, body.credential, app),
            verify=query.verify,
            replace=query.replace,
            field="credential.properties",
        )
        credential = imported.credential
    assert credential is not None
    sync = await _create(call, body, credential)
    call.services.wake_syncs()
    return created(sync_object(sync, credential), f"/v1/syncs/{sync.sync_id}")


async def list_syncs(call: Call[Nothing, ListSyncs]) -> Response:
    """List syncs, by provider, stream, status, health, name, external id, credential and metadata."""
    query = call.query
    rows = await call.services.syncs.list(
        call.org_id,
        provider=or_none(query.provider),
        stream_id=or_none(query.stream_id),
        status=or_none(query.status),
        health_status=or_none(query.health_status),
        name=or_none(query.name),
        external_id=or_none(query.external_id),
        credential_id=or_none(query.credential_id),
        metadata=or_none(query.metadata),
        after=query.after,
        limit=query.limit + 1,
    )
    found = page(rows, query.limit, key=lambda sync: sync.sync_id, show=lambda sync: sync)
    credentials = await call.services.credentials.of_syncs(call.org_id, [sync.credential_no for sync in found.data])
    # One that was deleted between the two queries may have no credential any more.
    shown = [
        sync_object(sync, credentials[sync.credential_no]) for sync in found.data if sync.credential_no in credentials
    ]
    return answer(Listed(data=shown, next_cursor=found.next_cursor))


async def get_sync(call: Call[Nothing, Nothing]) -> Response:
    """Get a sync with its health and its progress."""
    sync = await _find(call)
    return answer(await _with_credential(call, sync))


async def update_sync(call: Call[UpdateSync, Nothing]) -> Response:
    """Change a sync. Fields left out stay.

    A collection that is added is backfilled; the records of one that is taken away leave the stream as deletions.
    """
    sync = await _find(call)
    provider = call.services.providers.get(sync.provider)
    collection_ids = call.draft.get("collection_ids", sync.collection_ids)
    if provider is not None and "collection_ids" in call.draft:
        known = {*sync.collection_ids}
        _check_collections(call, provider, [each for each in collection_ids if each not in known])
        _check_parents(call, provider, collection_ids)
    _check_frequency(call)
    _check_priorities(call, collection_ids)
    changes = _changes(call.body, sync)
    if changes:
        changed = await call.services.syncs.update(call.org_id, sync.sync_id, changes)
        if changed is None:
            raise call.not_found("sync")
        sync = changed
        call.services.wake_syncs()
    return answer(await _with_credential(call, sync))


async def delete_sync(call: Call[Nothing, DeleteSyncQuery]) -> Response:
    """Delete a sync. Its records leave the stream in the background, unless they are kept."""
    sync_id = call.path_id("sync")
    if call.query.erase:
        raise refused_field(
            "erase", "is not available in this version; leave it out, and the records leave as deletions"
        )
    found = await call.services.syncs.delete(call.org_id, sync_id, keep_records=call.query.keep_records)
    if not found:
        raise call.not_found("sync")
    call.services.wake_syncs()
    return no_content()


async def _find(call: Call[Any, Any]) -> Sync:
    sync = await call.services.syncs.get(call.org_id, call.path_id("sync"))
    if sync is None:
        raise call.not_found("sync")
    return sync


async def _with_credential(call: Call[Any, Any], sync: Sync) -> SyncObject:
    credentials = await call.services.credentials.of_syncs(call.org_id, [sync.credential_no])
    if sync.credential_no not in credentials:
        raise call.not_found("sync")
    return sync_object(sync, credentials[sync.credential_no])


def _check_provider(call: Call[CreateSync, Any]) -> Provider | None:
    name = call.draft.get("provider")
    if name is None:
        return None
    providers = call.services.providers
    if name not in providers:
        known = ", ".join(f"`{each}`" for each in providers)
        call.problems.add("provider", f"must be one of {known}{nearest(name, providers)}")
    return providers.get(name)


async def _check_stream(call: Call[CreateSync, Any]) -> None:
    stream_id: uuid.UUID | None = call.draft.get("stream_id")
    if stream_id is not None and await call.services.streams.get(call.org_id, stream_id) is None:
        call.problems.add("stream_id", _NO_STREAM)


def _check_frequency(call: Call[Any, Any]) -> None:
    frequency: str | None = call.draft.get("sync_frequency")
    if frequency is not None:
        try:
            parse_frequency(frequency)
        except ValueError as error:
            call.problems.add("sync_frequency", str(error))


def _check_collections(call: Call[Any, Any], provider: Provider, collection_ids: list[str] | None) -> None:
    known = [provider.collection_id(collection) for collection in provider.collections]
    for each in collection_ids or ():
        if each not in known:
            call.problems.add(
                "collection_ids",
                f"holds `{each}`, which is no collection of {provider.title}{nearest_collection(each, known)}",
            )
    if collection_ids is not None and "provider" in call.draft:
        _check_parents(call, provider, collection_ids)
        _check_priorities(call, collection_ids)


def _check_parents(call: Call[Any, Any], provider: Provider, collection_ids: list[str]) -> None:
    """What is found through its parents needs them in the same sync."""
    for each in collection_ids:
        collection = provider.find_collection(each)
        if collection is not None and collection.parent is not None:
            parent_id = f"{provider.name}:{collection.parent.collection}"
            if parent_id not in collection_ids:
                call.problems.add(
                    "collection_ids",
                    f"holds `{each}`, which is found through its parents: add `{parent_id}` to the sync",
                )


def _check_priorities(call: Call[Any, Any], collection_ids: list[str]) -> None:
    priorities: Mapping[str, int] = call.draft.get("collection_priorities", {})
    for each in priorities:
        if each not in collection_ids:
            call.problems.add("collection_priorities", f"names `{each}`, which is not in collection_ids")


async def _check_credentials(
    call: Call[CreateSync, Any], provider: Provider | None
) -> tuple[Credential | None, CheckedProperties | None, OAuthApp | None]:
    """The credential that exists, or the one to be imported with its OAuth app; never both."""
    credential_id: uuid.UUID | None = call.draft.get("credential_id")
    draft: dict[str, Any] | None = call.draft.get("credential")
    if credential_id is not None and draft is not None:
        call.problems.add("credential", "and credential_id are both given: give one of the two")
        call.problems.add("credential_id", "and credential are both given: give one of the two")
    if draft is not None:
        return None, *await _check_inline(call, provider, draft)
    if credential_id is None:
        if "credential" not in call.problems and "credential_id" not in call.problems:
            call.problems.add("credential", "is required, or the credential_id of one that exists")
        return None, None, None
    credential = await call.services.credentials.get(call.org_id, credential_id)
    if credential is None:
        call.problems.add("credential_id", _NO_CREDENTIAL)
    elif provider is not None and credential.provider != provider.name:
        call.problems.add("credential_id", f"is a credential of {credential.provider}, not of {provider.name}")
    return credential, None, None


async def _check_inline(
    call: Call[CreateSync, Any], provider: Provider | None, draft: Mapping[str, Any]
) -> tuple[CheckedProperties | None, OAuthApp | None]:
    checked, app = await check_credential(call, draft, "credential.")
    if checked is not None and provider is not None and checked.provider.name != provider.name:
        call.problems.add("credential.properties.kind", f"is a kind of {checked.provider.name}, not of {provider.name}")
    return checked, app


async def _create(call: Call[Any, Any], body: CreateSync, credential: Credential) -> Sync:
    rate_limit = body.rate_limit or await _default_rate_limit(call, credential)
    new = NewSync(
        provider=body.provider,
        stream_id=body.stream_id,
        credential_id=credential.credential_id,
        name=body.name,
        collection_ids=list(dict.fromkeys(body.collection_ids)),
        rate_limit=rate_limit_fields(rate_limit),
        max_age_days=body.max_age_days,
        sync_frequency=body.sync_frequency,
        priority=body.priority,
        collection_priorities=body.collection_priorities,
        metadata=body.metadata,
        external_id=body.external_id,
    )
    try:
        return await call.services.syncs.create(call.org_id, new)
    except StreamUnknown:
        raise refused_field("stream_id", _NO_STREAM) from None
    except CredentialUnknown:
        raise refused_field("credential_id", _NO_CREDENTIAL) from None


async def _default_rate_limit(call: Call[Any, Any], credential: Credential) -> RateLimitObject:
    """What such a credential is allotted."""
    provider = call.services.providers[credential.provider]
    kind = provider.find_kind(credential.kind)
    assert kind is not None
    properties = await call.services.credentials.properties(call.org_id, credential.credential_id)
    if properties is None:
        raise refused_field("credential_id", _NO_CREDENTIAL)
    allotted = kind.rate_limit(properties.reveal())
    return RateLimitObject(**msgspec.structs.asdict(allotted))


def _changes(body: UpdateSync, sync: Sync) -> dict[str, Any]:
    """What the body changes about the sync; nothing where it says what is so already."""
    changes = given_fields(body)
    if isinstance(body.rate_limit, RateLimitObject):
        changes["rate_limit"] = rate_limit_fields(body.rate_limit)
    if "collection_ids" in changes:
        changes["collection_ids"] = list(dict.fromkeys(changes["collection_ids"]))
        if "collection_priorities" not in changes:
            kept = {
                name: value for name, value in sync.collection_priorities.items() if name in changes["collection_ids"]
            }
            changes["collection_priorities"] = kept
    return {name: value for name, value in changes.items() if getattr(sync, name) != value}


_REFUSALS = (
    "credential.rejected",
    "credential.unverified_replacement",
    "provider.nonsense",
    "provider.timeout",
)

routes = (
    Route("POST", "/v1/syncs", create_sync, answers=SyncObject, status=201, refuses=_REFUSALS),
    Route("GET", "/v1/syncs", list_syncs, answers=Listed[SyncObject]),
    Route("GET", "/v1/syncs/{id}", get_sync, answers=SyncObject),
    Route("PATCH", "/v1/syncs/{id}", update_sync, answers=SyncObject),
    Route("DELETE", "/v1/syncs/{id}", delete_sync, status=204),
)
