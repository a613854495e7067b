"""The API over HTTP, as a client sees it."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from tests.support.providers import DESK, HUB

from springline.api.app import create_app
from springline.api.server import HttpServer, bind
from springline.api.services import Services
from springline.engine.connect import CredentialCheck
from springline.engine.fetch import HttpClient
from springline.providers.registry import PROVIDERS
from springline.store.database import Database
from springline.store.organisations import OrganisationStore
from springline.store.secrets import SecretBox

SECRET_KEY = bytes(range(32))
KEY = "sk_test_springline"

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.value["code"]
        return code

    @property
    def fields(self) -> dict[str, list[str]]:
        fields: dict[str, list[str]] = self.value["fields"]
        return fields

    def expect(self, status: int) -> Any:
        """The body's value; fails unless the status is this one."""
        assert self.status == status, f"{self.status}: {self.body[:500]!r}"
        return self.value if self.body else None


class Client:
    """Requests in one organisation's name."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None) -> None:
        self.session = session
        self.url = url
        self.token = token

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """`body` is sent as JSON, `data` as it is."""
        sent = dict(headers or {})
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            data = json.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        suffix = f"?{urlencode(query)}" if query else ""
        async with self.session.request(
            method, f"{self.url}{path}{suffix}", data=data, headers=sent, allow_redirects=False
        ) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def get(self, path: str, **query: Any) -> Reply:
        return await self.request("GET", path, query=query)

    async def post(self, path: str, body: Any, **query: Any) -> Reply:
        return await self.request("POST", path, body, query=query)

    async def patch(self, path: str, body: Any, **query: Any) -> Reply:
        return await self.request("PATCH", path, body, query=query)

    async def delete(self, path: str, **query: Any) -> Reply:
        return await self.request("DELETE", path, query=query)

    async def stream(self, slug: str | None = None, **fields: Any) -> dict[str, Any]:
        slug = slug or f"stream-{next(_NUMBERS)}"
        made: dict[str, Any] = (await self.post("/v1/streams", {"slug": slug, **fields})).expect(201)
        return made

    async def credential(self, secret: str = KEY, **fields: Any) -> dict[str, Any]:
        """A credential that nobody was asked about."""
        body = {"properties": {"kind": "stripe_key", "secret": secret}, **fields}
        made: dict[str, Any] = (await self.post("/v1/credentials", body, verify="false")).expect(201)
        return made

    async def oauth_app(self, **fields: Any) -> dict[str, Any]:
        body = {"provider": "stripe", "name": "app", "client_id": "ca_1", "client_secret": "sk_test_app", **fields}
        made: dict[str, Any] = (await self.post("/v1/oauth-apps", body)).expect(201)
        return made

    async def sync(self, **fields: Any) -> dict[str, Any]:
        """A sync of customers; without a stream or a credential it gets its own."""
        if "stream_id" not in fields:
            fields["stream_id"] = (await self.stream())["id"]
        if "credential_id" not in fields and "credential" not in fields:
            fields["credential_id"] = (await self.credential())["id"]
        body = {"provider": "stripe", "name": "Acme", "collection_ids": ["stripe:customer"], **fields}
        made: dict[str, Any] = (await self.post("/v1/syncs", body)).expect(201)
        return made

    async def another_sync(self, **fields: Any) -> dict[str, Any]:
        """A sync with a credential of its own, however many there are."""
        return await self.sync(**fields, credential_id=(await self.credential(f"{KEY}_{next(_NUMBERS)}"))["id"])

    async def consumer(self, **fields: Any) -> dict[str, Any]:
        if "stream_id" not in fields:
            fields["stream_id"] = (await self.stream())["id"]
        made: dict[str, Any] = (await self.post("/v1/http-consumers", fields)).expect(201)
        return made


@dataclass
class RunningApi:
    """The API with two organisations, and how often it woke others."""

    services: Services
    ours: Client
    theirs: Client
    nobody: Client
    woken: dict[str, int] = field(default_factory=lambda: {"syncs": 0, "maintenance": 0})


@asynccontextmanager
async def running_api(database: Database, *, stripe_url: str, hub_url: str | None = None) -> AsyncIterator[RunningApi]:
    """Serves the API on a free port. Stripe is at `stripe_url`; Desk is where nobody listens; Hub is there only
    where it is said where."""
    client = HttpClient.open()
    base_urls = {"stripe": stripe_url, "desk": "http://127.0.0.1:1", "hub": hub_url or ""}
    woken = {"syncs": 0, "maintenance": 0}

    def wake(whom: str) -> None:
        woken[whom] += 1

    services = Services.over(
        database,
        providers={**PROVIDERS, "desk": DESK, **({"hub": HUB} if hub_url else {})},
        secrets=SecretBox([SECRET_KEY]),
        verify_credential=CredentialCheck(client, base_url_of=lambda provider: base_urls[provider.name]),
        wake_syncs=lambda: wake("syncs"),
        wake_maintenance=lambda: wake("maintenance"),
    )
    listener = bind("127.0.0.1", 0)
    server = HttpServer(create_app(services), listener)
    organisations = OrganisationStore(database)
    _, our_token = await organisations.create("ours")
    _, their_token = await organisations.create("theirs")
    await server.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession() as session:
            yield RunningApi(
                services,
                Client(session, url, our_token.reveal()),
                Client(session, url, their_token.reveal()),
                Client(session, url, None),
                woken,
            )
    finally:
        await server.stop()
        await client.close()
