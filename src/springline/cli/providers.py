"""`springline providers`: what can be synced, before there is a credential."""

import click

from springline.cli.output import json_option, print_details, print_json, print_table, say
from springline.cli.remote import ask


@click.group()
def providers() -> None:
    """The APIs that can be synced."""


@providers.command("list")
@json_option
def list_providers(as_json: bool) -> None:
    """All providers."""
    found = ask(lambda springline: springline.providers.list())
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            provider.name,
            provider.title,
            len(provider.collections),
            [kind.name for kind in provider.credential_kinds],
        )
        for provider in found
    ]
    print_table(("name", "title", "collections", "credential kinds"), rows, empty="there are no providers")


@providers.command("show")
@click.argument("name")
@json_option
def show_provider(name: str, as_json: bool) -> None:
    """One provider: its credential kinds, and how changes of each collection are found."""
    provider = ask(lambda springline: springline.providers.get(name))
    if as_json:
        print_json(provider.raw)
        return
    print_details({"name": provider.name, "title": provider.title})
    say("")
    fields = [
        (kind.name, field.name, field.type, field.required, field.secret, field.description)
        for kind in provider.credential_kinds
        for field in kind.fields
    ]
    print_table(("credential kind", "field", "type", "required", "secret", ""), fields, empty="no credential kinds")
    say("")
    rows = [
        (
            collection.id,
            collection.detection and collection.detection.inserts,
            collection.detection and collection.detection.updates,
            collection.detection and collection.detection.deletes,
            collection.description,
        )
        for collection in provider.collections
    ]
    print_table(("collection", "inserts by", "updates by", "deletes by", ""), rows, empty="no collections")
