"""`springline orgs`: organisations, each with tokens and objects of its own."""

import click

from springline.cli.inside import run_inside
from springline.cli.output import note, print_table, say
from springline.cli.remote import load_settings
from springline.cli.serve import configure_logs


@click.group()
def orgs() -> None:
    """Organisations, each with its own objects.

    These commands open the database: run them where the server runs.
    """


@orgs.command("create")
@click.argument("name")
def create_organisation(name: str) -> None:
    """Makes an organisation and its first API token, which is shown only now."""
    from springline import composition

    settings = load_settings()
    configure_logs(settings, for_a_moment=True)
    made = run_inside(composition.create_organisation(settings, name))
    note(f"made the organisation {made.name} ({made.id}); its API token, shown only now:")
    say(made.token or "")


@orgs.command("list")
def list_organisations() -> None:
    """All organisations."""
    from springline import composition

    settings = load_settings()
    configure_logs(settings, for_a_moment=True)
    found = run_inside(composition.list_organisations(settings))
    print_table(("name", "id"), [(each.name, each.id) for each in found], empty="there are no organisations yet")
