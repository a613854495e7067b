"""GitHub's limits: a primary one of requests an hour, secondary ones of points, concurrency and writes."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from springline.sandbox.github.errors import GithubError

_ABOUT_SECONDARY = "overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"


class RateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one user or installation; None is no limit.

    `core` requests per `core_seconds` (by the sandbox's clock, windows that begin with a first request);
    `points` (a read 1, a write 5), `writes` and `arrivals` in any `interval_ms`, by arrival; `concurrent` unanswered
    ones. `status` is what a refusal answers; `retry_after_seconds` goes with a secondary one.
    """

    core: int | None = None
    core_seconds: float = 3600
    points: int | None = None
    writes: int | None = None
    arrivals: int | None = None
    concurrent: int | None = None
    interval_ms: int = 60_000
    status: Literal[403, 429] = 403
    retry_after_seconds: float | None = 60


# What a sandbox says of itself where no limit is set: so much that nobody paces by it.
UNLIMITED = 1_000_000


@dataclass(slots=True)
class Limiter:
    """Admits or refuses the requests of one user or installation."""

    limits: RateLimits
    who: str
    """In the words of a refusal: `user ID 101`."""
    refused: int = 0
    unanswered: int = 0
    _used: int = 0
    _window_ends: float = 0
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def admit(self, *, arrived: float, writes: bool, now: float) -> None:
        """Count a request that arrived at `arrived` (monotonic) and `now` (Unix seconds). Raises GithubError."""
        self._roll(now)
        if self.limits.core is not None and self._used >= self.limits.core:
            self.refused += 1
            raise self.primary_error()
        if self._secondary(arrived, writes=writes):
            self.refused += 1
            raise self.secondary_error()
        self._recent.append((arrived, 5 if writes else 1))
        self._used += 1

    def give_back(self) -> None:
        """A 304 does not draw on the primary limit."""
        self._used = max(self._used - 1, 0)

    def headers(self, now: float) -> dict[str, str]:
        state = self.state(now)
        return {
            "X-RateLimit-Limit": str(state["limit"]),
            "X-RateLimit-Remaining": str(state["remaining"]),
            "X-RateLimit-Reset": str(state["reset"]),
            "X-RateLimit-Used": str(state["used"]),
            "X-RateLimit-Resource": "core",
        }

    def state(self, now: float) -> dict[str, int]:
        """The primary window, as `GET /rate_limit` shows it."""
        self._roll(now)
        limit = UNLIMITED if self.limits.core is None else self.limits.core
        ends = self._window_ends or now + self.limits.core_seconds
        return {"limit": limit, "used": self._used, "remaining": max(limit - self._used, 0), "reset": -int(-ends // 1)}

    def primary_error(self) -> GithubError:
        return GithubError(
            f"API rate limit exceeded for {self.who}. If you reach out to GitHub Support for help, please include the "
            "request ID and timestamp of this request.",
            status=self.limits.status,
            docs="overview/rate-limits-for-the-rest-api",
        )

    def secondary_error(self) -> GithubError:
        retry_after = self.limits.retry_after_seconds
        return GithubError(
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach "
            "out to GitHub Support for help, please include the request ID and timestamp of this request.",
            status=self.limits.status,
            docs=_ABOUT_SECONDARY,
            headers={} if retry_after is None else {"Retry-After": f"{retry_after:g}"},
        )

    def _roll(self, now: float) -> None:
        if now >= self._window_ends:
            self._used = 0
            self._window_ends = now + self.limits.core_seconds

    def _secondary(self, arrived: float, *, writes: bool) -> bool:
        limits = self.limits
        while self._recent and self._recent[0][0] <= arrived - limits.interval_ms / 1_000:
            self._recent.popleft()
        points = sum(cost for _, cost in self._recent) if limits.points is not None else 0
        written = sum(cost == 5 for _, cost in self._recent) if limits.writes is not None else 0
        return (
            (limits.concurrent is not None and self.unanswered >= limits.concurrent)
            or (limits.arrivals is not None and len(self._recent) >= limits.arrivals)
            or (limits.points is not None and points + (5 if writes else 1) > limits.points)
            or (limits.writes is not None and writes and written >= limits.writes)
        )
