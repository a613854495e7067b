"""`springline syncs backfill` and `springline syncs backfills`: reading collections anew."""

from typing import TYPE_CHECKING

import click

from springline.cli.lookup import find_sync
from springline.cli.output import json_option, print_json, print_table
from springline.cli.remote import ask
from springline.cli.syncs import collection_ids

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Backfills


@click.command("backfill")
@click.argument("sync")
@click.option("--collection", "chosen", multiple=True, help="Only this one, as `customer`; say it again for each.")
@json_option
def start_backfill(sync: str, chosen: tuple[str, ...], as_json: bool) -> None:
    """Reads a sync's collections anew, by id or name. Records stay; what is found unchanged is not delivered."""

    async def start(springline: "SpringlineClient") -> "Backfills":
        from msgspec import UNSET

        found = await find_sync(springline, sync)
        return await springline.syncs.start_backfill(found.id, collection_ids(found.provider, chosen) or UNSET)

    _show(ask(start), as_json=as_json)


@click.command("backfills")
@click.argument("sync")
@json_option
def list_backfills(sync: str, as_json: bool) -> None:
    """How far the newest backfill of each collection has come."""

    async def read(springline: "SpringlineClient") -> "Backfills":
        return await springline.syncs.backfills((await find_sync(springline, sync)).id)

    _show(ask(read), as_json=as_json)


def _show(found: "Backfills", *, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    rows = [(each.collection_id, each.number, each.status, each.records, each.updated_at) for each in found.data]
    print_table(("collection", "number", "status", "records", "last saved"), rows, empty="it has no collections")
