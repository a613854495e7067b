"""What stops a start: one clear line, an exit code, and nothing left behind."""

import asyncio
import socket
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from tests.support.api import Client
from tests.support.processes import Place, assert_one_line, postgres_processes

PASSWORD: Final = "canarypassword"
KEY: Final = "A" * 43
OTHER_KEY: Final = "B" * 43
WRONG: Final = {
    "SPRINGLINE_PORT": "99999",
    "SPRINGLINE_HOST": "no host",
    "SPRINGLINE_LOG_LEVEL": "loud",
    "SPRINGLINE_LOG_FORMAT": "xml",
    "SPRINGLINE_LEASE_SECONDS": "0",
    "SPRINGLINE_SECRET_KEY": PASSWORD,
    "SPRINGLINE_API_TOKEN": f"{PASSWORD} {PASSWORD}",
    "SPRINGLINE_DATABASE_URL": f"mysql://me:{PASSWORD}@localhost/x",
    "SPRINGLINE_STRIPE_BASE_URL": f"https://me:{PASSWORD}@example.com",
    "SPRINGLINE_URL": "example.com",
}


async def test_wrong_settings_stop_the_start(place: Place) -> None:
    async def refused(name: str, value: str) -> None:
        ended = await place.run("serve", settings={"SPRINGLINE_PORT": "0", name: value})
        assert ended.code != 0, name
        assert ended.out == ""
        assert_one_line(ended.err, name)
        assert PASSWORD not in ended.err

    for chunk in (list(WRONG.items())[:5], list(WRONG.items())[5:]):
        await asyncio.gather(*(refused(name, value) for name, value in chunk))
    assert not place.data_dir.exists()


async def test_a_workers_port_that_is_taken_stops_its_start(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = await place.run("worker", settings={"SPRINGLINE_METRICS_PORT": port})
    assert ended.code != 0
    assert_one_line(ended.err, f"cannot listen on 127.0.0.1:{port}", "SPRINGLINE_METRICS_PORT")
    assert not place.data_dir.exists()


async def test_a_data_directory_that_cannot_be_one_stops_the_start(place: Place) -> None:
    file = place.folder / "file"
    file.write_text("mine")
    strange = place.folder / "strange"
    strange.mkdir()
    (strange / "letters.txt").write_text("mine")
    for path in (file, file / "below", strange):
        ended = await place.run(data_dir=path)
        assert ended.code != 0
        assert_one_line(ended.err, str(path), "SPRINGLINE_DATA_DIR")
    assert [each.name for each in strange.iterdir()] == ["letters.txt"]
    assert file.read_text() == "mine"


async def test_a_database_that_does_not_answer_stops_the_start(place: Place) -> None:
    closed = f"postgresql://me:{PASSWORD}@127.0.0.1:1/springline"
    unreadable = f"postgresql://me:{PASSWORD}#{PASSWORD}@127.0.0.1/springline"
    for url, words in ((closed, "127.0.0.1:1: Connection refused"), (unreadable, "percent-encode")):
        ended = await place.run(settings={"SPRINGLINE_DATABASE_URL": url})
        assert ended.code != 0
        assert_one_line(ended.err, words, "SPRINGLINE_DATABASE_URL")
        assert PASSWORD not in ended.err


async def test_a_wrong_secret_key_stops_the_start_once_there_are_secrets(place: Place) -> None:
    server = await (await place.start(settings={"SPRINGLINE_SECRET_KEY": KEY})).until_ready()
    async with aiohttp.ClientSession() as session:
        client = Client(session, server.url, server.token)
        credential = await client.credential("sk_test_kept")
    await server.terminate()

    for settings in ({"SPRINGLINE_SECRET_KEY": OTHER_KEY}, {}):  # another one, and one that would be made now
        ended = await place.run(settings=settings)
        assert ended.code != 0
        assert_one_line(ended.err, "SPRINGLINE_SECRET_KEY")
        assert not postgres_processes(place.data_dir)
    assert not (place.data_dir / "secret.key").exists()

    both = await (await place.start(settings={"SPRINGLINE_SECRET_KEY": f"{OTHER_KEY},{KEY}"})).until_ready()
    async with aiohttp.ClientSession() as session:
        client = Client(session, both.url, both.token)
        found = (await client.get(f"/v1/credentials/{credential['id']}")).expect(200)
        assert set(found["properties"]["secret"]) == {"*"}
    await both.terminate()


@pytest.mark.parametrize("command", ["worker", "migrate"])
async def test_other_commands_refuse_as_serve_does(place: Place, command: str) -> None:
    ended = await place.run(command, data_dir=Path(__file__))
    assert ended.code != 0
    assert_one_line(ended.err, "SPRINGLINE_DATA_DIR")
