"""The client commands against a running server: what they do, print and refuse."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CUSTOMERS, Cli
from tests.support.hub_side import app_pem
from tests.support.serving import STRIPE_KEY, Served, eventually

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


def raw(served: Served, path: str) -> bytes:
    request = urllib.request.Request(f"{served.url}{path}", headers={"Authorization": f"Bearer {served.token}"})
    with urllib.request.urlopen(request) as response:
        body: bytes = response.read()
        return body


def make_sync(cli: Cli, stream: str, *more: str) -> Any:
    cli.ok("streams", "create", stream)
    arguments = ("--provider", "stripe", "--stream", stream, "--collection", "customer", "--stripe-key", "env")
    return cli.value("syncs", "create", *arguments, "--name", f"sync of {stream}", *more)


def backfilled(cli: Cli, sync: str) -> Any:
    def look() -> Any:
        found = cli.value("syncs", "show", sync)
        return found if found["initial_backfill_completed_at"] else None

    return eventually(look)


def test_a_streams_life(cli: Cli, springline_server: Served) -> None:
    made = cli.ok("streams", "create", "life", "--tombstone-days", "3")
    assert "slug        life" in made
    assert "tombstones  3 days" in made
    shown = cli.value("streams", "show", "life")
    assert cli.ok("streams", "show", shown["id"], "--json").encode() == (
        raw(springline_server, f"/v1/streams/{shown['id']}") + b"\n"
    )
    assert cli.ok("streams", "list", "--json").encode() == raw(springline_server, "/v1/streams") + b"\n"
    table = cli.ok("streams", "list").splitlines()
    assert table[0].split() == ["slug", "records", "syncs", "consumers", "created", "id"]
    assert any(line.startswith("life ") and line.endswith(shown["id"]) for line in table)
    assert "slug        lives" in cli.ok("streams", "update", "life", "--slug", "lives")
    assert cli.ok("streams", "delete", "lives", "--yes") == "deleted the stream lives\n"
    assert "no stream has the id" in cli.fails("streams", "show", shown["id"])


def test_wrong_streams_are_refused_with_the_way_out(cli: Cli) -> None:
    cli.ok("streams", "create", "orders")
    assert cli.fails("streams", "show", "order") == "error: there is no stream 'order': did you mean 'orders'?\n"
    assert "there is no stream 'zzz'" in cli.fails("streams", "show", "zzz")
    assert "has the slug 'orders'; choose another" in cli.fails("streams", "create", "orders")
    assert "slug must be 1 to 63 characters" in cli.fails("streams", "create", "Orders!")
    assert UNKNOWN_ID in cli.fails("streams", "update", UNKNOWN_ID, "--slug", "x")
    assert "Say --yes" in cli.fails("streams", "delete", "orders", code=2)
    cli.ok("streams", "delete", "orders", "-y")


def test_a_wrong_token_names_where_it_comes_from(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGLINE_API_TOKEN", "not-a-token-of-this-server")
    err = cli.fails("streams", "list")
    assert "does not know the token from SPRINGLINE_API_TOKEN: set it to one of that server's" in err
    assert "not-a-token" not in err


def test_a_wrong_address_is_recognised(cli: Cli, monkeypatch: pytest.MonkeyPatch, springline_server: Served) -> None:
    monkeypatch.setenv("SPRINGLINE_URL", springline_server.stripe_url)
    monkeypatch.setenv("SPRINGLINE_API_TOKEN", "sk_test_0123456789")
    assert "is not Springline's API" in cli.fails("streams", "list")


def test_providers(cli: Cli, springline_server: Served) -> None:
    table = cli.ok("providers", "list")
    assert "stripe" in table
    shown = cli.ok("providers", "show", "stripe")
    assert "stripe:customer" in shown
    assert "stripe_key" in shown
    assert cli.ok("providers", "show", "stripe", "--json").encode() == (
        raw(springline_server, "/v1/providers/stripe") + b"\n"
    )
    assert "there are: stripe" in cli.fails("providers", "show", "strip")


def test_workers(cli: Cli, springline_server: Served) -> None:
    header, row, *others = cli.ok("workers", "list").splitlines()
    assert header.split() == ["number", "status", "host", "process", "since", "lease", "until", "credentials", "syncs"]
    # The server answers, and works too.
    number, status, *_ = row.split()
    assert (number[-1], status, others) == ("*", "live", [])
    (worker,) = json.loads(cli.ok("workers", "list", "--json"))["data"]
    assert worker["is_this_process"]


def test_a_credentials_life(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_KEY", "sk_test_life")
    made = cli.value("credentials", "create", "--kind", "stripe_key", "--secret-from-env", "MY_KEY", "--name", "life")
    assert "sk_test_life" not in json.dumps(made)
    (tmp_path / "key").write_text("sk_test_life\n")
    again = cli.value("credentials", "create", "--kind", "stripe_key", "--secret-file", str(tmp_path / "key"))
    assert again["id"] == made["id"]
    shown = cli.ok("credentials", "show", "life")
    assert "kind        stripe_key" in shown
    assert "sk_test_life" not in shown
    assert "life" in cli.ok("credentials", "list", "--provider", "stripe")
    changed = cli.value("credentials", "update", "life", "--name", "new life", "--metadata", '{"plan": "gold"}')
    assert (changed["name"], changed["metadata"]) == ("new life", {"plan": "gold"})
    assert cli.ok("credentials", "delete", "new life", "--yes") == "deleted the credential new life\n"
    assert "there is no credential 'new life'" in cli.fails("credentials", "show", "new life")


def test_an_oauth_apps_life(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pem = tmp_path / "app.pem"
    pem.write_text(app_pem())
    monkeypatch.setenv("APP_SECRET", "canary-app-secret")
    create = ("oauth-apps", "create", "--provider", "github", "--client-id", "Iv1.x", "--app-id", "4711")
    made = cli.value(*create, "--name", "app", "--private-key", f"@{pem}", "--redirect-uri", "https://us.example/back")
    assert (made["app_id"], made["client_secret"], made["redirect_uris"]) == (4711, None, ["https://us.example/back"])
    shown = cli.ok("oauth-apps", "show", "app")
    assert "private key    ************" in shown
    assert app_pem().splitlines()[1] not in shown
    header, row = cli.ok("oauth-apps", "list", "--provider", "github").splitlines()
    assert header.split()[:2] == ["name", "provider"]
    assert row.split()[:4] == ["app", "github", "Iv1.x", "ok"]
    changed = cli.value("oauth-apps", "update", "app", "--client-secret", "env:APP_SECRET", "--name", "new app")
    assert set(changed["client_secret"]) == {"*"}
    monkeypatch.setenv("APP_KEY", app_pem().replace("\n", "\\n"))
    cli.ok("oauth-apps", "update", "new app", "--private-key", "env:APP_KEY")
    installation = ("credentials", "create", "--kind", "github_app", "--property", "installation_id=17", "--no-verify")
    assert "needs the OAuth app" in cli.fails(*installation, code=2)
    credential = cli.value(*installation, "--oauth-app", "new app", "--name", "installed")
    assert (credential["oauth_app_id"], credential["properties"]["installation_id"]) == (made["id"], 17)
    assert "credentials were made with" in cli.fails("oauth-apps", "delete", "new app", "--yes")
    cli.ok("credentials", "delete", "installed", "--yes")
    assert cli.ok("oauth-apps", "delete", "new app", "--yes") == "deleted the OAuth app new app\n"
    assert "there is no OAuth app 'new app'" in cli.fails("oauth-apps", "show", "new app")


def test_wrong_oauth_apps_are_refused(cli: Cli, tmp_path: Path) -> None:
    create = ("oauth-apps", "create", "--provider", "github", "--client-id", "Iv1.x", "--name", "wrong")
    assert "client_secret is required, or else app_id and private_key" in cli.fails(*create)
    (tmp_path / "no.pem").write_text("canary")
    err = cli.fails(*create, "--app-id", "1", "--private-key", f"@{tmp_path}/no.pem")
    assert "private_key is no private key in PEM" in err
    assert "canary" not in err
    assert "write @app.pem" in cli.fails(*create, "--app-id", "1", "--private-key", "app.pem")
    assert "name a file as @FILE" in cli.fails(*create, "--app-id", "1", "--private-key", app_pem())
    assert "nothing to change" in cli.fails("oauth-apps", "update", "wrong", code=2)


def test_wrong_credentials_are_refused_without_showing_the_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "HUNTER22")
    create = ("credentials", "create", "--kind")
    assert "did you mean 'stripe_key'?" in cli.fails(*create, "stripe_kee", "--secret-from-env", "MY_KEY")
    assert "environment variable NONE holds no secret" in cli.fails(*create, "stripe_key", "--secret-from-env", "NONE")
    assert "there is no terminal to ask" in cli.fails(*create, "stripe_key")
    refused = cli.fails(*create, "stripe_key", "--property", "secret=HUNTER22", code=2)
    assert "secret is a secret, and a command line is visible to others" in refused
    assert "has no field 'sekret'" in cli.fails(*create, "stripe_key", "--property", "sekret=1", code=2)
    assert "is not true or false" in cli.fails(*create, "stripe_key", "--property", "test=maybe", code=2)
    assert "write NAME=VALUE" in cli.fails(*create, "stripe_key", "--property", "test", code=2)
    dead = cli.fails(*create, "stripe_key", "--secret-from-env", "MY_KEY")
    assert dead.startswith("error: ")
    assert "HUNTER22" not in dead + refused


def test_a_syncs_life(cli: Cli, springline_server: Served) -> None:
    made = make_sync(cli, "syncing", "--rate-limit", "20/1s", "--metadata", '{"plan": "gold"}', "--external-id", "e1")
    assert made["collection_ids"] == ["stripe:customer"]
    assert made["rate_limit"]["allowed_requests"] == 20
    name = "sync of syncing"
    done = backfilled(cli, name)
    assert cli.value("syncs", "show", made["id"])["id"] == done["id"]
    shown = cli.ok("syncs", "show", name)
    assert "20 requests in any 1 s" in shown
    assert "stripe:customer" in shown
    assert STRIPE_KEY not in shown
    row = next(line for line in cli.ok("syncs", "list", "--stream", "syncing").splitlines() if name in line)
    assert made["id"] in row
    assert "syncing" in row

    added = cli.value("syncs", "update", name, "--add-collection", "product", "--add-collection", "stripe:plan")
    assert added["collection_ids"] == ["stripe:customer", "stripe:product", "stripe:plan"]
    removed = cli.value("syncs", "update", name, "--remove-collection", "plan", "--external-id", "e2")
    assert removed["collection_ids"] == ["stripe:customer", "stripe:product"]
    assert removed["external_id"] == "e2"
    assert cli.value("syncs", "update", name, "--max-age-days", "30")["max_age_days"] == 30
    assert cli.value("syncs", "update", name, "--max-age-days", "none")["max_age_days"] is None
    assert cli.value("syncs", "disable", name)["status"] == "disabled"
    assert cli.value("syncs", "enable", name)["status"] == "active"

    assert "delete them first" in cli.fails("streams", "delete", "syncing", "--yes")
    assert "delete them first" in cli.fails("credentials", "delete", made["credential_id"], "--yes")
    assert cli.ok("syncs", "delete", name, "--yes") == f"deleted the sync {name}\n"
    assert "there is no sync" in cli.fails("syncs", "show", name)


def test_wrong_syncs_are_refused_with_the_way_out(cli: Cli) -> None:
    cli.ok("streams", "create", "wrong")
    create = ("syncs", "create", "--stripe-key", "env", "--stream")
    unknown = cli.fails(*create, "wrong", "--provider", "stripe", "--collection", "custmer")
    assert "stripe:customer" in unknown
    assert "there is no stream 'wrnog': did you mean 'wrong'?" in cli.fails(
        *create, "wrnog", "--provider", "stripe", "--collection", "customer"
    )
    several = cli.fails(
        *create, "wrong", "--provider", "stripe", "--collection", "custmer", "--sync-frequency", "often"
    )
    assert several.startswith("error: the server refuses this:\n  ")
    assert len(several.splitlines()) == 3
    literal = cli.fails(
        *("syncs", "create", "--stream", "wrong", "--provider", "stripe", "--collection", "custmer"),
        *("--stripe-key", "sk_test_HUNTER22"),
    )
    assert "seen in the process list" in literal
    assert "HUNTER22" not in literal


def test_a_consumers_life(cli: Cli) -> None:
    sync = make_sync(cli, "consumed")
    backfilled(cli, sync["id"])
    made = cli.value(
        *("consumers", "create", "--stream", "consumed", "--name", "reader", "--ack-wait", "10s"),
        *("--collection", "stripe:customer", "--sync", "sync of consumed", "--max-ack-pending", "100"),
    )
    assert made["ack_wait_ms"] == 10_000
    assert made["filters"]["sync_id"] == sync["id"]
    assert "ack wait      10 s" in cli.ok("consumers", "show", "reader")
    assert made["id"] in cli.ok("consumers", "list", "--stream", "consumed")

    received = cli.value("consumers", "next", "reader", "--batch-size", "5", "--wait-for", "10s")
    tokens = [message["ack_token"] for message in received["data"]]
    assert len(tokens) == 5
    assert cli.ok("consumers", "extend", "reader", *tokens) == "extended 5\n"
    assert cli.ok("consumers", "ack", "reader", *tokens[:3]) == "acknowledged 3\n"
    out, err = cli.said(lambda: cli_run("consumers", "ack", "reader", *tokens[2:4]))
    assert out == "acknowledged 1 of 2\n"
    assert "1 of 2 ack tokens are stale" in err
    assert cli.ok("consumers", "nack", "reader", tokens[4], "--delay", "10ms") == "gave back 1\n"

    def the_rest() -> list[str] | None:
        lines = cli.ok("consumers", "next", "reader", "--batch-size", "100", "--ack").splitlines()
        seen.extend(line.split()[3] for line in lines[1:])
        return seen if len(seen) == CUSTOMERS - 4 else None

    seen: list[str] = []
    assert len(set(eventually(the_rest))) == CUSTOMERS - 4
    out, err = cli.said(lambda: cli_run("consumers", "next", "reader"))
    assert out == ""
    assert "there is nothing to deliver now" in err

    assert (
        cli.ok("consumers", "reset", "reader", "--to", "beginning", "-y") == "moved the consumer reader to beginning\n"
    )
    table = cli.ok("consumers", "next", "reader", "--wait-for", "5s")
    assert table.splitlines()[0].split() == ["ack", "token", "idx", "collection", "id", "delivery", "data"]
    changed = cli.value("consumers", "update", "reader", "--provider", "stripe", "--sync", "*", "--status", "paused")
    assert changed["filters"] == {"provider": "stripe", "sync_id": "*", "collection_id": "stripe:customer"}
    assert changed["status"] == "paused"
    assert cli.ok("consumers", "delete", "reader", "-y") == "deleted the consumer reader\n"
    assert "there is no consumer 'reader'" in cli.fails("consumers", "show", "reader")


def test_wrong_consumers_are_refused_with_the_way_out(cli: Cli) -> None:
    cli.ok("streams", "create", "unread")
    create = ("consumers", "create", "--stream")
    assert "there is no stream" in cli.fails(*create, "unraed")
    assert "deliver_policy" in cli.fails(*create, "unread", "--deliver-policy", "some")
    assert "there is no sync" in cli.fails(*create, "unread", "--sync", "none of these")
    cli.ok(*create, "unread", "--name", "twin")
    cli.ok(*create, "unread", "--name", "twin")
    assert "2 consumers are called 'twin': say which by its id" in cli.fails("consumers", "show", "twin")
    assert UNKNOWN_ID in cli.fails("consumers", "next", UNKNOWN_ID)


def cli_run(*arguments: str) -> None:
    from springline.cli.main import run

    assert run(arguments) == 0
