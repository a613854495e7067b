"""The OpenAPI document, and the page of it."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.support.api import RunningApi

from springline.api.app import ROUTES
from springline.api.openapi import openapi_document
from springline.api.reference_page import MEANINGS, reference_page
from springline.domain.errors import ERROR_CODES

DOCUMENT = openapi_document(ROUTES, version="1.2.3")


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for each in value.values() for found in references(each)]
    return [found for each in value for found in references(each)] if isinstance(value, list) else []


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, by_method in DOCUMENT["paths"].items()
        for method, operation in by_method.items()
    ]


async def test_served_as_it_is(api: RunningApi) -> None:
    served = (await api.nobody.get("/openapi.json")).expect(200)
    assert served["openapi"] == "3.1.0"
    assert served["paths"] == DOCUMENT["paths"]


def test_every_route_is_described() -> None:
    assert {(method, path) for method, path, _ in operations()} == {(route.method, route.path) for route in ROUTES}
    for method, path, operation in operations():
        assert operation["summary"], (method, path)
        assert operation["tags"], (method, path)
        assert any(status.startswith("2") for status in operation["responses"]), (method, path)
        named = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        if path.startswith("/v1"):
            assert operation["security"] == [{"token": []}]
            assert {"401", "500", "503"} <= set(operation["responses"])
            assert ("404" in operation["responses"]) == ("{" in path)
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for reference in references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert not [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z]+", name)]


def test_what_validates_is_what_is_shown() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    create = schemas["CreateSync"]
    assert create["required"] == ["provider", "stream_id", "name", "collection_ids"]
    assert create["additionalProperties"] is False
    assert create["properties"]["priority"] | {"description": ""} == {
        "type": "integer", "minimum": 1, "maximum": 10, "default": 5, "description": ""
    }  # fmt: skip
    parameters = {each["name"]: each for each in DOCUMENT["paths"]["/v1/syncs"]["get"]["parameters"]}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000}
    assert parameters["health.status"]["schema"]["enum"] == ["error", "healthy", "warn"]
    assert "content" in parameters["metadata"]


def test_every_code_is_explained() -> None:
    assert set(MEANINGS) == set(ERROR_CODES)


class _Page(HTMLParser):
    """Open elements, anchors, and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag != "meta":
            self.open.append(tag)
        if named.get("id"):
            self.ids.append(named["id"] or "")
        for name in ("href", "src"):
            if name in named:
                self.links.append(named[name] or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    text = reference_page(DOCUMENT)
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link == "/openapi.json" or link.removeprefix("#") in page.ids, link
    assert "<script" not in text
    for code in ERROR_CODES:
        assert code in page.ids
    for _, path, _ in operations():
        assert path in text


async def test_the_page_is_served(api: RunningApi) -> None:
    reply = await api.nobody.get("/docs")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_only_to_be_read(api: RunningApi, method: str) -> None:
    assert (await api.nobody.request(method, "/openapi.json")).status == 405
