"""`springline tail` as a real process: what it prints, how it ends, and that a server may restart meanwhile."""

import json
import shutil
import signal
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import CUSTOMERS, Cli
from tests.support.serving import STRIPE_KEY, Process, Served, environment, eventually, running


def change_a_customer(stripe_url: str, name: str) -> str:
    """Changes the newest customer and returns its id."""
    headers = {"Authorization": f"Bearer {STRIPE_KEY}"}
    request = urllib.request.Request(f"{stripe_url}/v1/customers?limit=1", headers=headers)
    with urllib.request.urlopen(request) as response:
        customer_id: str = json.load(response)["data"][0]["id"]
    form = urllib.parse.urlencode({"name": name}).encode()
    request = urllib.request.Request(f"{stripe_url}/v1/customers/{customer_id}", data=form, headers=headers)
    with urllib.request.urlopen(request) as response:
        response.read()
    return customer_id


@pytest.fixture
def synced(cli: Cli) -> Iterator[str]:
    """A stream that holds every customer."""
    cli.ok("streams", "create", "tailed")
    arguments = ("--provider", "stripe", "--stream", "tailed", "--collection", "customer", "--collection", "product")
    cli.ok("syncs", "create", *arguments, "--stripe-key", "env", "--name", "tailed")
    eventually(lambda: cli.value("syncs", "show", "tailed")["initial_backfill_completed_at"])
    yield "tailed"
    cli.ok("syncs", "delete", "tailed", "--yes")
    eventually(lambda: True if cli_deleted(cli) else None)


def cli_deleted(cli: Cli) -> bool:
    """A stream can go once the records of its syncs have left it."""
    from springline.cli.main import run

    return cli.said(lambda: run(["streams", "delete", "tailed", "--yes"]))[0] != ""


def ended_by_ctrl_c(process: Process) -> None:
    assert process.stop(signal.SIGINT) == 130
    assert "Traceback" not in process.errors


def test_from_the_beginning_as_json(cli: Cli, synced: str, springline_server: Served) -> None:
    with running(
        "tail", synced, "--from", "beginning", "--collection", "stripe:customer", "--json", env=springline_server.env
    ) as tail:
        records = [json.loads(tail.line()) for _ in range(CUSTOMERS)]
        assert {record["collection_id"] for record in records} == {"stripe:customer"}
        assert len({record["upstream_id"] for record in records}) == CUSTOMERS
        customer_id = change_a_customer(springline_server.stripe_url, "Changed once")
        newest = json.loads(tail.line())
        assert (newest["upstream_id"], newest["data"]["name"]) == (customer_id, "Changed once")
        ended_by_ctrl_c(tail)


def test_from_now_for_people(cli: Cli, synced: str, springline_server: Served) -> None:
    with running("tail", synced, env=springline_server.env) as tail:
        eventually(lambda: "following tailed from now on" in tail.errors or None)
        for number, what in ((1, "written"), (2, "updated")):
            customer_id = change_a_customer(springline_server.stripe_url, f"Changed again {number}")
            line = tail.line("cus_")
            assert line.split()[3:6] == ["stripe:customer", customer_id, what]
            assert '"object": "customer"' in line
        ended_by_ctrl_c(tail)


def test_two_collections_and_an_unknown_stream(cli: Cli, synced: str, springline_server: Served) -> None:
    collections = ("--collection", "stripe:customer", "--collection", "stripe:product")
    with running("tail", synced, "--from", "beginning", *collections, "--json", env=springline_server.env) as tail:
        seen = {json.loads(tail.line())["collection_id"] for _ in range(CUSTOMERS + 1)}
        assert seen == {"stripe:customer", "stripe:product"}
        ended_by_ctrl_c(tail)
    assert cli.fails("tail", "taild") == "error: there is no stream 'taild': did you mean 'tailed'?\n"


def test_a_server_that_restarts_is_waited_for(springline_server: Served) -> None:
    data_dir = Path(tempfile.mkdtemp(prefix="springline-test-"))
    try:
        base = {
            "SPRINGLINE_DATA_DIR": str(data_dir),
            "SPRINGLINE_STRIPE_BASE_URL": springline_server.stripe_url,
        }
        with running("serve", "--port", "0", env=environment(**base)) as server:
            url = server.line("Springline is ready at").split()[-1]
            env = environment(**base, SPRINGLINE_URL=url, STRIPE_API_KEY=STRIPE_KEY)
            sync = "syncs create --provider stripe --stream lasting --collection customer --stripe-key env"
            for command in ("streams create lasting", sync):
                with running(*command.split(), env=env) as made:
                    assert made.wait(within=30) == 0, made.errors
            with running("tail", "lasting", "--from", "beginning", "--json", env=env) as tail:
                seen = {json.loads(tail.line())["id"] for _ in range(CUSTOMERS)}
                assert server.stop() == 0
                eventually(lambda: "waiting until it is back" in tail.errors or None)
                port = str(urllib.parse.urlsplit(url).port)
                with running("serve", "--port", port, env=environment(**base)) as again:
                    again.line("Springline is ready at")
                    eventually(lambda: "connected again" in tail.errors or None)
                    change_a_customer(springline_server.stripe_url, "Changed after the restart")
                    record = json.loads(tail.line("Changed after the restart"))
                    assert record["id"] in seen
                    assert tail.errors.count("waiting until it is back") == 1
                    ended_by_ctrl_c(tail)
    finally:
        shutil.rmtree(data_dir)
