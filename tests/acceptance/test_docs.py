"""Every command that README, tutorial and how-tos show is typed by a reader, and what they show is what comes back.

A comment above a block says how it is meant: `not run: reason`, `in the background`, `stop: command` (before it),
`file: name` (saved under it), `printed by: command` (what one in the background says). A comment at the top of a page
says what it takes for granted: `needs: a server` (with a sandbox behind it), `needs: a database`; else nothing.
"""

import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from tests.support.markdown import ROOT, blocks
from tests.support.postgres import TestPostgres
from tests.support.processes import SPRINGLINE, Place, place
from tests.support.serving import Served, served
from tests.support.shell import (
    GITHUB_SANDBOX_PORT,
    SANDBOX_PORT,
    SPRINGLINE_PORT,
    Reader,
    difference,
    free_port,
    reader,
)

CUSTOMERS = 300
#: Where the pages say that the database is.
SHOWN_DATABASE = "postgresql://springline:a-password@db.internal:5432/springline"

PAGES = [
    "README.md",
    *sorted(
        str(path.relative_to(ROOT))
        for folder in ("tutorial", "how-to")
        for path in (ROOT / "docs" / folder).glob("*.md")
    ),
]
NEEDS = {page: (ROOT / page).read_text().partition("<!-- needs: ")[2].partition(" -->")[0] for page in PAGES}

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("bash", "curl", "jq")), reason="the pages use bash, curl and jq"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """What pages take for granted that need a server. Each page is an organisation of its own."""
    with served(customers=CUSTOMERS) as running:
        yield running


@asynccontextmanager
async def at_a_shell(
    made: Place, *, data_dir: Path, settings: Mapping[str, str], shown: Mapping[str, str]
) -> AsyncIterator[Reader]:
    folder = made.folder / "reader"
    folder.mkdir()
    environment = made.environment(settings, data_dir=data_dir) | {
        "HOME": str(folder),
        "PATH": f"{Path(SPRINGLINE[0]).parent}:/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
    async with reader(folder, data_dir, environment, shown=shown) as found:
        yield found


@pytest.mark.parametrize("page", [page for page in PAGES if NEEDS[page] == ""])
async def test_a_page_that_begins_with_nothing(page: str) -> None:
    ports = {port: str(free_port()) for port in (SPRINGLINE_PORT, SANDBOX_PORT, GITHUB_SANDBOX_PORT)}
    settings = {"SPRINGLINE_PORT": ports[SPRINGLINE_PORT]}
    async with place() as made, at_a_shell(made, data_dir=made.data_dir, settings=settings, shown=ports) as somebody:
        for block in blocks(ROOT / page):
            await somebody.follow(block)


@pytest.mark.parametrize("page", [page for page in PAGES if NEEDS[page] == "a server"])
async def test_a_page_that_needs_a_server(page: str, server: Served) -> None:
    shown = {SPRINGLINE_PORT: str(urlsplit(server.url).port), SANDBOX_PORT: str(urlsplit(server.stripe_url).port)}
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(place())
        organisation = await made.run("orgs", "create", Path(page).stem, data_dir=server.data_dir)
        settings = {"SPRINGLINE_URL": server.url, "SPRINGLINE_API_TOKEN": organisation.out.strip()}
        somebody = await stack.enter_async_context(
            at_a_shell(made, data_dir=server.data_dir, settings=settings, shown=shown)
        )
        for block in blocks(ROOT / page):
            await somebody.follow(block)


@pytest.mark.parametrize("page", [page for page in PAGES if NEEDS[page] == "a database"])
async def test_a_page_that_needs_a_database(page: str, postgres: TestPostgres) -> None:
    name = await postgres.empty_database()
    at = postgres.connect_to(name)
    place_of_it = urlencode({"host": at["host"], "port": at["port"]})
    shown = {
        SPRINGLINE_PORT: str(free_port()),
        SANDBOX_PORT: str(free_port()),
        SHOWN_DATABASE: f"postgresql://{at['user']}@/{name}?{place_of_it}",
    }
    settings = {"SPRINGLINE_PORT": shown[SPRINGLINE_PORT]}
    try:
        async with place() as made:
            made.data_dir.mkdir()
            async with at_a_shell(made, data_dir=made.data_dir, settings=settings, shown=shown) as somebody:
                for block in blocks(ROOT / page):
                    await somebody.follow(block)
    finally:
        await postgres.drop_database(name)


def test_every_page_says_what_it_needs_in_words_that_are_known() -> None:
    assert set(NEEDS.values()) <= {"", "a server", "a database"}


@pytest.mark.parametrize(
    ("shown", "printed", "is_as_shown"),
    [
        (["a  7 ms", "...", "z…"], "a 93 ms\nb\nc\nzebra\n", True),
        (["records  390"], "records 389\n", False),
        (["a"], "a\nb\n", False),
        ([], "a\n", False),
    ],
)
def test_an_output_that_is_not_as_shown_is_noticed(shown: list[str], printed: str, is_as_shown: bool) -> None:
    assert (difference(shown, printed) is None) == is_as_shown
