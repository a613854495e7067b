"""The account behind a crash test: a sandbox that changes all along, and what it really holds."""

import asyncio
import json
import time
from collections import Counter
from random import Random
from typing import Any, Final

import aiohttp

#: One page holds 100; each list answer is held so long that a backfill outlives many processes.
PAGE_HELD_MS: Final = 200
READ_HELD_MS: Final = 120
SIZES: Final = {"product": 30, "plan": 30, "coupon": 25, "customer": 4000, "subscription": 300, "invoice": 900}
#: Collections whose objects carry a counter in their metadata, which only ever grows.
COUNTED: Final = ("customer", "product", "coupon", "subscription")
_HOT: Final = 12
_PAUSE_SECONDS: Final = 0.02


class Account:
    """Speaks the sandbox's control API. `made` counts the changes of each kind, `last_change_at` is monotonic."""

    def __init__(self, session: aiohttp.ClientSession, url: str, rng: Random) -> None:
        self._session = session
        self.url = url
        self._control = f"{url}/_sandbox/stripe"
        self._rng = rng
        self._ids: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.last_change_at = 0.0

    async def fill(self) -> None:
        """Everything that a backfill finds, a limit that lets it run, and answers that cross each other."""
        await self._call("POST", "/rate_limit", {})
        for collection, count in SIZES.items():
            seeded = await self._call("POST", "/seed", {"collection": collection, "count": count})
            self._ids[collection] = seeded["ids"]
        for path in ("customers", "products", "plans", "coupons", "subscriptions", "invoices"):
            # Carried out at once and answered late: what a page shows may have changed when it arrives.
            held = {"kind": "late_page", "ms": PAGE_HELD_MS, "match": {"path": f"/v1/{path}"}}
            await self._call("POST", "/faults", held)
            late = {"kind": "late_page", "ms": READ_HELD_MS, "match": {"path": f"/v1/{path}/*", "probability": 0.2}}
            await self._call("POST", "/faults", late)

    async def keep_changing(self, stop: asyncio.Event) -> None:
        """Inserts, updates and deletes, each with its event, until `stop` is set."""
        while not stop.is_set():
            await self._change()
            self.last_change_at = time.monotonic()
            await asyncio.sleep(_PAUSE_SECONDS)  # the pace of the changes, not a wait for anything

    async def _change(self) -> None:
        chance = self._rng.random()
        if chance < 0.55:
            await self._count_up()
        elif chance < 0.67:
            created = await self._call("POST", "/objects/customer", {"params": {"name": f"Ada {self.made['insert']}"}})
            self._ids["customer"].append(created["id"])
            self.made["insert"] += 1
        elif chance < 0.77:
            gone = self._ids["customer"].pop(self._rng.randrange(_HOT, len(self._ids["customer"])))
            # Unknown to a read by id, or known as deleted: both are proofs.
            mode = self._rng.choice(("api", "vanish"))
            if await self._call("DELETE", f"/objects/customer/{gone}?mode={mode}", missing_ok=True):
                self.made["delete"] += 1
        else:
            order = {"count": 1, "seed": self._rng.getrandbits(32)}
            for change in await self._call("POST", "/changes", order):
                self.made[change["kind"]] += 1

    async def _count_up(self) -> None:
        collection = self._rng.choice(COUNTED)
        ids = self._ids[collection]
        # A few are changed again and again: their versions meet each other on the way.
        place = self._rng.randrange(min(_HOT, len(ids)) if self._rng.random() < 0.5 else len(ids))
        count = self._counts[ids[place]] + 1
        params = {"metadata": {"count": str(count)}}
        if await self._call("POST", f"/objects/{collection}/{ids[place]}", {"params": params}, missing_ok=True):
            self._counts[ids[place]] = count
            self.made["update"] += 1

    async def dump(self) -> dict[tuple[str, str], Any]:
        """What the account holds: values by collection and id."""
        return {
            (f"stripe:{collection}", value["id"]): value
            for collection in SIZES
            for value in await self._call("GET", f"/objects/{collection}")
        }

    async def requests_between(self, begin: float, end: float) -> Counter[str]:
        """What Springline asked for, by kind, among the requests that ran at some time between two monotonic ones."""
        asked: Counter[str] = Counter()
        for arrival in await self._call("GET", "/arrivals"):
            if arrival["at"] <= end and (arrival["finished_at"] is None or arrival["finished_at"] >= begin):
                asked[_kind(arrival["path"], arrival["query"])] += 1
        return asked

    async def _call(self, method: str, path: str, body: Any = None, *, missing_ok: bool = False) -> Any:
        """The answer's JSON; None for an object that is gone where that may be."""
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, self._control + path, data=data) as response:
            text = await response.read()
            if missing_ok and response.status in (400, 404):
                return None
            assert response.status < 300, f"{method} {path}: {response.status} {text[:300]!r}"
            return json.loads(text)


def _kind(path: str, query: str) -> str:
    match path.strip("/").split("/"):
        case ["v1", "events"]:
            return "events"
        case ["v1", _]:
            return "page"
        case _:
            return "by id" if query == "" else path
