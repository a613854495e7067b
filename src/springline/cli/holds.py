"""`springline syncs holds` and `springline syncs hold`: what was kept back, and what becomes of it."""

from typing import TYPE_CHECKING, Literal

import click

from springline.cli.lookup import find_sync
from springline.cli.output import confirm, json_option, print_details, print_json, print_table, snippet, yes_option
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Listing
    from springline.client.operations import Hold


@click.command("holds")
@click.argument("sync")
@click.option("--all", "everything", is_flag=True, help="Also those that were decided.")
@json_option
def list_holds(sync: str, everything: bool, as_json: bool) -> None:
    """What was kept back of a sync, by id or name: deletions, records and pages, each with the reason."""

    async def held(springline: "SpringlineClient") -> "Listing[Hold]":
        from msgspec import UNSET

        found = await find_sync(springline, sync)
        return await springline.syncs.holds(found.id, status=UNSET if everything else "held")

    found = ask(held)
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (hold.collection_id, hold.kind, hold.count, hold.status, hold.since, hold.reason, hold.id)
        for hold in sorted(found, key=lambda hold: hold.since)
    ]
    headers = ("collection", "kind", "records", "status", "since", "reason", "id")
    print_table(headers, rows, empty="nothing is held")


@click.group("hold")
def hold() -> None:
    """Decide what becomes of what was kept back."""


@hold.command("apply")
@click.argument("sync")
@click.argument("hold_id", metavar="HOLD")
@yes_option
@json_option
def apply_hold(sync: str, hold_id: str, yes: bool, as_json: bool) -> None:
    """Lets deletions happen that were stopped, since they are too many at once. HOLD is an id from `holds`."""
    confirm("Publish these records as deleted?", yes=yes)
    _decide(sync, hold_id, "apply", as_json=as_json)


@hold.command("discard")
@click.argument("sync")
@click.argument("hold_id", metavar="HOLD")
@yes_option
@json_option
def discard_hold(sync: str, hold_id: str, yes: bool, as_json: bool) -> None:
    """Forgets what is held; nothing happens to the stream. HOLD is an id from `holds`."""
    confirm("Discard what is held?", yes=yes)
    _decide(sync, hold_id, "discard", as_json=as_json)


def _decide(sync: str, hold_id: str, action: Literal["apply", "discard"], *, as_json: bool) -> None:
    async def decide(springline: "SpringlineClient") -> "Hold":
        found = await find_sync(springline, sync)
        return await springline.syncs.decide_hold(found.id, hold_id, action)

    decided = ask(decide)
    if as_json:
        print_json(decided.raw)
        return
    print_details(
        {
            "id": decided.id,
            "collection": decided.collection_id,
            "kind": decided.kind,
            "records": decided.count,
            "status": decided.status,
            "reason": decided.reason,
            "since": decided.since,
            "decided": decided.decided_at,
            "held": snippet(decided.sample.encode()) or None,
        }
    )
