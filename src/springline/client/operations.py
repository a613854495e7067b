"""What the API answers to whoever asks why: explanations, holds, backfills, what is in flight and what was given up."""

from datetime import datetime

import msgspec

from springline.client.objects import ApiObject, Record


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
    requests: list[RequestMade] = msgspec.field(default_factory=list)


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
