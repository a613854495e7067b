"""`springline streams`: the durable queues of records."""

from typing import TYPE_CHECKING

import click

from springline.cli.lookup import find_stream
from springline.cli.output import confirm, json_option, print_details, print_json, print_table, say, yes_option
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Stream

_retention_option = click.option(
    "--event-retention-days",
    type=click.FloatRange(min=0),
    help="How long changes stay in the event log; 0: not at all.",
)
_tombstone_option = click.option(
    "--tombstone-days", type=click.FloatRange(min=0), help="How long deleted records stay in the stream."
)


@click.group()
def streams() -> None:
    """Durable queues of records."""


@streams.command("list")
@json_option
def list_streams(as_json: bool) -> None:
    """All streams."""
    found = ask(lambda springline: springline.streams.list())
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (stream.slug, stream.record_count, stream.sync_count, stream.consumer_count, stream.created_at, stream.id)
        for stream in found
    ]
    headers = ("slug", "records", "syncs", "consumers", "created", "id")
    print_table(headers, rows, empty="there are no streams yet: springline streams create main")


@streams.command("create")
@click.argument("slug")
@_retention_option
@_tombstone_option
@json_option
def create_stream(slug: str, event_retention_days: float | None, tombstone_days: float | None, as_json: bool) -> None:
    """Makes a stream. SLUG is its name: lower-case letters, digits, - and _."""
    from springline.client.connection import given

    created = ask(
        lambda springline: springline.streams.create(
            slug, event_retention_days=given(event_retention_days), tombstone_days=given(tombstone_days)
        )
    )
    _show(created, as_json=as_json)


@streams.command("show")
@click.argument("stream")
@json_option
def show_stream(stream: str, as_json: bool) -> None:
    """One stream, by id or slug."""
    _show(ask(lambda springline: find_stream(springline, stream)), as_json=as_json)


@streams.command("update")
@click.argument("stream")
@click.option("--slug", help="A new slug.")
@_retention_option
@_tombstone_option
@json_option
def update_stream(
    stream: str, slug: str | None, event_retention_days: float | None, tombstone_days: float | None, as_json: bool
) -> None:
    """Changes a stream, by id or slug. What is not given stays."""
    if slug is None and event_retention_days is None and tombstone_days is None:
        raise click.UsageError("nothing to change: give --slug, --event-retention-days or --tombstone-days.")

    async def update(springline: "SpringlineClient") -> "Stream":
        from springline.client.connection import given

        return await springline.streams.update(
            (await find_stream(springline, stream)).id,
            slug=given(slug),
            event_retention_days=given(event_retention_days),
            tombstone_days=given(tombstone_days),
        )

    _show(ask(update), as_json=as_json)


@streams.command("delete")
@click.argument("stream")
@yes_option
def delete_stream(stream: str, yes: bool) -> None:
    """Deletes a stream, by id or slug, with its records and consumers. Its syncs have to go first."""
    found = ask(lambda springline: find_stream(springline, stream))
    records, consumers = found.record_count, found.consumer_count
    confirm(f"Delete the stream {found.slug!r} with {records:,} records and {consumers} consumers?", yes=yes)
    ask(lambda springline: springline.streams.delete(found.id))
    say(f"deleted the stream {found.slug}")


def _show(stream: "Stream", *, as_json: bool) -> None:
    if as_json:
        print_json(stream.raw)
        return
    print_details(
        {
            "slug": stream.slug,
            "id": stream.id,
            "records": stream.record_count,
            "head index": stream.head_idx,
            "syncs": stream.sync_count,
            "consumers": stream.consumer_count,
            "event log": f"{stream.event_retention_days:g} days",
            "tombstones": f"{stream.tombstone_days:g} days",
            "created": stream.created_at,
        }
    )
