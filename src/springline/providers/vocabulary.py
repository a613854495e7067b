"""The words in which a provider is described: data first, code at the edges.

A description is frozen and validates itself when it is built: whoever imports a broken one learns at once which
collection is at fault. The engine interprets it; nothing here does I/O.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from springline.domain.secrets import Secret

#: How changes are found. `parent`: its parent's change tells. `none`: there are no such changes.
Method = Literal["feed", "incremental", "parent", "ids", "sweep", "none"]
TimeFormat = Literal["unix", "iso8601"]
FieldType = Literal["string", "boolean", "integer", "strings"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a provider, before authentication. `path` starts with a slash; `query` keeps its order. `body` is
    sent as it is: its type stands in `headers`. `answers` are statuses besides 2xx that are an answer to it, not an
    error."""

    method: str = "GET"
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    answers: tuple[int, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's answer: `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """At most `allowed_requests` starts in any window of `interval` seconds; at most `max_concurrent_requests` at once,
    0: no such cap."""

    allowed_requests: int
    interval: float
    max_concurrent_requests: int = 0


class LimitWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of the provider's own: at most `allowed_requests` units in any `interval` seconds, at most
    `max_concurrent_requests` requests at once; 0: no such limit.

    `path`: a regular expression that the whole path of a request matches if it draws on the limit; None: every request.
    Where it has groups, each method and each different text in them is an endpoint with a limit of its own; such a
    limit is at most 10 s long. `costs`: units by method, 1 for those that are not named. Answers with one of
    `uncounted_statuses` do not count. `shared_by_app`: the limit is the OAuth app's, over all of its credentials.
    """

    name: str
    allowed_requests: int = 0
    interval: float = 1.0
    max_concurrent_requests: int = 0
    path: str | None = None
    costs: tuple[tuple[str, int], ...] = ()
    uncounted_statuses: tuple[int, ...] = ()
    shared_by_app: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError that says what is wrong."""
        if self.allowed_requests < 0 or self.max_concurrent_requests < 0 or self.interval <= 0:
            raise ValueError(f"limit {self.name}: numbers must not be negative")
        if not self.allowed_requests and not self.max_concurrent_requests:
            raise ValueError(f"limit {self.name}: it limits nothing")
        if self.path is not None and re.compile(self.path).groups and self.interval > 10:
            raise ValueError(f"limit {self.name}: a limit of each endpoint is at most 10 s long")


class LimitReading(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says of one of the provider's limits; believed where it is stricter than our own count.

    `window` names a `LimitWindow`; None: the credential as a whole. `remaining` units are left, `reset_seconds` from
    now it is whole again, `allowed_requests` is its size. `is_exceeded`: this request was refused because of it;
    `after_seconds` is the provider's own time to wait, where it names one.
    """

    window: str | None = None
    remaining: int | None = None
    reset_seconds: float | None = None
    allowed_requests: int | None = None
    is_exceeded: bool = False
    after_seconds: float | None = None
    because: str = ""


class CredentialField(msgspec.Struct, frozen=True, kw_only=True):
    """One of a credential's properties. `aliases` are names that it had before."""

    name: str
    aliases: tuple[str, ...] = ()
    type: FieldType = "string"
    required: bool = False
    secret: bool = False
    description: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data a credential opens. `identity` makes two imports the same credential; `label` is for people."""

    identity: str
    label: str | None = None


class Obtained(msgspec.Struct, frozen=True, kw_only=True):
    """An access token. `expires_at` is by the provider's clock; None: it does not expire. `rotated` are properties of
    the credential that were replaced with it: a refresh token that counts once."""

    access_token: Secret
    expires_at: datetime | None = None
    rotated: Mapping[str, Secret] = {}


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """How an access token is obtained, where a credential's properties open nothing by themselves (I8).

    `request` makes the request from the properties and from the OAuth app's fields (both in clear, empty without an
    app) and the time, which is the provider's: where its answers' `Date` shows that ours is wrong, it is asked again
    with the right one. `read` takes a 2xx answer and the provider's time; some APIs refuse with a 200, so it may raise.
    `classify` says what every other answer means. All speak in errors of `domain.errors`: CredentialDead
    (`is_doubtful` where a race can bring it about) and AppRefused end the grant, every other passes.
    `app_fields` are what it needs of an OAuth app. `base_url` is where tokens are given out, if that is not the API
    itself.
    """

    app_fields: tuple[str, ...] = ()
    request: Callable[[Mapping[str, Any], Mapping[str, Any], datetime], Request]
    read: Callable[[Answer, datetime], Obtained]
    classify: Callable[[Request, Answer], Exception]
    base_url: str | None = None


class OAuthAppFields(msgspec.Struct, frozen=True, kw_only=True):
    """What an OAuth app of a provider has beside its client id and secret. `stands_for_secret` are the fields that
    together make the client secret dispensable. `refuse` names a field that cannot be, and says why."""

    fields: tuple[CredentialField, ...]
    stands_for_secret: tuple[str, ...] = ()
    refuse: Callable[[Mapping[str, Any]], tuple[str, str] | None] = lambda fields: None


class CredentialKind(msgspec.Struct, frozen=True, kw_only=True):
    """One way to be let in.

    `headers` turns the properties (secrets in clear) into the request's headers. `check` is the cheapest request that
    a live credential can make; `identify` tells the account from its answer, or None where the answer does not say;
    `check_fallbacks` are tried in turn where an answer says "no such place" or "not permitted".
    `learn` reads properties from the answer that were left out: none of them secret.
    `account_of` tells it from the properties, where the provider does not. `data_set_of` names which of the account's
    data sets the credential opens, where it has several. `identity_of` adds to the identity what distinguishes keys of
    one account that can see different things.
    `rate_limit` is the allotment of a sync of such a credential; `limits` are the provider's own, on which all that is
    done with the credential draws. Without properties they are the strictest. `grant` says how its access token is
    obtained: `headers` then finds it among the properties, as `access_token`. `remedy` is a sentence on what to
    do when the API no longer lets the credential in.
    """

    name: str
    aliases: tuple[str, ...] = ()
    fields: tuple[CredentialField, ...]
    headers: Callable[[Mapping[str, Any]], Mapping[str, str]]
    check: Request
    check_fallbacks: tuple[Request, ...] = ()
    identify: Callable[[Answer], Account | None]
    learn: Callable[[Answer], Mapping[str, Any]] = lambda answer: {}
    account_of: Callable[[Mapping[str, Any]], str | None] = lambda properties: None
    data_set_of: Callable[[Mapping[str, Any]], str | None] = lambda properties: None
    identity_of: Callable[[Mapping[str, Any]], str | None]
    refuse: Callable[[Mapping[str, Any]], str | None] = lambda properties: None
    rate_limit: Callable[[Mapping[str, Any]], RateLimit]
    limits: Callable[[Mapping[str, Any]], tuple[LimitWindow, ...]] = lambda properties: ()
    grant: Grant | None = None
    remedy: str = "Replace its key."

    @property
    def app_fields(self) -> tuple[str, ...]:
        """What such a credential needs of an OAuth app; empty: it needs none."""
        return () if self.grant is None else self.grant.app_fields

    @property
    def needs_app(self) -> bool:
        """Whether such a credential works only with an OAuth app."""
        return bool(self.app_fields)

    @property
    def secret_names(self) -> frozenset[str]:
        return frozenset(field.name for field in self.fields if field.secret)


class CursorById(msgspec.Struct, frozen=True, kw_only=True):
    """A list that is walked by the id of its last object, and says whether more follows."""

    after: str
    size: tuple[str, int]
    records_field: str = "data"
    more_field: str = "has_more"


class LinkPages(msgspec.Struct, frozen=True, kw_only=True):
    """A list whose next page is named by the answer's `Link` header (RFC 8288, rel="next"). The records are the answer
    itself, or its field `records_field`."""

    size: tuple[str, int]
    records_field: str | None = None


class OneObject(msgspec.Struct, frozen=True, kw_only=True):
    """No list: the answer is the one record that there is."""


Pagination = CursorById | LinkPages | OneObject


class TimeBound(msgspec.Struct, frozen=True, kw_only=True):
    """A query parameter that leaves out the records before a time (inclusive: what is of this very time is listed).
    It compares the collection's updated time, or its created time where it has no other."""

    parameter: str
    format: TimeFormat


class ListEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where all records of a collection are listed; of a child collection: those of one parent.

    `path` and the values of `query` are templates (see `Collection`). `until` is the query parameter that bounds the
    creation time (Unix seconds, inclusive): with it a walk whose cursor was deleted is taken up where it stood. `since`
    bounds the time from below.
    `conditional`: the answer has an `ETag`, and is 304 to a request that names it. `empty_statuses` are answers that
    stand for an empty list.
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    pagination: Pagination
    until: str | None = None
    since: TimeBound | None = None
    conditional: bool = False
    empty_statuses: tuple[int, ...] = ()


class ReadById(msgspec.Struct, frozen=True, kw_only=True):
    """How one record is read. `path` is a template. A 200 says "deleted" where `gone_field` is true, or where
    `gone_when_null` is null.

    `only_proves`: the answer has other fields than the list's. It says whether the record is there, and is never
    stored: the two shapes in turn would look like a change each time.
    `answers_unlisted`: it also answers for what is no longer this account's (a public repository that was taken from
    it). So it cannot prove that a record is still there: what two completed sweeps in a row did not see is gone.
    """

    path: str
    gone_field: str | None = None
    gone_when_null: str | None = None
    only_proves: bool = False
    answers_unlisted: bool = False


class Incremental(msgspec.Struct, frozen=True, kw_only=True):
    """How records are listed that are new or have changed since a time: from a bound on (`ListEndpoint.since`, where it
    has one, with `query` in addition), or else newest first until one is older.

    `ascending`: the answer is sorted by that time, oldest first. A record may appear up to `late_arrival` after its
    time, or change again without a new one.
    """

    query: tuple[tuple[str, str], ...] = ()
    ascending: bool = False
    late_arrival: timedelta = timedelta(minutes=5)


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """Whose share of a child collection a partition is.

    `field` names where a record holds its parent's id. `tells`: a change of the parent can mean that its children have
    changed, so that their list is read again.
    """

    collection: str
    field: str | None = None
    tells: bool = False


class FeedMembership(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of the provider's feed name records of this collection. `parent` is the path, in the event, of the
    id of a parent whose list is to be read again; without it the event names the record itself."""

    types: tuple[str, ...]
    parent: tuple[str, ...] = ()


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """How inserts, updates and deletes are each found, the fastest way first."""

    inserts: tuple[Method, ...]
    updates: tuple[Method, ...]
    deletes: tuple[Method, ...]


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of object.

    Fields are named by their path in the record, with dots. `key` is its id: the first of several that it has. Where
    that is unique only within a parent, `within` names the collection of the ancestor whose id is put before it.
    `ids` lists all of them too, but of each no more than its id: what is new and what is gone is found at less cost.
    `created` and `updated` are times in `time_format`. `version` names a field that grows with every change of an
    object, where the API has one.

    Paths and values of queries are templates: `{id}` stands for the record's own id, `{record.number}` for a field
    of the record as it is stored, `{repository.name}` for a field of the ancestor in that collection,
    `{credential.login}` for a property of the credential that is no secret.
    """

    name: str
    description: str
    listing: ListEndpoint
    listing_by_kind: Mapping[str, ListEndpoint] = {}
    ids: ListEndpoint | None = None
    read: ReadById | None = None
    key: str | tuple[str, ...] = "id"
    within: str | None = None
    parent: Parent | None = None
    created: str | None = None
    updated: str | None = None
    time_format: TimeFormat = "unix"
    version: str | None = None
    feed: FeedMembership | None = None
    incremental: Incremental | None = None
    detection: Detection
    longest_interval: timedelta = timedelta(seconds=60)

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that may hold the id, the best first."""
        return (self.key,) if isinstance(self.key, str) else self.key

    @property
    def key_text(self) -> str:
        """What upstream ids are made of, for people: `id`, `repository/name`."""
        key = " or ".join(self.keys)
        return key if self.within is None else f"{self.within}/{key}"

    @property
    def listings(self) -> tuple[ListEndpoint, ...]:
        """All places where they are listed."""
        return (self.listing, *self.listing_by_kind.values(), *((self.ids,) if self.ids is not None else ()))

    def listing_of(self, kind: str) -> ListEndpoint:
        """Where a credential of this kind lists them."""
        return self.listing_by_kind.get(kind, self.listing)


class EventFeed(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that lists what changed. An event is only a hint: the object it names is read again.

    `since` is the query parameter for the lower bound of an event's time (Unix seconds, inclusive). An event may appear
    up to `late_arrival` after its time, and can be read for `retention`. `types` is a query parameter that takes at
    most `types_limit` names.
    """

    path: str
    pagination: CursorById
    since: str
    retention: timedelta
    late_arrival: timedelta
    types: str
    types_limit: int
    id_field: str = "id"
    time_field: str = "created"
    type_field: str = "type"
    subject: tuple[str, ...]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """An API that can be synced.

    `classify` says what an answer that is no success means: it returns an error of `domain.errors`. It is never asked
    about a 2xx. `read_limits` is asked about every answer: what it says of the provider's limits.
    """

    name: str
    title: str
    base_url: str
    credential_kinds: tuple[CredentialKind, ...]
    collections: tuple[Collection, ...]
    feed: EventFeed | None = None
    request_headers: tuple[tuple[str, str], ...] = ()
    request_id_header: str | None = None
    request_timeout_seconds: float = 30.0
    oauth_app: OAuthAppFields | None = None
    classify: Callable[[Request, Answer], Exception]
    read_limits: Callable[[Request, Answer], tuple[LimitReading, ...]] = lambda request, answer: ()

    def __post_init__(self) -> None:
        """Raises ValueError that names the collection and what is wrong with it."""
        names = [collection.name for collection in self.collections]
        if len(names) != len(set(names)):
            raise ValueError(f"{self.name}: two collections have the same name")
        for collection in self.collections:
            for fault in _faults(self, collection):
                raise ValueError(f"{self.name}:{collection.name}: {fault}")
        kinds = [kind.name for kind in self.credential_kinds]
        kinds += [alias for kind in self.credential_kinds for alias in kind.aliases]
        if len(kinds) != len(set(kinds)) or not kinds:
            raise ValueError(f"{self.name}: credential kinds must have names of their own")

    def collection_id(self, collection: Collection) -> str:
        """The public name, as `stripe:customer`."""
        return f"{self.name}:{collection.name}"

    def find_collection(self, collection_id: str) -> Collection | None:
        return next((c for c in self.collections if self.collection_id(c) == collection_id), None)

    def find_kind(self, name: str) -> CredentialKind | None:
        """A kind by its name or by one it had before."""
        return next((k for k in self.credential_kinds if name == k.name or name in k.aliases), None)


def _faults(provider: Provider, collection: Collection) -> list[str]:
    faults = []
    if not re.fullmatch(r"[a-z][a-z0-9_]*", collection.name):
        faults.append("the name must be snake_case")
    listings = collection.listings
    paths = [listing.path for listing in listings]
    ancestors = _ancestors(provider, collection)
    if collection.read is not None:
        paths.append(collection.read.path)
        if "{id}" not in collection.read.path and "{record." not in collection.read.path:
            faults.append("the path that reads one record must name it: {id}, or a field as {record.number}")
        if collection.read.only_proves and collection.feed is not None:
            faults.append("events name its records, and what reads one of them has another shape")
    faults += [f"the path {path} must start with a slash" for path in paths if not path.startswith("/")]
    known = {"id", "record", "credential", *ancestors}
    faults += [
        f"the path {path} names {name}"
        for path in paths
        for name in placeholders(path)
        if name.partition(".")[0] not in known
    ]
    faults += [
        f"the query of {listing.path} names {name}"
        for listing in listings
        for _, value in listing.query
        for name in placeholders(value)
        if name.partition(".")[0] not in known - {"id", "record"}
    ]
    if collection.parent is not None and not ancestors:
        faults.append(f"its parent {collection.parent.collection} must be a collection described before it")
    if collection.within is not None and collection.within not in ancestors:
        faults.append(f"its ids are unique within {collection.within}, which is no ancestor")
    return faults + _detection_faults(provider, collection)


def _detection_faults(provider: Provider, collection: Collection) -> list[str]:
    faults = []
    detection = collection.detection
    found = {*detection.inserts, *detection.updates, *detection.deletes}
    if "feed" in found and (provider.feed is None or collection.feed is None):
        faults.append("it is said to be found by the feed, but names no events of one")
    if collection.feed is not None and "feed" not in found:
        faults.append("it names events of the feed that nothing uses")
    if collection.feed is not None and not collection.feed.parent and collection.read is None:
        faults.append("events name its records, but nothing reads one of them")
    if ("incremental" in found) != (collection.incremental is not None):
        faults.append("incremental stands either in its detection or in its description")
    if collection.incremental is not None and collection.updated is None and collection.created is None:
        faults.append("its changes are found by a time that it does not name")
    if ("ids" in found) != (collection.ids is not None):
        faults.append("ids stands either in its detection or in its description")
    if ("parent" in found) != (collection.parent is not None and collection.parent.tells):
        faults.append("parent stands in its detection if, and only if, its parent tells")
    return faults


def _ancestors(provider: Provider, collection: Collection) -> list[str]:
    """The collections above one, the nearest first; empty if one of them is not described before its child."""
    names = [each.name for each in provider.collections]
    above: list[str] = []
    while collection.parent is not None:
        name = collection.parent.collection
        if name not in names or names.index(name) >= names.index(collection.name):
            return []
        above.append(name)
        collection = provider.collections[names.index(name)]
    return above


def placeholders(template: str) -> list[str]:
    """What stands in braces."""
    return re.findall(r"\{([^}]*)\}", template)
