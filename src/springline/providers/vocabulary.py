"""The words in which a provider is described: data first, code at the edges. Those about requests, limits and being let
in are in `access`.

A description is frozen and validates itself when it is built: whoever imports a broken one learns at once which
collection is at fault. The engine interprets it; nothing here does I/O.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Literal

import msgspec

from springline.providers.access import Answer, CredentialKind, LimitReading, OAuthAppFields, Request

#: How changes are found. `parent`: its parent's change tells. `none`: there are no such changes.
Method = Literal["feed", "incremental", "parent", "ids", "sweep", "none"]
TimeFormat = Literal["unix", "iso8601"]


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
