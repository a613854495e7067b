"""The OpenAPI document and a page of it for people, over HTTP."""

import functools
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from springline import __version__
from springline.api.bodies import Nothing
from springline.api.openapi import openapi_document
from springline.api.reference_page import reference_page
from springline.api.routing import Call, Route


def documentation_routes(described: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that answer what the others do. Both answers are made once, when the first is asked for."""

    @functools.cache
    def document() -> dict[str, Any]:
        return openapi_document(described, version=__version__)

    @functools.cache
    def encoded() -> bytes:
        return msgspec.json.encode(document())

    @functools.cache
    def page() -> bytes:
        return reference_page(document()).encode()

    async def get_openapi(call: Call[Nothing, Nothing]) -> Response:
        """Get this API as an OpenAPI 3.1 document."""
        return Response(encoded(), media_type="application/json")

    async def get_documentation(call: Call[Nothing, Nothing]) -> Response:
        """Read about this API."""
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(page(), media_type="text/html; charset=utf-8", headers=headers)

    return (
        Route("GET", "/openapi.json", get_openapi, public=True),
        Route("GET", "/docs", get_documentation, public=True),
    )
