"""Pages of lists, for every noun that has one."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.api import Client, RunningApi

pytestmark = pytest.mark.asyncio(loop_scope="module")

Make = Callable[[Client, int], Awaitable[dict[str, Any]]]


async def _stream(client: Client, number: int) -> dict[str, Any]:
    return await client.stream()


async def _token(client: Client, number: int) -> dict[str, Any]:
    made: dict[str, Any] = (await client.post("/v1/tokens", {"name": f"t{number}"})).expect(201)
    return made


async def _credential(client: Client, number: int) -> dict[str, Any]:
    return await client.credential(f"sk_test_list{number}")


async def _sync(client: Client, number: int) -> dict[str, Any]:
    credential = {"properties": {"kind": "stripe_key", "secret": "sk_test_listsync"}}
    return await client.sync(credential=credential)


async def _consumer(client: Client, number: int) -> dict[str, Any]:
    return await client.consumer()


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("/v1/streams", _stream),
        ("/v1/tokens", _token),
        ("/v1/credentials", _credential),
        ("/v1/syncs", _sync),
        ("/v1/http-consumers", _consumer),
    ],
)
async def test_pages(shared_api: RunningApi, path: str, make: Make) -> None:
    client = shared_api.ours
    before = [each["id"] for each in (await client.get(path)).expect(200)["data"]]
    made = [(await make(client, number))["id"] for number in range(5)]
    everything = sorted(before + made)
    pages: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get(path, **query)).expect(200)
        pages += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        assert len(page["data"]) == 2
        query["cursor"] = page["next_cursor"]
    assert pages == everything
    exact = (await client.get(path, limit=len(everything))).expect(200)
    assert (len(exact["data"]), exact["next_cursor"]) == (len(everything), None)


async def test_metadata_is_matched_by_containment(shared_api: RunningApi) -> None:
    client = shared_api.ours
    stream = (await client.stream())["id"]
    credential = (await client.credential("sk_test_meta", metadata={"plan": "gold", "tags": ["a", "b"]}))["id"]
    sync = await client.sync(stream_id=stream, credential_id=credential, metadata={"plan": "gold", "tags": ["a", "b"]})
    consumer = await client.consumer(stream_id=stream, metadata={"plan": "gold", "tags": ["a", "b"]})
    for path, made in (
        ("/v1/credentials", credential),
        ("/v1/syncs", sync["id"]),
        ("/v1/http-consumers", consumer["id"]),
    ):
        for wanted, found in (
            ({"plan": "gold"}, True),
            ({"tags": ["b"]}, True),
            ({"plan": "gold", "tags": ["c"]}, False),
            ({"plan": "silver"}, False),
        ):
            listed = (await client.get(path, metadata=json.dumps(wanted))).expect(200)["data"]
            assert [each["id"] for each in listed] == ([made] if found else [])
        for wrong in ("gold", "[1]", "{"):
            reply = await client.get(path, metadata=wrong)
            assert (reply.status, list(reply.fields)) == (422, ["metadata"])
