"""`springline oauth-apps`: the clients that a team registered at providers."""

from typing import TYPE_CHECKING, Any

import click

from springline.cli.errors import CommandFailed
from springline.cli.lookup import find_oauth_app
from springline.cli.output import confirm, json_option, print_details, print_json, print_table, say, yes_option
from springline.cli.parameters import SECRET_SOURCE, json_object, read_secret
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import OAuthApp

_client_secret_option = click.option(
    "--client-secret", metavar=SECRET_SOURCE, help="Where the client secret is: standard input, a variable, a file."
)
_private_key_option = click.option(
    "--private-key", metavar="@FILE|env:NAME", help="GitHub Apps: where a private key of the app is, in PEM."
)
_redirect_option = click.option(
    "--redirect-uri", "redirect_uris", multiple=True, metavar="URL", help="Where users are sent back to; repeatable."
)
_metadata_option = click.option("--metadata", type=json_object, help="A JSON object, or @FILE.")


@click.group("oauth-apps")
def oauth_apps() -> None:
    """OAuth apps, with which customers' accounts are connected."""


@oauth_apps.command("list")
@click.option("--provider", help="Only those of this provider.")
@json_option
def list_oauth_apps(provider: str | None, as_json: bool) -> None:
    """All OAuth apps, or those of one provider."""
    from springline.client.connection import given

    found = ask(lambda springline: springline.oauth_apps.list(provider=given(provider)))
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (app.name, app.provider, app.client_id, app.health.status if app.health else None, app.created_at, app.id)
        for app in found
    ]
    headers = ("name", "provider", "client id", "health", "created", "id")
    print_table(headers, rows, empty="there are no such OAuth apps: springline oauth-apps create --help")


@oauth_apps.command("create")
@click.option("--provider", required=True, help="As `github`.")
@click.option("--name", required=True, help="For people; unique if you want to name it in other commands.")
@click.option("--client-id", required=True, help="The app's client id at the provider.")
@_client_secret_option
@click.option("--app-id", help="GitHub Apps: the app's own id, a number.")
@_private_key_option
@_redirect_option
@_metadata_option
@json_option
def create_oauth_app(
    provider: str,
    name: str,
    client_id: str,
    client_secret: str | None,
    app_id: str | None,
    private_key: str | None,
    redirect_uris: tuple[str, ...],
    metadata: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Creates an OAuth app from what the provider shows in its settings.

    Example: springline oauth-apps create --provider github --name acme --client-id Iv1.a1b2 --app-id 12345
    --private-key @acme.pem
    """
    secret = None if client_secret is None else read_secret(client_secret, option="--client-secret")
    key = None if private_key is None else _read_key(private_key)

    async def create(springline: "SpringlineClient") -> "OAuthApp":
        from springline.client.connection import given

        return await springline.oauth_apps.create(
            provider,
            name=name,
            client_id=client_id,
            client_secret=given(secret),
            app_id=given(int(app_id) if app_id is not None and app_id.isdecimal() else app_id),
            private_key=given(key),
            redirect_uris=given(list(redirect_uris) or None),
            metadata=given(metadata),
        )

    _show(ask(create), as_json=as_json)


@oauth_apps.command("show")
@click.argument("app")
@json_option
def show_oauth_app(app: str, as_json: bool) -> None:
    """One OAuth app, by id or name; its secrets are asterisks."""
    _show(ask(lambda springline: find_oauth_app(springline, app)), as_json=as_json)


@oauth_apps.command("update")
@click.argument("app")
@click.option("--name", help="A new name.")
@_client_secret_option
@_private_key_option
@_redirect_option
@_metadata_option
@json_option
def update_oauth_app(
    app: str,
    name: str | None,
    client_secret: str | None,
    private_key: str | None,
    redirect_uris: tuple[str, ...],
    metadata: dict[str, Any] | None,
    as_json: bool,
) -> None:
    """Changes an OAuth app, by id or name. What had failed with its old secrets is tried again."""
    if name is None and client_secret is None and private_key is None and not redirect_uris and metadata is None:
        raise click.UsageError(
            "nothing to change: give --name, --client-secret, --private-key, --redirect-uri or --metadata."
        )
    secret = None if client_secret is None else read_secret(client_secret, option="--client-secret")
    key = None if private_key is None else _read_key(private_key)
    found = ask(lambda springline: find_oauth_app(springline, app))

    async def update(springline: "SpringlineClient") -> "OAuthApp":
        from springline.client.connection import given

        return await springline.oauth_apps.update(
            found.id,
            name=given(name),
            client_secret=given(secret),
            private_key=given(key),
            redirect_uris=given(list(redirect_uris) or None),
            metadata=given(metadata),
        )

    _show(ask(update), as_json=as_json)


@oauth_apps.command("delete")
@click.argument("app")
@yes_option
def delete_oauth_app(app: str, yes: bool) -> None:
    """Deletes an OAuth app, by id or name. Credentials that were made with it have to go first."""
    found = ask(lambda springline: find_oauth_app(springline, app))
    confirm(f"Delete the OAuth app {found.name!r} ({found.provider})?", yes=yes)
    ask(lambda springline: springline.oauth_apps.delete(found.id))
    say(f"deleted the OAuth app {found.name}")


def _read_key(source: str) -> str:
    """A private key, which has several lines, from where `source` says. Raises CommandFailed."""
    if source.endswith(".pem") and not source.startswith(("@", "env:")):
        raise CommandFailed(f"--private-key: to read the file, write @{source}")
    if not source.startswith(("@", "env:")):
        raise CommandFailed("--private-key: name a file as @FILE, or a variable as env:NAME; a key is no argument")
    return read_secret(source, option="--private-key")


def _show(app: "OAuthApp", *, as_json: bool) -> None:
    if as_json:
        print_json(app.raw)
        return
    print_details(
        {
            "name": app.name,
            "id": app.id,
            "provider": app.provider,
            "client id": app.client_id,
            "client secret": app.client_secret,
            "app id": app.app_id,
            "private key": app.private_key,
            "redirect uris": ", ".join(app.redirect_uris) or None,
            "health": app.health.status if app.health else None,
            "notes": (app.health and app.health.notes) or None,
            "metadata": app.metadata or None,
            "created": app.created_at,
        }
    )
