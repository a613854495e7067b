"""Lists: order, pages, bounds, filters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.sandbox_client import NOW, SandboxClient

from springline.sandbox.stripe.records import Record, Table, Window

ROWS = st.lists(st.integers(0, 9), max_size=40)
BOUND = st.none() | st.integers(-1, 10)


def a_record(index: int, created: int) -> Record:
    return Record(f"r{index}", created, b"{}", raw=False, fields={}, appeared_at=0, order=index)


@given(rows=ROWS, limit=st.integers(1, 7), earliest=BOUND, latest=BOUND, data=st.data())
def test_a_page_is_a_slice_of_the_order(
    rows: list[int], limit: int, earliest: int | None, latest: int | None, data: st.DataObject
) -> None:
    table = Table()
    for index, created in enumerate(rows):
        table.put(a_record(index, created))
    newest_first = sorted(range(len(rows)), key=lambda index: (rows[index], index), reverse=True)
    odd_only = data.draw(st.booleans())
    cursor = data.draw(st.none() | st.sampled_from(newest_first)) if rows else None
    backwards = data.draw(st.booleans())

    def fits(index: int) -> bool:
        in_bounds = (earliest is None or rows[index] >= earliest) and (latest is None or rows[index] <= latest)
        return in_bounds and (not odd_only or index % 2 == 1)

    wanted = newest_first
    if cursor is not None:
        at = newest_first.index(cursor)
        wanted = newest_first[:at] if backwards else newest_first[at + 1 :]
    wanted = [index for index in wanted if fits(index)]
    expected = wanted[-limit:] if backwards and cursor is not None else wanted[:limit]
    window = Window(
        limit=limit,
        earliest=earliest,
        latest=latest,
        before=f"r{cursor}" if backwards and cursor is not None else None,
        after=f"r{cursor}" if not backwards and cursor is not None else None,
    )
    found, has_more = table.page(window, lambda record: not odd_only or record.order % 2 == 1)
    assert [record.order for record in found] == expected
    assert has_more == (len(wanted) > limit)


@given(rows=st.lists(st.integers(0, 5), min_size=1, max_size=20), data=st.data())
def test_replacing_and_removing_keep_the_order(rows: list[int], data: st.DataObject) -> None:
    table = Table()
    for index, created in enumerate(rows):
        table.put(a_record(index, created))
    kept = dict(enumerate(rows))
    for index in data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True)):
        if data.draw(st.booleans()):
            table.remove(f"r{index}")
            del kept[index]
        else:
            kept[index] = data.draw(st.integers(0, 5))
            table.put(a_record(index, kept[index]))
    expected = sorted(kept, key=lambda index: (kept[index], index), reverse=True)
    assert [record.order for record in table] == expected
    assert all(table.get(f"r{index}") is not None for index in expected)


async def walk(stripe: SandboxClient, path: str, **query: Any) -> list[str]:
    """Every id of a list, page by page."""
    ids: list[str] = []
    while True:
        reply = await stripe.get(path, query | ({"starting_after": ids[-1]} if ids else {}))
        ids += reply.ids
        if not reply.value["has_more"]:
            return ids


async def test_pages_cover_everything_once_newest_first(stripe: SandboxClient) -> None:
    seeded = await stripe.seed("customer", 250)
    assert await walk(stripe, "/v1/customers", limit=100) == seeded[::-1]
    assert await walk(stripe, "/v1/customers", limit=7) == seeded[::-1]
    ten = await stripe.get("/v1/customers")
    assert ten.ids == seeded[:-11:-1]
    assert list(ten.value) == ["object", "data", "has_more", "url"]
    assert (ten.value["object"], ten.value["has_more"], ten.value["url"]) == ("list", True, "/v1/customers")


async def test_three_thousand_rows_of_one_second(stripe: SandboxClient) -> None:
    second = int(NOW) - 1000
    seeded = await stripe.seed("customer", 3_000, created_from=second, created_until=second)
    assert await walk(stripe, "/v1/customers", limit=100, created=second) == seeded[::-1]


async def test_a_walk_survives_new_rows_and_updates(stripe: SandboxClient) -> None:
    seeded = await stripe.seed("customer", 30)
    first = await stripe.get("/v1/customers", limit=10)
    await stripe.post("/v1/customers", name="New")
    await stripe.post(f"/v1/customers/{seeded[0]}", name="Changed")
    rest = await stripe.get("/v1/customers", limit=100, starting_after=first.ids[-1])
    assert first.ids + rest.ids == seeded[::-1]


async def test_ending_before_gives_the_next_newer_ones(stripe: SandboxClient) -> None:
    seeded = await stripe.seed("customer", 30)
    newest_first = seeded[::-1]
    page = await stripe.get("/v1/customers", limit=5, ending_before=newest_first[20])
    assert (page.ids, page.value["has_more"]) == (newest_first[15:20], True)
    last = await stripe.get("/v1/customers", limit=5, ending_before=newest_first[4])
    assert (last.ids, last.value["has_more"]) == (newest_first[:4], False)


@pytest.mark.parametrize("name", ["starting_after", "ending_before"])
async def test_a_cursor_that_is_gone(stripe: SandboxClient, name: str) -> None:
    seeded = await stripe.seed("customer", 3)
    await stripe.delete(f"/v1/customers/{seeded[1]}")
    reply = await stripe.get("/v1/customers", {name: seeded[1]})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "resource_missing", name)
    assert reply.error["message"] == f"No such customer: '{seeded[1]}'"


async def test_created_bounds(stripe: SandboxClient) -> None:
    base = int(NOW) - 100
    ids = [(await stripe.seed("coupon", 1, created_from=base + n, created_until=base + n))[0] for n in range(5)]
    cases: list[tuple[dict[str, int], list[int]]] = [
        ({"created": base + 2}, [2]),
        ({"created[gte]": base + 3}, [4, 3]),
        ({"created[gt]": base + 3}, [4]),
        ({"created[lte]": base + 1}, [1, 0]),
        ({"created[lt]": base + 1}, [0]),
        ({"created[gt]": base, "created[lt]": base + 3}, [2, 1]),
        ({"created[gte]": base + 4, "created[lte]": base}, []),
    ]
    for query, expected in cases:
        assert (await stripe.get("/v1/coupons", query)).ids == [ids[n] for n in expected], query


async def test_filters(stripe: SandboxClient) -> None:
    customers = [
        (await stripe.post("/v1/customers", email=email)).value["id"] for email in ("a@x.org", "b@x.org", "a@x.org")
    ]
    assert (await stripe.get("/v1/customers", email="a@x.org")).ids == [customers[2], customers[0]]
    product = (await stripe.post("/v1/products", name="P", active="false")).value["id"]
    other = (await stripe.post("/v1/products", name="Q")).value["id"]
    assert (await stripe.get("/v1/products", active="false")).ids == [product]
    assert (await stripe.get("/v1/products", {"ids[]": other})).ids == [other]
    plan = {"amount": 5, "currency": "usd", "interval": "month"}
    plans = [(await stripe.post("/v1/plans", plan, product=owner)).value["id"] for owner in (product, other)]
    assert (await stripe.get("/v1/plans", product=other)).ids == [plans[1]]
    assert (await stripe.get("/v1/prices", product=product)).ids == [plans[0]]
    form = {"items[0][price]": plans[0]}
    subscriptions = [
        (await stripe.post("/v1/subscriptions", form, customer=customer)).value["id"] for customer in customers
    ]
    assert (await stripe.get("/v1/subscriptions", customer=customers[0])).ids == [subscriptions[0]]
    await stripe.delete(f"/v1/subscriptions/{subscriptions[0]}")
    assert (await stripe.get("/v1/subscriptions")).ids == subscriptions[:0:-1]
    assert (await stripe.get("/v1/subscriptions", status="all")).ids == subscriptions[::-1]
    assert (await stripe.get("/v1/subscriptions", status="canceled")).ids == [subscriptions[0]]
    assert (await stripe.get("/v1/subscriptions", status="ended")).ids == [subscriptions[0]]
    paid = await stripe.get("/v1/invoices", status="paid", customer=customers[1])
    assert [invoice["customer"] for invoice in paid.value["data"]] == [customers[1]]


async def test_list_parameters_that_are_wrong(stripe: SandboxClient) -> None:
    seeded = await stripe.seed("customer", 2)
    cases: list[tuple[dict[str, Any], str | None, str | None]] = [
        ({"limit": 0}, "parameter_invalid_integer", "limit"),
        ({"limit": 101}, "parameter_invalid_integer", "limit"),
        ({"limit": "many"}, "parameter_invalid_integer", "limit"),
        ({"limit": ""}, "parameter_invalid_empty", "limit"),
        ({"starting_after": ""}, "parameter_invalid_empty", "starting_after"),
        ({"starting_after": "cus_no"}, "resource_missing", "starting_after"),
        ({"starting_after": seeded[0], "ending_before": seeded[1]}, "parameters_exclusive", None),
        ({"created[gte]": "soon"}, "parameter_invalid_integer", "created[gte]"),
        ({"created[since]": "1"}, "parameter_unknown", "created[since]"),
        ({"colour": "blue"}, "parameter_unknown", "colour"),
    ]
    for query, code, param in cases:
        reply = await stripe.get("/v1/customers", query)
        assert (reply.status, reply.error.get("code"), reply.error.get("param")) == (400, code, param), query
    refused = await stripe.get("/v1/subscriptions", price="price_1")
    assert (refused.status, refused.error["code"]) == (400, "sandbox_unsupported")


async def test_expansion(stripe: SandboxClient) -> None:
    await stripe.seed("subscription", 2)
    page = await stripe.get("/v1/subscriptions", {"expand[]": "data.customer"})
    for subscription in page.value["data"]:
        assert subscription["customer"]["object"] == "customer"
    one = await stripe.request(
        "GET",
        f"/v1/subscriptions/{page.ids[0]}",
        query=[("expand[]", "latest_invoice.customer"), ("expand[]", "items.data.price.product")],
    )
    assert one.value["latest_invoice"]["customer"]["id"] == page.value["data"][0]["customer"]["id"]
    assert one.value["items"]["data"][0]["price"]["product"]["object"] == "product"
    for path in ("customer", "data", "data.status", "data.colour", "data.a.b.c.d"):
        refused = await stripe.get("/v1/subscriptions", {"expand[]": path})
        assert (refused.status, refused.error["type"]) == (400, "invalid_request_error"), path


async def test_lists_and_single_reads_differ_in_whitespace_only(stripe: SandboxClient) -> None:
    [customer] = await stripe.seed("customer", 1)
    one = await stripe.get(f"/v1/customers/{customer}")
    page = await stripe.get("/v1/customers")
    assert one.value == page.value["data"][0]
    assert one.body.startswith(b'{\n  "id": "' + customer.encode())
    assert one.body.rstrip(b"\n").replace(b"\n", b"\n    ") in page.body
    assert 900 < len(one.body) < 1_500
