"""Whatever a client sends, it gets an answer that says what is wrong: never a fault of ours."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.api import RunningApi
from tests.support.records import hold_something, write_records

from springline.api.app import ROUTES
from springline.api.bodies import Nothing
from springline.api.fields import fields_of
from springline.domain.errors import ERROR_CODES

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITH_BODY = [route for route in ROUTES if route.body is not Nothing]
WITH_QUERY = [route for route in ROUTES if route.method == "GET" and route.query is not Nothing]

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8) | st.sampled_from(
    ["*", "stripe", "stripe:customer", "stripe_key", "continuous", "1h", "all", "\0", "\ud800", "sk_test_1"]
)
NUMBERS = st.integers() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.sampled_from(
    sorted({name for route in WITH_BODY for name in fields_of(route.body)} | {"kind", "secret", "interval"})
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=3),
    max_leaves=8,
)


#: What each endpoint would take, so that one odd field is not lost among missing ones.
VALID: dict[str, dict[str, Any]] = {
    "/v1/streams": {"slug": "any"},
    "/v1/syncs": {"provider": "stripe", "name": "any", "collection_ids": ["stripe:plan"]},
    "/v1/credentials": {"properties": {"kind": "stripe_key", "secret": "sk_test_1"}},
    "/v1/oauth-apps": {"provider": "stripe", "name": "any", "client_id": "any", "client_secret": "any"},
    "/v1/http-consumers": {"name": "any"},
    "/v1/tokens": {"name": "any"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(shared_api: RunningApi) -> dict[str, str]:
    """What the path's id names, by the path's second part."""
    sync = await shared_api.ours.sync()
    VALID["/v1/syncs"]["credential_id"] = sync["credential_id"]
    app = await shared_api.ours.oauth_app()
    consumer = await shared_api.ours.consumer(stream_id=sync["stream_id"])
    hold = await hold_something(shared_api.services.database, sync["id"])
    (record,) = await write_records(shared_api.services.database, sync["id"], ["cus_1"])
    return {
        "hold_id": str(hold),
        "collections": sync["credential_id"],
        "collection": "stripe:customer",
        "records": str(record),
        "streams": sync["stream_id"],
        "syncs": sync["id"],
        "credentials": sync["credential_id"],
        "oauth-apps": app["id"],
        "http-consumers": consumer["id"],
    }


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda name: ids.get(name[1]) or ids.get(path.split("/")[2], ""), path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_body(shared_api: RunningApi, ids: dict[str, str], data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(WITH_BODY))
    own_names = st.sampled_from(sorted(fields_of(route.body)))
    valid = VALID.get(route.path, {}) | ({"stream_id": ids["streams"]} if "stream_id" in fields_of(route.body) else {})
    odd = st.dictionaries(own_names, VALUES, max_size=2).map(lambda fields: {**valid, **fields})
    body = data.draw(odd | VALUES)
    path = filled(route.path, ids)
    # Nobody is asked about made-up keys.
    query = "?verify=false" if "verify" in fields_of(route.query) else ""
    reply = await shared_api.ours.request(route.method, path + query, data=json.dumps(body).encode())
    assert reply.status in {200, 201, 204, 409, 422}, (route.method, path, body, reply.body)
    if reply.status >= 400:
        assert ERROR_CODES[reply.code] == reply.status
        assert reply.status != 422 or reply.fields


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_query(shared_api: RunningApi, ids: dict[str, str], data: st.DataObject) -> None:
    route = data.draw(st.sampled_from(WITH_QUERY))
    names = st.sampled_from(sorted(fields_of(route.query)))
    odd = ["1", "0", "true", "*", '{"a": 1e400}', "A" * 22, "[" * 2000]
    texts = st.text(max_size=8) | st.sampled_from([*odd, *ids.values()])
    pairs = data.draw(st.lists(st.tuples(names | st.text(max_size=4), texts), max_size=4))
    path = filled(route.path, ids)
    reply = await shared_api.ours.request(route.method, f"{path}?{urlencode(pairs)}")
    assert reply.status in {200, 422}, (path, pairs, reply.body)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=40) | st.binary(max_size=10).map(lambda tail: b'{"slug":"' + tail))
async def test_any_bytes(shared_api: RunningApi, raw: bytes) -> None:
    reply = await shared_api.ours.request("POST", "/v1/streams", data=raw)
    assert reply.status in {201, 400, 409, 422}, raw


async def test_metadata_comes_back_as_it_went(shared_api: RunningApi, ids: dict[str, str]) -> None:
    path = f"/v1/http-consumers/{ids['http-consumers']}"

    for metadata in (
        {"a": 1, "b": 1.5, "c": None, "d": [True, {"e": "ä😀"}]},
        {"": "", "a" * 300: 10**300, "b": -(2**63), "c": 1e-300, "d": 0.1},
    ):
        changed = (await shared_api.ours.patch(path, {"metadata": metadata})).expect(200)
        assert changed["metadata"] == metadata
