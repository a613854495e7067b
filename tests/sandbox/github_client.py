"""Requests to a GitHub sandbox and its control API, for tests."""

import json
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from tests.sandbox.sandbox_client import Reply, StoppedClock

from springline.sandbox.github.server import RunningSandbox

TOKEN = "ghp_springline"


class GithubClient:
    """Requests as the default user, and to the control API."""

    def __init__(self, running: RunningSandbox, session: aiohttp.ClientSession, clock: StoppedClock) -> None:
        self.running = running
        self.session = session
        self.clock = clock

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        token: str | None = TOKEN,
    ) -> Reply:
        sent = {"User-Agent": "tests", **({} if token is None else {"Authorization": f"Bearer {token}"})}
        url = path if path.startswith("http") else self.running.url + path
        async with self.session.request(
            method,
            f"{url}?{urlencode(query)}" if query else url,
            data=None if body is None else json.dumps(body),
            headers={**sent, **(headers or {})},
            allow_redirects=False,
        ) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, names, await response.read())

    async def get(
        self, path: str, *, headers: dict[str, str] | None = None, token: str | None = TOKEN, **query: Any
    ) -> Reply:
        return await self.request("GET", path, query=query, headers=headers, token=token)

    async def value(self, path: str, **query: Any) -> Any:
        """What a read answers; anything but 200 fails the test."""
        reply = await self.get(path, **query)
        assert reply.status == 200, (path, reply.status, reply.body)
        return reply.value

    async def write(self, method: str, path: str, **body: Any) -> Any:
        """What a write answers; a refusal fails the test."""
        reply = await self.request(method, path, body=body)
        assert reply.status < 300, (path, reply.status, reply.body)
        return reply.value if reply.body else None

    async def walk(self, path: str, **query: Any) -> list[Any]:
        """All of a list, by its links."""
        reply = await self.get(path, **query)
        rows = list(reply.value)
        while (link := links(reply).get("next")) is not None:
            reply = await self.get(link)
            assert reply.status == 200, reply.body
            rows += reply.value
        return rows

    async def control(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Any:
        """The control API's JSON; a refusal fails the test."""
        reply = await self.control_reply(method, path, body, raw=raw)
        assert reply.status < 300, reply.body
        return reply.value

    async def control_reply(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Reply:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        async with self.session.request(method, self.running.control_url + path, data=data) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def seed(self, collection: str, count: int, **options: Any) -> list[int]:
        """Ids, oldest first."""
        seeded = await self.control("POST", "/seed", {"collection": collection, "count": count, **options})
        ids: list[int] = seeded["ids"]
        return ids

    async def repository(self, name: str = "web", **fields: Any) -> str:
        """Make acme/{name}; returns the path of its API."""
        made = await self.write("POST", "/orgs/acme/repos", name=name, **fields)
        return f"/repos/{made['full_name']}"


def links(reply: Reply) -> dict[str, str]:
    """URLs by relation."""
    return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', reply.headers.get("link", ""))}


def query_of(url: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in urlsplit(url).query.split("&") if part)
