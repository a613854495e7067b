"""Organisations, streams, credentials, syncs and consumers, made through the stores."""

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.github_side import GITHUB_TOKEN

from springline.domain.consumers import Consumer, StartAt
from springline.domain.credentials import Credential, Properties
from springline.domain.fingerprints import raw_print
from springline.domain.records import DeletedReason, DetectedBy
from springline.domain.secrets import Secret
from springline.domain.streams import Stream
from springline.domain.syncs import Sync
from springline.store.consumers import ConsumerStore, NewConsumer
from springline.store.credentials import CredentialStore
from springline.store.database import Database
from springline.store.organisations import OrganisationStore
from springline.store.pages import RecordWrite
from springline.store.secrets import SecretBox
from springline.store.streams import StreamStore
from springline.store.syncs import NewSync, SyncStore

SECRET_KEY = bytes(range(32))
STRIPE_KEY = "sk_test_springline"
CUSTOMER = "stripe:customer"
#: By provider: a kind of credential, its field, and a secret that fits.
_KINDS = {
    "stripe": ("stripe_key", "secret", STRIPE_KEY),
    "github": ("github_token", "token", GITHUB_TOKEN),
}

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A sync with all that it needs. `epoch` is the lease epoch at which its fence stands."""

    org_id: uuid.UUID
    stream: Stream
    credential: Credential
    sync: Sync
    sources: dict[str, int]
    epoch: int

    @property
    def stream_no(self) -> int:
        return self.stream.stream_no

    @property
    def sync_no(self) -> int:
        return self.sync.sync_no

    @property
    def source_no(self) -> int:
        """That of its first collection."""
        return self.sources[self.sync.collection_ids[0]]


class Maker:
    """Makes things in one database. `beside`: in the organisation, and where not said otherwise in the stream, of
    something that was made before."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.credentials = CredentialStore(database, SecretBox([SECRET_KEY]))
        self.syncs = SyncStore(database)
        self.streams = StreamStore(database)
        self.consumers = ConsumerStore(database)

    async def sync(
        self,
        *collection_ids: str,
        epoch: int = 1,
        beside: Made | None = None,
        stream: Stream | None = None,
        credential: Credential | None = None,
        secret: str | None = None,
        rate_limit: Mapping[str, Any] | None = None,
        max_age_days: float | None = None,
        frequency: str = "continuous",
    ) -> Made:
        """A new sync with new everything, unless given; with `epoch` 0 its fence is left for a worker to raise."""
        if beside is not None:
            org_id, stream = beside.org_id, stream or beside.stream
        else:
            organisation, _ = await OrganisationStore(self.database).create(f"org {next(_numbers)}")
            org_id = organisation.org_id
        stream = stream or await self.stream(org_id)
        provider = (collection_ids or (CUSTOMER,))[0].partition(":")[0]
        credential = credential or await self.credential(org_id, secret, provider=provider)
        sync = await self.syncs.create(
            org_id,
            NewSync(
                provider=provider,
                stream_id=stream.stream_id,
                credential_id=credential.credential_id,
                name="Acme",
                collection_ids=list(collection_ids or (CUSTOMER,)),
                rate_limit=rate_limit or {"allowed_requests": 1000, "interval": 1.0, "max_concurrent_requests": 0},
                max_age_days=max_age_days,
                sync_frequency=frequency,
                priority=5,
                collection_priorities={},
                metadata={},
                external_id=None,
            ),
        )
        await self.database.execute("UPDATE sync_fences SET epoch = $2 WHERE sync_no = $1", sync.sync_no, epoch)
        rows = await self.database.fetch(
            "SELECT collection_id, source_no FROM sources WHERE sync_no = $1", sync.sync_no
        )
        sources = {row["collection_id"]: row["source_no"] for row in rows}
        return Made(org_id=org_id, stream=stream, credential=credential, sync=sync, sources=sources, epoch=epoch)

    async def stream(self, org_id: uuid.UUID, *, event_retention_days: float = 7, tombstone_days: float = 30) -> Stream:
        return await self.streams.create(
            org_id,
            slug=f"stream-{next(_numbers)}",
            event_retention_days=event_retention_days,
            tombstone_days=tombstone_days,
        )

    async def credential(self, org_id: uuid.UUID, secret: str | None = None, *, provider: str = "stripe") -> Credential:
        kind, field, usual = _KINDS[provider]
        return await self.credentials.create(
            org_id,
            provider=provider,
            kind=kind,
            account=f"acct_{next(_numbers)}",
            secret_print=f"print {next(_numbers)}",
            name=None,
            properties=Properties(shown={}, secrets={field: Secret(secret or usual)}),
            metadata={},
        )

    async def consumer(
        self,
        made: Made,
        *,
        ack_wait_ms: int = 30_000,
        max_deliver: int = -1,
        max_ack_pending: int = 1000,
        filters: Mapping[str, Any] | None = None,
        start: StartAt | None = None,
    ) -> Consumer:
        """A consumer of the stream, from the beginning unless said otherwise."""
        consumer = await self.consumers.create(
            made.org_id,
            NewConsumer(
                stream_id=made.stream.stream_id,
                name=f"consumer {next(_numbers)}",
                kind="record",
                deliver_policy="all",
                ack_wait_ms=ack_wait_ms,
                max_deliver=max_deliver,
                max_ack_pending=max_ack_pending,
                filters=filters or {},
                metadata={},
            ),
            start or StartAt(place="beginning"),
        )
        assert consumer is not None
        return consumer


def write(
    source_no: int,
    upstream_id: str,
    data: bytes | None = b"{}",
    *,
    as_of: int = 0,
    compared: bool = True,
    version: int | None = None,
    deleted_reason: DeletedReason = DeletedReason.live,
    detected_by: DetectedBy = DetectedBy.poll,
) -> RecordWrite:
    """A record as the engine writes it; without data: gone in the API."""
    if data is None and deleted_reason is DeletedReason.live:
        deleted_reason = DeletedReason.upstream
    return RecordWrite(
        source_no,
        upstream_id,
        as_of,
        detected_by,
        data=data,
        raw_print=0 if data is None else raw_print(data),
        version=version,
        deleted_reason=deleted_reason,
        compared=compared,
    )


def writes(source_no: int, upstream_ids: Sequence[str], data: bytes = b"{}", *, as_of: int = 0) -> list[RecordWrite]:
    """Records that differ in their ids."""
    return [write(source_no, upstream_id, data, as_of=as_of) for upstream_id in upstream_ids]
