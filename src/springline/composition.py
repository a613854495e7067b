"""The only module that knows every concrete class."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from springline.settings import Settings

Say = Callable[[str], None]


class RunningServer(NamedTuple):
    """A server that answers at `url`; `token` is the default organisation's."""

    url: str
    token: str


class Organisation(NamedTuple):
    """`token` is None except for one that was made just now."""

    id: str
    name: str
    token: str | None = None


async def serve(settings: Settings, *, say: Say) -> int:
    raise NotImplementedError


async def work(settings: Settings, *, say: Say) -> int:
    raise NotImplementedError


async def migrate(settings: Settings, *, say: Say) -> int:
    raise NotImplementedError


async def create_organisation(settings: Settings, name: str) -> Organisation:
    raise NotImplementedError


async def list_organisations(settings: Settings) -> Sequence[Organisation]:
    raise NotImplementedError


@asynccontextmanager
async def running_server(settings: Settings, *, say: Say) -> AsyncIterator[RunningServer]:
    raise NotImplementedError
    yield RunningServer(settings.url, "")
