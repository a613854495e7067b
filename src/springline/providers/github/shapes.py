"""What GitHub's collections have in common: how they are paged, and where a repository's things are."""

from datetime import timedelta
from typing import Final

from springline.providers.vocabulary import (
    Collection,
    Detection,
    Incremental,
    LinkPages,
    ListEndpoint,
    Parent,
    ReadById,
    TimeBound,
)

REPOSITORY: Final = "/repos/{repository.owner.login}/{repository.name}"
ORGANIZATION: Final = "/orgs/{organization.login}"
#: Nothing is deleted with a word about it: GitHub has no list of what is gone.
BY_SWEEP: Final = Detection(inserts=("sweep",), updates=("sweep",), deletes=("sweep",))
BY_TIME: Final = Detection(inserts=("incremental", "sweep"), updates=("incremental", "sweep"), deletes=("sweep",))
BY_PARENT: Final = Detection(inserts=("parent", "sweep"), updates=("parent", "sweep"), deletes=("parent", "sweep"))
#: 4,000 requests an hour are shared by all partitions: those that nothing tells about are asked this often at least.
LONGEST_INTERVAL: Final = timedelta(minutes=5)
#: Replicas lag for seconds; the overlap costs what it brings anew, and that is little.
LATE_ARRIVAL: Final = timedelta(minutes=5)
#: `since` is inclusive, in seconds, and compares updated_at. docs.github.com/rest/issues/issues, November 2026
SINCE: Final = TimeBound(parameter="since", format="iso8601")
#: With `since`: oldest first, so that what changes while the pages are walked moves ahead of the walk.
SINCE_UPDATED: Final = Incremental(
    query=(("sort", "updated"), ("direction", "asc")), ascending=True, late_arrival=LATE_ARRIVAL
)
#: Without: newest first, up to a row that is older.
LAST_UPDATED: Final = Incremental(query=(("sort", "updated"), ("direction", "desc")), late_arrival=LATE_ARRIVAL)


def listing(
    path: str,
    *,
    query: tuple[tuple[str, str], ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
    records_field: str | None = None,
    since: TimeBound | None = None,
    empty_statuses: tuple[int, ...] = (),
) -> ListEndpoint:
    """A list by pages of 100, whose next page a Link header names. An unchanged answer is 304, and free of charge."""
    return ListEndpoint(
        path=path,
        query=query,
        headers=headers,
        pagination=LinkPages(size=("per_page", 100), records_field=records_field),
        since=since,
        conditional=True,
        empty_statuses=empty_statuses,
    )


def in_repository(
    name: str,
    description: str,
    *,
    listing: ListEndpoint,
    read: ReadById | None = None,
    tells: bool = False,
    key: str = "id",
    within: bool = False,
    created: str | None = "created_at",
    updated: str | None = "updated_at",
    incremental: Incremental | None = None,
    detection: Detection = BY_SWEEP,
) -> Collection:
    """A collection of each repository. `within`: its ids are unique in one repository only."""
    return Collection(
        name=name,
        description=description,
        listing=listing,
        read=read,
        key=key,
        within="repository" if within else None,
        parent=Parent(collection="repository", tells=tells),
        created=created,
        updated=updated,
        time_format="iso8601",
        incremental=incremental,
        detection=detection,
        longest_interval=LONGEST_INTERVAL,
    )


def below(
    parent: str,
    name: str,
    description: str,
    *,
    listing: ListEndpoint,
    read: ReadById | None = None,
    tells: bool = True,
    key: str | tuple[str, ...] = "id",
    within: str | None = None,
    created: str | None = "created_at",
    updated: str | None = "updated_at",
) -> Collection:
    """A collection of each record of another. `tells`: a change of that one says that its list is to be read again."""
    return Collection(
        name=name,
        description=description,
        listing=listing,
        read=read,
        key=key,
        within=within,
        parent=Parent(collection=parent, tells=tells),
        created=created,
        updated=updated,
        time_format="iso8601",
        detection=BY_PARENT if tells else BY_SWEEP,
        longest_interval=LONGEST_INTERVAL,
    )
