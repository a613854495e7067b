"""What GitHub's error answers mean.

docs.github.com/rest/using-the-rest-api: rate-limits-for-the-rest-api, troubleshooting-the-rest-api, November 2026.
"""

import re
from typing import Any, Final, TypeVar

import msgspec

from springline.domain.errors import (
    CredentialDead,
    CursorLost,
    Moved,
    NotFound,
    NotPermitted,
    ProviderBroken,
    ProviderError,
    RequestRejected,
    RetryLater,
    SlowDown,
)
from springline.providers.github.limits import seconds_until_reset
from springline.providers.vocabulary import Answer, Request

#: The primary limit is counted by the hour: a later reset is not believed, nor any other wait above five minutes.
LONGEST_RESET_SECONDS: Final = 3600.0
LONGEST_WAIT_SECONDS: Final = 300.0
#: What GitHub asks for where it limits without naming a time.
UNNAMED_WAIT_SECONDS: Final = 60.0
E = TypeVar("E", bound=ProviderError)

# A list that is switched off in a repository answers 403, 404 or 410; these words tell it from a missing repository.
_SWITCHED_OFF = re.compile(r"\b(?:disabled|not enabled|must be enabled|no analysis found)\b", re.IGNORECASE)
_LIMITED = re.compile(r"\brate limit|\babuse detection", re.IGNORECASE)
_CURSOR = re.compile(r"\bcursor\b", re.IGNORECASE)


class _Body(msgspec.Struct):
    message: str = ""
    errors: Any = None


def classify(request: Request, answer: Answer) -> ProviderError:
    """The error that an answer other than 2xx stands for."""
    body = _read(answer)
    status = answer.status
    if status in (403, 429):
        return _refused(body, answer)
    if status == 401:
        return _filled(CredentialDead, body, answer)
    if status in (301, 302, 307, 308):
        moved = _filled(Moved, body, answer)
        moved.location = answer.headers.get("location")
        return moved
    if status in (404, 410):
        return _missing(request, body, answer)
    if status == 409:
        # An empty repository has no commits to read; else something is under way there.
        return _filled(NotFound if "is empty" in body.message else RetryLater, body, answer)
    if status == 451:
        return _filled(NotPermitted, body, answer, advice="It is blocked for legal reasons.")
    if status == 408 or status >= 500:
        later = _filled(RetryLater, body, answer)
        later.after_seconds = _retry_after(answer)
        return later
    if status == 422 and _CURSOR.search(body.message):
        return _filled(CursorLost, body, answer)
    if not body.message or status < 400:
        return _filled(ProviderBroken, body, answer)
    rejected = _filled(RequestRejected, body, answer)
    rejected.parameter = _field_at_fault(body)
    return rejected


def _refused(body: _Body, answer: Answer) -> ProviderError:
    """403 and 429: too many requests, or no permission. GitHub sends either status for a limit."""
    if "retry-after" in answer.headers:
        return _slow_down(body, answer, after_seconds=_retry_after(answer) or UNNAMED_WAIT_SECONDS)
    if answer.status == 403:
        definite = _definitely_refused(body, answer)
        if definite is not None:
            return definite
    if answer.headers.get("x-ratelimit-remaining") == "0":
        until_reset = seconds_until_reset(answer) or UNNAMED_WAIT_SECONDS
        return _slow_down(body, answer, after_seconds=min(until_reset, LONGEST_RESET_SECONDS))
    if answer.status == 429 or _LIMITED.search(body.message):
        return _slow_down(body, answer, after_seconds=UNNAMED_WAIT_SECONDS)
    return _filled(NotPermitted, body, answer, advice=_what_it_needs(answer))


def _definitely_refused(body: _Body, answer: Answer) -> ProviderError | None:
    """What waiting would not change, whatever is left of the quota."""
    if "suspended" in body.message:
        return _filled(CredentialDead, body, answer)
    if answer.headers.get("x-github-sso", "").startswith("required"):
        advice = "Authorize the token for the organization's single sign-on: github.com/settings/tokens, Configure SSO."
        return _filled(NotPermitted, body, answer, advice=advice)
    if body.message.startswith("Resource not accessible") or _SWITCHED_OFF.search(body.message):
        return _filled(NotPermitted, body, answer, advice=_what_it_needs(answer))
    return None


def _missing(request: Request, body: _Body, answer: Answer) -> ProviderError:
    """404 and 410: a record that is gone, a list that is switched off, or what this credential may not see."""
    if _SWITCHED_OFF.search(body.message) or (answer.status == 410 and not _names_a_record(request, body)):
        return _filled(NotPermitted, body, answer)
    return _filled(NotFound, body, answer)


def _names_a_record(request: Request, body: _Body) -> bool:
    """Whether 410 is about one record: its path ends with a number, or GitHub says what was deleted."""
    return request.path.rpartition("/")[2].isdigit() or "was deleted" in body.message


def _what_it_needs(answer: Answer) -> str:
    """The permissions that would do. docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api"""
    permissions = answer.headers.get("x-accepted-github-permissions", "").strip()
    if permissions:
        return f"It takes the permissions {permissions.replace('; ', ' or ')}."
    scopes = answer.headers.get("x-accepted-oauth-scopes", "").strip()
    return f"It takes one of the scopes {scopes}." if scopes else ""


def _slow_down(body: _Body, answer: Answer, *, after_seconds: float) -> SlowDown:
    slow = _filled(SlowDown, body, answer)
    slow.after_seconds = after_seconds
    return slow


def _retry_after(answer: Answer) -> float | None:
    """Seconds, bounded; None where it is missing or makes no sense."""
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT_SECONDS) if seconds >= 0 else None


def _read(answer: Answer) -> _Body:
    try:
        return msgspec.json.decode(answer.body, type=_Body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _Body()


def _field_at_fault(body: _Body) -> str | None:
    first = body.errors[0] if isinstance(body.errors, list) and body.errors else None
    field = first.get("field") if isinstance(first, dict) else None
    return field if isinstance(field, str) else None


def _filled(kind: type[E], body: _Body, answer: Answer, *, advice: str = "") -> E:
    words = body.message or f"HTTP {answer.status} with a body that is no GitHub error"
    if advice:
        words = f"{words}{'' if words.endswith(('.', '!')) else '.'} {advice}"
    return kind(words, status=answer.status, request_id=answer.headers.get("x-github-request-id"))
