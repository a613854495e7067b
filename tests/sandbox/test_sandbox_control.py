"""The control API: seeding, changing, looking, and the server around it."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from tests.sandbox.sandbox_client import NOW, SandboxClient, StoppedClock

from springline.sandbox.common import state
from springline.sandbox.common.control import is_this_machine
from springline.sandbox.stripe.server import serve_forever, start_sandbox

COLLECTIONS = ("customer", "product", "plan", "coupon", "subscription", "invoice")


async def dump(stripe: SandboxClient) -> dict[str, list[dict[str, Any]]]:
    return {name: await stripe.control("GET", f"/objects/{name}") for name in COLLECTIONS}


async def test_a_dump_is_what_single_reads_return(stripe: SandboxClient) -> None:
    for name in COLLECTIONS:
        await stripe.seed(name, 15)
    [gone, *_] = await stripe.seed("customer", 2)
    await stripe.delete(f"/v1/customers/{gone}")
    for subscription in (await stripe.get("/v1/subscriptions", limit=3)).ids:
        await stripe.delete(f"/v1/subscriptions/{subscription}")
    for name, objects in (await dump(stripe)).items():
        query = {"status": "all"} if name == "subscription" else {}
        listed = await stripe.get(f"/v1/{name}s", query, limit=100)
        assert listed.value["data"] == objects, name
        for value in objects:
            assert (await stripe.get(f"/v1/{name}s/{value['id']}")).value == value
    assert len((await dump(stripe))["subscription"]) == 15


async def test_seeded_objects_spread_over_time(stripe: SandboxClient) -> None:
    await stripe.seed("customer", 500)
    created = [value["created"] for value in await stripe.control("GET", "/objects/customer")]
    assert NOW - 366 * 86_400 <= min(created) < NOW - 300 * 86_400
    assert NOW - 60 * 86_400 < max(created) <= NOW
    assert len(set(created)) > 490
    assert await stripe.events() == []
    recent = await stripe.seed("coupon", 5, created_from=int(NOW) - 9, created_until=int(NOW) - 5, events=True)
    events = await stripe.events()
    assert [event["data"]["object"]["id"] for event in events] == recent
    assert {event["created"] for event in events} <= set(range(int(NOW) - 9, int(NOW) - 4))


async def test_seeding_is_quick(stripe: SandboxClient) -> None:
    began = time.process_time()
    await stripe.seed("customer", 10_000)
    # A loose bound, five times what it takes: a guard against going quadratic.
    assert time.process_time() - began < 5
    summary = await stripe.control("GET", "")
    assert summary["accounts"][0]["objects"]["customer"] == 10_000


async def test_the_same_seed_gives_the_same_everything(stripe: SandboxClient) -> None:
    async def history(seed: int) -> list[Any]:
        await stripe.control("POST", "/reset", {"seed": seed})
        await stripe.control("POST", "/rate_limit", {})
        for name in COLLECTIONS:
            await stripe.seed(name, 5)
        made = await stripe.post("/v1/customers", name="A")
        changes = await stripe.control("POST", "/changes", {"count": 60})
        account = (await stripe.get("/v1/account")).value
        return [made.headers["Request-Id"], made.value, changes, account, await dump(stripe), await stripe.events()]

    assert await history(5) == await history(5)
    assert await history(5) != await history(6)


async def test_a_made_up_history_tells_everything_by_events(stripe: SandboxClient) -> None:
    for name in COLLECTIONS:
        await stripe.seed(name, 8)
    known = {name: {value["id"]: value for value in objects} for name, objects in (await dump(stripe)).items()}
    changes = await stripe.control("POST", "/changes", {"count": 300, "seed": 9, "collections": list(COLLECTIONS)})
    assert {change["kind"] for change in changes} == {"insert", "update", "delete"}
    assert {change["collection"] for change in changes} == set(COLLECTIONS)
    for event in await stripe.events():
        value = event["data"]["object"]
        if value["object"] not in known:
            continue
        if event["type"] == f"{value['object']}.deleted":
            del known[value["object"]][value["id"]]
        else:
            known[value["object"]][value["id"]] = value
    now = {name: {value["id"]: value for value in objects} for name, objects in (await dump(stripe)).items()}
    assert known == now


async def test_objects_are_changed_past_the_limit(stripe: SandboxClient) -> None:
    await stripe.control("POST", "/rate_limit", {"account": 0})
    made = await stripe.control("POST", "/objects/customer", {"params": {"name": "A", "metadata": {"a": 1}}})
    url = f"/objects/customer/{made['id']}"
    changed = await stripe.control("POST", url, {"params": {"name": None, "metadata": {"b": "2"}}, "at": int(NOW) - 5})
    assert (changed["name"], changed["metadata"]) == (None, {"a": "1", "b": "2"})
    put = await stripe.control("POST", url, {"set": {"delinquent": True, "metadata": {"c": "3"}, "new_field": [1]}})
    assert (put["delinquent"], put["metadata"], put["new_field"]) == (True, {"a": "1", "b": "2", "c": "3"}, [1])
    assert await stripe.control("GET", url) == put
    own = await stripe.control("POST", "/objects/customer", {"set": {"id": "cus_own", "created": int(NOW) - 50}})
    assert own == {"id": "cus_own", "object": "customer", "created": int(NOW) - 50, "livemode": False}
    await stripe.control("DELETE", url)
    await stripe.control("POST", "/rate_limit", {})
    assert (await stripe.get("/v1/customers")).ids == ["cus_own"]
    assert (await stripe.get(f"/v1/customers/{made['id']}")).value["deleted"] is True
    events = await stripe.events()
    assert [event["type"] for event in events] == [
        "customer.updated",
        "customer.created",
        "customer.updated",
        "customer.created",
        "customer.deleted",
    ]
    assert events[2]["data"]["previous_attributes"] == {
        "delinquent": False,
        "metadata": {"c": None},
        "new_field": None,
    }


async def test_an_object_vanishes(stripe: SandboxClient) -> None:
    [customer] = await stripe.seed("customer", 1)
    await stripe.control("DELETE", f"/objects/customer/{customer}?mode=vanish&events=false")
    assert (await stripe.get(f"/v1/customers/{customer}")).status == 404
    assert await stripe.events() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/objects/unicorn", None, 404),
        ("GET", "/objects/customer/cus_no", None, 404),
        ("DELETE", "/objects/customer/cus_no?mode=vanish", None, 404),
        ("DELETE", "/objects/customer/cus_no", None, 400),
        ("POST", "/objects/customer", {"params": {"colour": "blue"}}, 400),
        ("POST", "/objects/customer", {"params": {}, "set": {}}, 400),
        ("POST", "/seed", {"collection": "event", "count": 1}, 404),
        ("POST", "/seed", {"collection": "customer"}, 400),
        ("POST", "/seed", {"collection": "customer", "count": 1, "created_from": 2, "created_until": 1}, 400),
        ("POST", "/changes", {"count": 1, "collections": ["unicorn"]}, 404),
        ("POST", "/keys", {"key": "secret"}, 400),
        ("POST", "/keys", {"key": "sk_test_1", "permissions": {"unicorn": "read"}}, 400),
        ("POST", "/keys", {"key": "sk_test_1", "account": "acct_no"}, 404),
        ("POST", "/rate_limit", {"accounts": 3}, 400),
        ("POST", "/rate_limit?account=acct_no", {}, 404),
        ("GET", "/arrivals?since=x", None, 400),
    ],
)
async def test_control_requests_that_are_refused(
    stripe: SandboxClient, method: str, path: str, body: Any, status: int
) -> None:
    reply = await stripe.control_reply(method, path, body)
    assert (reply.status, bool(reply.value["error"])) == (status, True)


async def test_a_reset_forgets_everything(stripe: SandboxClient) -> None:
    fresh = await stripe.control("GET", "")
    await stripe.seed("customer", 3)
    await stripe.control("POST", "/clock", {"offset_seconds": 86_400})
    await stripe.control("POST", "/faults", {"kind": "status"})
    await stripe.get("/v1/customers")
    await stripe.control("POST", "/reset", {})
    assert await stripe.control("GET", "") == fresh


async def test_the_clock_moves(stripe: SandboxClient) -> None:
    assert await stripe.control("GET", "/clock") == {"now": NOW, "offset_seconds": 0}
    await stripe.control("POST", "/clock", {"shift_seconds": 31 * 86_400})
    moved = await stripe.control("POST", "/clock", {"shift_seconds": -3600})
    assert moved["offset_seconds"] == 31 * 86_400 - 3600
    made = (await stripe.post("/v1/customers", name="A")).value
    assert made["created"] == NOW + moved["offset_seconds"]


async def test_closing_lets_held_requests_go() -> None:
    running = await start_sandbox(now=StoppedClock())
    headers = {"Authorization": "Bearer sk_test_1"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{running.control_url}/faults", json={"kind": "timeout"}) as reply:
            made = (await reply.json())["id"]
        waiting = asyncio.create_task(session.get(f"{running.url}/v1/customers"))
        async with session.get(f"{running.control_url}/faults/{made}/wait"):
            pass
        await asyncio.wait_for(running.close(), 5)
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_a_port_that_is_taken() -> None:
    running = await start_sandbox()
    try:
        port = int(running.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            await start_sandbox(port=port)
    finally:
        await running.close()


async def test_serving_until_told_to_stop() -> None:
    stop, ready, lines = asyncio.Event(), asyncio.Event(), list[str]()

    def say(line: str) -> None:
        lines.append(line)
        if line.startswith(("insert", "update", "delete")):
            ready.set()

    serving = asyncio.create_task(
        serve_forever(host="127.0.0.1", port=0, seed=1, customers=20, stop=stop, say=say, changes_per_second=500)
    )
    await asyncio.wait_for(ready.wait(), 10)
    url = lines[0].split()[3].rstrip(",")
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk_test_1"}) as session:
        async with session.get(f"{url}/v1/customers?limit=100") as reply:
            assert len(json.loads(await reply.read())["data"]) >= 15
        async with session.get(f"{url}/v1/events") as reply:
            assert json.loads(await reply.read())["data"]
    stop.set()
    await asyncio.wait_for(serving, 5)


async def test_raw_objects_are_left_alone_by_a_made_up_history(stripe: SandboxClient) -> None:
    texts = dict.fromkeys(COLLECTIONS, b'{"id": "x", "odd" : 1.10}')
    for name, text in texts.items():
        await stripe.control("PUT", f"/raw/{name}/x", raw=text)
    await stripe.control("POST", "/changes", {"count": 200})
    for name, text in texts.items():
        assert (await stripe.get(f"/v1/{name}s/x")).body == text


async def test_the_log_of_arrivals_does_not_grow_for_ever(
    stripe: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "MOST_ARRIVALS", 20)
    for _ in range(30):
        await stripe.get("/v1/balance")
    arrivals = await stripe.control("GET", "/arrivals")
    assert 18 <= len(arrivals) <= 20
    assert [arrival["index"] for arrival in arrivals] == list(range(30 - len(arrivals), 30))
    assert (await stripe.control("GET", "/counters"))["requests"] == 30


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        (None, False),
    ],
)
def test_the_control_api_is_for_this_machine(remote: str | None, expected: bool) -> None:
    assert is_this_machine(remote) is expected


async def test_a_page_of_a_hundred_costs_little(stripe: SandboxClient) -> None:
    await stripe.seed("customer", 5_000)
    began, pages, cursor = time.process_time(), 0, dict[str, Any]()
    while pages < 150:
        page = await stripe.get("/v1/customers", cursor, limit=100)
        pages += 1
        cursor = {"starting_after": page.body.rpartition(b'"id": "')[2][:18].decode()} if pages % 50 else {}
    # Client and server together take about a tenth of this.
    assert time.process_time() - began < 2
