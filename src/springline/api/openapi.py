"""The OpenAPI document, made from the routes and the very types that validate."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from springline.api.bodies import Body, Nothing
from springline.api.errors import ErrorAnswer
from springline.api.fields import without_unset
from springline.api.routing import Route
from springline.domain.errors import ERROR_CODES

_REFERENCE: Final = "#/components/schemas/{name}"
_PATH_PARAMETER: Final = re.compile(r"{(\w+)(?::\w+)?}")
_BODY_CODES: Final = ("body.not_json", "body.too_large", "body.not_application_json")
_DESCRIPTION: Final = (
    "Springline syncs SaaS APIs into durable streams, and hands the records to consumers over HTTP. "
    "Every error is answered as `ErrorAnswer`; its codes are stable, its messages are not."
)


def openapi_document(routes: Sequence[Route], *, version: str) -> dict[str, Any]:
    """The document (OpenAPI 3.1) as JSON values."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    # Query parameters stand one by one, so the objects that gather them need no schema of their own.
    for route in routes:
        components.pop(route.query.__name__, None)
    by_type = {_identity(each): schema for each, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    names = _operation_names(routes)
    for route, name in zip(routes, names, strict=True):
        operation = {"operationId": name, **_operation(route, lambda each: by_type[_identity(each)])}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Springline",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "An API token."}},
        },
    }
    # `Listed_StreamObject_` is what a page of streams is called after its Python type.
    text = re.sub(r"\bListed_(\w+?)_(?=\")", r"\1Page", msgspec.json.encode(document).decode())
    result: dict[str, Any] = msgspec.json.decode(text)
    return result


def _operation(route: Route, schema_of: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(route.handler) or "").partition("\n")
    operation: dict[str, Any] = {
        "summary": summary.rstrip("."),
        "tags": [_tag(route.path)],
        "responses": _responses(route, schema_of),
    }
    if description.strip():
        operation["description"] = description.strip()
    parameters = [*_path_parameters(route.path), *_query_parameters(route.query, schema_of)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not Nothing:
        required = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {"required": required, "content": _json(schema_of(route.body))}
    if not route.public:
        operation["security"] = [{"token": []}]
    return operation


def _operation_names(routes: Sequence[Route]) -> list[str]:
    """Each handler's name; one that answers at several paths is told apart by their last part."""
    used = Counter(route.handler.__name__ for route in routes)
    return [
        name if used[name] == 1 else f"{name}_{route.path.rsplit('/', 1)[-1]}"
        for route, name in ((route, route.handler.__name__) for route in routes)
    ]


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    return parts[1] if len(parts) > 1 and parts[0] == "v1" else "service"


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in _PATH_PARAMETER.findall(path):
        schema = {"type": "string", "format": "uuid"} if name.endswith("id") else {"type": "string"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(query: type[Body], schema_of: Callable[[Any], Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for field in msgspec.structs.fields(query):
        schema = dict(schema_of(without_unset(field.type)))
        parameter: dict[str, Any] = {"name": field.encode_name, "in": "query", "required": field.required}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        if isinstance(field.default, (str, int, float, bool)):
            schema["default"] = field.default
        if schema.get("type") == "object":
            parameter["content"] = _json(schema)
        else:
            parameter["schema"] = schema
        yield parameter


def _responses(route: Route, schema_of: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answers is not None:
        success["content"] = _json(schema_of(route.answers))
    if route.status == 201:
        success["headers"] = {"Location": {"description": "Where the new object is.", "schema": {"type": "string"}}}
    responses = {str(route.status): success}
    by_status: dict[int, list[str]] = {}
    for code in _codes(route):
        by_status.setdefault(ERROR_CODES[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}",
            "content": _json(schema_of(ErrorAnswer)),
        }
    return responses


def _codes(route: Route) -> list[str]:
    codes = list(route.refuses)
    if not route.public:
        codes += ["token.missing", "token.unknown", "request.invalid", "service.unavailable"]
    if route.body is not Nothing:
        codes += _BODY_CODES
    noun = _NOUNS.get(_tag(route.path))
    if "{id}" in route.path and noun is not None:
        codes.append(f"{noun}.not_found")
    return list(dict.fromkeys([*codes, "service.failed"]))


_NOUNS: Final = {
    "streams": "stream",
    "syncs": "sync",
    "credentials": "credential",
    "oauth-apps": "oauth_app",
    "http-consumers": "consumer",
    "tokens": "token",
    "records": "record",
}


def _types(routes: Sequence[Route]) -> list[Any]:
    types: list[Any] = [ErrorAnswer]
    for route in routes:
        if route.body is not Nothing:
            types.append(route.body)
        if route.answers is not None:
            types.append(route.answers)
        types += [without_unset(field.type) for field in msgspec.structs.fields(route.query)]
    return list({_identity(each): each for each in types}.values())


def _identity(each: Any) -> str:
    return f"{getattr(each, '__module__', '')} {each!r}"


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
