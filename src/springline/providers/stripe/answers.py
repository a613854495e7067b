"""What Stripe's error answers mean. docs.stripe.com/error-codes, docs.stripe.com/rate-limits, November 2026."""

import re
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from springline.domain.errors import (
    CredentialDead,
    CursorLost,
    NotFound,
    NotPermitted,
    ProviderBroken,
    ProviderError,
    RequestRejected,
    RetryLater,
    SlowDown,
)
from springline.providers.access import Answer, LimitReading, Request
from springline.providers.stripe.limits import ACCOUNT, ENDPOINT

#: Stripe's Retry-After is not dependable: longer waits are not believed.
LONGEST_WAIT_SECONDS = 300.0
E = TypeVar("E", bound=ProviderError)
# "Your account is not set up to use Issuing. Please visit … to get started.", with status 400.
_SWITCHED_OFF = re.compile(r"\bnot (?:set up|enabled|signed up) (?:to use|for)\b", re.IGNORECASE)

_PASSING = frozenset({409, 429, 500, 502, 503, 504})


class _Error(msgspec.Struct):
    message: str = ""
    type: str = ""
    code: str | None = None
    param: str | None = None


class _Body(msgspec.Struct):
    error: _Error


def classify(request: Request, answer: Answer) -> ProviderError:
    """The error that an answer other than 2xx stands for."""
    try:
        error = msgspec.json.decode(answer.body, type=_Body).error
    except (msgspec.DecodeError, RecursionError):
        error = _Error(message=f"HTTP {answer.status} with a body that is no Stripe error")
        if answer.status not in _PASSING and answer.status not in (401, 403, 404):
            return _filled(ProviderBroken, error, answer)
    return _by_status(request, answer, error)


def read_limits(request: Request, answer: Answer) -> tuple[LimitReading, ...]:
    """Stripe says nothing of what is left; a 429 says in a header which of its limiters refused.
    docs.stripe.com/rate-limits, November 2026."""
    if answer.status != 429:
        return ()
    reason = answer.headers.get("stripe-rate-limited-reason", "")
    if not reason:
        return ()  # then `classify` says whether it is the rate at all: contention for one object is not
    window = ACCOUNT if reason.startswith("global") else ENDPOINT
    after = _retry_after(answer)
    return (LimitReading(window=window, is_exceeded=True, after_seconds=after, because=f"429, {reason}"),)


def _by_status(request: Request, answer: Answer, error: _Error) -> ProviderError:
    if answer.status in _PASSING:
        # 429 with lock_timeout is contention for one object, not the rate.
        slow = answer.status == 429 and error.code != "lock_timeout"
        later = _filled(SlowDown if slow else RetryLater, error, answer)
        later.after_seconds = _retry_after(answer)
        return later
    if answer.status == 401:
        return _filled(CredentialDead, error, answer)
    if answer.status == 403:
        gone = error.code in ("account_invalid", "platform_api_key_expired") or "does not have access to account" in (
            error.message
        )
        if gone and request.path.startswith("/v1/accounts/"):
            # It is the connected account that this key no longer has; the key itself is well.
            return _filled(NotFound, error, answer)
        return _filled(CredentialDead if gone else NotPermitted, error, answer)
    if error.code == "resource_missing" and error.param == "starting_after":
        return _filled(CursorLost, error, answer)
    if answer.status == 404:
        return _filled(NotFound, error, answer)
    if answer.status == 400 and _SWITCHED_OFF.search(error.message):
        return _filled(NotPermitted, error, answer)
    rejected = _filled(RequestRejected, error, answer)
    rejected.parameter = error.param
    return rejected


def _filled(kind: type[E], error: _Error, answer: Answer) -> E:
    words = error.message or error.code or error.type or f"HTTP {answer.status}"
    return kind(words, status=answer.status, request_id=answer.headers.get("request-id"))


def _retry_after(answer: Answer) -> float | None:
    """Seconds or an HTTP date, bounded; None where it is missing or absurd."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            served = parsedate_to_datetime(answer.headers.get("date", ""))
            seconds = (parsedate_to_datetime(text) - served).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(seconds, LONGEST_WAIT_SECONDS) if seconds >= 0 else None
