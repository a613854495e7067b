"""`springline collections`: what can be synced with one credential."""

from typing import TYPE_CHECKING

import click

from springline.cli.lookup import find_credential
from springline.cli.output import json_option, print_details, print_json, print_table
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Collection, CollectionRefresh, Listing


@click.group()
def collections() -> None:
    """What can be synced with one credential."""


@collections.command("list")
@click.argument("credential")
@json_option
def list_collections(credential: str, as_json: bool) -> None:
    """The collections of a credential, by id or name, with the fields that have a meaning."""

    async def read(springline: "SpringlineClient") -> "Listing[Collection]":
        return await springline.collections.list((await find_credential(springline, credential)).id)

    found = ask(read)
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            collection.id,
            [field.accessor for field in collection.fields if field.primary_key],
            [field.accessor for field in collection.fields if not field.primary_key],
            collection.description,
        )
        for collection in found
    ]
    print_table(("collection", "key", "other fields", "what it is"), rows, empty="it can see no collection")


@collections.command("refresh")
@click.argument("credential")
@json_option
def refresh_collections(credential: str, as_json: bool) -> None:
    """Looks again at what a credential, by id or name, can see."""

    async def refresh(springline: "SpringlineClient") -> "CollectionRefresh":
        return await springline.collections.refresh((await find_credential(springline, credential)).id)

    refreshed = ask(refresh)
    if as_json:
        print_json(refreshed.raw)
        return
    print_details(
        {
            "status": refreshed.status,
            "started": refreshed.last_started_at,
            "succeeded": refreshed.last_succeeded_at,
            "error": refreshed.error,
        }
    )
