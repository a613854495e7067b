"""Requests to providers: authenticated, inside the quota, ended by an answer or an error that says what to do next.

Redirects and the HTTP client's own retries are off: each would be a request without a permit (I7).
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, Final, Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from springline import __version__
from springline.domain.errors import CredentialDead, ProviderBroken, ProviderError, RetryLater, SlowDown
from springline.engine.quotas import Priority, SyncQuota
from springline.engine.request_log import RequestLog
from springline.metrics import Metrics
from springline.providers.vocabulary import Answer, CredentialKind, Provider, Request

#: An answer longer than this is no page.
LONGEST_ANSWER_BYTES: Final = 256 * 1024 * 1024
#: A passing fault is tried again at once this often, each time with a permit, before the work is put off.
QUICK_RETRIES: Final = 3
_KEEP_ALIVE_SECONDS: Final = 15.0
_LEASE_LOOK_SECONDS: Final = 0.2
#: How long a decrypted secret is kept at most.
_SECRET_SECONDS: Final = 5.0


class Startable(Protocol):
    """A permit, as the one who writes the request sees it."""

    def started(self, at: float) -> None:
        """The request is being written now, by the monotonic clock."""
        ...


class HttpClient:
    """The process's one HTTP client."""

    def __init__(self, session: aiohttp.ClientSession, metrics: Metrics) -> None:
        self.session = session
        self.metrics = metrics

    @classmethod
    def open(cls, metrics: Metrics | None = None) -> "HttpClient":
        """To be called inside the event loop."""
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_stamp)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS, ttl_dns_cache=30),
            trace_configs=[trace],
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            headers={"User-Agent": f"springline/{__version__}", "Accept": "application/json"},
        )
        # aiohttp sends an idempotent request again when a kept connection was dropped; it has no public switch.
        session._retry_connection = False
        return cls(session, metrics or Metrics())

    async def close(self) -> None:
        await self.session.close()


async def _stamp(
    session: aiohttp.ClientSession, context: SimpleNamespace, parameters: aiohttp.TraceRequestHeadersSentParams
) -> None:
    """The connection stands and the request is written: from now on the quota's window counts."""
    permit: Startable | None = context.trace_request_ctx
    if permit is not None:
        permit.started(time.monotonic())


async def _never() -> bool:
    return False


class Origin:
    """Where a provider is asked, and how one credential is let in. Secrets are decrypted for requests and dropped soon
    after the last."""

    def __init__(
        self,
        provider: Provider,
        kind: CredentialKind,
        *,
        base_url: str,
        open_properties: Callable[[], Awaitable[Mapping[str, Any]]],
        renew: Callable[[], Awaitable[bool]] = _never,
    ) -> None:
        """`renew`: the provider refuses what these properties say; False: others are not to be had."""
        self.provider = provider
        self.kind = kind
        self.base_url = base_url.rstrip("/")
        self._open_properties = open_properties
        self._renew = renew
        self._headers: CIMultiDict[str] | None = None

    async def headers(self) -> CIMultiDict[str]:
        """The headers that let a request in."""
        headers = self._headers
        if headers is None:
            headers = CIMultiDict(self.provider.request_headers)
            headers.update(self.kind.headers(await self._open_properties()))
            self._headers = headers
            asyncio.get_running_loop().call_later(_SECRET_SECONDS, self._forget)
        return headers

    async def has_others(self, refused: CIMultiDict[str]) -> bool:
        """Whether other headers can be had than these, which the provider refused: a token may have been replaced
        meanwhile, or be withdrawn before its time."""
        if self.kind.grant is None:
            return False
        self._forget()
        if await self.headers() != refused:
            return True
        self._forget()
        return await self._renew()

    def _forget(self) -> None:
        self._headers = None


class ServerClock:
    """The provider's own time, as its last answer told it and this process's steady clock goes on."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def note(self, answer: Answer) -> None:
        """Takes an answer's `Date`."""
        served_at = server_time(answer)
        if served_at is not None:
            self._offset = served_at - time.monotonic()

    def now(self) -> int | None:
        """Unix seconds; None: no answer has told it yet."""
        return None if self._offset is None else int(self._offset + time.monotonic())


def server_time(answer: Answer) -> int | None:
    """Unix seconds by the `Date` of an answer, where it has one."""
    try:
        return int(parsedate_to_datetime(answer.headers["date"]).timestamp())
    except (KeyError, ValueError):
        return None


class Fetcher:
    """Requests of one sync. `may_start`: whether the lease has time enough left for one more; `lease_left`: how many
    seconds it has."""

    def __init__(
        self,
        client: HttpClient,
        origin: Origin,
        quota: SyncQuota,
        *,
        may_start: Callable[[], bool] = lambda: True,
        lease_left: Callable[[], float] = lambda: float("inf"),
    ) -> None:
        self._client = client
        self.may_start = may_start
        self._lease_left = lease_left
        self._origin = origin
        self._quota = quota
        self.requests = 0
        self.clock = ServerClock()
        self.recent = RequestLog()
        #: Until when (monotonic) the provider wants no requests, since when, and its words.
        self.slowed: tuple[float, float, str] | None = None

    @property
    def base_url(self) -> str:
        """Where the provider is asked."""
        return self._origin.base_url

    @property
    def check(self) -> Request:
        """The cheapest request that this credential can make."""
        return self._origin.kind.check

    async def fetch(self, request: Request, priority: Priority) -> Answer:
        """Sends a request and returns its 2xx answer. Raises the errors of `domain.errors`."""
        for attempt in range(QUICK_RETRIES + 1):
            try:
                return await self._send(request, priority)
            except RetryLater as error:
                if attempt == QUICK_RETRIES or (error.after_seconds or 0) > 1.0:
                    raise
                await asyncio.sleep(error.after_seconds or random.uniform(0.5, 1.0) * 0.1 * 4**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _note_slowed(self, error: SlowDown) -> None:
        seconds, now = error.after_seconds or 1.0, time.monotonic()
        since = self.slowed[1] if self.slowed is not None and self.slowed[0] > now else now
        self.slowed = (max(now + seconds, self.slowed[0] if self.slowed is not None else now), since, error.words)

    async def _send(self, request: Request, priority: Priority) -> Answer:
        headers = await self._origin.headers()
        provider = self._origin.provider
        asked_at = time.monotonic()
        one = self.recent.begin(purpose=priority.name, method=request.method, path=request.path)
        try:
            async with self._quota.permit(priority, request) as permit:
                self._client.metrics.count_quota_wait(provider.name, time.monotonic() - asked_at)
                # In a lease's last seconds: it is renewed, or this sync is taken from us and this call cancelled.
                while not self.may_start():  # noqa: ASYNC110 - nothing tells when a lease was renewed
                    await asyncio.sleep(_LEASE_LOOK_SECONDS)
                self.requests += 1
                one.sent_at = time.monotonic()
                try:
                    async with _within_lease(self._lease_left):
                        answer = await send(self._client, self._origin, request, headers=headers, permit=permit)
                except ProviderError as error:
                    self.recent.ended(one, status=error.status, fault=error.words)
                    raise
                request_id = answer.headers.get(provider.request_id_header or "")
                self.recent.ended(one, status=answer.status, request_id=request_id)
                self.clock.note(answer)
                permit.answered(answer.status, provider.read_limits(request, answer))
                if 200 <= answer.status < 300 or answer.status in request.answers:
                    return answer
                fault = provider.classify(request, answer)
                if isinstance(fault, SlowDown):
                    permit.slow_down(fault.after_seconds, because=f"{answer.status}, {fault.words}")
                    self._note_slowed(fault)
        finally:
            self.recent.given_up(one)
        if isinstance(fault, CredentialDead):
            if await self._origin.has_others(headers):
                raise RetryLater(fault.words, status=fault.status, request_id=fault.request_id)
            fault.remedy = self._origin.kind.remedy
        raise fault


@asynccontextmanager
async def _within_lease(lease_left: Callable[[], float]) -> AsyncIterator[None]:
    """A request's deadline never outlives the lease: whoever takes over counts none of ours that still runs (I7).
    Raises RetryLater when the lease has ended."""
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def look() -> None:
        timers.clear()
        left = lease_left()
        if left <= 0:
            deadline.reschedule(loop.time())
        elif left < float("inf"):
            timers.append(loop.call_later(left, look))

    try:
        async with asyncio.timeout(None) as deadline:
            look()
            try:
                yield
            finally:
                for timer in timers:
                    timer.cancel()
    except TimeoutError:
        raise RetryLater("the worker's lease has ended") from None


async def send(
    client: HttpClient, origin: Origin, request: Request, *, headers: CIMultiDict[str], permit: Startable | None
) -> Answer:
    """One request, whatever its status. Raises RetryLater if there is no answer, ProviderBroken if it is too long."""
    provider = origin.provider
    status: int | None = None
    url = URL(origin.base_url + request.path, encoded=True).with_query(request.query)
    if request.headers:
        headers = headers.copy()
        headers.update(request.headers)
    try:
        async with client.session.request(
            request.method,
            url,
            headers=headers,
            data=request.body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=provider.request_timeout_seconds),
            trace_request_ctx=permit,
        ) as response:
            status = response.status
            body = await _read(response)
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=body,
            )
    except TimeoutError:
        raise RetryLater(f"{provider.title} did not answer within {provider.request_timeout_seconds:g} s") from None
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        # The text of some of these holds the URL with its query.
        raise RetryLater(f"{provider.title} could not be reached ({type(error).__name__})") from None
    finally:
        client.metrics.count_request(provider.name, status)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > LONGEST_ANSWER_BYTES:
        raise ProviderBroken(f"answered with {response.content_length} bytes", status=response.status)
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST_ANSWER_BYTES:
            raise ProviderBroken(f"answered with more than {LONGEST_ANSWER_BYTES} bytes", status=response.status)
    return bytes(body)
