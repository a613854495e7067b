"""`springline events` and `springline records`: what happened to the records of a stream, and to one of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from springline.cli.lookup import find_stream, find_sync
from springline.cli.output import json_option, note, print_details, print_json, print_table
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Event, Events, Record


@click.group()
def events() -> None:
    """The event log of a stream: one entry per change."""


@events.command("list")
@click.option("--stream", required=True, help="A stream's id or slug.")
@click.option("--sync", help="Only records of this sync (id or name).")
@click.option("--collection", help="Only this collection, as stripe:customer.")
@click.option("--after-cursor", help="Go on from here: the cursor of the answer before, with the same filters.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many entries.")
@json_option
def list_events(
    stream: str, sync: str | None, collection: str | None, after_cursor: str | None, limit: int, as_json: bool
) -> None:
    """What happened to the records of a stream, oldest first, as long as the stream keeps it."""

    async def read(springline: "SpringlineClient") -> "Events":
        from springline.client.connection import given

        return await springline.events.read(
            stream_id=(await find_stream(springline, stream)).id,
            sync_id=given(None if sync is None else (await find_sync(springline, sync)).id),
            collection_id=given(collection),
            after_cursor=given(after_cursor),
            limit=limit,
        )

    found = ask(read)
    if as_json:
        print_json(found.raw)
        return
    _show(found.events, empty="nothing has happened here yet")
    note(f"go on with --after-cursor {found.cursor}")


@click.group()
def records() -> None:
    """Single records: how they are, and what happened to them."""


@records.command("show")
@click.argument("record")
@json_option
def show_record(record: str, as_json: bool) -> None:
    """The newest version of a record, by its id in Springline."""
    _show_one(ask(lambda springline: springline.records.get(record)), as_json=as_json)


@records.command("refresh")
@click.argument("record")
@json_option
def refresh_record(record: str, as_json: bool) -> None:
    """Reads a record again at its provider, at once, by its id in Springline."""
    _show_one(ask(lambda springline: springline.records.refresh(record)), as_json=as_json)


def _show_one(found: "Record", *, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    print_details(
        {
            "id": found.id,
            "collection": found.collection_id,
            "upstream id": found.upstream_id,
            "sync": found.sync_id,
            "index": found.updated_idx,
            "deleted": found.deleted_reason or "yes" if found.deleted else None,
            "created": found.upstream_created_at,
            "updated": found.upstream_updated_at,
            "inserted": found.inserted_at,
            "data": bytes(found.data).decode("utf-8", "replace"),
        }
    )


@records.command("history")
@click.argument("record")
@json_option
def show_history(record: str, as_json: bool) -> None:
    """What happened to a record, by its id in Springline, newest first, with what proves it."""
    found = ask(lambda springline: springline.records.history(record))
    if as_json:
        print_json(found.raw)
        return
    _show(found, empty="the stream keeps nothing of what happened to it")


def _show(found: "Sequence[Event]", *, empty: str) -> None:
    rows = [
        (
            event.event_inserted_at,
            str(event.updated_idx),
            event.event,
            event.collection_id,
            event.upstream_id,
            f"{event.detected_by}, {event.evidence}" if event.evidence else event.detected_by,
            "not kept" if event.changes is None else ", ".join(event.changes),
        )
        for event in found
    ]
    headers = ("at", "idx", "event", "collection", "id", "found by", "changed")
    print_table(headers, rows, empty=empty)
