"""Every error of the contract's section 1 that the configuration's endpoints can answer."""

import json
import uuid
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from tests.support.api import RunningApi

from springline.api.bodies import BODY_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(name="api")
def _api(shared_api: RunningApi) -> RunningApi:
    return shared_api


async def test_no_token(api: RunningApi) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
        reply = await api.nobody.request("GET", "/v1/streams", headers=headers)
        assert (reply.status, reply.code) == (401, "token.missing")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_unknown_token(api: RunningApi) -> None:
    for token in ("spl_no", "ü", "a b"):
        reply = await api.nobody.request("GET", "/v1/streams", headers={"Authorization": f"Bearer {token}"})
        assert (reply.status, reply.code) == (401, "token.unknown")


async def test_scheme_in_any_spelling(api: RunningApi) -> None:
    reply = await api.nobody.request("GET", "/v1/streams", headers={"Authorization": f"bEARER {api.ours.token}"})
    assert reply.status == 200


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v2/streams", "/v1/streams/a/b", "/%00", "/v1/streams%2Fa/b"])
async def test_unknown_path(api: RunningApi, path: str) -> None:
    reply = await api.ours.request("POST", path, {})
    assert (reply.status, reply.code) == (404, "route.not_found")


async def test_wrong_method(api: RunningApi) -> None:
    for method, path, allow in (
        ("PUT", "/v1/streams", "GET, HEAD, OPTIONS, POST"),
        ("POST", f"/v1/streams/{uuid.uuid4()}", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("GET", f"/v1/tokens/{uuid.uuid4()}", "DELETE, OPTIONS"),
        ("PROPFIND", "/", "GET, HEAD, OPTIONS"),
    ):
        reply = await api.ours.request(method, path)
        assert (reply.status, reply.code, reply.headers["Allow"]) == (405, "route.method_not_allowed", allow)


async def test_head_and_options(api: RunningApi) -> None:
    head = await api.ours.request("HEAD", "/v1/streams")
    get = await api.ours.get("/v1/streams")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    options = await api.nobody.request("OPTIONS", "/v1/streams")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    # It would take messages that nobody sees.
    consumer = await api.ours.consumer()
    reply = await api.ours.request("HEAD", f"/v1/http-consumers/{consumer['id']}/next")
    assert reply.status == 405


async def test_slash_at_the_end(api: RunningApi) -> None:
    made = (await api.ours.post("/v1/streams/", {"slug": "crm"})).expect(201)
    assert (await api.ours.get(f"/v1/streams/{made['id']}/")).expect(200) == made


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"{'a': 1}", b'{"slug": NaN}', b'{"slug": "a\x00"}', b'{"slug": "\xff"}', b"\xef\xbb\xbf{}"],
)
async def test_body_that_is_no_json(api: RunningApi, body: bytes) -> None:
    reply = await api.ours.request("POST", "/v1/streams", data=body)
    assert (reply.status, reply.code) == (400, "body.not_json")


async def test_body_that_is_no_object(api: RunningApi) -> None:
    for body in (b"[]", b"null", b'"slug"', b"1"):
        reply = await api.ours.request("POST", "/v1/streams", data=body)
        assert (reply.status, reply.fields) == (422, {"body": ["must be an object"]})


async def test_body_of_another_type(api: RunningApi) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", ""):
        reply = await api.ours.request("POST", "/v1/streams", {"slug": "a"}, headers={"Content-Type": kind})
        assert (reply.status, reply.code) == (415, "body.not_application_json")
    for slug, kind in (("kind-1", "application/json; charset=utf-8"), ("kind-2", "Application/JSON")):
        reply = await api.ours.request("POST", "/v1/streams", {"slug": slug}, headers={"Content-Type": kind})
        assert reply.status == 201


async def test_body_that_is_too_large(api: RunningApi) -> None:
    fits = b'{"slug":"large"' + b" " * (BODY_BYTES - 16) + b"}"
    assert (await api.ours.request("POST", "/v1/streams", data=BytesIO(fits))).status == 201
    reply = await api.ours.request("POST", "/v1/streams", data=BytesIO(fits + b" "))
    assert (reply.status, reply.code) == (413, "body.too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    reply = await api.ours.request("POST", "/v1/streams", data=chunks())
    assert (reply.status, reply.code) == (413, "body.too_large")
    # Nobody reads what comes with a request that is refused before.
    reply = await api.nobody.request("POST", "/v1/streams", data=BytesIO(fits))
    assert (reply.status, reply.code) == (401, "token.missing")
    reply = await api.ours.request("POST", "/v1/nothing", data=BytesIO(fits))
    assert (reply.status, reply.code) == (404, "route.not_found")
    # The next one is answered as if nothing had been.
    (await api.ours.get("/v1/streams")).expect(200)


async def test_every_wrong_field_is_named_at_once(api: RunningApi) -> None:
    reply = await api.ours.post(
        "/v1/syncs",
        {
            "provider": "strip",
            "stream_id": str(uuid.uuid4()),
            "name": "",
            "collection_ids": [],
            "rate_limit": {"allowed_requests": 0, "interval": "60", "max_concurrent": 1},
            "credential": {
                "properties": {"kind": "stripe_key", "secret": "pk_test_1"},
                "nam": "x",
                "oauth_app_id": str(uuid.uuid4()),
            },
            "max_age_days": 0,
            "sync_frequency": "4 hours",
            "metadata": [],
            "external_id": 5,
            "priority": 11,
            "collection_priorities": {"stripe:customer": 0},
            "colection_ids": ["stripe:customer"],
        },
        verify="perhaps",
    )
    assert (reply.status, reply.code) == (422, "request.invalid")
    assert reply.fields == {
        "provider": ["must be one of `stripe`, `github`, `desk`; did you mean `stripe`?"],
        "stream_id": ["is not the id of a stream of this organisation"],
        "name": ["must be a string of 1 to 1000 characters"],
        "collection_ids": ["must be a list that is not empty, each a string, at most 1000 of them"],
        "rate_limit.allowed_requests": ["must be a whole number from 1 to 1000000000"],
        "rate_limit.interval": ["must be a number greater than 0, at most 86400"],
        "rate_limit.max_concurrent": ["is unknown; did you mean `max_concurrent_requests`?"],
        "credential.properties.secret": ["is a publishable key; use a secret key (sk_…) or a restricted key (rk_…)"],
        "credential.nam": ["is unknown; did you mean `name`?"],
        "credential.oauth_app_id": ["is not the id of an OAuth app of this organisation"],
        "max_age_days": ["must be a number greater than 0, at most 36500, or null"],
        "sync_frequency": ["must be `continuous` or a duration of at most ten years such as `30m`, `4h` or `1d`"],
        "metadata": ["must be an object of at most 16 KiB and 64 levels"],
        "external_id": ["must be a string of at most 1000 characters, or null"],
        "priority": ["must be a whole number from 1 to 10"],
        "collection_priorities": ["must be an object"],
        "colection_ids": ["is unknown; did you mean `collection_ids`?"],
        "verify": ["must be true or false"],
    }
    assert reply.value["docs"] == ["/docs#request.invalid"]
    assert len(reply.value["error"].splitlines()) == 1


async def test_query_parameters_are_checked_alike(api: RunningApi) -> None:
    reply = await api.ours.request("GET", "/v1/syncs?limit=0&status=activ&stream=1&cursor=x&name=a&name=b&metadata=1")
    assert (reply.status, reply.fields) == (
        422,
        {
            "limit": ["must be a whole number from 1 to 1000"],
            "status": ["must be one of `active`, `disabled`; did you mean `active`?"],
            "stream": ["is unknown; did you mean `stream_id`?"],
            "cursor": ["must be a `next_cursor` that this list gave out"],
            "name": ["is given more than once"],
            "metadata": ["must be an object of at most 16 KiB and 64 levels"],
        },
    )
    reply = await api.ours.request("GET", f"/v1/syncs/{uuid.uuid4()}?verbose=1")
    assert (reply.status, reply.fields) == (422, {"verbose": ["is unknown"]})
    reply = await api.ours.request("GET", "/v1/syncs?" + "&".join(f"a{number}=1" for number in range(200)))
    assert (reply.status, list(reply.fields)) == (422, ["query"])
    reply = await api.ours.request("GET", "/v1/syncs?name=%00")
    assert (reply.status, reply.fields) == (422, {"name": ["must not hold the character U+0000"]})


TEXTS = {
    rb"\u0000": "must not hold the character U+0000",
    rb"\ud800": "must not hold half of a surrogate pair",
    rb"\udfff\ud800": "must not hold half of a surrogate pair",
}


@pytest.mark.parametrize("text", TEXTS)
async def test_text_that_no_database_keeps(api: RunningApi, text: bytes) -> None:
    consumer = await api.ours.consumer()
    for body, field in (
        (b'{"name": "a%s"}', "name"),
        (b'{"metadata": {"a": ["%s"]}}', "metadata"),
        (b'{"metadata": {"%s": 1}}', "metadata"),
        (b'{"filters": {"collection_id": ["%s"]}}', "filters.collection_id"),
    ):
        reply = await api.ours.request("PATCH", f"/v1/http-consumers/{consumer['id']}", data=body % text)
        assert (reply.status, reply.fields) == (422, {field: [TEXTS[text]]})
    reply = await api.ours.request("PATCH", f"/v1/http-consumers/{consumer['id']}", data=b'{"%s": 1}' % text)
    assert reply.status == 422
    body = b'{"properties": {"kind": "stripe_key", "secret": "sk_test_%s"}}' % text
    reply = await api.ours.request("POST", "/v1/credentials", data=body)
    assert (reply.status, reply.fields) == (422, {"properties.secret": [TEXTS[text]]})
    body = b'{"properties": {"kind": "stripe_key", "secret": "sk_test_1", "%s": 1}}' % text
    assert (await api.ours.request("POST", "/v1/credentials", data=body)).status == 422


async def test_text_that_only_looks_like_it(api: RunningApi) -> None:
    made = await api.ours.consumer(
        stream_id=(await api.ours.stream())["id"], name="a \\u0000 b 😀", metadata={"ä": "\\ud800"}
    )
    assert (made["name"], made["metadata"]) == ("a \\u0000 b 😀", {"ä": "\\ud800"})


async def test_numbers_out_of_range(api: RunningApi) -> None:
    consumer = await api.ours.consumer()
    for number in (b"1e400", b"-1e999", b"1" + b"0" * 400, b"1" + b"0" * 5000):
        body = b'{"metadata": {"a": %s}}' % number
        reply = await api.ours.request("PATCH", f"/v1/http-consumers/{consumer['id']}", data=body)
        assert (reply.status, reply.fields) == (422, {"metadata": ["holds a number that is out of range"]})
    # What is kept can be answered.
    body = b'{"metadata": {"a": 1e300, "b": %s, "c": 1.5, "d": -0.0}}' % (b"9" * 300)
    changed = (await api.ours.request("PATCH", f"/v1/http-consumers/{consumer['id']}", data=body)).expect(200)
    assert changed["metadata"] == {"a": 10**300, "b": int("9" * 300), "c": 1.5, "d": 0}
    (await api.ours.get("/v1/http-consumers", metadata=json.dumps({"c": 1.5}))).expect(200)


async def test_metadata_has_its_limits(api: RunningApi) -> None:
    consumer = await api.ours.consumer()
    path = f"/v1/http-consumers/{consumer['id']}"
    fits = {"a": "x" * (16 * 1024 - 8)}
    assert (await api.ours.patch(path, {"metadata": fits})).expect(200)["metadata"] == fits
    reply = await api.ours.patch(path, {"metadata": {"a": fits["a"] + "x"}})
    assert (reply.status, reply.fields) == (422, {"metadata": ["must not be larger than 16 KiB"]})
    for levels, status in ((63, 200), (64, 422), (900, 422)):
        deep = b'{"metadata": {"a": ' + b"[" * levels + b"]" * levels + b"}}"
        assert (await api.ours.request("PATCH", path, data=deep)).status == status, levels
    reply = await api.ours.request("PATCH", path, data=b'{"metadata": ' + b"[" * 100_000)
    assert (reply.status, reply.fields) == (422, {"body": ["is nested too deeply"]})
    (await api.ours.get(path)).expect(200)


@pytest.mark.parametrize("bad", ["nothing", "0", "00000000000000000000000000000000", "{}", "..", "%00", "a" * 300])
async def test_path_id_that_is_no_uuid(api: RunningApi, bad: str) -> None:
    for noun, path in (
        ("stream", "streams"),
        ("sync", "syncs"),
        ("credential", "credentials"),
        ("consumer", "http-consumers"),
    ):
        for method in ("GET", "PATCH", "DELETE"):
            reply = await api.ours.request(method, f"/v1/{path}/{bad}", {} if method == "PATCH" else None)
            assert (reply.status, reply.code) in {(404, f"{noun}.not_found"), (404, "route.not_found")}, reply.body
