"""What Stripe's collections have in common: how they are listed, read by id and found to have changed."""

from typing import Final

from springline.providers.vocabulary import (
    Collection,
    CursorById,
    Detection,
    FeedMembership,
    ListEndpoint,
    Parent,
    ReadById,
    TimeBound,
)

#: Newest first, at most 100 objects a page. docs.stripe.com/api/pagination, November 2026
PAGES: Final = CursorById(after="starting_after", size=("limit", 100))

# Some changes write no event (background fixes, and what a fake or a proxy leaves out), so a sweep follows everywhere.
# Most objects can't be deleted one by one, but "Delete all test data" in the dashboard takes every kind of them away,
# without events.
EVENTS: Final = Detection(inserts=("feed", "sweep"), updates=("feed", "sweep"), deletes=("feed", "sweep"))
EVENTS_NO_DELETES: Final = Detection(inserts=("feed", "sweep"), updates=("feed", "sweep"), deletes=("sweep",))
CREATED_ONLY: Final = Detection(inserts=("incremental", "sweep"), updates=("sweep",), deletes=("sweep",))
WITH_PARENT: Final = Detection(inserts=("parent", "sweep"), updates=("parent", "sweep"), deletes=("parent", "sweep"))


def listing(path: str, *, query: tuple[tuple[str, str], ...] = (), by_created: bool = True) -> ListEndpoint:
    """A v1 list. `by_created`: it takes `created[gte]` and `created[lte]`, Unix seconds."""
    return ListEndpoint(
        path=path,
        query=query,
        pagination=PAGES,
        until="created[lte]" if by_created else None,
        since=TimeBound(parameter="created[gte]", format="unix") if by_created else None,
    )


def read_by_id(path: str) -> ReadById:
    """A deleted customer answers 200 with `deleted: true`; other deleted objects answer 404."""
    return ReadById(path=path + "/{id}", gone_field="deleted")


def with_events(
    name: str,
    description: str,
    *,
    path: str,
    events: tuple[str, ...],
    detection: Detection = EVENTS_NO_DELETES,
    query: tuple[tuple[str, str], ...] = (),
    created: str | None = "created",
    by_created: bool = True,
) -> Collection:
    """A collection that is listed at `path`, read at `path/{id}`, and whose changes events name."""
    return Collection(
        name=name,
        description=description,
        listing=listing(path, query=query, by_created=by_created),
        read=read_by_id(path),
        created=created,
        feed=FeedMembership(types=events),
        detection=detection,
    )


def lines_of(parent: str, name: str, description: str, *, path: str, field: str | None = None) -> Collection:
    """Lines that change with their parent, cannot be read by id, and have no time of their own."""
    return Collection(
        name=name,
        description=description,
        listing=listing(path, by_created=False),
        parent=Parent(collection=parent, field=field, tells=True),
        detection=WITH_PARENT,
    )
