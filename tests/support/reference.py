"""The parts of docs/reference that are made from the program itself: what stands between `<!-- made: name -->` and
`<!-- end -->`. A test fails where they are older than what they describe; this brings them up to date:

    python -m tests.support.reference
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from tests.support.markdown import ROOT

from springline.api.app import ROUTES
from springline.api.reference_page import MEANINGS
from springline.cli.main import commands
from springline.domain.errors import ERROR_CODES
from springline.providers.registry import PROVIDERS
from springline.providers.vocabulary import Collection, CredentialKind, ListEndpoint, Provider

FOLDER: Final = ROOT / "docs/reference"
_HELP: Final = ["-h", "--help"]
_PART = re.compile(r"(?<=<!-- made: )(?P<name>[\w.]+) -->\n.*?(?=<!-- end -->)", re.DOTALL)
_METHODS: Final = {
    "feed": "an event names it, and it is read again by id",
    "incremental": "its updated (or created) time, from where the last look ended",
    "sweep": "a walk over everything, compared with what is stored",
    "parent": "a change of its parent tells, and the list is read again",
    "ids": "a walk over ids only",
    "none": "not at all",
}


def pages() -> dict[Path, str]:
    """The text that each page should have."""
    parts = {"cli": _cli(), "errors": _errors(), "api": _api()}
    parts |= {name: _provider(provider) for name, provider in PROVIDERS.items()}

    def made(part: re.Match[str]) -> str:
        name = part["name"]
        return f"{name} -->\n\n{parts[name].strip()}\n\n"

    return {path: _PART.sub(made, path.read_text()) for path in sorted(FOLDER.rglob("*.md"))}


def _cli() -> str:
    lines = []
    for context in _contexts(commands, "springline", None):
        lines += [f"## {context.command_path}", "", "```text", *context.get_help().splitlines(), "```", ""]
    return "\n".join(lines)


def _contexts(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, help_option_names=_HELP)
    yield context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from _contexts(found, inner, context)


def _errors() -> str:
    lines = ["| code | status | what it means and what to do |", "|---|---|---|"]
    lines += [f"| `{code}` | {status} | {MEANINGS[code]} |" for code, status in ERROR_CODES.items()]
    return "\n".join(lines)


def _api() -> str:
    lines = ["| request | | token |", "|---|---|---|"]
    lines += [
        f"| `{route.method} {route.path}` | {_first_line(route.handler)} | {_yes(not route.public)} |"
        for route in ROUTES
    ]
    return "\n".join(lines)


def _provider(provider: Provider) -> str:
    lines = [
        f"Asked at `{provider.base_url}`, unless `SPRINGLINE_{provider.name.upper()}_BASE_URL` says otherwise.",
    ]
    if provider.request_headers:
        headers = ", ".join(f"`{name}: {value}`" for name, value in provider.request_headers)
        lines += [f"Sent with every request: {headers}."]
    lines += ["", "## Credentials", ""]
    for kind in provider.credential_kinds:
        lines += _kind(kind)
    lines += [
        "## Collections",
        "",
        "| collection | what it is | key | listed at | read by id at |",
        "|---|---|---|---|---|",
    ]
    lines += [_collection(provider, collection) for collection in provider.collections]
    lines += ["", "## How changes are found", "", "| collection | inserts | updates | deletes | asked at least every |"]
    lines += ["|---|---|---|---|---|"]
    for collection in provider.collections:
        found = (", ".join(ways) for ways in _ways(collection))
        interval = f"{collection.longest_interval.total_seconds():g} s"
        lines.append(f"| `{provider.collection_id(collection)}` | {' | '.join(found)} | {interval} |")
    used = {way for collection in provider.collections for ways in _ways(collection) for way in ways}
    lines += ["", *(f"- **{name}**: {meaning}" for name, meaning in _METHODS.items() if name in used), ""]
    lines += [
        "A deletion is published on proof only: see [I5](../../explanation/invariants.md#i5-deletions-on-proof).",
        "",
    ]
    if provider.feed is not None:
        feed = provider.feed
        lines += [
            "## The feed",
            "",
            f"`{feed.path}` can be read back for {feed.retention.days} days. An event may appear up to "
            f"{feed.late_arrival.total_seconds() / 60:g} minutes late.",
            "Events that name a record, or (where a parent is said) whose list is read again:",
            "",
            "| collection | events |",
            "|---|---|",
        ]
        lines += [
            f"| `{provider.collection_id(collection)}`{_of_parent(collection)} "
            f"| {', '.join(f'`{name}`' for name in collection.feed.types)} |"
            for collection in provider.collections
            if collection.feed is not None
        ]
        lines.append("")
    return "\n".join(lines)


def _kind(kind: CredentialKind) -> list[str]:
    lines = [f"### `{kind.name}`", "", "| field | type | required | secret | |", "|---|---|---|---|---|"]
    lines += [
        f"| `{field.name}` | {field.type} | {_yes(field.required)} | {_yes(field.secret)} | {field.description} |"
        for field in kind.fields
    ]
    former = [*kind.aliases, *(f"{alias} (for {field.name})" for field in kind.fields for alias in field.aliases)]
    if former:
        lines += ["", f"Former names that are still taken: {', '.join(f'`{name}`' for name in former)}."]
    asked = ", else ".join(f"`{request.method} {request.path}`" for request in (kind.check, *kind.check_fallbacks))
    lines += ["", f"Tried with {asked}.", ""]
    if kind.app_fields:
        needed = " and ".join(f"`{name}`" for name in kind.app_fields)
        lines += [f"Needs an OAuth app (`oauth_app_id`) with {needed}: its access tokens are obtained with them.", ""]
    limits = {"": kind.rate_limit({}), " of a live key": kind.rate_limit({"secret": "sk_live_"})}
    if len(set(limits.values())) == 1:
        del limits[" of a live key"]
    lines += [
        f"- Default rate limit{words}: {limit.allowed_requests} requests in any {limit.interval:g} s, "
        f"{limit.max_concurrent_requests or 'any number'} at once"
        for words, limit in limits.items()
    ]
    return [*lines, ""]


def _collection(provider: Provider, collection: Collection) -> str:
    at = f"`{_listed_at(collection.listing)}`"
    for kind, listing in collection.listing_by_kind.items():
        at += f"; for `{kind}` `{_listed_at(listing)}`"
    read = "–"
    if collection.read is not None:
        read = f"`{collection.read.path}`" + (", for proof only" if collection.read.only_proves else "")
    name = f"`{provider.collection_id(collection)}`"
    return f"| {name} | {collection.description} | `{collection.key_text}` | {at} | {read} |"


def _listed_at(listing: ListEndpoint) -> str:
    query = "&".join(f"{name}={value}" for name, value in listing.query)
    return f"{listing.path}?{query}" if query else listing.path


def _of_parent(collection: Collection) -> str:
    named_by_parent = collection.feed is not None and collection.feed.parent and collection.parent is not None
    return f", all of its `{collection.parent.collection}`" if named_by_parent and collection.parent else ""


def _ways(collection: Collection) -> tuple[tuple[str, ...], ...]:
    detection = collection.detection
    return detection.inserts, detection.updates, detection.deletes


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _first_line(handler: Any) -> str:
    return str(handler.__doc__).strip().splitlines()[0]


def main() -> None:
    """Brings the pages up to date."""
    for path, text in pages().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
