"""What faults do to a GitHub answer: to its pages and records, and which error it becomes."""

import json
from typing import Any

import msgspec

from springline.sandbox.common.faults import (
    ActiveFault,
    BadRecordFault,
    EmptyPageFault,
    EndlessPageFault,
    StatusFault,
)
from springline.sandbox.github.answers import Answer, Page, answer_error
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.faults import RateLimitFault, RepeatedPageFault
from springline.sandbox.github.limits import Limiter
from springline.sandbox.github.tokens import bad_credentials


def reshape(answer: Answer, fired: list[ActiveFault], *, url: str) -> Answer:
    """The answer with broken pages and records; `url` is the request's own. The given answer stays as it is."""
    for active in fired:
        fault, page = active.fault, answer.page
        if isinstance(fault, BadRecordFault):
            answer = _with_bad_record(answer, fault)
        elif page is None:
            continue
        elif isinstance(fault, EmptyPageFault):
            links = {"next": page.links.get("next", url), "last": url} if fault.has_more else {}
            answer = _with_page(answer, Page([], links, page.envelope, page.total))
        elif isinstance(fault, RepeatedPageFault):
            answer = _with_page(answer, Page(page.chunks, {**page.links, "next": url}, page.envelope, page.total))
    return answer


def is_endless(fired: list[ActiveFault]) -> bool:
    return any(isinstance(active.fault, EndlessPageFault) for active in fired)


def endless(page: Page, *, number: int, url: str) -> Page:
    """The first page again, with a next one after it."""
    joined = "&" if "?" in url else "?"
    return Page(page.chunks, {**page.links, "next": f"{url}{joined}page={number + 1}"}, page.envelope, page.total)


def limit_answer(fired: list[ActiveFault], limiter: Limiter, *, now: float) -> Answer | None:
    """The refusal of a limit that a fault says is reached."""
    for active in fired:
        fault = active.fault
        if not isinstance(fault, RateLimitFault):
            continue
        error = limiter.primary_error() if fault.which == "primary" else limiter.secondary_error()
        error.status = fault.status
        answer = answer_error(error)
        answer.headers.pop("Retry-After", None)
        if fault.retry_after is not None:
            answer.headers["Retry-After"] = fault.retry_after
        if fault.which == "primary":
            limit = str(limiter.state(now)["limit"])
            answer.headers |= {
                "X-RateLimit-Limit": limit,
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Used": limit,
                "X-RateLimit-Reset": str(int(now + fault.reset_seconds)),
            }
        return answer
    return None


_ERRORS = {
    401: bad_credentials(),
    403: GithubError("Resource not accessible by personal access token", status=403),
    404: not_found(),
    409: GithubError("Git Repository is empty.", status=409),
    410: GithubError("Issues are disabled for this repo", status=410),
    422: GithubError("Validation Failed", status=422),
    429: GithubError(
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", status=429
    ),
    451: GithubError("Repository access blocked", status=451),
    500: GithubError("Server Error", status=500),
    502: GithubError("Server Error", status=502),
    503: GithubError("No server is currently available to service your request.", status=503),
    504: GithubError("We couldn't respond to your request in time. Sorry about that.", status=504),
}


def status_answer(fault: StatusFault) -> Answer:
    """A status as GitHub words it."""
    headers = {"Content-Type": fault.content_type, **fault.headers}
    if fault.retry_after is not None:
        headers["Retry-After"] = fault.retry_after
    if fault.body is not None:
        return Answer(status=fault.status, body=fault.body.encode(), headers=headers)
    error = _ERRORS.get(fault.status) or GithubError("Server Error", status=fault.status)
    answer = answer_error(error)
    answer.headers |= headers
    return answer


def _with_page(answer: Answer, page: Page) -> Answer:
    return Answer(status=answer.status, page=page, headers=answer.headers)


def _with_bad_record(answer: Answer, fault: BadRecordFault) -> Answer:
    if answer.status != 200:
        return answer
    if answer.page is None:
        return Answer(status=200, body=_broken(answer.body, fault), headers=answer.headers)
    chunks = list(answer.page.chunks)
    if fault.position < len(chunks):
        chunks[fault.position] = _broken(chunks[fault.position], fault)
    return _with_page(answer, Page(chunks, answer.page.links, answer.page.envelope, answer.page.total))


def _broken(chunk: bytes, fault: BadRecordFault) -> bytes:
    if fault.text is not None:
        return fault.text.encode("utf-8", "surrogatepass")
    if fault.defect == "null":
        return b"null"
    if fault.defect == "string":
        return b'"a string where an object belongs"'
    odd = {
        "lone_surrogate": b'"\\ud800"',
        "invalid_utf8": b'"\xff\xfe"',
        "deep": b"[" * 2_000 + b"]" * 2_000,
    }
    if fault.defect in odd:
        return chunk[:-1] + b',"odd":' + odd[fault.defect] + b"}"
    value: Any = json.loads(chunk)
    if fault.defect == "no_id":
        value.pop("id", None)
    else:
        value["id"] = {"null_id": None, "number_id": "4242", "other_object": {}}[fault.defect]
    return msgspec.json.encode(value)
