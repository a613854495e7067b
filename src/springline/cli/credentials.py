"""`springline credentials`: accounts' secrets, which never stand on a command line."""

from typing import TYPE_CHECKING, Any

import click

from springline.cli.errors import CommandFailed
from springline.cli.lookup import find_credential, find_oauth_app
from springline.cli.output import confirm, json_option, print_details, print_json, print_table, say, yes_option
from springline.cli.parameters import json_object, prompt_secret, read_secret
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Credential, CredentialField, CredentialKind

_property_option = click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field that is no secret; say it again for each.",
)
_env_option = click.option("--secret-from-env", metavar="NAME", help="The secret is in this environment variable.")
_stdin_option = click.option("--secret-stdin", is_flag=True, help="The secret is the first line of standard input.")
_file_option = click.option("--secret-file", metavar="PATH", help="The secret is what this file holds.")
_metadata_option = click.option("--metadata", type=json_object, help="A JSON object, or @FILE.")


@click.group()
def credentials() -> None:
    """Accounts at providers, with their secrets."""


@credentials.command("list")
@click.option("--provider", help="Only those of this provider.")
@click.option("--kind", help="Only those of this kind.")
@json_option
def list_credentials(provider: str | None, kind: str | None, as_json: bool) -> None:
    """All credentials, or those that match."""
    from springline.client.connection import given

    found = ask(lambda springline: springline.credentials.list(provider=given(provider), kind=given(kind)))
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            credential.name,
            credential.provider,
            credential.kind,
            credential.health.status if credential.health else None,
            credential.created_at,
            credential.id,
        )
        for credential in found
    ]
    headers = ("name", "provider", "kind", "health", "created", "id")
    print_table(headers, rows, empty="there are no such credentials: springline credentials create --help")


@credentials.command("create")
@click.option(
    "--kind", required=True, help="As `stripe_key`; `springline providers show NAME` lists a provider's kinds."
)
@_property_option
@_env_option
@_stdin_option
@_file_option
@click.option("--oauth-app", metavar="APP", help="The OAuth app that the account was connected with: id or name.")
@click.option("--name", help="Default: what the provider calls the account.")
@_metadata_option
@click.option("--no-verify", is_flag=True, help="Don't ask the provider whether it lives.")
@click.option("--replace", is_flag=True, help="Replace the secret of the same account even unverified.")
@json_option
def create_credential(
    kind: str,
    properties: tuple[str, ...],
    secret_from_env: str | None,
    secret_stdin: bool,
    secret_file: str | None,
    oauth_app: str | None,
    name: str | None,
    metadata: dict[str, Any] | None,
    no_verify: bool,
    replace: bool,
    as_json: bool,
) -> None:
    """Imports an account. The same account again gives the same credential.

    The secret is read from the environment, standard input, a file, or typed in: a command line is visible to others.

    Example: springline credentials create --kind stripe_key --secret-from-env STRIPE_API_KEY
    """
    source = _secret_source(secret_from_env, secret_file, stdin=secret_stdin)
    description = ask(lambda springline: _find_kind(springline, kind))
    fields = {"kind": description.name, **_properties(properties, description)}
    if description.needs_oauth_app and oauth_app is None:
        raise click.UsageError(f"{description.name} needs the OAuth app that was connected: --oauth-app APP.")
    fields |= _secrets(description, fields, source=source)

    async def create(springline: "SpringlineClient") -> "Credential":
        from springline.client.connection import given

        app_id = None if oauth_app is None else (await find_oauth_app(springline, oauth_app)).id
        return await springline.credentials.create(
            fields,
            name=given(name),
            oauth_app_id=given(app_id),
            metadata=given(metadata),
            verify=not no_verify,
            replace=replace,
        )

    _show(ask(create), as_json=as_json)


@credentials.command("show")
@click.argument("credential")
@json_option
def show_credential(credential: str, as_json: bool) -> None:
    """One credential, by id or name; its secrets are asterisks."""
    _show(ask(lambda springline: find_credential(springline, credential)), as_json=as_json)


@credentials.command("update")
@click.argument("credential")
@click.option("--name", help="A new name.")
@_metadata_option
@_property_option
@_env_option
@_stdin_option
@_file_option
@json_option
def update_credential(
    credential: str,
    name: str | None,
    metadata: dict[str, Any] | None,
    properties: tuple[str, ...],
    secret_from_env: str | None,
    secret_stdin: bool,
    secret_file: str | None,
    as_json: bool,
) -> None:
    """Changes a credential, by id or name. A new secret of the same account replaces a dead one."""
    source = _secret_source(secret_from_env, secret_file, stdin=secret_stdin)
    if name is None and metadata is None and not properties and source is None:
        raise click.UsageError("nothing to change: give --name, --metadata, --property or a new secret.")
    found = ask(lambda springline: find_credential(springline, credential))
    fields: dict[str, Any] | None = None
    if properties or source is not None:
        description = ask(lambda springline: _find_kind(springline, found.kind))
        fields = {"kind": found.kind, **_properties(properties, description)}
        if source is not None:
            fields |= _secrets(description, fields, source=source)

    async def update(springline: "SpringlineClient") -> "Credential":
        from springline.client.connection import given

        return await springline.credentials.update(
            found.id, name=given(name), metadata=given(metadata), properties=given(fields)
        )

    _show(ask(update), as_json=as_json)


@credentials.command("delete")
@click.argument("credential")
@yes_option
def delete_credential(credential: str, yes: bool) -> None:
    """Deletes a credential, by id or name. Its syncs have to go first."""
    found = ask(lambda springline: find_credential(springline, credential))
    confirm(f"Delete the credential {found.name or found.id!r} ({found.provider})?", yes=yes)
    ask(lambda springline: springline.credentials.delete(found.id))
    say(f"deleted the credential {found.name or found.id}")


async def _find_kind(springline: "SpringlineClient", name: str) -> "CredentialKind":
    """A credential kind of any provider. Raises CommandFailed."""
    import difflib

    kinds = {kind.name: kind for provider in await springline.providers.list() for kind in provider.credential_kinds}
    if name in kinds:
        return kinds[name]
    nearest = difflib.get_close_matches(name, kinds, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"there is {', '.join(sorted(kinds))}"
    raise CommandFailed(f"there is no credential kind {name!r}: {hint}")


def _secret_source(variable: str | None, path: str | None, *, stdin: bool) -> str | None:
    """Where the secret is, as `read_secret` takes it; None: it is typed in. Raises click.UsageError for two places."""
    sources = [f"env:{variable}"] * (variable is not None) + ["-"] * stdin + [f"@{path}"] * (path is not None)
    if len(sources) > 1:
        raise click.UsageError("give one of --secret-from-env, --secret-stdin and --secret-file.")
    return sources[0] if sources else None


def _properties(given: tuple[str, ...], kind: "CredentialKind") -> dict[str, Any]:
    """Raises click.UsageError for a field that the kind lacks, that is a secret, or whose value does not fit."""
    fields = {field.name: field for field in kind.fields}
    properties: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"--property {name}: write NAME=VALUE.")
        if name not in fields:
            plain = ", ".join(field.name for field in kind.fields if not field.secret)
            raise click.UsageError(f"{kind.name} has no field {name!r}; it has {plain or 'none but its secret'}.")
        if fields[name].secret:
            raise click.UsageError(
                f"{name} is a secret, and a command line is visible to others: use --secret-from-env NAME, "
                "--secret-stdin or --secret-file PATH."
            )
        properties[name] = _typed(value, fields[name])
    return properties


def _typed(value: str, field: "CredentialField") -> object:
    try:
        if field.type == "boolean":
            return {"true": True, "yes": True, "false": False, "no": False}[value.lower()]
        if field.type == "integer":
            return int(value)
    except (KeyError, ValueError):
        wanted = "true or false" if field.type == "boolean" else "a whole number"
        raise click.UsageError(f"--property {field.name}: {value!r} is not {wanted}.") from None
    return [part.strip() for part in value.split(",")] if field.type == "strings" else value


def _secrets(kind: "CredentialKind", given: dict[str, Any], *, source: str | None) -> dict[str, str]:
    """The kind's required secrets: the first from `source`, what is missing then is typed in."""
    wanted = [field for field in kind.fields if field.secret and field.required and field.name not in given]
    secrets: dict[str, str] = {}
    for field in wanted:
        if source is not None:
            secrets[field.name] = read_secret(source, option=field.name)
            source = None
        else:
            secrets[field.name] = prompt_secret(field.name)
    return secrets


def _show(credential: "Credential", *, as_json: bool) -> None:
    if as_json:
        print_json(credential.raw)
        return
    print_details(
        {
            "name": credential.name,
            "id": credential.id,
            "provider": credential.provider,
            "kind": credential.kind,
            "health": credential.health.status if credential.health else None,
            "notes": (credential.health and credential.health.notes) or None,
            "oauth app": credential.oauth_app_id,
            "properties": credential.properties,
            "metadata": credential.metadata or None,
            "created": credential.created_at,
        }
    )
