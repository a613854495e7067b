"""An id of another organisation answers exactly as one that does not exist: on every endpoint that there is.

The cases come from the OpenAPI document, so that a new endpoint is either covered or makes this fail.
"""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api import Client, Reply, RunningApi
from tests.support.records import hold_something, write_records

from springline.api.app import ROUTES
from springline.api.openapi import openapi_document
from springline.domain.records import record_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = openapi_document(ROUTES, version="0")
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]

Ids = dict[str, str]

#: Ids that exist nowhere, by what they would name. A record's id has a form of its own.
UNKNOWN: Ids = {
    "stream": str(uuid.uuid4()),
    "sync": str(uuid.uuid4()),
    "credential": str(uuid.uuid4()),
    "oauth_app": str(uuid.uuid4()),
    "consumer": str(uuid.uuid4()),
    "token": str(uuid.uuid4()),
    "record": str(record_id(2_000_000, 1)),
    "hold": str(uuid.uuid4()),
}
#: What the id in a path names, by the path's second part.
NOUN_OF_PATH = {
    "streams": "stream",
    "syncs": "sync",
    "credentials": "credential",
    "oauth-apps": "oauth_app",
    "http-consumers": "consumer",
    "tokens": "token",
    "records": "record",
    "collections": "credential",
}
#: What another id in a path names, by its name there.
NOUN_OF_PARAMETER = {"hold_id": "hold"}
#: Paths whose objects belong to nobody.
COMMON = {"/v1/providers", "/v1/providers/{name}"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, by_method in DOCUMENT["paths"].items():
        for method, operation in by_method.items():
            if "security" in operation and path not in COMMON:
                yield method.upper(), path, operation


WITH_ID = [(method, path) for method, path, _ in operations() if "{" in path]
WITH_BODY_IDS = [
    (method, path) for method, path, operation in operations() if "requestBody" in operation and "{" not in path
]
LISTS = [path for method, path, _ in operations() if method == "GET" and "{" not in path]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(shared_api: RunningApi) -> Ids:
    """One of everything, in our organisation."""
    client = shared_api.ours
    sync = await client.sync()
    consumer = await client.consumer(stream_id=sync["stream_id"], filters={"sync_id": sync["id"]})
    token = (await client.post("/v1/tokens", {"name": "t"})).expect(201)
    app = await client.oauth_app()
    hold = await hold_something(shared_api.services.database, sync["id"])
    (record,) = await write_records(shared_api.services.database, sync["id"], ["cus_1"])
    return {
        "stream": sync["stream_id"],
        "sync": sync["id"],
        "credential": sync["credential_id"],
        "oauth_app": app["id"],
        "consumer": consumer["id"],
        "token": token["id"],
        "record": str(record),
        "hold": str(hold),
    }


def sample(schema: dict[str, Any], ids: Ids, *, name: str = "") -> Any:
    """A value that a schema takes, with the given ids where it names some."""
    if "$ref" in schema:
        return sample_object(SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]], ids)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], ids, name=name)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "uuid":
        return ids.get(name.removesuffix("_id"), ids["stream"])
    if name == "collection_ids":
        return ["stripe:customer"]
    kinds: dict[str, Any] = {"string": "stripe", "integer": 1, "number": 1, "boolean": True, "object": {}}
    if schema["type"] == "array":
        return [sample(schema["items"], ids)]
    return kinds[schema["type"]]


def sample_object(schema: dict[str, Any], ids: Ids) -> dict[str, Any]:
    """Every field that is required or is an id; of several ways to give one, the id."""
    return {
        name: sample(field, ids, name=name)
        for name, field in schema["properties"].items()
        if name in schema["required"] or name.endswith("_id")
        if name not in {"external_id", "client_id", "app_id"} or name in schema["required"]
    }


def body_of(method: str, path: str, ids: Ids) -> dict[str, Any] | None:
    operation = DOCUMENT["paths"][path][method.lower()]
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    value: dict[str, Any] = sample(schema, ids)
    if path == "/v1/http-consumers":
        value["filters"] = {"sync_id": ids["sync"]}
    return value


def filled(path: str, ids: Ids) -> str:
    noun = NOUN_OF_PATH.get(path.split("/")[2])
    assert noun is not None, f"say in NOUN_OF_PATH what the id in {path} names"
    return re.sub(r"{(\w+)}", lambda name: ids[NOUN_OF_PARAMETER.get(name[1], noun)], path)


def comparable(reply: Reply, ids: Ids) -> tuple[int, str, dict[str, str]]:
    """An answer without the ids that were asked for."""
    text = reply.body.decode()
    for each in ids.values():
        text = text.replace(each, "<id>")
    headers = {name: value for name, value in reply.headers.items() if name not in {"Date", "Content-Length"}}
    return reply.status, text, headers


async def everything(client: Client, ids: Ids) -> dict[str, bytes]:
    """What the owner sees."""
    paths = ["/v1/streams", "/v1/syncs", "/v1/credentials", "/v1/oauth-apps", "/v1/http-consumers", "/v1/tokens"]
    paths += [f"/v1/records/{ids['record']}", f"/v1/syncs/{ids['sync']}/holds"]
    return {path: (await client.get(path)).body for path in paths}


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_an_id_in_the_path(shared_api: RunningApi, ours: Ids, method: str, path: str) -> None:
    before = await everything(shared_api.ours, ours)
    answers = [
        comparable(await shared_api.theirs.request(method, filled(path, ids), body_of(method, path, ids)), ids)
        for ids in (ours, UNKNOWN)
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert await everything(shared_api.ours, ours) == before


@pytest.mark.parametrize(("method", "path"), WITH_BODY_IDS)
async def test_ids_in_the_body(shared_api: RunningApi, ours: Ids, method: str, path: str) -> None:
    before = await everything(shared_api.ours, ours)
    bodies = [body_of(method, path, ids) for ids in (ours, UNKNOWN)]
    names_ids = bodies[0] != bodies[1]
    replies = [await shared_api.theirs.request(method, path, body) for body in bodies]
    if names_ids:
        answers = [comparable(reply, ids) for reply, ids in zip(replies, (ours, UNKNOWN), strict=True)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 422
        # Each of them is named.
        given = {name for name in bodies[0] or {} if name.endswith("_id")}
        assert given <= set(replies[0].fields)
    assert await everything(shared_api.ours, ours) == before


@pytest.mark.parametrize("path", LISTS)
async def test_lists(shared_api: RunningApi, ours: Ids, path: str) -> None:
    parameters = DOCUMENT["paths"][path]["get"].get("parameters", ())
    ids_by_name = {
        each["name"]: each["name"].removesuffix("_id")
        for each in parameters
        if each.get("schema", {}).get("format") == "uuid"
    }
    required = [each["name"] for each in parameters if each["required"]]
    if not required:
        text = (await shared_api.theirs.get(path)).body.decode()
        assert not [noun for noun, each in ours.items() if each in text]
    for name in ids_by_name:
        answers = []
        for ids in (ours, UNKNOWN):
            query = {each: ids[ids_by_name[each]] for each in {*required, name}}
            answers.append(comparable(await shared_api.theirs.get(path, **query), ids))
        assert answers[0] == answers[1], name


async def test_filters_by_a_sync(shared_api: RunningApi, ours: Ids) -> None:
    stream = await shared_api.theirs.stream()
    for ids in (ours, UNKNOWN):
        body = {"stream_id": stream["id"], "filters": {"sync_id": [ids["sync"]]}}
        reply = await shared_api.theirs.post("/v1/http-consumers", body)
        sentence = f"holds `{ids['sync']}`, which is not the id of a sync of this organisation"
        assert (reply.status, reply.fields) == (422, {"filters.sync_id": [sentence]})


async def test_cases_are_complete(ours: Ids) -> None:
    """Every id that a path, a body or a list takes is one that the fixture makes."""
    assert set(ours) == set(UNKNOWN) == {*NOUN_OF_PATH.values(), *NOUN_OF_PARAMETER.values()}
    assert len(WITH_ID) > 15
    assert len(LISTS) > 5
