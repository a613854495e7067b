"""What every sandbox knows beside its data: the clock, the faults in force, and what has arrived."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from springline.sandbox.common.clock import SandboxClock
from springline.sandbox.common.faults import Faults

MOST_ARRIVALS = 500_000
"""A sandbox that runs for days forgets its oldest arrivals."""


@dataclass(slots=True)
class Arrival:
    """One request to the API, from the moment it reached the sandbox."""

    index: int
    at: float
    """Monotonic seconds."""
    clock: float
    """Unix seconds by the sandbox's clock."""
    method: str
    path: str
    query: str
    request_id: str
    endpoint: str = ""
    account: str | None = None
    livemode: bool | None = None
    """Where the provider tells live data from test data."""
    version: str | None = None
    status: int | None = None
    """None while unanswered, 0 where the connection was broken instead."""
    finished_at: float | None = None
    faults: tuple[str, ...] = ()


class Sandbox(ABC):
    """One fake. The same seed, clock and requests give the same ids, data and faults."""

    provider: str

    def __init__(self, *, seed: int, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._now = now
        self.monotonic = monotonic
        self.faults = Faults(Random())
        self.reset(seed=seed)

    def reset(self, *, seed: int) -> None:
        """Forget everything and begin as a new sandbox with this seed would."""
        self.faults.clear()
        self.seed = seed
        self.clock = SandboxClock(self._now)
        self.latency_ms = 0.0
        self.arrivals: list[Arrival] = []
        self.forgotten_arrivals = 0
        self.answered: Counter[tuple[str, int]] = Counter()
        self.faults = Faults(self.random("faults"))
        self._request_ids = self.random("requests")
        self._changes = self.random("changes")
        self.reset_data()

    @abstractmethod
    def reset_data(self) -> None:
        """Begin with the data, credentials and limits of a new sandbox; the clock and the seed are set."""

    @abstractmethod
    def picture(self) -> object:
        """The data as it is now, for reads that a fault makes stale."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What there is, for a person who asks the control API."""

    @abstractmethod
    def totals(self) -> dict[str, int]:
        """Counts of its own, beside those of requests."""

    @abstractmethod
    def new_request_id(self, rng: Random) -> str:
        """A request's id as the provider writes it."""

    def arrive(self, *, method: str, path: str, query: str) -> Arrival:
        """Note a request at the moment of its arrival."""
        arrival = Arrival(
            index=self.forgotten_arrivals + len(self.arrivals),
            at=self.monotonic(),
            clock=self.clock.now(),
            method=method,
            path=path,
            query=query,
            request_id=self.new_request_id(self._request_ids),
        )
        self.arrivals.append(arrival)
        if len(self.arrivals) > MOST_ARRIVALS:
            self.forget_arrivals(MOST_ARRIVALS // 10)
        return arrival

    def finish(self, arrival: Arrival, *, status: int) -> None:
        """Note how a request ended; 0 is a broken connection."""
        arrival.status = status
        arrival.finished_at = self.monotonic()
        self.answered[arrival.endpoint or f"{arrival.method} {arrival.path}", status] += 1

    def forget_arrivals(self, count: int | None = None) -> None:
        """Forget the oldest (default: all) arrivals; the indexes go on."""
        forgotten = len(self.arrivals) if count is None else count
        del self.arrivals[:forgotten]
        self.forgotten_arrivals += forgotten

    def chance(self, seed: int | None) -> Random:
        """The source of made-up changes: the sandbox's own, or one for this seed."""
        return self._changes if seed is None else Random(f"{seed}:changes")

    def random(self, purpose: str) -> Random:
        # Each purpose draws from its own source, so that more of one does not shift another.
        return Random(f"{self.seed}:{purpose}")
