"""`springline syncs why` and `springline syncs explain`: what a sync does, or waits for, and what to do about it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from springline.cli.errors import CommandFailed
from springline.cli.lookup import find_sync
from springline.cli.output import json_option, print_json, print_table, printable, say
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import (
        CollectionExplanation,
        Explanation,
        LimitUse,
        QuotaUse,
        RequestMade,
        Sync,
        Waiting,
    )

Done = TypeVar("Done")

_DATABASE = (
    "every sync waits for the database: the server says that {reason}. Nothing is lost, and all go on by themselves "
    "once it is back; if it does not come back, look at PostgreSQL, its disk and its log"
)


@click.command("why")
@click.argument("sync")
@click.option(
    "--requests", "most", type=click.IntRange(0, 200), default=10, show_default=True, help="So many last requests."
)
@json_option
def why(sync: str, most: int, as_json: bool) -> None:
    """Says what a sync does or waits for, by id or name, and what to do about it."""
    found, explained = _asked(lambda springline: _explain(springline, sync))
    if as_json:
        print_json(explained.raw)
    else:
        _show(found, explained, most=most)


@click.command("explain")
@click.argument("sync")
def explain(sync: str) -> None:
    """The same as JSON, with the last 200 requests: exactly what the API answers."""
    _, explained = _asked(lambda springline: _explain(springline, sync))
    print_json(explained.raw)


async def _explain(springline: "SpringlineClient", sync: str) -> "tuple[Sync, Explanation]":
    found = await find_sync(springline, sync)
    return found, await springline.syncs.explain(found.id)


def _asked(question: "Callable[[SpringlineClient], Awaitable[Done]]") -> Done:
    """Asks a server that may have lost its database: that is an answer too. Raises CommandFailed for it."""

    async def ask_if_ready(springline: "SpringlineClient") -> Done:
        from springline.client import ApiError

        # First, since it answers soon: other requests wait as long as the database might come back.
        reason = await springline.readiness()
        if reason is None:
            try:
                return await question(springline)
            except ApiError as error:
                if error.status != 503:
                    raise
                reason = await springline.readiness() or error.message
        raise CommandFailed(_DATABASE.format(reason=printable(reason.rstrip("."))))

    return ask(ask_if_ready)


def _show(sync: "Sync", explained: "Explanation", *, most: int) -> None:
    where = "no worker runs it" if explained.worker is None else f"worker {explained.worker} runs it"
    say(printable(f"{sync.name} ({sync.provider}): {where}"))
    for name, collection in explained.collections.items():
        say("")
        say(printable(f"{name}  {_headline(collection)}"))
        say(printable(f"  {collection.says}"))
        for waiting in collection.also:
            say(printable(f"  also waits for {waiting.waiting_for}{_times(waiting)}: {waiting.says}"))
    if explained.quota is not None:
        say("")
        say(f"quota  {_used(explained.quota)}")
        for limit in explained.quota.limits:
            if limit.name != "rate_limit":
                say(printable(f"       {_limit(limit)}"))
    if most and explained.requests:
        say("")
        _show_requests(explained.requests[:most])


def _headline(collection: "CollectionExplanation") -> str:
    if collection.waiting_for is not None:
        return f"waits for {collection.waiting_for}{_times(collection)}"
    return f"{collection.doing}{_times(collection)}"


def _times(shown: "CollectionExplanation | Waiting") -> str:
    since = "" if shown.since is None else f", since {_time(shown.since)}"
    return since + ("" if shown.until is None else f", until {_time(shown.until)}")


def _time(at: datetime) -> str:
    """To the second; with the day where it is not today's."""
    at = at.astimezone(UTC)
    day = "" if at.date() == datetime.now(UTC).date() else f"{at:%Y-%m-%d} "
    return f"{day}{at:%H:%M:%S}Z"


def _used(quota: "QuotaUse") -> str:
    by_purpose = ", ".join(f"{purpose} {count:,}" for purpose, count in sorted(quota.by_purpose.items()))
    return f"{quota.used:,} of {quota.allowed_requests:,} requests in any {quota.interval:g} s used" + (
        f": {by_purpose}" if by_purpose else ""
    )


def _limit(limit: "LimitUse") -> str:
    parts = []
    if limit.allowed_requests:
        parts.append(f"{limit.used:,} of {limit.allowed_requests:,} in any {limit.interval:g} s")
    if limit.closed_because:
        parts.append(f"closed for {limit.closed_seconds:g} s: {limit.closed_because}")
    return f"{limit.name}: {', '.join(parts) or 'no limit'}"


def _show_requests(requests: "list[RequestMade]") -> None:
    rows = [
        (
            _time(request.at),
            request.purpose,
            f"{request.method} {request.path}",
            str(request.status or "none"),
            request.ms,
            request.waited_ms,
            request.request_id or request.fault,
        )
        for request in requests
    ]
    headers = ("at", "purpose", "request", "status", "ms", "waited ms", "request id")
    print_table(headers, rows, empty="it has made no request yet")
