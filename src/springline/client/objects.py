"""What the API answers, as types. Fields that a newer server adds are ignored here and kept in `raw`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

Held = TypeVar("Held")


class ApiObject(msgspec.Struct, kw_only=True, dict=True):
    """Base of what the API answers."""

    @property
    def raw(self) -> bytes:
        """The JSON that the API answered, byte for byte."""
        raw: bytes = self.__dict__.get("_raw", b"")
        return raw

    @raw.setter
    def raw(self, json: bytes) -> None:
        self.__dict__["_raw"] = json


class Listing(list[Held]):
    """All objects of a list. `raw` is the API's list as it came (joined, if it came in several pages)."""

    def __init__(self, found: Iterable[Held], raw: bytes) -> None:
        super().__init__(found)
        self.raw = raw


class Stream(ApiObject, kw_only=True):
    id: str
    slug: str
    org_id: str
    created_at: datetime
    updated_at: datetime
    head_idx: int = 0
    record_count: int = 0
    sync_count: int = 0
    consumer_count: int = 0
    event_retention_days: float = 7
    tombstone_days: float = 30


class HealthPart(msgspec.Struct, kw_only=True):
    """How one part does: `ok`, `warn` or `error`, with notes that say what to do."""

    status: str
    notes: list[str] = []
    time: datetime | None = None


class Health(msgspec.Struct, kw_only=True):
    """How a sync does: `healthy`, `warn` or `error`, the worst of its parts."""

    status: str
    sync_id: str | None = None
    credential: HealthPart | None = None
    provider: HealthPart | None = None
    collections: dict[str, HealthPart] = {}


class RateLimit(msgspec.Struct, kw_only=True):
    """At most `allowed_requests` starts in any window of `interval` seconds; 0 concurrent requests: no such cap."""

    allowed_requests: int
    interval: float
    max_concurrent_requests: int = 0


class Progress(msgspec.Struct, kw_only=True):
    """Where one collection of a sync stands."""

    phase: str
    records: int = 0
    requests: int = 0
    poll_interval_seconds: float | None = None
    lag_seconds: float | None = None
    last_sweep_completed_at: datetime | None = None
    eta: datetime | None = None
    waiting_for: str | None = None


class Credential(ApiObject, kw_only=True):
    """Secrets in `properties` are asterisks."""

    id: str
    provider: str
    kind: str
    name: str | None = None
    oauth_app_id: str | None = None
    oauth_app: dict[str, Any] | None = None
    properties: dict[str, Any] = {}
    health: HealthPart | None = None
    metadata: dict[str, Any] = {}
    created_at: datetime
    updated_at: datetime


class OAuthApp(ApiObject, kw_only=True):
    """Secrets are asterisks, unless they were asked for. `app_id` and `private_key` are a GitHub App's."""

    id: str
    name: str
    provider: str
    client_id: str
    client_secret: str | None = None
    app_id: int | str | None = None
    private_key: str | None = None
    redirect_uris: list[str] = []
    metadata: dict[str, Any] = {}
    health: HealthPart | None = None
    created_at: datetime
    updated_at: datetime


class Sync(ApiObject, kw_only=True):
    id: str
    provider: str
    stream_id: str
    org_id: str
    name: str
    status: str
    health: Health
    collection_ids: list[str]
    rate_limit: RateLimit | None = None
    credential_id: str | None = None
    credential: Credential | None = None
    max_age_days: float | None = None
    sync_frequency: str = "continuous"
    initial_backfill_completed_at: datetime | None = None
    metadata: dict[str, Any] = {}
    external_id: str | None = None
    created_at: datetime
    updated_at: datetime
    progress: dict[str, Progress] = {}


class Waiting(msgspec.Struct, kw_only=True):
    """What is waited for, since when and until when, as far as that is known, and what to do about it."""

    waiting_for: str
    since: datetime | None = None
    until: datetime | None = None
    says: str = ""


class CollectionExplanation(msgspec.Struct, kw_only=True):
    """What one collection does, or waits for (None: for nothing but its next turn)."""

    doing: str
    waiting_for: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    says: str = ""
    also: list[Waiting] = []


class RequestMade(msgspec.Struct, kw_only=True):
    """One request to a provider. `waited_ms`: for its permit. `status` None: no answer, and `fault` says why."""

    at: datetime
    purpose: str
    method: str
    path: str
    status: int | None = None
    ms: int = 0
    waited_ms: int = 0
    work: str = ""
    request_id: str | None = None
    fault: str | None = None


class LimitUse(msgspec.Struct, kw_only=True):
    """How one of the limits stands that a sync's requests draw on: its own `rate_limit`, or one that it shares."""

    name: str
    allowed_requests: int
    interval: float
    used: int
    used_by: dict[str, int] = {}
    waiting: dict[str, int] = {}
    running: int = 0
    max_concurrent_requests: int = 0
    free_in_seconds: float | None = None
    closed_seconds: float = 0
    closed_because: str | None = None


class QuotaUse(msgspec.Struct, kw_only=True):
    """What the running window of the quota holds."""

    allowed_requests: int
    interval: float
    used: int
    max_concurrent_requests: int = 0
    by_purpose: dict[str, int] = {}
    limits: list[LimitUse] = []


class Explanation(ApiObject, kw_only=True):
    """Why a sync is where it is. `requests`: newest first; none, and no `quota`, where the worker that runs it could
    not be asked."""

    sync_id: str
    as_of: datetime
    worker: int | None = None
    collections: dict[str, CollectionExplanation]
    quota: QuotaUse | None = None
    requests: list[RequestMade] = []


class Hold(ApiObject, kw_only=True):
    """What was kept back for a reason, until someone decides. `kind`: `record`, `page` or `deletion`."""

    id: str
    sync_id: str
    kind: str
    status: str
    reason: str
    count: int = 1
    since: datetime
    collection_id: str | None = None
    decided_at: datetime | None = None
    size: int = 0
    sample: str = ""


class Backfill(ApiObject, kw_only=True):
    """The newest backfill of one collection: `waiting`, `running` or `completed`."""

    collection_id: str
    number: int
    status: str
    records: int = 0
    updated_at: datetime | None = None


class Backfills(ApiObject, kw_only=True):
    """The newest backfill of each collection."""

    data: list[Backfill]


class CollectionField(msgspec.Struct, kw_only=True):
    """A field that has a meaning: a key, a time, a version. `accessor`: its path in `data`."""

    name: str
    accessor: str
    type: str = "string"
    primary_key: bool = False
    id: str = ""
    metadata: dict[str, Any] = {}


class Collection(ApiObject, kw_only=True):
    """A collection that can be synced with a credential."""

    id: str
    upstream_id: str
    name: str
    description: str = ""
    fields: list[CollectionField] = []
    links: list[dict[str, Any]] = []


class CollectionRefresh(ApiObject, kw_only=True):
    """The last look at what a credential can see: `processing`, `succeeded` or `failed`."""

    credential_id: str
    status: str
    last_started_at: datetime | None = None
    last_succeeded_at: datetime | None = None
    error: str | None = None


class SyncOfRecord(msgspec.Struct, kw_only=True):
    id: str
    external_id: str | None = None
    metadata: dict[str, Any] = {}


class Record(ApiObject, kw_only=True):
    """One version of a record. `data` is the provider's JSON, byte for byte: `bytes(record.data)`."""

    id: str
    stream_id: str
    sync_id: str
    provider: str
    collection_id: str
    upstream_id: str
    data: msgspec.Raw
    deleted: bool
    updated_idx: int
    inserted_at: datetime
    deleted_reason: str | None = None
    upstream_created_at: datetime | None = None
    upstream_updated_at: datetime | None = None
    sync: SyncOfRecord | None = None

    def parsed(self) -> Any:
        """`data` as Python values: what a float cannot hold is rounded here, never in `data`."""
        return msgspec.json.decode(self.data)


class Records(ApiObject, kw_only=True):
    """A piece of a stream. Send `cursor` as `after_cursor` to go on from here."""

    records: list[Record]
    cursor: str


class Event(Record, kw_only=True):
    """One change of a record, with the version that it made. `changes`: the fields that an update changed, with their
    values before; None: not kept any more."""

    event_id: str
    event: str
    changes: dict[str, Any] | None = None
    detected_by: str
    evidence: str | None = None
    event_inserted_at: datetime


class Events(ApiObject, kw_only=True):
    """A piece of an event log. Send `cursor` as `after_cursor` to go on from here."""

    events: list[Event]
    cursor: str


class Message(msgspec.Struct, kw_only=True):
    """A record's version, handed out until it is acknowledged or its time is over."""

    ack_token: str
    record: Record
    deliver_count: int


class Pending(msgspec.Struct, kw_only=True):
    """What a consumer still has to come. `num_pending` is 0 if and only if nothing is left to deliver."""

    num_pending: int
    num_ack_pending: int
    num_pending_capped: bool = False


class Received(ApiObject, kw_only=True):
    data: list[Message]
    info: Pending


class PendingMessage(msgspec.Struct, kw_only=True):
    """A message in flight. `state`: `out`, `late` (its deadline is over) or `waiting` (it was given back)."""

    record_id: str
    updated_idx: int
    state: str
    deliver_count: int
    deadline: datetime
    sync_id: str | None = None
    collection_id: str | None = None
    upstream_id: str | None = None
    first_delivered_at: datetime | None = None
    last_delivered_at: datetime | None = None
    receiver: str | None = None
    newer: bool = False


class PendingInfo(msgspec.Struct, kw_only=True):
    """`stopped`: nothing more is delivered, since too many messages are in flight; `stopped_by`: the oldest of them."""

    num_ack_pending: int
    max_ack_pending: int
    paused: bool = False
    stopped: bool = False
    stopped_by: PendingMessage | None = None


class PendingMessages(ApiObject, kw_only=True):
    """Messages in flight, by their records' ids; go on with `next_cursor`."""

    data: list[PendingMessage]
    info: PendingInfo
    next_cursor: str | None = None


class DeadLetter(ApiObject, kw_only=True):
    """A message that was given up, with its record as it is now (None: it has left)."""

    record_id: str
    updated_idx: int
    deliver_count: int
    reason: str
    given_up_at: datetime
    superseded: bool = False
    record: Record | None = None


class Consumer(ApiObject, kw_only=True):
    id: str
    stream_id: str
    name: str
    deliver_policy: str = "all"
    ack_wait_ms: int = 30_000
    max_deliver: int = -1
    max_ack_pending: int = 1000
    filters: dict[str, str | list[str]] = {}
    metadata: dict[str, Any] = {}
    status: str = "active"
    kind: str = "record"
    created_at: datetime
    updated_at: datetime


class CredentialField(msgspec.Struct, kw_only=True):
    name: str
    type: str = "string"
    required: bool = False
    secret: bool = False
    description: str = ""


class CredentialKind(msgspec.Struct, kw_only=True):
    name: str
    fields: list[CredentialField] = []
    needs_oauth_app: bool = False


class Detection(msgspec.Struct, kw_only=True):
    """How inserts, updates and deletes are each found, the fastest way first."""

    inserts: list[str] = []
    updates: list[str] = []
    deletes: list[str] = []


class ProviderCollection(msgspec.Struct, kw_only=True):
    id: str
    description: str = ""
    detection: Detection | None = None


class Provider(ApiObject, kw_only=True):
    """What can be synced of one API, and with which credentials."""

    name: str
    title: str = ""
    credential_kinds: list[CredentialKind] = []
    collections: list[ProviderCollection] = []


class Token(ApiObject, kw_only=True):
    """An API token. `token` itself is there only in the answer to its creation."""

    id: str
    name: str
    org_id: str
    token: str | None = None
    created_at: datetime


class Worker(ApiObject, kw_only=True):
    """A process that runs syncs; `credentials` and `syncs` are those of the organisation that asks."""

    number: int
    status: str
    host: str = ""
    process_id: int | None = None
    process_started_at: datetime | None = None
    since: datetime
    lease_until: datetime
    credentials: int = 0
    syncs: int = 0
    is_this_process: bool = False
