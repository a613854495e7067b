"""What faults do to a request: to what it sees, to its answer, to the connection."""

from typing import Any, cast

from springline.sandbox.common.faults import (
    ActiveFault,
    BadRecordFault,
    EmptyPageFault,
    EndlessPageFault,
    HiddenRowsFault,
    LateRowsFault,
    StalePageFault,
    StatusFault,
)
from springline.sandbox.stripe.accounts import Account, Checkpoint
from springline.sandbox.stripe.answers import Answer, Chunk, Page, answer_error
from springline.sandbox.stripe.errors import StripeError, resource_missing
from springline.sandbox.stripe.records import Record
from springline.sandbox.stripe.resources import Sight
from springline.sandbox.stripe.texts import parse, pretty


def sight(account: Account, fired: list[ActiveFault]) -> Sight:
    """What reads see under these faults."""
    tables, events = account.tables, account.recent_events()
    hidden: set[str] = set()
    horizon: float | None = None
    for active in fired:
        fault = active.fault
        if isinstance(fault, StalePageFault) and active.picture is not None:
            pictures = cast("dict[tuple[str, bool], Checkpoint]", active.picture)
            picture = pictures.get((account.id, account.livemode))
            if picture is not None:
                tables, events = picture.tables, picture.events
        elif isinstance(fault, HiddenRowsFault):
            hidden.update(fault.ids)
        elif isinstance(fault, LateRowsFault):
            bound = account.clock.now() - fault.seconds
            horizon = bound if horizon is None else min(horizon, bound)

    def hides(record: Record) -> bool:
        return record.id in hidden or (horizon is not None and record.appeared_at > horizon)

    return Sight(tables, events, hides)


def ignores_cursor(fired: list[ActiveFault]) -> bool:
    return any(isinstance(active.fault, EndlessPageFault) for active in fired)


def reshape(answer: Answer, fired: list[ActiveFault]) -> Answer:
    """The answer with broken pages and records. The given answer stays as it is."""
    for active in fired:
        fault = active.fault
        if isinstance(fault, EmptyPageFault) and answer.page is not None:
            answer = _with_page(answer, Page(answer.page.url, [], fault.has_more))
        elif isinstance(fault, EndlessPageFault) and answer.page is not None:
            answer = _with_page(answer, Page(answer.page.url, answer.page.chunks, True))
        elif isinstance(fault, BadRecordFault):
            answer = _with_bad_record(answer, fault)
    return answer


def _with_page(answer: Answer, page: Page) -> Answer:
    return Answer(status=answer.status, page=page, headers=answer.headers)


def _with_bad_record(answer: Answer, fault: BadRecordFault) -> Answer:
    if answer.status != 200:
        return answer
    if answer.page is not None:
        chunks = list(answer.page.chunks)
        if fault.position < len(chunks):
            chunks[fault.position] = _broken(chunks[fault.position], fault)
        return _with_page(answer, Page(answer.page.url, chunks, answer.page.has_more))
    if answer.chunk is not None:
        return Answer(status=200, chunk=_broken(answer.chunk, fault), headers=answer.headers)
    return answer


def _broken(chunk: Chunk, fault: BadRecordFault) -> Chunk:
    if fault.text is not None:
        return Chunk(fault.text.encode("utf-8", "surrogatepass"), raw=True)
    if fault.defect == "null":
        return Chunk(b"null", raw=True)
    if fault.defect == "string":
        return Chunk(b'"a string where an object belongs"', raw=True)
    value: Any = parse(chunk.text)
    # Raw, so that the odd bytes go out as they are; the page around them becomes compact.
    if fault.defect in {"lone_surrogate", "invalid_utf8", "deep"}:
        odd = {
            "lone_surrogate": b'"\\ud800"',
            "invalid_utf8": b'"\xff\xfe"',
            "deep": b"[" * 2_000 + b"]" * 2_000,
        }[fault.defect]
        return Chunk(pretty(value)[:-2] + b',\n  "odd": ' + odd + b"\n}", raw=True)
    if fault.defect == "no_id":
        value.pop("id", None)
    elif fault.defect == "null_id":
        value["id"] = None
    elif fault.defect == "number_id":
        value["id"] = 4_242
    else:
        value["object"] = "something_else"
    return Chunk(pretty(value))


_STRIPE_ERRORS = {
    400: StripeError("Invalid request."),
    401: StripeError("Invalid API Key provided: sk_test_****0000", status=401),
    402: StripeError("Your card was declined.", status=402, code="card_declined", kind="card_error"),
    403: StripeError("The provided key does not have the required permissions for this endpoint.", status=403),
    409: StripeError(
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it.",
        status=409,
        code="lock_timeout",
    ),
    429: StripeError("Request rate limit exceeded.", status=429, code="rate_limit"),
}


def status_answer(fault: StatusFault, *, path: str) -> Answer:
    """A status as Stripe words it."""
    headers = {"Content-Type": fault.content_type, **fault.headers}
    if fault.retry_after is not None:
        headers["Retry-After"] = fault.retry_after
    if fault.body is not None:
        return Answer(status=fault.status, body=fault.body.encode(), headers=headers)
    if fault.status == 404:
        error = _missing(path)
    elif fault.status in _STRIPE_ERRORS:
        error = _STRIPE_ERRORS[fault.status]
    else:
        error = StripeError(
            "An unknown error occurred. If you continue to see this, please let us know at "
            "https://support.stripe.com/.",
            status=fault.status,
            kind="api_error",
        )
    if fault.status == 429:
        headers.setdefault("Stripe-Rate-Limited-Reason", "global-rate")
    answer = answer_error(error)
    answer.headers |= headers
    return answer


def _missing(path: str) -> StripeError:
    """What Stripe says when the object of this path does not exist."""
    parts = path.strip("/").split("/")
    noun = parts[1][:-1] if len(parts) > 1 and parts[1].endswith("s") else "object"
    return resource_missing(noun, parts[2] if len(parts) > 2 else "")
