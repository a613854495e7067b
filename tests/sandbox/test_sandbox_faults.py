"""Faults: each kind does what it says, to the requests that it concerns."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from tests.sandbox.sandbox_client import KEY, NOW, Reply, SandboxClient


async def fault(stripe: SandboxClient, kind: str, match: dict[str, Any] | None = None, **options: Any) -> str:
    made = await stripe.control("POST", "/faults", {"kind": kind, "match": match or {}, **options})
    made_id: str = made["id"]
    return made_id


async def test_statuses_have_stripes_bodies(stripe: SandboxClient) -> None:
    cases: list[tuple[int, str, str | None]] = [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", None),
        (402, "card_error", "card_declined"),
        (403, "invalid_request_error", None),
        (404, "invalid_request_error", "resource_missing"),
        (409, "invalid_request_error", "lock_timeout"),
        (429, "invalid_request_error", "rate_limit"),
        (500, "api_error", None),
        (503, "api_error", None),
    ]
    for status, kind, code in cases:
        await stripe.control("DELETE", "/faults")
        await fault(stripe, "status", status=status)
        reply = await stripe.get("/v1/customers/cus_1")
        assert (reply.status, reply.error["type"], reply.error.get("code")) == (status, kind, code)
        assert reply.headers["Request-Id"].startswith("req_")
        if status == 404:
            assert reply.error["message"] == "No such customer: 'cus_1'"
        if status == 429:
            assert reply.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
            assert "Retry-After" not in reply.headers


@pytest.mark.parametrize("value", ["3", "0", "-1", "1e9", "Fri, 31 Dec 1999 23:59:59 GMT", "soon"])
async def test_a_429_names_any_time(stripe: SandboxClient, value: str) -> None:
    await fault(stripe, "status", status=429, retry_after=value, headers={"X-More": "1"})
    reply = await stripe.get("/v1/customers")
    assert (reply.status, reply.headers["Retry-After"], reply.headers["X-More"]) == (429, value, "1")


async def test_a_body_of_ones_own(stripe: SandboxClient) -> None:
    await fault(stripe, "status", status=302, body="moved", content_type="text/plain", headers={"Location": "/x"})
    async with stripe.session.get(
        f"{stripe.running.url}/v1/customers", headers={"Authorization": f"Bearer {KEY}"}, allow_redirects=False
    ) as response:
        assert (response.status, response.headers["Location"], await response.text()) == (302, "/x", "moved")
        assert response.content_type == "text/plain"


async def test_which_requests(stripe: SandboxClient) -> None:
    async def statuses(count: int, path: str = "/v1/customers", **query: Any) -> list[int]:
        return [(await stripe.get(path, query)).status for _ in range(count)]

    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"nth": 3}, [200, 200, 500, 200, 200, 200]),
        ({"every": 2}, [200, 500, 200, 500, 200, 500]),
        ({"times": 2}, [500, 500, 200, 200, 200, 200]),
        ({"every": 2, "times": 1}, [200, 500, 200, 200, 200, 200]),
        ({"path": "/v1/customers"}, [500] * 6),
        ({"path": "/v1/c*"}, [500] * 6),
        ({"path": "/v1/customers/*"}, [200] * 6),
        ({"method": "POST"}, [200] * 6),
        ({"query": {"limit": "5"}}, [200] * 6),
        ({"account": "acct_other"}, [200] * 6),
        ({"probability": 0.0}, [200] * 6),
    ]
    for match, expected in cases:
        await stripe.control("DELETE", "/faults")
        await fault(stripe, "status", match)
        assert await statuses(6) == expected, match
    await stripe.control("DELETE", "/faults")
    await fault(stripe, "status", {"query": {"starting_after": "cus_*"}})
    assert await statuses(1, limit=1) == [200]
    assert await statuses(1, starting_after="cus_1") == [500]


async def test_a_share_of_requests_is_the_same_share_again(stripe: SandboxClient) -> None:
    runs = []
    for _ in range(2):
        await stripe.control("POST", "/reset", {"seed": 3})
        await stripe.control("POST", "/rate_limit", {})
        await fault(stripe, "status", {"probability": 0.1})
        runs.append([(await stripe.get("/v1/balance")).status for _ in range(200)])
    assert runs[0] == runs[1]
    assert 8 <= runs[0].count(500) <= 35


async def test_no_answer(stripe: SandboxClient) -> None:
    for order in [{"kind": "reset"}, {"kind": "timeout", "seconds": 0.01}]:
        await stripe.control("DELETE", "/faults")
        await stripe.control("POST", "/faults", order)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await stripe.get("/v1/customers")
    await stripe.control("DELETE", "/faults")
    # More than two: the client repeats a GET by itself where a kept connection broke.
    assert {arrival["status"] for arrival in await stripe.control("GET", "/arrivals")} == {0}


async def test_a_client_that_gives_up_waiting(stripe: SandboxClient) -> None:
    made = await fault(stripe, "timeout", {"path": "/v1/customers"})
    waiting = asyncio.create_task(stripe.get("/v1/customers"))
    await stripe.control("GET", f"/faults/{made}/wait")
    assert (await stripe.control("GET", f"/faults/{made}"))["holding"] == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await stripe.get("/v1/products")).status == 200


@pytest.mark.parametrize("kind", ["status", "reset", "html"])
async def test_a_write_whose_answer_is_lost(stripe: SandboxClient, kind: str) -> None:
    await fault(stripe, kind, {"method": "POST", "times": 1}, applied=True)
    headers = {"Idempotency-Key": "k1"}
    try:
        lost = await stripe.post("/v1/customers", name="A", headers=headers)
        assert lost.status in {200, 500}
    except aiohttp.ServerDisconnectedError:
        pass
    [made] = (await stripe.get("/v1/customers")).ids
    again = await stripe.post("/v1/customers", name="A", headers=headers)
    assert (again.value["id"], again.headers["Idempotent-Replayed"]) == (made, "true")


async def test_a_write_that_fails_before_it_happens(stripe: SandboxClient) -> None:
    await fault(stripe, "status", {"method": "POST", "times": 1})
    headers = {"Idempotency-Key": "k1"}
    assert (await stripe.post("/v1/customers", name="A", headers=headers)).status == 500
    assert (await stripe.get("/v1/customers")).ids == []
    assert (await stripe.post("/v1/customers", name="A", headers=headers)).status == 200


@pytest.mark.parametrize("share", [0, 0.5, 0.999, 1])
async def test_a_body_that_is_cut_off(stripe: SandboxClient, share: float) -> None:
    await stripe.seed("customer", 100)
    await fault(stripe, "cut", {"path": "/v1/customers"}, share=share)
    async with stripe.session.get(
        f"{stripe.running.url}/v1/customers?limit=100", headers={"Authorization": f"Bearer {KEY}"}
    ) as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) > 100_000
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_half_a_json_and_a_web_page(stripe: SandboxClient) -> None:
    await stripe.seed("customer", 5)
    whole = await stripe.get("/v1/customers")
    await fault(stripe, "half_json", share=0.25)
    half = await stripe.get("/v1/customers")
    assert (half.status, half.headers["Content-Type"]) == (200, "application/json")
    assert whole.body.startswith(half.body)
    assert len(half.body) == len(whole.body) // 4
    await stripe.control("DELETE", "/faults")
    await fault(stripe, "html", status=502)
    page = await stripe.get("/v1/customers")
    assert (page.status, page.body.startswith(b"<!DOCTYPE html>")) == (502, True)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"


async def held(stripe: SandboxClient, made: str, path: str) -> "asyncio.Task[Reply]":
    task = asyncio.create_task(stripe.get(path))
    await stripe.control("GET", f"/faults/{made}/wait")
    return task


async def test_a_late_page_shows_what_was_when_it_was_asked_for(stripe: SandboxClient) -> None:
    [customer] = await stripe.seed("customer", 1)
    made = await fault(stripe, "late_page", {"path": "/v1/customers", "times": 1})
    late = await held(stripe, made, "/v1/customers")
    await stripe.post(f"/v1/customers/{customer}", name="Newer")
    assert (await stripe.get("/v1/customers")).value["data"][0]["name"] == "Newer"
    assert not late.done()
    await stripe.control("POST", f"/faults/{made}/release")
    assert (await late).value["data"][0]["name"] != "Newer"


async def test_latency_shows_what_is_when_it_is_over(stripe: SandboxClient) -> None:
    [customer] = await stripe.seed("customer", 1)
    made = await fault(stripe, "latency", {"path": "/v1/customers"}, ms=60_000)
    late = await held(stripe, made, "/v1/customers")
    await stripe.post(f"/v1/customers/{customer}", name="Newer")
    await stripe.control("DELETE", f"/faults/{made}")
    assert (await late).value["data"][0]["name"] == "Newer"


async def test_a_stale_page_shows_what_was_when_the_fault_was_made(stripe: SandboxClient) -> None:
    changed, deleted = await stripe.seed("customer", 2)
    before = (await stripe.get("/v1/customers")).body
    await fault(stripe, "stale_page", {"path": "/v1/customers*"})
    await stripe.post(f"/v1/customers/{changed}", name="Newer")
    await stripe.delete(f"/v1/customers/{deleted}")
    await stripe.post("/v1/customers", name="New")
    assert (await stripe.get("/v1/customers")).body == before
    assert (await stripe.get(f"/v1/customers/{deleted}")).value["object"] == "customer"
    assert len(await stripe.events()) == 3
    await stripe.control("DELETE", "/faults")
    assert len((await stripe.get("/v1/customers")).ids) == 2


async def test_rows_that_appear_late(stripe: SandboxClient) -> None:
    await stripe.seed("customer", 1)
    stripe.clock.now += 100
    await fault(stripe, "late_rows", {"path": "/v1/*"}, seconds=90)
    made = (await stripe.post("/v1/customers", name="New")).value["id"]
    assert made not in (await stripe.get("/v1/customers")).ids
    assert (await stripe.get(f"/v1/customers/{made}")).status == 404
    assert await stripe.events() == []
    stripe.clock.now += 90
    assert (await stripe.get("/v1/customers")).ids[0] == made
    [event] = await stripe.events()
    assert event["created"] == NOW + 100


async def test_rows_that_are_left_out(stripe: SandboxClient) -> None:
    ids = await stripe.seed("customer", 5)
    await fault(stripe, "hidden_rows", {"path": "/v1/customers*"}, ids=ids[1:3])
    assert (await stripe.get("/v1/customers")).ids == [ids[4], ids[3], ids[0]]
    assert (await stripe.get(f"/v1/customers/{ids[1]}")).status == 404


async def test_pages_without_an_end_or_a_content(stripe: SandboxClient) -> None:
    ids = await stripe.seed("customer", 5)
    made = await fault(stripe, "empty_page", has_more=True)
    empty = await stripe.get("/v1/customers")
    assert (empty.ids, empty.value["has_more"]) == ([], True)
    await stripe.control("DELETE", f"/faults/{made}")
    await fault(stripe, "endless_page")
    for _ in range(2):
        page = await stripe.get("/v1/customers", limit=2, starting_after=ids[3])
        assert (page.ids, page.value["has_more"]) == ([ids[4], ids[3]], True)


DEFECTS = ["no_id", "null_id", "number_id", "other_object", "null", "string", "lone_surrogate", "invalid_utf8", "deep"]


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_record_that_is_broken(stripe: SandboxClient, defect: str) -> None:
    ids = await stripe.seed("customer", 3)
    whole = (await stripe.get("/v1/customers")).value["data"]
    await fault(stripe, "bad_record", {"path": "/v1/customers*"}, position=1, defect=defect)
    page, one = await stripe.get("/v1/customers"), await stripe.get(f"/v1/customers/{ids[1]}")
    for odd in [bytes.fromhex("fffe")] if defect == "invalid_utf8" else [b"[" * 2000] if defect == "deep" else []:
        assert odd in page.body
        assert odd in one.body
    if defect in {"invalid_utf8", "deep"}:
        with pytest.raises((UnicodeDecodeError, RecursionError)):
            json.loads(page.body)
        return
    first, broken, last = page.value["data"]
    assert [first, last] == [whole[0], whole[2]]
    assert broken != whole[1]
    assert one.value == broken


async def test_a_record_with_half_a_surrogate(stripe: SandboxClient) -> None:
    await stripe.seed("customer", 1)
    await fault(stripe, "bad_record", text='{"id":"\ud800"}')
    assert b'[{"id":"\xed\xa0\x80"}]' in (await stripe.get("/v1/customers")).body
    assert len(await stripe.control("GET", "/faults")) == 1


async def test_a_record_of_ones_own(stripe: SandboxClient) -> None:
    await stripe.seed("customer", 3)
    await fault(stripe, "bad_record", text='{"id": 1.10}')
    assert b'[{"id": 1.10},' in (await stripe.get("/v1/customers")).body


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "earthquake"},
        {"kind": "status", "status": 99},
        {"kind": "status", "share": 0.5},
        {"kind": "cut", "share": 2},
        {"kind": "latency"},
        {"kind": "status", "match": {"nth": 0}},
        {"kind": "status", "match": {"paths": "/"}},
    ],
)
async def test_faults_that_are_none(stripe: SandboxClient, body: dict[str, Any]) -> None:
    reply = await stripe.control_reply("POST", "/faults", body)
    assert (reply.status, bool(reply.value["error"])) == (400, True)


async def test_faults_are_listed_counted_and_ended(stripe: SandboxClient) -> None:
    made = await fault(stripe, "status", {"path": "/v1/customers", "every": 2})
    for _ in range(4):
        await stripe.get("/v1/customers")
    [shown] = await stripe.control("GET", "/faults")
    assert (shown["id"], shown["matched"], shown["fired"], shown["fault"]["kind"]) == (made, 4, 2, "status")
    assert (await stripe.control("GET", "/arrivals"))[1]["faults"] == [made]
    assert (await stripe.control_reply("GET", f"/faults/{made}/wait?fired=3&timeout_ms=1")).status == 408
    await stripe.control("DELETE", f"/faults/{made}")
    assert (await stripe.control_reply("GET", f"/faults/{made}")).status == 404
    assert await stripe.control("GET", "/faults") == []
