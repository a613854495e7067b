"""`springline consumers`: named readers of a stream, and what they do with its messages."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from springline.cli.lookup import find_consumer, find_stream, find_sync
from springline.cli.output import (
    confirm,
    json_option,
    note,
    print_details,
    print_json,
    print_table,
    say,
    snippet,
    warn,
    yes_option,
)
from springline.cli.parameters import duration, json_object
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.consumers import Consumers
    from springline.client.objects import Consumer, Received

_provider_option = click.option("--provider", "providers", multiple=True, help="Only records of this provider.")
_sync_option = click.option("--sync", "syncs", multiple=True, help="Only records of this sync (id or name).")
_collection_option = click.option(
    "--collection", "collections", multiple=True, help="Only records of this collection, as stripe:customer."
)
_ack_wait_option = click.option(
    "--ack-wait", type=duration, help="Not acknowledged by then: delivered again. As 30s (default)."
)
_max_deliver_option = click.option(
    "--max-deliver", type=int, help="Give a message up after so many deliveries; -1 (default): never."
)
_max_pending_option = click.option(
    "--max-ack-pending", type=click.IntRange(min=1), help="At most so many messages out at once (default 1000)."
)
_metadata_option = click.option("--metadata", type=json_object, help="A JSON object, or @FILE.")
tokens_argument = click.argument("ack_tokens", nargs=-1, required=True, metavar="ACK_TOKEN...|-")


@click.group()
def consumers() -> None:
    """Named readers of a stream: receive, acknowledge, give back."""


@consumers.command("list")
@click.option("--stream", help="Only those of this stream (id or slug).")
@json_option
def list_consumers(stream: str | None, as_json: bool) -> None:
    """All consumers, or those of one stream."""

    async def found_consumers(springline: "SpringlineClient") -> tuple[Any, dict[str, str]]:
        from springline.client.connection import given

        stream_id = None if stream is None else (await find_stream(springline, stream)).id
        found = await springline.consumers.list(stream_id=given(stream_id))
        return found, {} if as_json else {each.id: each.slug for each in await springline.streams.list()}

    found, slugs = ask(found_consumers)
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            consumer.name,
            slugs.get(consumer.stream_id, consumer.stream_id),
            consumer.status,
            consumer.deliver_policy,
            timedelta(milliseconds=consumer.ack_wait_ms),
            consumer.created_at,
            consumer.id,
        )
        for consumer in found
    ]
    headers = ("name", "stream", "status", "starts at", "ack wait", "created", "id")
    print_table(headers, rows, empty="there are no consumers yet: springline consumers create --stream main")


@consumers.command("create")
@click.option("--stream", required=True, help="What it reads: a stream's id or slug.")
@click.option("--name", help="Default: one is made up.")
@click.option(
    "--deliver-policy",
    help="Where it starts: `all` (default), `new`, `last`, a span such as 1h, or a timestamp.",
)
@_provider_option
@_sync_option
@_collection_option
@_ack_wait_option
@_max_deliver_option
@_max_pending_option
@_metadata_option
@json_option
def create_consumer(
    stream: str,
    name: str | None,
    deliver_policy: str | None,
    providers: tuple[str, ...],
    syncs: tuple[str, ...],
    collections: tuple[str, ...],
    ack_wait: timedelta | None,
    max_deliver: int | None,
    max_ack_pending: int | None,
    metadata: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Makes a consumer. With several filters, all must match.

    Example: springline consumers create --stream main --name billing --collection stripe:customer
    """

    async def create(springline: "SpringlineClient") -> "Consumer":
        from springline.client.connection import given

        return await springline.consumers.create(
            stream_id=(await find_stream(springline, stream)).id,
            name=given(name),
            deliver_policy=given(deliver_policy),
            ack_wait=given(ack_wait),
            max_deliver=given(max_deliver),
            max_ack_pending=given(max_ack_pending),
            filters=given(await _filters(springline, providers, syncs, collections)),
            metadata=given(metadata),
        )

    _show(ask(create), as_json=as_json)


@consumers.command("show")
@click.argument("consumer")
@json_option
def show_consumer(consumer: str, as_json: bool) -> None:
    """One consumer, by id or name."""
    _show(ask(lambda springline: find_consumer(springline, consumer)), as_json=as_json)


@consumers.command("update")
@click.argument("consumer")
@click.option("--name", help="A new name.")
@click.option("--status", type=click.Choice(["active", "paused"]), help="A paused consumer is handed nothing.")
@_provider_option
@_sync_option
@_collection_option
@_ack_wait_option
@_max_deliver_option
@_max_pending_option
@_metadata_option
@json_option
def update_consumer(
    consumer: str,
    name: str | None,
    status: Literal["active", "paused"] | None,
    providers: tuple[str, ...],
    syncs: tuple[str, ...],
    collections: tuple[str, ...],
    ack_wait: timedelta | None,
    max_deliver: int | None,
    max_ack_pending: int | None,
    metadata: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Changes a consumer, by id or name. What is not given stays; `*` as a filter lets everything pass."""
    changes = (name, status, ack_wait, max_deliver, max_ack_pending, metadata)
    if not (providers or syncs or collections or any(change is not None for change in changes)):
        raise click.UsageError("nothing to change: give at least one option.")

    async def update(springline: "SpringlineClient") -> "Consumer":
        from springline.client.connection import given

        found = await find_consumer(springline, consumer)
        filters = await _filters(springline, providers, syncs, collections)
        return await springline.consumers.update(
            found.id,
            name=given(name),
            status=given(status),
            ack_wait=given(ack_wait),
            max_deliver=given(max_deliver),
            max_ack_pending=given(max_ack_pending),
            filters=given(filters and {**found.filters, **filters}),
            metadata=given(metadata),
        )

    _show(ask(update), as_json=as_json)


@consumers.command("delete")
@click.argument("consumer")
@yes_option
def delete_consumer(consumer: str, yes: bool) -> None:
    """Deletes a consumer, by id or name, with its place in the stream."""
    found = ask(lambda springline: find_consumer(springline, consumer))
    confirm(f"Delete the consumer {found.name!r} and its place in the stream?", yes=yes)
    ask(lambda springline: springline.consumers.delete(found.id))
    say(f"deleted the consumer {found.name}")


@consumers.command("next")
@click.argument("consumer")
@click.option("--batch-size", type=click.IntRange(1, 1000), default=1, help="At most so many messages (default 1).")
@click.option("--wait-for", type=duration, default="0s", help="Wait for the first one, as 10s (at most 60s).")
@click.option("--ack", is_flag=True, help="Acknowledge them once they are printed.")
@json_option
def next_messages(consumer: str, batch_size: int, wait_for: timedelta, ack: bool, as_json: bool) -> None:
    """Receives messages. Each must be acknowledged within the consumer's ack wait, or it comes again."""
    if wait_for > timedelta(seconds=60):
        raise click.BadParameter("at most 60s", param_hint="'--wait-for'")

    async def receive(springline: "SpringlineClient") -> None:
        found = await find_consumer(springline, consumer)
        received = await springline.consumers.next(found.id, batch_size=batch_size, wait_for=wait_for)
        _show_messages(received, as_json=as_json)
        if ack:
            tokens = [message.ack_token for message in received.data]
            _warn_stale(await springline.consumers.ack(found.id, tokens), len(tokens))

    ask(receive)


@consumers.command("ack")
@click.argument("consumer")
@tokens_argument
def ack_messages(consumer: str, ack_tokens: tuple[str, ...]) -> None:
    """Acknowledges messages by the tokens that `next` gave; - reads them from standard input, one a line."""
    settle("acknowledged", consumer, ack_tokens, lambda consumers: consumers.ack)


@consumers.command("nack")
@click.argument("consumer")
@tokens_argument
@click.option("--delay", type=duration, help="Not before this time, as 10s.")
def nack_messages(consumer: str, ack_tokens: tuple[str, ...], delay: timedelta | None) -> None:
    """Gives messages back: they are delivered again."""
    settle("gave back", consumer, ack_tokens, lambda consumers: partial(consumers.nack, delay=delay))


@consumers.command("extend")
@click.argument("consumer")
@tokens_argument
def extend_messages(consumer: str, ack_tokens: tuple[str, ...]) -> None:
    """Starts the ack wait of messages anew."""
    settle("extended", consumer, ack_tokens, lambda consumers: consumers.extend)


@consumers.command("reset")
@click.argument("consumer")
@click.option("--to", required=True, help="`beginning`, `end`, a timestamp, or an updated_idx.")
@yes_option
def reset_consumer(consumer: str, to: str, yes: bool) -> None:
    """Moves a consumer to another place in its stream."""
    found = ask(lambda springline: find_consumer(springline, consumer))
    confirm(f"Move the consumer {found.name!r} to {to}?", yes=yes)
    place: str | int = int(to) if to.isascii() and to.isdigit() else to
    ask(lambda springline: springline.consumers.reset(found.id, place))
    say(f"moved the consumer {found.name} to {to}")


async def _filters(
    springline: "SpringlineClient", providers: Sequence[str], syncs: Sequence[str], collections: Sequence[str]
) -> dict[str, str | Sequence[str]] | None:
    """Only the filters that are given; None without any. Syncs may be named."""
    sync_ids = [sync if sync == "*" else (await find_sync(springline, sync)).id for sync in syncs]
    filters = {"provider": list(providers), "sync_id": sync_ids, "collection_id": list(collections)}
    given: dict[str, str | Sequence[str]] = {
        name: values[0] if len(values) == 1 else values for name, values in filters.items() if values
    }
    return given or None


def _tokens(given: tuple[str, ...]) -> list[str]:
    """Raises click.UsageError where standard input holds none."""
    if given != ("-",):
        return list(given)
    tokens = sys.stdin.read().split()
    if not tokens:
        raise click.UsageError("there are no ack tokens on standard input.")
    return tokens


def settle(
    verb: str,
    consumer: str,
    ack_tokens: tuple[str, ...],
    choose: "Callable[[Consumers], Callable[[str, list[str]], Awaitable[int]]]",
) -> None:
    """Settles messages in the way that `choose` picks, and says how many."""
    tokens = _tokens(ack_tokens)

    async def settled(springline: "SpringlineClient") -> int:
        found = await find_consumer(springline, consumer)
        return await choose(springline.consumers)(found.id, tokens)

    stale, count = ask(settled), len(tokens)
    say(f"{verb} {count - stale:,} of {count:,}" if stale else f"{verb} {count:,}")
    _warn_stale(stale, count)


def _warn_stale(stale: int, count: int) -> None:
    if stale:
        warn(f"{stale:,} of {count:,} ack tokens are stale: acknowledged before, or delivered again since")


def _show_messages(received: "Received", *, as_json: bool) -> None:
    if as_json:
        print_json(received.raw)
        return
    rows = [
        (
            message.ack_token,
            str(message.record.updated_idx),
            message.record.collection_id,
            message.record.upstream_id,
            "deleted" if message.record.deleted else "",
            message.deliver_count,
            snippet(bytes(message.record.data)),
        )
        for message in received.data
    ]
    print_table(
        ("ack token", "idx", "collection", "id", "", "delivery", "data"), rows, empty="there is nothing to deliver now"
    )
    more = "more than " if received.info.num_pending_capped else ""
    note(f"{more}{received.info.num_pending:,} to come, {received.info.num_ack_pending:,} not acknowledged")


def _show(consumer: "Consumer", *, as_json: bool) -> None:
    if as_json:
        print_json(consumer.raw)
        return
    print_details(
        {
            "name": consumer.name,
            "id": consumer.id,
            "stream": consumer.stream_id,
            "status": consumer.status,
            "kind": consumer.kind,
            "starts at": consumer.deliver_policy,
            "ack wait": timedelta(milliseconds=consumer.ack_wait_ms),
            "max. deliver": "no limit" if consumer.max_deliver < 0 else consumer.max_deliver,
            "max. pending": consumer.max_ack_pending,
            "filters": consumer.filters,
            "metadata": consumer.metadata or None,
            "created": consumer.created_at,
        }
    )
