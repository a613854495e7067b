"""Requests to a sandbox and its control API, for tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import aiohttp

from springline.sandbox.stripe.server import RunningSandbox

NOW = 1_795_000_000.0
KEY = "sk_test_springline"


class StoppedClock:
    """Unix seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.value["error"]
        return error

    @property
    def ids(self) -> list[str]:
        return [entry["id"] for entry in self.value["data"]]


class SandboxClient:
    """Requests to a sandbox's API and to its control API."""

    def __init__(self, running: RunningSandbox, session: aiohttp.ClientSession, clock: StoppedClock) -> None:
        self.running = running
        self.session = session
        self.clock = clock

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | list[tuple[str, Any]] | str = "",
        form: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
    ) -> Reply:
        sent = {} if key is None else {"Authorization": f"Bearer {key}"}
        text = query if isinstance(query, str) else urlencode(query)
        async with self.session.request(
            method,
            f"{self.running.url}{path}{'?' + text if text else ''}",
            data=None if form is None else urlencode(form),
            headers={"Content-Type": "application/x-www-form-urlencoded", **sent, **(headers or {})},
        ) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def get(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
        **more: Any,
    ) -> Reply:
        return await self.request("GET", path, query={**(query or {}), **more}, headers=headers, key=key)

    async def post(
        self,
        path: str,
        form: Mapping[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Reply:
        return await self.request("POST", path, form={**(form or {}), **more}, headers=headers)

    async def make(self, path: str, form: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """What a POST answers; a refusal fails the test."""
        reply = await self.post(path, form, **more)
        assert reply.status == 200, reply.body
        value: dict[str, Any] = reply.value
        return value

    async def new_customer(self) -> str:
        return str((await self.make("/v1/customers", name="A"))["id"])

    async def delete(self, path: str) -> Reply:
        return await self.request("DELETE", path)

    async def control(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Any:
        """The control API's JSON; a refusal fails the test."""
        reply = await self.control_reply(method, path, body, raw=raw)
        assert reply.status < 300, reply.body
        return reply.value

    async def control_reply(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Reply:
        data = BytesIO(raw if raw is not None else b"" if body is None else json.dumps(body).encode())
        async with self.session.request(method, self.running.control_url + path, data=data) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def seed(self, collection: str, count: int, **options: Any) -> list[str]:
        """Ids, oldest first."""
        seeded = await self.control("POST", "/seed", {"collection": collection, "count": count, **options})
        ids: list[str] = seeded["ids"]
        return ids

    async def events(self, **query: Any) -> list[dict[str, Any]]:
        """Every event that passes, oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            cursor = {"starting_after": found[-1]["id"]} if found else {}
            page = (await self.get("/v1/events", {**query, **cursor}, limit=100)).value
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]

    async def told(self, *, since: int = 0) -> list[str]:
        """Types of the events, oldest first, but the first `since`."""
        return [event["type"] for event in await self.events()][since:]
