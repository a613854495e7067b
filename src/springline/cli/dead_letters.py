"""`springline consumers pending | term | dead-letters | redrive`: why messages do not come, and what was given up."""

from typing import TYPE_CHECKING

import click

from springline.cli.consumers import settle, tokens_argument
from springline.cli.lookup import find_consumer
from springline.cli.output import cell, confirm, json_option, note, print_json, print_table, say, yes_option
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Listing
    from springline.client.operations import DeadLetter, PendingMessage, PendingMessages


@click.command("pending")
@click.argument("consumer")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many messages.")
@json_option
def pending(consumer: str, limit: int, as_json: bool) -> None:
    """The messages that a consumer has in flight, and whether they stop its delivery."""

    async def read(springline: "SpringlineClient") -> "PendingMessages":
        found = await find_consumer(springline, consumer)
        return await springline.consumers.pending(found.id, limit=limit)

    found = ask(read)
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            message.record_id,
            str(message.updated_idx),
            message.collection_id,
            message.upstream_id,
            f"{message.state}, newer follows" if message.newer else message.state,
            message.deliver_count,
            message.first_delivered_at,
            message.last_delivered_at,
            message.deadline,
            message.receiver,
        )
        for message in found.data
    ]
    headers = ("record", "idx", "collection", "id", "state", "delivery", "first", "last", "deadline", "receiver")
    print_table(headers, rows, empty="nothing is in flight")
    info = found.info
    note(f"{info.num_ack_pending:,} in flight of at most {info.max_ack_pending:,}{_stopped(info.stopped_by)}")
    if info.paused:
        note("the consumer is paused: nothing is delivered")


@click.command("term")
@click.argument("consumer")
@tokens_argument
@click.option("--reason", required=True, help="Why, for whoever looks at the dead letters.")
def term(consumer: str, ack_tokens: tuple[str, ...], reason: str) -> None:
    """Gives messages up: they are kept as dead letters, and not delivered again."""
    settle(
        "gave up",
        consumer,
        ack_tokens,
        lambda consumers: lambda consumer_id, tokens: consumers.term(consumer_id, tokens, reason),
    )


@click.command("dead-letters")
@click.argument("consumer")
@json_option
def dead_letters(consumer: str, as_json: bool) -> None:
    """What was given up for a consumer, and why."""

    async def read(springline: "SpringlineClient") -> "Listing[DeadLetter]":
        return await springline.consumers.dead_letters((await find_consumer(springline, consumer)).id)

    found = ask(read)
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            letter.record_id,
            str(letter.updated_idx),
            letter.record.collection_id if letter.record else None,
            letter.record.upstream_id if letter.record else "the record has left",
            letter.deliver_count,
            letter.given_up_at,
            letter.reason,
            "changed since" if letter.superseded else "",
        )
        for letter in found
    ]
    headers = ("record", "idx", "collection", "id", "deliveries", "given up", "reason", "")
    print_table(headers, rows, empty="nothing was given up")


@click.command("redrive")
@click.argument("consumer")
@click.option("--record", "record_ids", multiple=True, help="Only this record (its id); say it again for each.")
@yes_option
def redrive(consumer: str, record_ids: tuple[str, ...], yes: bool) -> None:
    """Has dead letters delivered again, each in the current version of its record."""
    which = f"the dead letters of {len(record_ids)} records" if record_ids else "all dead letters"
    confirm(f"Deliver {which} again?", yes=yes)

    async def redriven(springline: "SpringlineClient") -> int:
        from msgspec import UNSET

        found = await find_consumer(springline, consumer)
        return await springline.consumers.redrive(found.id, record_ids or UNSET)

    say(f"delivering {ask(redriven):,} again")


def _stopped(oldest: "PendingMessage | None") -> str:
    if oldest is None:
        return ""
    since = cell(oldest.first_delivered_at or oldest.deadline)
    return f": nothing more is delivered until some are done. The oldest is {oldest.record_id}, out since {since}"
