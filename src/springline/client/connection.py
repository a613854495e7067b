"""HTTP to one Springline server: requests out, typed objects and typed errors back."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

import springline
from springline.client.errors import ApiError, ErrorBody, NotSpringline, Unreachable
from springline.client.objects import ApiObject, Listing

ANSWER_WITHIN: Final = timedelta(seconds=30)
CONNECT_WITHIN: Final = timedelta(seconds=10)

Decoded = TypeVar("Decoded")
Value = TypeVar("Value")
Found = TypeVar("Found", bound=ApiObject)
Fields = Mapping[str, object]


class Answer(NamedTuple):
    """A successful answer. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]
    next_cursor: str | None = None


class Connection:
    """Requests to one server with one token. Connections are made when needed and kept until `close`."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": f"springline-python/{springline.__version__}",
        }
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Safe to call twice, and before the first request."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Fields | None = None,
        body: object = msgspec.UNSET,
        within: timedelta = ANSWER_WITHIN,
    ) -> Answer:
        """One request, never repeated. Fields that are UNSET are left out.

        Raises ApiError, Unreachable (also for no answer `within` this time) and NotSpringline (also for a redirect).
        """
        content = None if body is msgspec.UNSET else msgspec.json.encode(_set(body))
        headers = dict(self._headers)
        if content is not None:
            headers["Content-Type"] = "application/json"
        timeout = aiohttp.ClientTimeout(
            total=within.total_seconds(), sock_connect=min(CONNECT_WITHIN, within).total_seconds()
        )
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.request(
                method,
                URL(f"{self.base_url}{path}", encoded=True),
                params=_query(query or {}),
                data=content,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,  # the token is for this server only
            ) as response:
                answer = Answer(response.status, response.headers, await response.read())
        except TimeoutError:
            raise Unreachable(self.base_url, "no answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(self.base_url, _reason(error)) from error
        except ValueError as error:  # a URL that aiohttp does not take
            raise Unreachable(self.base_url, f"not a usable address ({error})") from None
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        return answer

    async def get(self, path: str, kind: type[Found]) -> Found:
        return self.read(await self.request("GET", path), kind)

    async def post(self, path: str, body: Fields, kind: type[Found]) -> Found:
        return self.read(await self.request("POST", path, body=body), kind)

    async def patch(self, path: str, body: Fields, kind: type[Found]) -> Found:
        return self.read(await self.request("PATCH", path, body=body), kind)

    async def listing(self, path: str, kind: type[Found], query: Fields | None = None) -> Listing[Found]:
        """All objects of a list, whatever number of pages it has (the API's own page is its largest)."""
        pages: list[bytes] = []
        parts: list[msgspec.Raw] = []
        cursor: str | None = None
        while True:
            page_query = {**(query or {}), "cursor": given(cursor)}
            answer = await self.request("GET", path, query=page_query)
            page = self.decode(answer, _Page)
            pages.append(answer.body)
            parts += page.data
            if page.next_cursor is None:
                break
            if page.next_cursor == cursor:
                raise NotSpringline(f"{self.base_url}{path} answered the same page twice")
            cursor = page.next_cursor
        found = [self.read(Answer(200, {}, bytes(part)), kind) for part in parts]
        raw = pages[0] if len(pages) == 1 else msgspec.json.encode({"data": parts, "next_cursor": None})
        return Listing(found, raw)

    def read(self, answer: Answer, kind: type[Found]) -> Found:
        """The object in an answer; `raw` is the answer's own JSON. Raises NotSpringline."""
        found = self.decode(answer, kind)
        found.raw = answer.body
        return found

    def decode(self, answer: Answer, kind: type[Decoded]) -> Decoded:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotSpringline(
                f"{self.base_url} answered in a form that this client does not know ({error}): "
                "is it Springline's address, and a version that fits?"
            ) from None

    def _refusal(self, answer: Answer) -> Exception:
        if 300 <= answer.status < 400:
            target = answer.headers.get("Location", "elsewhere")
            return NotSpringline(f"{self.base_url} redirects to {target}: use the address that it redirects to")
        try:
            body = msgspec.json.decode(answer.body, type=ErrorBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            words = _phrase(answer.status)
            if answer.status in {502, 503, 504}:  # a proxy in front speaks for a server that is not there
                return Unreachable(self.base_url, f"the address answers {words}")
            return NotSpringline(f"what answers at {self.base_url} is not Springline's API ({words})")
        return ApiError(
            status=answer.status, code=body.code, message=body.error, fields=body.fields, docs=tuple(body.docs)
        )


def segment(text: str) -> str:
    """A value as one segment of a path."""
    return {".": "%2E", "..": "%2E%2E"}.get(text) or quote(text, safe="")


def given(value: Value | None) -> Value | msgspec.UnsetType:
    """The value, or UNSET for None: a field to be left out."""
    return msgspec.UNSET if value is None else value


def milliseconds(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


def _set(body: object) -> object:
    """Without the fields that are UNSET."""
    if isinstance(body, Mapping):
        return {name: _set(value) for name, value in body.items() if value is not msgspec.UNSET}
    return body


def _query(fields: Fields) -> list[tuple[str, str]]:
    return [(name, _query_text(value)) for name, value in fields.items() if value is not msgspec.UNSET]


def _query_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _reason(error: BaseException) -> str:
    """Why there is no answer, in words that mean something to a person."""
    cause = getattr(error, "os_error", error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return f"its TLS certificate is not accepted, or it does not speak https ({cause})"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name of its host is not known"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | ConnectionResetError):
        return "the connection broke"
    return str(cause) or type(cause).__name__
