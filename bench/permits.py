"""`python -m bench.permits`: what a permit costs, in microseconds of CPU; no database and no provider.

Each line is a quota as it is in use. A permit is: asked for, given, written, answered, given back.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from springline.engine.quotas import CredentialQuota, Priority
from springline.providers.access import LimitWindow, RateLimit, Request
from springline.providers.stripe.limits import limits as stripe_limits

PERMITS = 20_000
ROUNDS = 5
LIST = Request(path="/v1/customers")
HOURLY = (
    LimitWindow(name="hour", allowed_requests=10**8, interval=3600.0, uncounted_statuses=(304,)),
    LimitWindow(name="points", allowed_requests=10**8, interval=60.0, costs=(("POST", 5),)),
    LimitWindow(name="at once", max_concurrent_requests=100),
)


class Clock:
    """Runs a little with every look, so that windows move on."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


def quota_of(windows: tuple[LimitWindow, ...], limit: RateLimit, *, syncs: int, step: float) -> CredentialQuota:
    quota = CredentialQuota("credential:1", windows, clock=Clock(step))
    for sync_no in range(syncs):
        quota.sync_limit(sync_no, limit)
    return quota


async def alone(quota: CredentialQuota, *, syncs: int) -> int:
    """One after the other; nobody waits."""
    for number in range(PERMITS):
        async with quota.permit(Priority.backfill, LIST, sync_no=number % syncs) as permit:
            permit.started(quota.ledger.clock())
            permit.answered(200)
    return PERMITS


async def crowded(quota: CredentialQuota, *, syncs: int) -> int:
    """Everybody at once: the window has room for some of them each time."""

    async def one(number: int) -> None:
        async with quota.permit(Priority(1 + number % 4), LIST, sync_no=number % syncs) as permit:
            permit.started(quota.ledger.clock())
            permit.answered(200)

    await asyncio.gather(*(one(number) for number in range(PERMITS // 10)))
    return PERMITS // 10


def measured(make: Callable[[], CredentialQuota], work: Callable[..., object], *, syncs: int) -> float:
    """The median of the rounds, µs of CPU a permit."""
    figures = []
    for _ in range(ROUNDS):
        quota = make()

        async def run(quota: CredentialQuota = quota) -> tuple[float, int]:
            began = time.process_time()
            done: int = await work(quota, syncs=syncs)  # type: ignore[misc]
            return time.process_time() - began, done

        seconds, done = asyncio.run(run())
        figures.append(seconds / done * 1e6)
    return statistics.median(figures)


def main() -> None:
    a_second = RateLimit(allowed_requests=1000, interval=1.0)
    a_day = RateLimit(allowed_requests=10**6, interval=86_400.0)
    lines = [
        ("one sync, its own limit only", (), a_second, 1, 1e-3, alone),
        ("Stripe: account, endpoint, sync", stripe_limits({"secret": "sk_live_x"}), a_second, 1, 2e-2, alone),
        ("hour, points, at once, a sync of 10⁶ a day", HOURLY, a_day, 1, 1e-3, alone),
        ("2,000 wait, of 1 sync", (), a_second, 1, 1e-3, crowded),
        ("2,000 wait, of 100 syncs", (), a_second, 100, 1e-3, crowded),
    ]
    print(f"{'quota':<46} {'µs CPU a permit':>16}")
    for title, windows, limit, syncs, step, work in lines:

        def make(
            windows: tuple[LimitWindow, ...] = windows, limit: RateLimit = limit, syncs: int = syncs, step: float = step
        ) -> CredentialQuota:
            return quota_of(windows, limit, syncs=syncs, step=step)

        print(f"{title:<46} {measured(make, work, syncs=syncs):>16.1f}")


if __name__ == "__main__":
    main()
