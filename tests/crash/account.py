"""The account behind a crash test: a sandbox that changes all along, and what it really holds."""

import asyncio
import json
import time
from collections import Counter
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs

import aiohttp

#: One page holds 100; each list answer is held so long that a backfill outlives many processes, and some so much longer
#: that the feed brings newer versions of what they show meanwhile.
PAGE_HELD_MS: Final = 150
CROSSED_PAGE_HELD_MS: Final = 700
READ_HELD_MS: Final = 120
SIZES: Final = {"product": 30, "plan": 30, "coupon": 25, "customer": 4000, "subscription": 300, "invoice": 900}
#: Collections whose objects carry a counter in their metadata, which only ever grows.
COUNTED: Final = ("customer", "customer", "customer", "product", "coupon", "subscription")
_HOT: Final = 4
_PAUSE_SECONDS: Final = 0.02


class Account:
    """Speaks the sandbox's control API. `made` counts the changes of each kind, `last_change_at` is monotonic."""

    def __init__(self, session: aiohttp.ClientSession, url: str, rng: Random) -> None:
        self._session = session
        self.url = url
        self._control = f"{url}/_sandbox/stripe"
        self._rng = rng
        self._ids: dict[str, list[str]] = {}
        #: What was there before the first request, by collection and id.
        self.seeded: set[tuple[str, str]] = set()
        self._counts: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.last_change_at = 0.0
        self._crossed_pages = ""

    async def fill(self) -> None:
        """Everything that a backfill finds, a limit that lets it run, and answers that cross each other."""
        await self._call("POST", "/rate_limit", {})
        for collection, count in SIZES.items():
            seeded = await self._call("POST", "/seed", {"collection": collection, "count": count})
            self._ids[collection] = seeded["ids"]
            self.seeded |= {(f"stripe:{collection}", record_id) for record_id in seeded["ids"]}
        for path in ("customers", "products", "plans", "coupons", "subscriptions", "invoices"):
            # Carried out at once and answered late: what a page shows may have changed when it arrives.
            held = {"kind": "late_page", "ms": PAGE_HELD_MS, "match": {"path": f"/v1/{path}"}}
            await self._call("POST", "/faults", held)
            late = {"kind": "late_page", "ms": READ_HELD_MS, "match": {"path": f"/v1/{path}/*", "probability": 0.2}}
            await self._call("POST", "/faults", late)

        crossed = {"kind": "late_page", "ms": CROSSED_PAGE_HELD_MS, "match": {"path": "/v1/customers", "every": 3}}
        self._crossed_pages = (await self._call("POST", "/faults", crossed))["id"]

    async def keep_crossing(self, stop: asyncio.Event) -> None:
        """Changes customers of a page that is on its way already, until `stop` is set."""
        fired = since = 0
        while not stop.is_set():
            fault = f"/faults/{self._crossed_pages}/wait?fired={fired + 1}&timeout_ms=500"
            if await self._call("GET", fault, missing_ok=True) is None:
                continue
            for arrival in await self._call("GET", f"/arrivals?since={since}"):
                since = arrival["index"] + 1
                if self._crossed_pages in arrival["faults"]:
                    fired += 1
                    if arrival["finished_at"] is None:
                        await self._change_page(arrival["query"])

    async def _change_page(self, query: str) -> None:
        after = parse_qs(query).get("starting_after")
        ids = self._ids["customer"]
        if after is None or after[0] in ids:
            end = len(ids) if after is None else ids.index(after[0])
            for chosen in self._rng.sample(ids[max(0, end - 90) : end], min(3, end)):
                await self._count_up("customer", chosen)
            self.last_change_at = time.monotonic()

    async def keep_changing(self, stop: asyncio.Event) -> None:
        """Inserts, updates and deletes, each with its event, until `stop` is set."""
        while not stop.is_set():
            await self._change()
            self.last_change_at = time.monotonic()
            await asyncio.sleep(_PAUSE_SECONDS)  # the pace of the changes, not a wait for anything

    async def _change(self) -> None:
        chance = self._rng.random()
        if chance < 0.55:
            collection = self._rng.choice(COUNTED)
            ids = self._ids[collection]
            # Some are changed again and again, faster than anybody acknowledges their versions.
            await self._count_up(collection, self._rng.choice(ids[:_HOT] if self._rng.random() < 0.4 else ids))
        elif chance < 0.67:
            created = await self._call("POST", "/objects/customer", {"params": {"name": f"Ada {self.made['insert']}"}})
            self._ids["customer"].append(created["id"])
            self.made["insert"] += 1
        elif chance < 0.77:
            ids = self._ids["customer"]
            gone = ids.pop(self._rng.randrange(_HOT, len(ids)))
            # Unknown to a read by id, or known as deleted: both are proofs.
            mode = self._rng.choice(("api", "vanish"))
            if await self._call("DELETE", f"/objects/customer/{gone}?mode={mode}", missing_ok=True):
                self.made["delete"] += 1
        else:
            order = {"count": 1, "seed": self._rng.getrandbits(32), "collections": list(SIZES)}
            for change in await self._call("POST", "/changes", order):
                self.made[change["kind"]] += 1

    async def _count_up(self, collection: str, chosen: str) -> None:
        self._counts[chosen] += 1
        params = {"metadata": {"count": str(self._counts[chosen])}}
        if await self._call("POST", f"/objects/{collection}/{chosen}", {"params": params}, missing_ok=True):
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
        """The answer's JSON; None for what is gone, or did not happen, where that may be."""
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, self._control + path, data=data) as response:
            text = await response.read()
            if missing_ok and response.status in (400, 404, 408):
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
