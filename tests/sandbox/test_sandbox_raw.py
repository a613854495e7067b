"""Objects put as text come back byte for byte."""

import json
from typing import Any

import msgspec
import pytest
from tests.sandbox.sandbox_client import NOW, Reply, SandboxClient

ODD: dict[str, bytes] = {
    "a 64-bit integer": b'{"id":"x","n":9223372036854775807,"m":-9223372036854775808,"o":1234567890123456789012345}',
    "spelt numbers": b'{"id":"x","a":1.10,"b":1e-400,"c":1E+2,"d":-0,"e":0.1e1,"f":1.0}',
    "escapes": b'{"id":"x","a":"\\u0000","b":"\\u00e9\\/","c":"\xc3\xa9","d":"\\ud83d\\ude00"}',
    "a lone surrogate": b'{"id":"x","a":"\\ud800","b":"\\udfff x"}',
    "deep nesting": b'{"id":"x","a":' + b'{"b":[' * 250 + b"1" + b"]}" * 250 + b"}",
    "a long string": b'{"id":"x","a":"' + b"0123456789abcdef" * 196_608 + b'"}',
    "odd order and space": b'{ "z" : 1 ,\n\n\t"id":"x",   "a" :[ ] , "m":{ } }',
    "keys of all kinds": b'{"":1,"\\u0069d2":2,"id":"x","a b":3,"a.b":4,"\xf0\x9f\x98\x80":5}',
    "its own created": b'{"id":"x","created":1700000000}',
}


def spliced(page: Reply, text: bytes) -> bool:
    return page.body.startswith(b'{"object":"list","data":[') and text in page.body


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_reads_return_the_bytes(stripe: SandboxClient, text: bytes) -> None:
    await stripe.seed("customer", 2)
    put = await stripe.control("PUT", "/raw/customer/x", raw=text)
    assert put == {"id": "x", "bytes": len(text), "events": ["customer.created"]}
    assert (await stripe.get("/v1/customers/x")).body == text
    assert spliced(await stripe.get("/v1/customers", limit=100), text)
    assert spliced(await stripe.get("/v1/events"), text)
    [event] = (await stripe.get("/v1/events")).ids
    assert text in (await stripe.get(f"/v1/events/{event}")).body
    shown = await stripe.control_reply("GET", "/objects/customer/x")
    assert shown.body == text
    assert text in (await stripe.control_reply("GET", "/objects/customer")).body


@pytest.mark.parametrize(
    "text", [b'{"id":"x","a":1}', b'{\n  "id": "x",\n  "a": [\n    1\n  ]\n}'], ids=["compact", "laid out"]
)
async def test_a_page_of_raw_objects_is_valid_json(stripe: SandboxClient, text: bytes) -> None:
    for collection in ("customer", "coupon", "invoice"):
        await stripe.control("PUT", f"/raw/{collection}/x", raw=text)
        page = await stripe.get(f"/v1/{collection}s", limit=1)
        envelope = msgspec.json.decode(page.body, type=dict[str, msgspec.Raw])
        assert bytes(envelope["data"]) == b"[" + text + b"]"
        assert (page.value["has_more"], page.value["url"]) == (False, f"/v1/{collection}s")


async def test_a_raw_object_lives_like_any_other(stripe: SandboxClient) -> None:
    def customer(name: str, created: int) -> bytes:
        return json.dumps({"id": "x", "object": "customer", "created": created, "name": name, "email": "a@x"}).encode()

    await stripe.control("PUT", "/raw/customer/x", raw=customer("A", int(NOW) - 5))
    [seeded] = await stripe.seed("customer", 1, created_from=int(NOW) - 9, created_until=int(NOW) - 9)
    assert (await stripe.get("/v1/customers")).ids == ["x", seeded]
    assert (await stripe.get("/v1/customers", email="a@x")).ids == ["x"]
    assert (await stripe.get("/v1/customers", starting_after="x")).ids == [seeded]
    again = await stripe.control("PUT", "/raw/customer/x", raw=customer("A", int(NOW) - 5))
    assert again["events"] == []
    changed = await stripe.control("PUT", "/raw/customer/x", raw=customer("B", int(NOW) - 15))
    assert changed["events"] == ["customer.updated"]
    assert (await stripe.get("/v1/customers")).ids == [seeded, "x"]
    silent = await stripe.control("PUT", "/raw/customer/x?events=false", raw=customer("C", int(NOW)))
    assert silent["events"] == []
    assert (await stripe.delete("/v1/customers/x")).value["deleted"] is True
    assert (await stripe.get("/v1/customers")).ids == [seeded]
    types = [event["type"] for event in await stripe.events()]
    assert types == ["customer.created", "customer.updated", "customer.deleted"]


@pytest.mark.parametrize("text", [b"", b"[]", b'"x"', b'{"id":"y"}', b"{}", b'{"id":"x"', b'{"id":"x","a":"\xff"}'])
async def test_text_that_is_no_object_needs_to_be_meant(stripe: SandboxClient, text: bytes) -> None:
    refused = await stripe.control_reply("PUT", "/raw/customer/x", raw=text)
    assert refused.status == 400
    assert (await stripe.get("/v1/customers/x")).status == 404
    await stripe.control("PUT", f"/raw/customer/x?unchecked=true&created={int(NOW) - 7}", raw=text)
    assert (await stripe.get("/v1/customers/x")).body == text
    assert (await stripe.get("/v1/customers", created=int(NOW) - 7)).body.count(b"object") == 1


async def test_nesting_that_no_parser_takes(stripe: SandboxClient) -> None:
    text = b'{"id":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert (await stripe.control_reply("PUT", "/raw/customer/x", raw=text)).status == 400
    await stripe.control("PUT", "/raw/customer/x?unchecked=true", raw=text)
    assert (await stripe.get("/v1/customers/x")).body == text


async def test_python_values_that_have_no_utf8(stripe: SandboxClient) -> None:
    made: Any = await stripe.control("POST", "/objects/customer", {"set": {"id": "x", "name": "\ud800"}})
    assert made["name"] == "\ud800"
    assert b'"name": "\\ud800"' in (await stripe.get("/v1/customers/x")).body
