"""Stripe's rate limits: requests counted by arrival in a sliding window."""

from collections import deque

import msgspec


class RateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests per interval; None is no limit.

    `account` counts every request, `endpoint` those of one operation (`GET /v1/customers/:id`), `concurrent`
    those not yet answered. `retry_after_seconds` is sent with a 429 where given (Stripe usually sends none).
    """

    account: int | None = None
    endpoint: int | None = None
    concurrent: int | None = None
    interval_ms: int = 1_000
    retry_after_seconds: float | None = None


# docs.stripe.com/rate-limits, seen 2026-11.
TEST_LIMITS = RateLimits(account=25, endpoint=25)
LIVE_LIMITS = RateLimits(account=100, endpoint=25)


class Limiter:
    """Admits or refuses requests of one account. A refused request does not count against the limit."""

    def __init__(self, limits: RateLimits) -> None:
        self.limits = limits
        self.refused = 0
        self._account: deque[float] = deque()
        self._endpoints: dict[str, deque[float]] = {}

    def refusal(self, endpoint: str, *, arrived: float, unanswered: int) -> str | None:
        """Why the request is refused (a `Stripe-Rate-Limited-Reason`), or None: it is admitted and counted.

        `arrived` is monotonic seconds; `unanswered` the account's other requests being worked on.
        """
        limits = self.limits
        since = arrived - limits.interval_ms / 1_000
        starts = self._endpoints.setdefault(endpoint, deque())
        for window in (self._account, starts):
            while window and window[0] <= since:
                window.popleft()
        reason = None
        if limits.account is not None and len(self._account) >= limits.account:
            reason = "global-rate"
        elif limits.endpoint is not None and len(starts) >= limits.endpoint:
            reason = "endpoint-rate"
        elif limits.concurrent is not None and unanswered >= limits.concurrent:
            reason = "global-concurrency"
        if reason is not None:
            self.refused += 1
            return reason
        self._account.append(arrived)
        starts.append(arrived)
        return None
