"""`springline syncs`: keep these collections of this account flowing into that stream."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from springline.cli.lookup import find_credential, find_stream, find_sync
from springline.cli.output import confirm, json_option, print_details, print_json, print_table, say, yes_option
from springline.cli.parameters import SECRET_SOURCE, json_object, rate_limit, read_secret
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import RateLimit, Sync

#: Instead of a credential, a secret: by provider, the option, the kind, its field, and the variable that `env` means.
_SECRETS: Final = {
    "stripe": ("--stripe-key", "stripe_key", "secret", "STRIPE_API_KEY"),
    "github": ("--github-token", "github_token", "token", "GITHUB_TOKEN"),
}
_frequency_help = "`continuous` (default), or a span such as 4h."
_rate_limit_option = click.option(
    "--rate-limit", type=rate_limit, help="At most so many requests in any window, as 100/60s."
)
_metadata_option = click.option(
    "--metadata", type=json_object, help="A JSON object (or @FILE) that rides on every record."
)


@click.group()
def syncs() -> None:
    """Keep an account's collections flowing into a stream."""


@syncs.command("list")
@click.option("--provider", help="Only those of this provider.")
@click.option("--stream", help="Only those that write to this stream (id or slug).")
@click.option("--health", type=click.Choice(["healthy", "warn", "error"]), help="Only those in this state.")
@json_option
def list_syncs(provider: str | None, stream: str | None, health: str | None, as_json: bool) -> None:
    """All syncs, or those that match."""

    async def found_syncs(springline: "SpringlineClient") -> tuple[Any, dict[str, str]]:
        from springline.client.connection import given

        stream_id = None if stream is None else (await find_stream(springline, stream)).id
        found = await springline.syncs.list(provider=given(provider), stream_id=given(stream_id), health=given(health))
        return found, {} if as_json else {stream.id: stream.slug for stream in await springline.streams.list()}

    found, slugs = ask(found_syncs)
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            sync.name,
            sync.provider,
            slugs.get(sync.stream_id, sync.stream_id),
            sync.status if sync.status != "active" else sync.health.status,
            len(sync.collection_ids),
            sum(progress.records for progress in sync.progress.values()),
            "running" if sync.initial_backfill_completed_at is None else sync.initial_backfill_completed_at,
            sync.id,
        )
        for sync in found
    ]
    headers = ("name", "provider", "stream", "health", "collections", "records", "backfilled", "id")
    print_table(headers, rows, empty="there are no such syncs: springline syncs create --help")


@syncs.command("create")
@click.option("--provider", required=True, help="As `stripe`; `springline providers list` shows all.")
@click.option("--stream", required=True, help="Where the records go: a stream's id or slug.")
@click.option(
    "--collection", "collections", multiple=True, required=True, help="As `customer`; say it again for each collection."
)
@click.option("--credential", help="The account: a credential's id or name.")
@click.option("--stripe-key", metavar=SECRET_SOURCE, help="A Stripe key instead of a credential, from this place.")
@click.option("--github-token", metavar=SECRET_SOURCE, help="A GitHub token instead of a credential, from this place.")
@click.option("--name", help="Default: provider and stream.")
@_rate_limit_option
@click.option(
    "--max-age-days", type=click.FloatRange(min=0, min_open=True), help="Only what changed in the last N days."
)
@click.option("--sync-frequency", help=_frequency_help)
@_metadata_option
@click.option("--external-id", help="Your own id; it rides on every record.")
@json_option
def create_sync(
    provider: str,
    stream: str,
    collections: tuple[str, ...],
    credential: str | None,
    stripe_key: str | None,
    github_token: str | None,
    name: str | None,
    rate_limit: "RateLimit | None",
    max_age_days: float | None,
    sync_frequency: str | None,
    metadata: dict[str, Any] | None,
    external_id: str | None,
    as_json: bool,
) -> None:
    """Starts syncing an account's collections into a stream.

    \b
    Example:
      springline syncs create --provider stripe --stream main --collection customer --stripe-key env:STRIPE_API_KEY
    """
    properties = _secret_properties(provider, credential, {"stripe": stripe_key, "github": github_token})

    async def create(springline: "SpringlineClient") -> "Sync":
        from msgspec import UNSET

        from springline.client.connection import given

        target = await find_stream(springline, stream)
        credential_id = None if credential is None else (await find_credential(springline, credential)).id
        return await springline.syncs.create(
            provider=provider,
            stream_id=target.id,
            name=name or f"{provider} to {target.slug}",
            collection_ids=collection_ids(provider, collections),
            credential_id=given(credential_id),
            credential=UNSET if properties is None else {"properties": properties},
            rate_limit=given(rate_limit),
            max_age_days=given(max_age_days),
            sync_frequency=given(sync_frequency),
            metadata=given(metadata),
            external_id=given(external_id),
        )

    _show(ask(create), as_json=as_json)


def _secret_properties(
    provider: str, credential: str | None, sources: Mapping[str, str | None]
) -> dict[str, str] | None:
    """The properties of a credential to be made, if one of these sources is given; None: `credential` names one that
    there is. Raises click.UsageError unless it is exactly one, and the provider's own."""
    given = {name: source for name, source in sources.items() if source is not None}
    if credential is not None and not given:
        return None
    if credential is not None or len(given) != 1:
        options = " or ".join(_SECRETS[name][0] for name in given or sources)
        several = ", not both." if given else "."
        raise click.UsageError(f"give --credential (`springline credentials list` shows them) or {options}{several}")
    ((name, source),) = given.items()
    option, kind, field, variable = _SECRETS[name]
    if name != provider:
        raise click.UsageError(f"{option} is for --provider {name}; for {provider} give --credential.")
    return {"kind": kind, field: read_secret(source, option=option, variable=variable)}


@syncs.command("show")
@click.argument("sync")
@json_option
def show_sync(sync: str, as_json: bool) -> None:
    """One sync, by id or name: its settings, health and progress."""
    _show(ask(lambda springline: find_sync(springline, sync)), as_json=as_json)


@syncs.command("update")
@click.argument("sync")
@click.option("--name", help="A new name.")
@click.option("--collection", "collections", multiple=True, help="The whole new list; say it again for each.")
@click.option("--add-collection", "added", multiple=True, help="One more; it is backfilled.")
@click.option("--remove-collection", "removed", multiple=True, help="One less; its records leave the stream.")
@_rate_limit_option
@click.option("--max-age-days", help="Only what changed in the last N days; `none`: everything.")
@click.option("--sync-frequency", help=_frequency_help)
@_metadata_option
@click.option("--external-id", help="Your own id; it rides on every record.")
@json_option
def update_sync(
    sync: str,
    name: str | None,
    collections: tuple[str, ...],
    added: tuple[str, ...],
    removed: tuple[str, ...],
    rate_limit: "RateLimit | None",
    max_age_days: str | None,
    sync_frequency: str | None,
    metadata: dict[str, Any] | None,
    external_id: str | None,
    as_json: bool,
) -> None:
    """Changes a sync, by id or name. What is not given stays; provider, stream and credential cannot change."""
    changes = (name, rate_limit, max_age_days, sync_frequency, metadata, external_id)
    if not (collections or added or removed or any(change is not None for change in changes)):
        raise click.UsageError("nothing to change: give at least one option.")
    if collections and (added or removed):
        raise click.UsageError(
            "--collection is the whole list: give it alone, or --add-collection/--remove-collection."
        )
    new_max_age = _days_or_none(max_age_days)

    async def update(springline: "SpringlineClient") -> "Sync":
        from msgspec import UNSET

        from springline.client.connection import given

        found = await find_sync(springline, sync)
        wanted = collection_ids(found.provider, collections)
        if added or removed:
            gone = collection_ids(found.provider, removed)
            wanted = [each for each in found.collection_ids if each not in gone]
            wanted += [each for each in collection_ids(found.provider, added) if each not in wanted]
        return await springline.syncs.update(
            found.id,
            name=given(name),
            collection_ids=wanted if collections or added or removed else UNSET,
            rate_limit=given(rate_limit),
            max_age_days=UNSET if max_age_days is None else new_max_age,
            sync_frequency=given(sync_frequency),
            metadata=given(metadata),
            external_id=given(external_id),
        )

    _show(ask(update), as_json=as_json)


@syncs.command("disable")
@click.argument("sync")
@json_option
def disable_sync(sync: str, as_json: bool) -> None:
    """Stops a sync; its records stay, and `enable` goes on where it stood."""
    _set_status(sync, "disabled", as_json=as_json)


@syncs.command("enable")
@click.argument("sync")
@json_option
def enable_sync(sync: str, as_json: bool) -> None:
    """Lets a disabled sync go on."""
    _set_status(sync, "active", as_json=as_json)


@syncs.command("delete")
@click.argument("sync")
@click.option("--keep-records", is_flag=True, help="Its records stay in the stream.")
@yes_option
def delete_sync(sync: str, keep_records: bool, yes: bool) -> None:
    """Deletes a sync, by id or name; its records leave the stream as deleted."""
    found = ask(lambda springline: find_sync(springline, sync))
    confirm(f"Delete the sync {found.name!r} and {'keep' if keep_records else 'delete'} its records?", yes=yes)
    ask(lambda springline: springline.syncs.delete(found.id, records="keep" if keep_records else "delete"))
    say(f"deleted the sync {found.name}")


def collection_ids(provider: str, names: Sequence[str]) -> list[str]:
    """`customer` and `stripe:customer` both mean the latter."""
    return [name if ":" in name else f"{provider}:{name}" for name in names]


def _days_or_none(text: str | None) -> float | None:
    if text is None or text.lower() == "none":
        return None
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days < float("inf"):
        raise click.BadParameter("give a number of days above 0, or `none`", param_hint="'--max-age-days'")
    return days


def _set_status(sync: str, status: Literal["active", "disabled"], *, as_json: bool) -> None:
    async def update(springline: "SpringlineClient") -> "Sync":
        return await springline.syncs.update((await find_sync(springline, sync)).id, status=status)

    _show(ask(update), as_json=as_json)


def _show(sync: "Sync", *, as_json: bool) -> None:
    if as_json:
        print_json(sync.raw)
        return
    limit = sync.rate_limit
    print_details(
        {
            "name": sync.name,
            "id": sync.id,
            "status": sync.status,
            "health": sync.health.status,
            "provider": sync.provider,
            "account": sync.credential.name if sync.credential else None,
            "credential": sync.credential_id,
            "stream": sync.stream_id,
            "frequency": sync.sync_frequency,
            "rate limit": limit and f"{limit.allowed_requests:,} requests in any {limit.interval:g} s",
            "max. age": None if sync.max_age_days is None else f"{sync.max_age_days:g} days",
            "backfilled": sync.initial_backfill_completed_at or "still running",
            "external id": sync.external_id,
            "metadata": sync.metadata or None,
            "created": sync.created_at,
        }
    )
    say("")
    parts = sync.health.collections
    rows = [
        (
            collection_id,
            progress.phase if progress else None,
            progress.records if progress else None,
            progress.requests if progress else None,
            parts[collection_id].status if collection_id in parts else None,
        )
        for collection_id in sync.collection_ids
        for progress in [sync.progress.get(collection_id)]
    ]
    print_table(("collection", "phase", "records", "requests", "health"), rows, empty="it has no collections")
    _show_notes(sync)


def _show_notes(sync: "Sync") -> None:
    for part in (sync.health.credential, sync.health.provider, *sync.health.collections.values()):
        for line in part.notes if part else ():
            say(f"  {line}")
