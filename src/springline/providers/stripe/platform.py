"""Files, webhook endpoints, and the log of events itself."""

from datetime import timedelta
from typing import Final

from springline.providers.stripe.shapes import CREATED_ONLY, listing, read_by_id, with_events
from springline.providers.vocabulary import Collection, Detection, Incremental

COLLECTIONS: Final = (
    with_events(
        "file",
        "A file that was uploaded or made by Stripe; its description, not its content.",
        path="/v1/files",
        events=("file.created",),
    ),
    Collection(
        name="file_link",
        description="An address at which a file can be read without a key.",
        listing=listing("/v1/file_links"),
        read=read_by_id("/v1/file_links"),
        created="created",
        incremental=Incremental(late_arrival=timedelta(minutes=5)),  # no event names one
        detection=CREATED_ONLY,
    ),
    Collection(
        name="webhook_endpoint",
        description="An address to which Stripe sends events.",
        listing=listing("/v1/webhook_endpoints", by_created=False),
        read=read_by_id("/v1/webhook_endpoints"),
        created="created",
        detection=Detection(inserts=("sweep",), updates=("sweep",), deletes=("sweep",)),
    ),
    Collection(
        name="event",
        description="What happened in the account. Stripe forgets an event after 30 days; here it stays.",
        listing=listing("/v1/events"),
        read=read_by_id("/v1/events"),
        created="created",
        # Of an event only `pending_webhooks` changes, as its webhooks are delivered.
        incremental=Incremental(late_arrival=timedelta(minutes=5)),
        # One that leaves the list was forgotten, not undone.
        detection=Detection(inserts=("incremental", "sweep"), updates=("incremental", "sweep"), deletes=("none",)),
    ),
)
