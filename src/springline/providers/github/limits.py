"""GitHub's limits of requests. docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api, November 2026.

An organisation of Enterprise Cloud, and an app that is installed in many repositories, is allowed up to 15,000 requests
an hour; which, only the answers say, and a limit is believed where it is stricter. The limits of processor time and of
writes a minute have no headers: where they are met, GitHub answers how long to wait.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from springline.providers.vocabulary import Answer, LimitReading, LimitWindow, Request

HOUR: Final = "requests of an hour"
MINUTE: Final = "points of a minute"
_WRITE_POINTS: Final = 5
_WRITES: Final = tuple((method, _WRITE_POINTS) for method in ("POST", "PATCH", "PUT", "DELETE"))
_NOT_MODIFIED: Final = 304


def limits(properties: Mapping[str, Any]) -> tuple[LimitWindow, ...]:
    """5,000 requests an hour, without those that find nothing changed; 900 points a minute; 100 requests at once."""
    return (
        LimitWindow(name=HOUR, allowed_requests=5000, interval=3600.0, uncounted_statuses=(_NOT_MODIFIED,)),
        LimitWindow(name=MINUTE, allowed_requests=900, interval=60.0, max_concurrent_requests=100, costs=_WRITES),
    )


def read_limits(request: Request, answer: Answer) -> tuple[LimitReading, ...]:
    """What is left of the hour, by the answer's own clock: all of a user's programs draw on it."""
    headers = answer.headers
    if headers.get("x-ratelimit-resource", "core") != "core":
        return ()
    remaining = _number(headers.get("x-ratelimit-remaining"))
    if remaining is None:
        return ()
    return (
        LimitReading(
            window=HOUR,
            remaining=remaining,
            reset_seconds=seconds_until_reset(answer),
            allowed_requests=_number(headers.get("x-ratelimit-limit")) or None,
        ),
    )


def seconds_until_reset(answer: Answer) -> float | None:
    """Until the hour begins anew, with a second for rounding, at least one; None where the answer does not say."""
    try:
        served = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    reset = _number(answer.headers.get("x-ratelimit-reset"))
    return None if reset is None else max(1.0, reset - served + 1.0)


def _number(text: str | None) -> int | None:
    """Of a header; None for what is none, or absurd."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None
