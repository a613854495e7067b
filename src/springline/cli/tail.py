"""`springline tail`: follows a stream with a cursor of its own; no consumer is made, nothing is acknowledged."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import click

from springline.cli.lookup import find_stream
from springline.cli.output import json_option, note, one_line, print_json, printable, say, snippet
from springline.cli.remote import ask

if TYPE_CHECKING:
    from springline.client import SpringlineClient
    from springline.client.objects import Record, Records

Done = TypeVar("Done")

_LOOK_EVERY: Final = timedelta(milliseconds=500)
_FIRST_PAUSE: Final = timedelta(milliseconds=500)
_LONGEST_PAUSE: Final = timedelta(seconds=3)
_PAGE: Final = 1000
#: So many records are remembered to tell an update from what was not seen before.
_REMEMBERED: Final = 100_000
#: Passing over more records than this takes noticeable time.
_WORTH_A_WORD: Final = 20_000


@click.command()
@click.argument("stream")
@click.option(
    "--from", "start", type=click.Choice(["beginning", "now"]), default="now", show_default=True, help="Where to begin."
)
@click.option(
    "--collection", "collections", multiple=True, help="Only this collection, as stripe:customer; repeatable."
)
@json_option
def tail(stream: str, start: Literal["beginning", "now"], collections: tuple[str, ...], as_json: bool) -> None:
    """Follows a stream, by id or slug, until Ctrl-C.

    One line for each version of a record. A line says `written` for a record that this command has not seen before,
    then `updated` or `deleted`. A server that restarts is waited for.
    """
    lines = _JsonLines() if as_json else _Lines()

    async def follow(springline: "SpringlineClient") -> None:
        found = await find_stream(springline, stream)
        reader = _Reader(springline, found.id, collections, above_idx=found.head_idx if start == "now" else 0)
        if start == "now" and found.record_count > _WORTH_A_WORD:
            note(f"passing over {found.record_count:,} records that are there already")
        note(f"following {found.slug} from {start}{' on' if start == 'now' else ''}; Ctrl-C ends")
        while True:
            page = await reader.read()
            lines.show([record for record in page.records if reader.wants(record)])
            if not page.records:
                await asyncio.sleep(_LOOK_EVERY.total_seconds())

    ask(follow)


class _Reader:
    """Reads a stream onwards; a server that goes away after the first answer is waited for."""

    def __init__(
        self, springline: "SpringlineClient", stream_id: str, collections: Sequence[str], *, above_idx: int
    ) -> None:
        self._springline = springline
        self._stream_id = stream_id
        self._collections = frozenset(collections)
        self._above_idx = above_idx
        self._cursor: str | None = None

    def wants(self, record: "Record") -> bool:
        if record.updated_idx <= self._above_idx:
            return False
        return not self._collections or record.collection_id in self._collections

    async def read(self) -> "Records":
        """The next page, empty if there is nothing new."""
        from springline.client.connection import given

        only = next(iter(self._collections)) if len(self._collections) == 1 else None
        page = await _patiently(
            lambda: self._springline.records.read(
                stream_id=self._stream_id, collection_id=given(only), after_cursor=given(self._cursor), limit=_PAGE
            ),
            patient=self._cursor is not None,
        )
        self._cursor = page.cursor
        return page


class _Lines:
    """One line a version, for people."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def show(self, records: "Sequence[Record]") -> None:
        if records:
            say("\n".join(self._line(record) for record in records))

    def _line(self, record: "Record") -> str:
        what = "deleted" if record.deleted else "updated" if record.id in self._seen else "written"
        self._seen[record.id] = None
        self._seen.move_to_end(record.id)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        at = record.inserted_at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
        parts = (f"{record.updated_idx:>8}", record.collection_id, printable(record.upstream_id), what)
        return "  ".join((f"{at}Z", *parts, snippet(bytes(record.data))))


class _JsonLines:
    """One record a line, as the API answers it."""

    def show(self, records: "Sequence[Record]") -> None:
        if records:
            print_json(b"\n".join(one_line(record.raw) for record in records))


async def _patiently(call: Callable[[], Awaitable[Done]], *, patient: bool) -> Done:
    """The call's result; if `patient`, after as many tries as it takes while the server is away. Says so once."""
    from springline.client import ApiError, Unreachable

    pause = _FIRST_PAUSE
    lost = False
    while True:
        try:
            result = await call()
        except (Unreachable, ApiError) as error:
            if not patient or (isinstance(error, ApiError) and error.status < 500):
                raise
            if not lost:
                note(f"{error}; waiting until it is back")
            lost = True
        else:
            if lost:
                note("connected again")
            return result
        await asyncio.sleep(pause.total_seconds())
        pause = min(pause * 2, _LONGEST_PAUSE)
