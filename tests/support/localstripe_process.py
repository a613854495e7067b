"""localstripe, a stateful fake of Stripe that others wrote, as a process of its own in an environment of its own.

It is GPL: nothing of ours imports it, and `make test` installs it apart from what the tests run in.
"""

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

REPOSITORY: Final = Path(__file__).parents[2]
PYTHON: Final = REPOSITORY / ".venv-localstripe" / "bin" / "python"
KEY: Final = "sk_test_localstripe"
_LISTENS: Final = "Running on http://[::]:"


class Localstripe:
    """A running localstripe; `url` is where it answers."""

    def __init__(self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession, url: str) -> None:
        """Use `running_localstripe`."""
        self.url = url
        #: How often each path was asked for its first page, or for the one object that it names.
        self.asked: Counter[str] = Counter()
        self._process = process
        self._session = session
        self._asked = asyncio.Event()
        self._reader = asyncio.create_task(self._read_access_log())

    async def create(self, collection: str, **form: Any) -> dict[str, Any]:
        """Makes an object, as `collection="customers"`; returns it."""
        return await self._call("POST", f"/v1/{collection}", form)

    async def update(self, collection: str, object_id: str, **form: Any) -> dict[str, Any]:
        return await self._call("POST", _path_of(collection, object_id), form)

    async def delete(self, collection: str, object_id: str) -> dict[str, Any]:
        """What that means depends on the collection: a subscription is canceled and stays."""
        return await self._call("DELETE", _path_of(collection, object_id), None)

    async def list(self, collection: str) -> list[dict[str, Any]]:
        """Every object of a collection, as it is now."""
        query = "limit=100000" + ("&status=all" if collection == "subscriptions" else "")
        found: list[dict[str, Any]] = (await self._call("GET", f"/v1/{collection}?{query}", None))["data"]
        return found

    async def until_asked(self, wanted: Mapping[str, int], *, within_seconds: float) -> None:
        """Returns when each path was asked for so many times more."""
        goal = {path: self.asked[path] + times for path, times in wanted.items()}
        async with asyncio.timeout(within_seconds):
            while any(self.asked[path] < times for path, times in goal.items()):
                self._asked.clear()
                await self._asked.wait()

    async def close(self) -> None:
        self._process.terminate()
        await self._process.wait()
        await self._reader

    async def _call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {KEY}"}
        url = URL(f"{self.url}{path}", encoded=True)
        async with self._session.request(method, url, json=body, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, f"{method} {path} {json.dumps(body)}: {response.status} {answer}"
            return answer

    async def _read_access_log(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            _, _, request = line.decode().partition('"GET ')
            path, _, query = request.partition(" ")[0].partition("?")
            # The test's own lists ask for more than any page holds.
            if path and "starting_after" not in query and "limit=100000" not in query:
                self.asked[path] += 1
                self._asked.set()


@asynccontextmanager
async def running_localstripe() -> AsyncIterator[Localstripe]:
    """An empty localstripe on a free port."""
    assert PYTHON.exists(), f"there is no {PYTHON}: `make test` makes it before it runs the tests"
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    site = str(Path(__file__).with_name("localstripe_site"))
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-u", "-m", "localstripe", "--port", "0", "--from-scratch",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, limit=2**24,
        env={**own, "PYTHONPATH": site, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = ""
        async with asyncio.timeout(30):
            while not port:
                line = (await process.stdout.readline()).decode()
                assert line, f"localstripe ended: {await _rest(process)}"
                port = line.partition(_LISTENS)[2].split(" ")[0].strip()
        async with aiohttp.ClientSession() as session:
            running = Localstripe(process, session, f"http://127.0.0.1:{port}")
            try:
                yield running
            finally:
                await running.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _path_of(collection: str, object_id: str) -> str:
    return f"/v1/{collection}/{quote(object_id, safe='')}"


async def _rest(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode()
