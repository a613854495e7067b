"""The commands of three in the morning: why, explain, holds, history, events, pending, dead letters, backfills."""

import json
import urllib.request
from typing import Any

import pytest
from tests.cli.conftest import CUSTOMERS, Cli
from tests.support.serving import Served, eventually

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


def backfilled(cli: Cli, stream: str) -> Any:
    """A sync of customers into a stream of its own."""
    cli.ok("streams", "create", stream)
    arguments = ("--provider", "stripe", "--stream", stream, "--collection", "customer", "--stripe-key", "env")
    sync = cli.value("syncs", "create", *arguments, "--name", f"sync of {stream}")

    def look() -> Any:
        found = cli.value("syncs", "show", sync["id"])
        return found if found["initial_backfill_completed_at"] else None

    return eventually(look)


def test_why_and_explain(cli: Cli) -> None:
    sync = backfilled(cli, "why")
    said = cli.ok("syncs", "why", sync["name"])
    assert said.startswith(f"{sync['name']} (stripe): worker ")
    assert "\nstripe:customer  " in said
    assert "\nquota  " in said
    table = said[said.index("\nat ") :].splitlines()[1:]
    assert table[0].split() == ["at", "purpose", "request", "status", "ms", "waited", "ms", "request", "id"]
    assert 1 <= len(table[1:]) <= 10
    assert "GET /v1/" in table[1]
    assert "GET /v1/" not in cli.ok("syncs", "why", sync["id"], "--requests", "0")
    explained = json.loads(cli.ok("syncs", "explain", sync["id"]))
    assert explained["sync_id"] == sync["id"]
    assert {request["purpose"] for request in explained["requests"]} >= {"backfill", "poll"}
    assert {request["work"] for request in explained["requests"]} >= {"backfill:stripe:customer", "feed"}
    assert all("?" not in request["path"] for request in explained["requests"])
    assert cli.value("syncs", "why", sync["id"])["sync_id"] == sync["id"]
    assert "there is no sync 'nobody'" in cli.fails("syncs", "why", "nobody")
    assert "no sync has the id" in cli.fails("syncs", "why", UNKNOWN_ID)
    cli.ok("syncs", "disable", sync["id"])
    assert "waits for disabled, since " in cli.ok("syncs", "why", sync["id"])
    cli.ok("syncs", "enable", sync["id"])


def test_a_server_that_is_not_there(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGLINE_URL", "http://127.0.0.1:1")
    assert "nothing listens there" in cli.fails("syncs", "why", "anything")


def test_holds(cli: Cli) -> None:
    sync = backfilled(cli, "holds")
    assert cli.ok("syncs", "holds", sync["id"]) == ""
    assert cli.value("syncs", "holds", sync["id"], "--all") == {"data": [], "next_cursor": None}
    assert "no hold has the id" in cli.fails("syncs", "hold", "discard", sync["id"], UNKNOWN_ID, "--yes")
    assert "Say --yes" in cli.fails("syncs", "hold", "apply", sync["id"], UNKNOWN_ID, code=2)


def test_events_and_the_history_of_a_record(cli: Cli) -> None:
    backfilled(cli, "happened")
    listed = cli.ok("events", "list", "--stream", "happened", "--limit", "3").splitlines()
    assert listed[0].split() == ["at", "idx", "event", "collection", "id", "found", "by", "changed"]
    assert len(listed) == 4
    assert all(" created " in line and " backfill" in line for line in listed[1:])
    page = cli.value("events", "list", "--stream", "happened", "--collection", "stripe:customer")
    assert len(page["events"]) == CUSTOMERS
    cursor = ("--after-cursor", page["cursor"])
    again = cli.value("events", "list", "--stream", "happened", "--collection", "stripe:customer", *cursor)
    assert again == {"events": [], "cursor": page["cursor"]}
    assert "other filters" in cli.fails("events", "list", "--stream", "happened", *cursor)
    record = page["events"][0]["id"]
    (event,) = cli.value("records", "history", record)["data"]
    assert event == page["events"][0]
    assert " created " in cli.ok("records", "history", record)
    shown = cli.ok("records", "show", record)
    assert f"id           {record}" in shown
    assert cli.value("records", "show", record)["id"] == record
    assert "no record has the id" in cli.fails("records", "history", UNKNOWN_ID)


def test_pending_and_dead_letters(cli: Cli) -> None:
    backfilled(cli, "letters")
    cli.ok("consumers", "create", "--stream", "letters", "--name", "reader", "--max-ack-pending", "2")
    (message,) = cli.value("consumers", "next", "reader")["data"]
    cli.ok("consumers", "next", "reader", "--batch-size", "5")
    pending = cli.value("consumers", "pending", "reader")
    assert (len(pending["data"]), pending["info"]["stopped"]) == (2, True)
    assert message["record"]["id"] in cli.ok("consumers", "pending", "reader")
    given_up = cli.ok("consumers", "term", "reader", message["ack_token"], "--reason", "no such address")
    assert given_up == "gave up 1\n"
    table = cli.ok("consumers", "dead-letters", "reader").splitlines()
    assert len(table) == 2
    assert "no such address" in table[1]
    (letter,) = cli.value("consumers", "dead-letters", "reader")["data"]
    assert letter["record_id"] == message["record"]["id"]
    assert "Say --yes" in cli.fails("consumers", "redrive", "reader", code=2)
    again = cli.ok("consumers", "redrive", "reader", "--record", letter["record_id"], "--yes")
    assert again == "delivering 1 again\n"
    assert cli.ok("consumers", "redrive", "reader", "--yes") == "delivering 0 again\n"
    (redriven,) = cli.value("consumers", "next", "reader")["data"]
    assert redriven["record"]["id"] == letter["record_id"]


def test_backfills_are_started_and_followed(cli: Cli, springline_server: Served) -> None:
    sync = backfilled(cli, "anew")
    (done,) = cli.value("syncs", "backfills", sync["id"])["data"]
    assert (done["number"], done["status"], done["records"]) == (1, "completed", CUSTOMERS)
    table = cli.ok("syncs", "backfill", sync["id"], "--collection", "customer").splitlines()
    assert table[0].split() == ["collection", "number", "status", "records", "last", "saved"]
    assert table[1].split()[:2] == ["stripe:customer", "2"]

    def is_completed() -> Any:
        (newest,) = cli.value("syncs", "backfills", sync["id"])["data"]
        return newest if newest["status"] == "completed" else None

    again = eventually(is_completed)
    assert (again["number"], again["records"]) == (2, CUSTOMERS)
    # Nothing had changed, so nothing is delivered again.
    assert cli.value("streams", "show", "anew")["head_idx"] == CUSTOMERS
    assert "no collection of this sync" in cli.fails("syncs", "backfill", sync["id"], "--collection", "plan")


def test_collections_of_a_credential(cli: Cli) -> None:
    sync = backfilled(cli, "seen")
    credential = sync["credential_id"]
    table = cli.ok("collections", "list", credential)
    assert "stripe:customer" in table
    assert cli.value("collections", "list", credential)["data"][0]["fields"]
    assert "status     succeeded" in cli.ok("collections", "refresh", credential)
    assert cli.value("collections", "refresh", credential)["status"] == "succeeded"


def test_a_record_is_read_again_at_once(cli: Cli, springline_server: Served) -> None:
    sync = backfilled(cli, "refreshed")
    (first, second) = cli.value("events", "list", "--stream", "refreshed", "--limit", "2")["events"]
    shown = cli.ok("records", "refresh", first["id"])
    assert f"id           {first['id']}" in shown
    # What no event reports is found as well.
    control = f"{springline_server.stripe_url}/_sandbox/stripe/objects/customer"
    body = json.dumps({"set": {"name": "refreshed"}, "events": False}).encode()
    change = urllib.request.Request(f"{control}/{first['upstream_id']}", data=body, method="POST")
    with urllib.request.urlopen(change) as response:
        assert response.status == 200
    refreshed = cli.value("records", "refresh", first["id"])
    assert (refreshed["data"]["name"], refreshed["deleted"]) == ("refreshed", False)
    assert refreshed["updated_idx"] > second["updated_idx"]
    remove = urllib.request.Request(f"{control}/{second['upstream_id']}?events=false", method="DELETE")
    with urllib.request.urlopen(remove) as response:
        assert response.status == 200
    assert cli.value("records", "refresh", second["id"])["deleted_reason"] == "upstream"
    explained = json.loads(cli.ok("syncs", "explain", sync["id"]))
    assert "refresh" in {request["work"] for request in explained["requests"]}
    assert "no record has the id" in cli.fails("records", "refresh", UNKNOWN_ID)
    cli.ok("syncs", "disable", sync["id"])
    assert "is disabled; set its status to `active`" in cli.fails("records", "refresh", first["id"])
