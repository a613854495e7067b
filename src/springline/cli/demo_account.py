"""The demo's account: a sandbox, filled with customers and changed as any program that uses the API would change it."""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import aiohttp

from springline.cli.errors import CommandFailed

DEMO_KEY: Final = "sk_test_springlinedemo"


class Change(NamedTuple):
    """A change that the account has confirmed. `at` is the monotonic time of the confirmation, in seconds."""

    kind: str
    customer_id: str
    at: float
    mark: str | None = None


class Account:
    """Speaks the provider's own API to the sandbox, and the sandbox's control API to fill it."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, control_url: str) -> None:
        self._session = session
        self._url = url
        self._control_url = control_url

    async def fill(self, counts: Mapping[str, int]) -> None:
        """Makes up so many objects of each collection, created over the last year."""
        for collection, count in counts.items():
            order = {"collection": collection, "count": count}
            async with self._session.post(f"{self._control_url}/seed", json=order) as response:
                if response.status != 200:
                    raise CommandFailed(f"the sandbox could not be filled: {await response.text()}")

    async def customers(self) -> dict[str, Any]:
        """Every customer as it is now, by id."""
        async with self._session.get(f"{self._control_url}/objects/customer") as response:
            return {customer["id"]: customer for customer in await response.json()}

    async def update(self, customer_id: str, *, mark: str) -> Change:
        form = {"metadata[seen_in_demo]": mark}
        await self._call("POST", f"/v1/customers/{customer_id}", form)
        return Change("updated", customer_id, time.monotonic(), mark)

    async def insert(self, name: str) -> Change:
        created = await self._call("POST", "/v1/customers", {"name": name, "email": "ada@example.com"})
        return Change("created", created["id"], time.monotonic())

    async def delete(self, customer_id: str) -> Change:
        await self._call("DELETE", f"/v1/customers/{customer_id}", {})
        return Change("deleted", customer_id, time.monotonic())

    async def _call(self, method: str, path: str, form: Mapping[str, str]) -> Any:
        headers = {"Authorization": f"Bearer {DEMO_KEY}"}
        async with self._session.request(method, f"{self._url}{path}", data=form, headers=headers) as response:
            answer = await response.json()
            if response.status != 200:
                raise CommandFailed(f"the sandbox refused {method} {path}: {answer['error']['message']}")
            return answer
