"""GitHub's limits of requests, and what its answers say of them.

docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api, November 2026. The hourly limit is a user's or an
installation's; another token of the same user shows only in the headers. An installation in a large organisation is
allowed more than 5,000: headers narrow a limit, they do not widen it.
"""

from collections.abc import Mapping
from typing import Any, Final

from springline.providers.vocabulary import Answer, LimitReading, LimitWindow, Request

CORE: Final = "core"
_RESOURCES_OF_THEIR_OWN: Final = r"/(?:search/|graphql|rate_limit)"


def limits(properties: Mapping[str, Any]) -> tuple[LimitWindow, ...]:
    """5,000 an hour, 900 points a minute of which a write takes five, 100 at once. A 304 is no request by the hour."""
    writes = tuple((method, 5) for method in ("POST", "PATCH", "PUT", "DELETE"))
    return (
        LimitWindow(
            name=CORE,
            allowed_requests=5000,
            interval=3600.0,
            path=rf"(?!{_RESOURCES_OF_THEIR_OWN}).*",
            uncounted_statuses=(304,),
        ),
        LimitWindow(name="search", allowed_requests=30, interval=60.0, path=r"/search/.*"),
        LimitWindow(name="points", allowed_requests=900, interval=60.0, costs=writes),
        LimitWindow(name="at once", max_concurrent_requests=100),
    )


def readings(request: Request, answer: Answer, *, reset_seconds: float) -> tuple[LimitReading, ...]:
    """What the headers of an answer say; `reset_seconds` is when they say that the limit is whole again, from now."""
    headers = answer.headers
    try:
        remaining = int(headers["x-ratelimit-remaining"])
        allowed = int(headers["x-ratelimit-limit"])
    except (KeyError, ValueError):
        return ()
    return (
        LimitReading(
            window=headers.get("x-ratelimit-resource", CORE),
            remaining=remaining,
            reset_seconds=reset_seconds,
            allowed_requests=allowed if allowed > 0 else None,
        ),
    )
