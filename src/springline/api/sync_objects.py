"""Syncs as they are sent and answered."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from springline.api.bodies import Body, Metadata
from springline.api.credentials import CreateCredential, CredentialObject, ImportQuery, credential_object
from springline.api.lists import ListQuery
from springline.domain.credentials import Credential
from springline.domain.health import SyncHealth, health_before_first_request
from springline.domain.numbers import tidy
from springline.domain.syncs import CONTINUOUS, CollectionProgress, Sync, read_progress

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
CollectionIds = Annotated[
    list[str], Meta(min_length=1, max_length=1000, description="`provider:name` each.", examples=[["stripe:customer"]])
]
MaxAgeDays = Annotated[
    float,
    Meta(gt=0, le=36500, description="Sync and keep only what was created or updated in so many days; null: all."),
]
Frequency = Annotated[
    str,
    Meta(
        description="`continuous`, or a pause such as `30m`, `4h` or `1d`.",
        examples=["continuous", "4h"],
        extra={"says": "`continuous` or a duration such as `4h`"},
    ),
]
ExternalId = Annotated[str, Meta(max_length=1000, description="Your own name for it; rides along on every record.")]
Priority = Annotated[int, Meta(ge=1, le=10, description="Who goes first where requests are short; 5 is usual.")]


class RateLimitObject(Body):
    """At most `allowed_requests` requests start in any window of `interval` seconds, and at most
    `max_concurrent_requests` run at once (0: no such cap)."""

    allowed_requests: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    interval: Annotated[float, Meta(gt=0, le=86400, description="Seconds.")]
    max_concurrent_requests: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class CreateSync(Body):
    provider: Annotated[str, Meta(description="`GET /v1/providers` lists them.", examples=["stripe"])]
    stream_id: Annotated[uuid.UUID, Meta(description="Where the records go.")]
    name: Name
    collection_ids: CollectionIds
    rate_limit: Annotated[RateLimitObject | None, Meta(description="Default: what such a credential is allotted.")] = (
        None
    )
    credential: Annotated[CreateCredential | None, Meta(description="Imported; this, or the next.")] = None
    credential_id: Annotated[uuid.UUID | None, Meta(description="One that exists.")] = None
    max_age_days: MaxAgeDays | None = None
    sync_frequency: Frequency = CONTINUOUS
    metadata: Metadata = msgspec.field(default_factory=dict)
    external_id: ExternalId | None = None
    priority: Priority = 5
    collection_priorities: dict[str, Priority] = msgspec.field(default_factory=dict)


class CreateSyncQuery(ImportQuery):
    pass


class UpdateSync(Body):
    name: Name | UnsetType = UNSET
    collection_ids: CollectionIds | UnsetType = UNSET
    rate_limit: RateLimitObject | UnsetType = UNSET
    status: Literal["active", "disabled"] | UnsetType = UNSET
    max_age_days: MaxAgeDays | UnsetType | None = UNSET
    sync_frequency: Frequency | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    external_id: ExternalId | UnsetType | None = UNSET
    priority: Priority | UnsetType = UNSET
    collection_priorities: dict[str, Priority] | UnsetType = UNSET

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("provider", "stream_id", "credential_id", "credential"), "cannot change; the way is a new sync"
    )


class ListSyncs(ListQuery):
    provider: str | UnsetType = UNSET
    stream_id: uuid.UUID | UnsetType = UNSET
    status: Literal["active", "disabled"] | UnsetType = UNSET
    health_status: Literal["healthy", "warn", "error"] | UnsetType = msgspec.field(default=UNSET, name="health.status")
    name: str | UnsetType = UNSET
    external_id: str | UnsetType = UNSET
    credential_id: uuid.UUID | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class DeleteSyncQuery(Body):
    keep_records: Annotated[bool, Meta(description="Whether the sync's records stay in the stream.")] = False
    erase: Annotated[bool, Meta(description="Not available in this version.")] = False


class SyncObject(msgspec.Struct, frozen=True, kw_only=True):
    """One connection to one account of one API, writing to one stream."""

    id: uuid.UUID
    provider: str
    stream_id: uuid.UUID
    org_id: uuid.UUID
    name: str
    status: Literal["active", "disabled"]
    health: SyncHealth
    collection_ids: list[str]
    rate_limit: RateLimitObject
    credential_id: uuid.UUID
    credential: CredentialObject
    max_age_days: float | None
    sync_frequency: str
    initial_backfill_completed_at: datetime | None
    progress: dict[str, CollectionProgress]
    priority: int
    collection_priorities: dict[str, int]
    metadata: dict[str, Any]
    external_id: str | None
    created_at: datetime
    updated_at: datetime


def rate_limit_fields(limit: RateLimitObject) -> dict[str, Any]:
    """A rate limit as it is stored: 60 seconds stay 60, not 60.0."""
    return {
        "allowed_requests": limit.allowed_requests,
        "interval": tidy(limit.interval),
        "max_concurrent_requests": limit.max_concurrent_requests,
    }


def sync_object(sync: Sync, credential: Credential) -> SyncObject:
    """A sync as it is answered, with its credential's secrets masked."""
    return SyncObject(
        id=sync.sync_id,
        provider=sync.provider,
        stream_id=sync.stream_id,
        org_id=sync.org_id,
        name=sync.name,
        status=sync.status,
        health=_health(sync),
        collection_ids=sync.collection_ids,
        rate_limit=RateLimitObject(**sync.rate_limit),
        credential_id=credential.credential_id,
        credential=credential_object(credential),
        max_age_days=None if sync.max_age_days is None else tidy(sync.max_age_days),
        sync_frequency=sync.sync_frequency,
        initial_backfill_completed_at=sync.initial_backfill_completed_at,
        progress=read_progress(sync.progress, sync.collection_ids),
        priority=sync.priority,
        collection_priorities=sync.collection_priorities,
        metadata=sync.metadata,
        external_id=sync.external_id,
        created_at=sync.created_at,
        updated_at=sync.updated_at,
    )


def _health(sync: Sync) -> SyncHealth:
    """As the worker last saw it; what it has not seen yet is fine, and a collection that was taken away is left out."""
    fine = health_before_first_request(sync.sync_id, sync.collection_ids, since=sync.created_at)
    if not isinstance(sync.health, dict):
        return fine
    try:
        seen = msgspec.convert({**sync.health, "sync_id": sync.sync_id}, SyncHealth)
    except msgspec.ValidationError:
        return fine
    parts = {name: seen.collections.get(name, part) for name, part in fine.collections.items()}
    return msgspec.structs.replace(seen, collections=parts)
