"""Routes: a method, a path and a handler whose annotation says what it takes.

A handler is `async def handler(call: Call[BodyType, QueryType]) -> Response`. Its annotation is what validates and what
OpenAPI shows; `Nothing` where there is no body or no query parameter.
"""

import typing
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from springline.api.auth import Authenticator
from springline.api.bodies import BODY_BYTES, Body, Examined, Nothing, examine_body, examine_query
from springline.api.errors import Problems, error_response, failure_response, not_found, unavailable_response
from springline.api.services import Services
from springline.domain.errors import Refused
from springline.domain.ids import parse_id
from springline.store.database import UNAVAILABLE

B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Body)

Handler = Callable[["Call[Any, Any]"], Awaitable[Response]]

_NOBODY: Final = uuid.UUID(int=0)


class Call(Generic[B, Q]):
    """One request, with what a handler needs to answer it."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        request: Request,
        org_id: uuid.UUID,
        body: Examined[B],
        query: Examined[Q],
    ) -> None:
        self.services = services
        self.authenticator = authenticator
        self.request = request
        self.org_id = org_id
        self._body = body
        self._query = query
        self.problems: Problems = body.problems
        for name, sentences in query.problems.fields.items():
            for sentence in sentences:
                self.problems.add(name, sentence)

    @property
    def body(self) -> B:
        """The body. Raises Refused (422) if any field of the body or the query is wrong."""
        self.problems.raise_if_any()
        assert self._body.value is not None
        return self._body.value

    @property
    def query(self) -> Q:
        """The query parameters. Raises Refused (422) if any field of the body or the query is wrong."""
        self.problems.raise_if_any()
        assert self._query.value is not None
        return self._query.value

    @property
    def draft(self) -> dict[str, Any]:
        """The body's fields that are right; what is wrong with them beyond their type goes into `problems`."""
        return self._body.draft

    @property
    def query_draft(self) -> dict[str, Any]:
        """The query parameters that are right."""
        return self._query.draft

    @property
    def warnings(self) -> list[str]:
        """Sentences for the client about what was ignored."""
        return self._body.warnings + self._query.warnings

    def path_id(self, noun: str, name: str = "id") -> uuid.UUID:
        """The id in the path. Raises Refused (404) if it is no UUID."""
        text: str = self.request.path_params[name]
        parsed = parse_id(text)
        if parsed is None:
            raise not_found(noun, text)
        return parsed

    def not_found(self, noun: str, name: str = "id") -> Refused:
        """The 404 for the id in the path."""
        return not_found(noun, self.request.path_params[name])


@dataclass(frozen=True)
class Route:
    """One operation; its handler's docstring describes it. `answers` is the type of the answer's body, `refuses` the
    codes it may answer beyond those that every operation shares. A `public` one needs no token; `head` False: HEAD is
    not GET without the body here."""

    method: str
    path: str
    handler: Handler
    answers: Any = field(default=None, kw_only=True)
    status: int = field(default=200, kw_only=True)
    refuses: Sequence[str] = field(default=(), kw_only=True)
    public: bool = field(default=False, kw_only=True)
    head: bool = field(default=True, kw_only=True)
    body: type[Body] = field(init=False)
    query: type[Body] = field(init=False)

    def __post_init__(self) -> None:
        """Raises TypeError if the handler's annotation is not `Call[…, …]`."""
        hint = typing.get_type_hints(self.handler)["call"]
        if typing.get_origin(hint) is not Call:
            raise TypeError(f"{self.handler.__module__}: annotate call as Call[BodyType, QueryType]")
        body, query = typing.get_args(hint)
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "query", query)


class PathEndpoint:
    """Everything that answers at one path: an ASGI application."""

    def __init__(self, routes: Sequence[Route], services: Services, authenticator: Authenticator) -> None:
        self._by_method = {route.method: route for route in routes}
        if "GET" in self._by_method and self._by_method["GET"].head:
            self._by_method["HEAD"] = self._by_method["GET"]
        self._allow = ", ".join(sorted({*self._by_method, "OPTIONS"}))
        self._services = services
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refused as refused:
            response = error_response(refused, headers=self._headers_of(refused))
        except ClientDisconnect:
            return
        except UNAVAILABLE as error:
            response = unavailable_response(error, method=request.method, path=request.url.path)
        except Exception as error:
            response = failure_response(error, method=request.method, path=request.url.path)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        route = self._by_method.get(request.method)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": self._allow})
        if route is None:
            raise Refused("route.method_not_allowed", f"{request.method} is not possible here; {self._allow} are")
        org_id = _NOBODY
        if not route.public:
            org_id = await self._authenticator.organisation_of(request.headers.get("authorization"))
        body = await _examined_body(request, route.body)
        query = examine_query(request.scope["query_string"], route.query)
        call: Call[Any, Any] = Call(self._services, self._authenticator, request, org_id, body, query)
        if route.body is Nothing and route.query is Nothing:
            call.problems.raise_if_any()
        response = await route.handler(call)
        for warning in call.warnings:
            response.headers.append("Warning", f'299 springline "{warning}"')
        return response

    def _headers_of(self, refused: Refused) -> Mapping[str, str] | None:
        if refused.status == 405:
            return {"Allow": self._allow}
        if refused.status == 401:
            return {"WWW-Authenticate": 'Bearer realm="springline"'}
        # What is left of a body that was refused is not read.
        return {"Connection": "close"} if refused.status == 413 else None


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status_code=status, headers=headers, media_type="application/json")


def created(value: Any, location: str) -> Response:
    """201, and where the new object is."""
    return answer(value, status=201, headers={"Location": location})


def no_content() -> Response:
    """204."""
    return Response(status_code=204)


async def _examined_body(request: Request, body_type: type[Body]) -> Examined[Any]:
    if body_type is not Nothing:
        return examine_body(await _read_body(request), body_type)
    nothing: Examined[Any] = Examined()
    nothing.value = Nothing()
    return nothing


async def _read_body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > BODY_BYTES:
        raise _too_large()
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
    if size and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("body.not_application_json", "send the body as `Content-Type: application/json`")
    return b"".join(chunks)


def _too_large() -> Refused:
    return Refused("body.too_large", "the body is larger than 8 MiB")
