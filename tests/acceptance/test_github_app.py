"""A GitHub App from its key to records, with real processes; what it is let in with never leaves (I8, I9)."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.acceptance.test_secrets_stay_inside import Listener
from tests.support.hub_side import app_key, app_pem
from tests.support.postgres import TestPostgres
from tests.support.processes import Place
from tests.support.waiting import until

from springline.sandbox.github.server import RunningSandbox, start_sandbox
from springline.store.database import Database

API_TOKEN: Final = "canary-api-token-0123456789"
SECRET_KEY: Final = urlsafe_b64encode(b"canary-secret-key-of-32-bytes-!!").decode().rstrip("=")
CLIENT_SECRET: Final = "canary-client-secret"
APP: Final = 12_345
INSTALLATION: Final = 77


@pytest.fixture
async def github() -> AsyncIterator[RunningSandbox]:
    """An organisation with two repositories, and an app that is installed there."""
    running = await start_sandbox(seed=7)
    try:
        async with aiohttp.ClientSession() as session:
            await set_up(session, running)
        yield running
    finally:
        await running.close()


async def set_up(session: aiohttp.ClientSession, running: RunningSandbox) -> None:
    await control(session, running, "seed", {"collection": "repository", "count": 2})
    pem = app_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    await control(session, running, "apps", {"id": APP, "public_key": pem})
    await install(session, running)


async def control(session: aiohttp.ClientSession, github: RunningSandbox, path: str, body: Any) -> None:
    async with session.post(f"{github.control_url}/{path}", json=body) as response:
        assert response.status == 200, await response.text()


async def install(session: aiohttp.ClientSession, github: RunningSandbox, **more: Any) -> None:
    await control(session, github, f"apps/{APP}/installations", {"id": INSTALLATION, **more})


def minted(github: RunningSandbox) -> list[str]:
    return [text for text, token in github.sandbox.tokens.tokens.items() if token.installation_id == INSTALLATION]


def settings(github: RunningSandbox) -> dict[str, str]:
    return {
        "SPRINGLINE_GITHUB_BASE_URL": github.url,
        "SPRINGLINE_API_TOKEN": API_TOKEN,
        "SPRINGLINE_SECRET_KEY": SECRET_KEY,
        "SPRINGLINE_LOG_LEVEL": "debug",
    }


async def connect(client: Listener) -> tuple[dict[str, Any], dict[str, Any]]:
    """An app with its installation, and a sync of what it sees."""
    app = {"provider": "github", "name": "ours", "client_id": "Iv1.ours", "client_secret": CLIENT_SECRET}
    app_id = (await client.post("/v1/oauth-apps", {**app, "app_id": APP, "private_key": app_pem()})).expect(201)["id"]
    credential = (
        await client.post(
            "/v1/credentials",
            {"properties": {"kind": "github_app", "installation_id": INSTALLATION}, "oauth_app_id": app_id},
        )
    ).expect(201)
    stream = await client.stream()
    sync = await client.sync(
        provider="github",
        stream_id=stream["id"],
        credential_id=credential["id"],
        collection_ids=["github:repository", "github:organization"],
        rate_limit={"allowed_requests": 100, "interval": 1},
    )
    return credential, sync


async def shown(client: Listener, sync: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = (await client.get(f"/v1/syncs/{sync['id']}")).expect(200)
    return value


async def test_from_the_key_to_a_record(place: Place, github: RunningSandbox) -> None:
    server = await (await place.start(settings=settings(github))).until_ready()
    async with aiohttp.ClientSession() as session:
        client = Listener(session, server.url, API_TOKEN)
        credential, sync = await connect(client)
        # Whose account it is was learnt: the organisation's own record is read by its name.
        assert credential["properties"]["account_type"] == "Organization"

        async def is_backfilled() -> bool:
            return (await shown(client, sync))["initial_backfill_completed_at"] is not None

        await until(is_backfilled, within_seconds=30, what="a completed backfill")
        records = (await client.get("/v1/records", stream_id=sync["stream_id"])).expect(200)["records"]
        found = sorted(record["collection_id"] for record in records)
        assert found == ["github:organization", "github:repository", "github:repository"]
        # The token that the credential was tried with served all of it.
        assert len(minted(github)) == 1

        # Suspended: GitHub refuses the token, then another; health says whose turn it is.
        await install(session, github, suspended=True)

        async def is_dead() -> bool:
            return bool((await shown(client, sync))["health"]["credential"]["status"] == "error")

        await until(is_dead, within_seconds=90, what="an error of the credential")
        (note,) = (await shown(client, sync))["health"]["credential"]["notes"]
        assert "suspended" in note
        assert "not suspended" in note
        assert (await client.get(f"/v1/credentials/{credential['id']}")).expect(200)["health"]["status"] == "error"

        await install(session, github)

        async def is_well() -> bool:
            return bool((await shown(client, sync))["health"]["status"] == "healthy")

        await until(is_well, within_seconds=60, what="a sync that goes on")
        (await client.get("/v1/oauth-apps")).expect(200)
        answers = b"\n".join(client.bodies)
        tokens = minted(github)
    await server.terminate()
    files = [file for file in place.folder.rglob("*") if file.is_file()]
    pem = app_pem().splitlines()[5]
    for canary in (*tokens, pem, CLIENT_SECRET, API_TOKEN, SECRET_KEY, "canary", "eyJ"):
        assert canary not in server.out + server.err, canary
        assert canary.encode() not in answers, canary
        assert not [file for file in files if canary.encode() in file.read_bytes() and canary != "eyJ"], canary


async def test_a_killed_server_goes_on_with_the_token_that_it_stored(place: Place, github: RunningSandbox) -> None:
    server = await (await place.start(settings=settings(github))).until_ready()
    async with aiohttp.ClientSession() as session:
        client = Listener(session, server.url, API_TOKEN)
        _, sync = await connect(client)
        await until_requested(client, sync)
        assert len(minted(github)) == 1
        await server.kill()
        await control(session, github, "seed", {"collection": "repository", "count": 1})
        again = await (await place.start(settings=settings(github))).until_ready()
        client = Listener(session, again.url, API_TOKEN)

        async def has_all() -> bool:
            page = (await client.get("/v1/records", stream_id=sync["stream_id"])).expect(200)
            return len([each for each in page["records"] if each["collection_id"] == "github:repository"]) == 3

        await until(has_all, within_seconds=90, what="the new repository")
        assert len(minted(github)) == 1
        await again.terminate()


async def until_requested(client: Listener, sync: dict[str, Any]) -> None:
    async def has_some() -> bool:
        return bool((await client.get("/v1/records", stream_id=sync["stream_id"])).expect(200)["records"])

    await until(has_some, within_seconds=30, what="a first record")


async def test_two_servers_renew_a_token_once_ahead_of_its_end(
    place: Place, github: RunningSandbox, postgres: TestPostgres, database: Database
) -> None:
    name = await database.fetch_value("SELECT current_database()")
    at = dict(postgres.connect_to(name))
    query = urlencode({key: at[key] for key in ("host", "port", "user")})
    chosen = {**settings(github), "SPRINGLINE_DATABASE_URL": f"postgresql:///{name}?{query}&sslmode=disable"}
    server = await (await place.start(settings=chosen)).until_ready()
    worker = await place.start("worker", settings={**chosen, "SPRINGLINE_METRICS_PORT": "0"})
    async with aiohttp.ClientSession() as session:
        client = Listener(session, server.url, API_TOKEN)
        _, sync = await connect(client)
        await until_requested(client, sync)
        # So it is 56 minutes later.
        await database.execute(
            """UPDATE grants SET obtained_at = obtained_at - interval '56 minutes',
            expires_at = expires_at - interval '56 minutes', renew_at = renew_at - interval '56 minutes'"""
        )
        await until(lambda: len(minted(github)) == 2, within_seconds=40, what="a second token")
        await until(lambda: "maintenance.done" in server.err + worker.err, within_seconds=10, what="a round that ends")
    await server.terminate()
    await worker.terminate()
    assert len(minted(github)) == 2
    assert "grants.failed" not in server.err + worker.err
