"""Events: what they hold, how they are selected, how long they stay."""

from typing import Any

import pytest
from tests.sandbox.sandbox_client import NOW, SandboxClient


async def test_the_shape_of_an_event(stripe: SandboxClient) -> None:
    made = await stripe.post("/v1/customers", name="Ana")
    page = await stripe.get("/v1/events")
    [event] = page.value["data"]
    assert list(event) == [
        "id",
        "object",
        "api_version",
        "created",
        "data",
        "livemode",
        "pending_webhooks",
        "request",
        "type",
    ]
    assert event["data"] == {"object": made.value}
    assert (event["type"], event["created"], event["livemode"]) == ("customer.created", NOW, False)
    assert event["api_version"] == "2026-09-30.endive"
    assert event["request"]["id"] == made.headers["Request-Id"]
    one = await stripe.get(f"/v1/events/{event['id']}")
    assert one.value == event
    assert one.body.rstrip(b"\n").replace(b"\n", b"\n    ") in page.body
    assert (await stripe.get("/v1/events/evt_no")).status == 404


async def test_types(stripe: SandboxClient) -> None:
    customer = (await stripe.post("/v1/customers", name="A")).value["id"]
    await stripe.post(f"/v1/customers/{customer}", name="B")
    await stripe.post("/v1/products", name="P")
    await stripe.delete(f"/v1/customers/{customer}")
    cases: list[tuple[list[tuple[str, str]], list[str]]] = [
        ([("type", "customer.updated")], ["customer.updated"]),
        ([("type", "customer.*")], ["customer.deleted", "customer.updated", "customer.created"]),
        ([("type", "*.deleted")], ["customer.deleted"]),
        ([("types[]", "product.created"), ("types[]", "customer.deleted")], ["customer.deleted", "product.created"]),
        ([("types[0]", "product.created")], ["product.created"]),
        ([("types[]", "product.updated")], []),
        ([("type", "customer.*"), ("limit", "1")], ["customer.deleted"]),
    ]
    for query, expected in cases:
        reply = await stripe.request("GET", "/v1/events", query=query)
        assert [event["type"] for event in reply.value["data"]] == expected, query


@pytest.mark.parametrize(
    "query",
    [
        [("type", "customer.created"), ("types[]", "customer.deleted")],
        [("types[]", "customer.*")],
        [("types[]", f"a.b{n}") for n in range(21)],
        [("types", "customer.created")],
        [("type", "")],
        [("kind", "customer.created")],
    ],
)
async def test_types_that_are_refused(stripe: SandboxClient, query: list[tuple[str, Any]]) -> None:
    assert (await stripe.request("GET", "/v1/events", query=query)).status == 400
    assert (await stripe.request("GET", "/v1/events", query=[("types[]", f"a.b{n}") for n in range(20)])).status == 200


async def test_reading_forward_from_an_event(stripe: SandboxClient) -> None:
    for name in "abcde":
        await stripe.post("/v1/customers", name=name)
        stripe.clock.now += 1
    newest_first = (await stripe.get("/v1/events")).ids
    newer = await stripe.get("/v1/events", limit=2, ending_before=newest_first[3])
    assert (newer.ids, newer.value["has_more"]) == (newest_first[1:3], True)
    since = await stripe.get("/v1/events", {"created[gte]": int(NOW) + 3})
    assert since.ids == newest_first[:2]


async def test_events_are_kept_for_thirty_days(stripe: SandboxClient) -> None:
    await stripe.post("/v1/customers", name="A")
    [old] = await stripe.events()
    stripe.clock.now += 30 * 86_400
    await stripe.post("/v1/customers", name="B")
    assert len(await stripe.events()) == 2
    stripe.clock.now += 1
    assert [event["data"]["object"]["name"] for event in await stripe.events()] == ["B"]
    assert (await stripe.get(f"/v1/events/{old['id']}")).status == 404
    gone = await stripe.get("/v1/events", ending_before=old["id"])
    assert (gone.status, gone.error["code"]) == (400, "resource_missing")


async def test_an_event_keeps_the_object_as_it_was(stripe: SandboxClient) -> None:
    customer = (await stripe.post("/v1/customers", name="A")).value["id"]
    for name in "BC":
        await stripe.post(f"/v1/customers/{customer}", name=name)
    await stripe.delete(f"/v1/customers/{customer}")
    names = [event["data"]["object"]["name"] for event in await stripe.events()]
    assert names == ["A", "B", "C", "C"]


async def test_changes_that_nothing_tells_of(stripe: SandboxClient) -> None:
    [quiet, gone] = await stripe.seed("customer", 2)
    silent = {"events": False}
    await stripe.control("POST", f"/objects/customer/{quiet}", {"params": {"name": "Q"}, **silent})
    await stripe.control("POST", "/objects/customer", {"params": {"name": "New"}, **silent})
    await stripe.control("DELETE", f"/objects/customer/{gone}?events=false")
    assert await stripe.events() == []
    names = [customer["name"] for customer in (await stripe.get("/v1/customers")).value["data"]]
    assert names == ["New", "Q"]
