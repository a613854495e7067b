"""One request to the fake API: arrival, version, token, limits, faults, answer."""

import asyncio
from dataclasses import replace
from email.utils import formatdate
from hashlib import sha256

from aiohttp import web

from springline.sandbox.common.faults import ActiveFault, LatencyFault, LatePageFault
from springline.sandbox.common.outcomes import Outcome, interrupt, send, spoil
from springline.sandbox.common.state import Arrival
from springline.sandbox.github import app_routes, resources
from springline.sandbox.github.answers import Answer, answer_error, answer_value
from springline.sandbox.github.collection import Call, Listing, Read
from springline.sandbox.github.collections.repositories import may_read
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.fault_effects import endless, is_endless, limit_answer, reshape, status_answer
from springline.sandbox.github.limits import Limiter
from springline.sandbox.github.params import read_body
from springline.sandbox.github.router import Found, Moved, rows_of_path
from springline.sandbox.github.sight import Sight, sight_under
from springline.sandbox.github.state import API_VERSIONS, GithubSandbox
from springline.sandbox.github.tables import Row
from springline.sandbox.github.tokens import Token
from springline.sandbox.github.world import iso

_NO_USER_AGENT = (
    b"\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header "
    b"(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). "
    b"Check https://developer.github.com for other possible causes.\r\n"
)


class Api:
    """Answers everything that is not the control API."""

    def __init__(self, sandbox: GithubSandbox) -> None:
        self._sandbox = sandbox

    async def handle(self, request: web.Request) -> web.StreamResponse:
        arrival = self._sandbox.arrive(method=request.method, path=request.path, query=request.rel_url.raw_query_string)
        outcome = Outcome(None)
        try:
            outcome = await self._outcome(request, arrival)
        finally:
            self._sandbox.finish(arrival, status=outcome.answer.status if outcome.answer else 0)
        headers = {
            "Server": "github.com",
            "Date": formatdate(self._sandbox.clock.now(), usegmt=True),
            "Content-Type": "application/json; charset=utf-8",
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": arrival.request_id,
        }
        if arrival.version is not None:
            headers["X-GitHub-Api-Version-Selected"] = arrival.version
        return await send(request, outcome, headers=headers)

    async def _outcome(self, request: web.Request, arrival: Arrival) -> Outcome:
        sandbox = self._sandbox
        if not request.headers.get("User-Agent"):
            return Outcome(Answer(status=403, body=_NO_USER_AGENT, headers={"Content-Type": "text/plain"}))
        try:
            arrival.version = _version(request)
            body = await request.read()
            if app_routes.is_app_path(request.path):
                return await self._app_outcome(request, arrival, body)
            token = sandbox.authenticate(request.headers)
        except GithubError as error:
            return Outcome(answer_error(error))
        arrival.account = token.whose
        limiter = sandbox.limiter(token)
        outcome = await self._limited(request, arrival, body, token=token, limiter=limiter)
        if isinstance(outcome.answer, Answer):
            outcome.answer.headers = {**self._token_headers(token, limiter), **outcome.answer.headers}
        return outcome

    async def _app_outcome(self, request: web.Request, arrival: Arrival, body: bytes) -> Outcome:
        arrival.endpoint = f"{request.method} {request.path.strip('/')}"
        fired = self._sandbox.faults.fire(request.method, request.path, query=dict(request.query), account="app")
        arrival.faults = tuple(active.id for active in fired)
        answered = None

        def answer() -> Answer:
            try:
                return app_routes.answer(self._sandbox, request, body)
            except GithubError as error:
                return answer_error(error)

        await self._wait(fired)
        instead = await interrupt(fired, applied=False, error_answer=status_answer)
        if instead is None:
            answered = answer()
            instead = await interrupt(fired, applied=True, error_answer=status_answer)
        if instead is not None:
            return instead
        assert answered is not None
        return spoil(answered, fired)

    async def _limited(
        self, request: web.Request, arrival: Arrival, body: bytes, *, token: Token, limiter: Limiter
    ) -> Outcome:
        now = self._sandbox.clock.now()
        writes = request.method not in {"GET", "HEAD", "OPTIONS"}
        try:
            if request.path.rstrip("/") == "/rate_limit":
                arrival.endpoint = "GET rate_limit"
                state = {**limiter.state(now), "resource": "core"}
                return Outcome(answer_value({"resources": _resources(state), "rate": state}))
            limiter.admit(arrived=arrival.at, writes=writes, now=now)
            found = self._sandbox.router.find(request.method, request.rel_url.raw_path)
        except GithubError as error:
            return Outcome(answer_error(error))
        arrival.endpoint = f"{request.method} {found.route.path}"
        limiter.unanswered += 1
        try:
            return await self._carried_out(request, arrival, body, found=found, token=token, limiter=limiter)
        finally:
            limiter.unanswered -= 1

    async def _carried_out(
        self, request: web.Request, arrival: Arrival, body: bytes, *, found: Found, token: Token, limiter: Limiter
    ) -> Outcome:
        sandbox = self._sandbox
        fired = sandbox.faults.fire(
            request.method, *self._paths(request), query=dict(request.query), account=token.whose
        )
        arrival.faults = tuple(active.id for active in fired)
        await self._wait(fired)
        refusal = limit_answer(fired, limiter, now=sandbox.clock.now())
        if refusal is not None:
            return Outcome(refusal)
        instead = await interrupt(fired, applied=False, error_answer=status_answer)
        if instead is not None:
            return instead
        answer = self._answer(request, body, fired, found=found, token=token)
        answer = reshape(answer, fired, url=str(request.url))
        if answer.page is not None and (link := answer.page.link()) is not None:
            answer.headers["Link"] = link
        if request.method in {"GET", "HEAD"} and answer.status == 200:
            answer = _conditional(request, answer)
            if answer.status == 304:
                limiter.give_back()
        instead = await interrupt(fired, applied=True, error_answer=status_answer)
        if instead is not None:
            return instead
        for active in fired:
            if isinstance(active.fault, LatePageFault):
                await active.hold(None if active.fault.ms is None else active.fault.ms / 1_000)
        return spoil(answer, fired)

    def _paths(self, request: web.Request) -> tuple[str, ...]:
        """The path as it was asked for, and by the repository's name where it has its number, as in links."""
        parts = request.path.strip("/").split("/")
        if parts[0] != "repositories" or len(parts) < 2 or not parts[1].isdecimal():
            return (request.path,)
        repository = self._sandbox.world["repository"].get(int(parts[1]))
        if repository is None:
            return (request.path,)
        name = self._sandbox.world.full_name(repository)
        return request.path, "/".join(["", "repos", name, *parts[2:]])

    async def _wait(self, fired: list[ActiveFault]) -> None:
        if self._sandbox.latency_ms:
            await asyncio.sleep(self._sandbox.latency_ms / 1_000)
        for active in fired:
            if isinstance(active.fault, LatencyFault):
                await active.hold(active.fault.ms / 1_000)

    def _answer(
        self, request: web.Request, body: bytes, fired: list[ActiveFault], *, found: Found, token: Token
    ) -> Answer:
        kind, behind = found.route.collection, found.route.behind
        try:
            token.check(kind, writes=not isinstance(behind, Listing | Read))
            is_read = isinstance(behind, Listing | Read)
            # What is written is written to what there is, whatever reads are made to see.
            sight = sight_under(self._sandbox.world, fired if is_read else [])
            call = replace(
                self._sandbox.call(token),
                world=sight.world,
                query=dict(request.query),
                accept=request.headers.get("Accept", ""),
            )
            call.rows, call.parts = rows_of_path(
                sight.world, found, may_see=lambda row: may_read(call, row), hides=sight.hides
            )
            if isinstance(behind, Read):
                return resources.read_one(kind, behind, call)
            if not isinstance(behind, Listing):
                return resources.write(kind, behind, call, read_body(body))
            url = _own_url(request, call.rows)
            if not is_endless(fired):
                return self._list(kind.name, behind, call, sight=sight, url=url)
            call.query = resources.first_page_query(call.query)
            answer = self._list(kind.name, behind, call, sight=sight, url=url)
            if answer.page is not None:
                number = request.query.get("page", "1")
                answer.page = endless(answer.page, number=int(number) if number.isdecimal() else 1, url=url)
            return answer
        except Moved as moved:
            return _redirect(request, moved)
        except GithubError as error:
            if not error.docs:
                error.docs = kind.docs
            return answer_error(error)

    def _list(self, name: str, listing: Listing, call: Call, *, sight: Sight, url: str) -> Answer:
        kind = self._sandbox.collections[name]
        return resources.read_list(kind, listing, call, sight=sight, url=url, deepest_rows=self._sandbox.deepest_rows)

    def _token_headers(self, token: Token, limiter: Limiter) -> dict[str, str]:
        headers = limiter.headers(self._sandbox.clock.now())
        if token.scopes is not None:
            headers |= {"X-OAuth-Scopes": token.scopes, "X-Accepted-OAuth-Scopes": ""}
        if token.expires_at is not None:
            shown = (iso(token.expires_at) or "").replace("T", " ").replace("Z", " UTC")
            headers["GitHub-Authentication-Token-Expiration"] = shown
        return headers


def _version(request: web.Request) -> str:
    given = request.headers.get("X-GitHub-Api-Version", API_VERSIONS[0])
    if given not in API_VERSIONS:
        raise GithubError(
            f"The version '{given}' is not supported. Supported versions: {', '.join(API_VERSIONS)}.", status=400
        )
    return given


def _conditional(request: web.Request, answer: Answer) -> Answer:
    """The answer with its ETag, or 304 where the caller has this very one."""
    body = answer.text()
    links = answer.headers.get("Link", "").encode()
    tag = f'"{sha256(body + links).hexdigest()}"'
    answer.headers["ETag"] = f"W/{tag}"
    known = [each.strip().removeprefix("W/") for each in request.headers.get("If-None-Match", "").split(",")]
    if tag in known or "*" in known:
        return Answer(status=304, headers=answer.headers)
    return Answer(status=answer.status, body=body, headers=answer.headers)


def _own_url(request: web.Request, rows: dict[str, Row]) -> str:
    """The list's URL as Link gives it: repositories and organizations by their numbers."""
    path = request.rel_url.raw_path.strip("/").split("/")
    if path[0] == "repos":
        path[:3] = ["repositories", str(rows["repository"]["id"])]
    elif path[0] == "orgs" and len(path) == 3:
        path[:2] = ["organizations", str(rows["organization"]["id"])]
    return f"{request.scheme}://{request.host}/{'/'.join(path)}"


def _redirect(request: web.Request, moved: Moved) -> Answer:
    query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
    location = f"{request.scheme}://{request.host}{moved.path(request.rel_url.raw_path)}{query}"
    status, message = (301, "Moved Permanently") if request.method in {"GET", "HEAD"} else (307, "Temporary Redirect")
    error = GithubError(message, status=status, headers={"Location": location}, more={"url": location})
    return answer_error(error)


def _resources(core: dict[str, object]) -> dict[str, object]:
    return {name: {**core, "resource": name} for name in ("core", "search", "graphql")}
