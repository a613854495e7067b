"""Everything that one sandbox knows: accounts, keys, faults, and what has arrived."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from springline.sandbox.stripe.accounts import Account
from springline.sandbox.stripe.clock import SandboxClock
from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.collections import COLLECTIONS
from springline.sandbox.stripe.faults import Faults
from springline.sandbox.stripe.ids import new_id
from springline.sandbox.stripe.keys import KeyRing
from springline.sandbox.stripe.paths import Paths
from springline.sandbox.stripe.writes import Write

API_VERSION = "2026-09-30.endive"
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
    version: str | None = None
    status: int | None = None
    """None while unanswered, 0 where the connection was broken instead."""
    finished_at: float | None = None
    faults: tuple[str, ...] = ()


class StripeSandbox:
    """One fake Stripe. The same seed, clock and requests give the same ids, data and faults."""

    def __init__(self, *, seed: int, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._now = now
        self.monotonic = monotonic
        self.collections: tuple[Collection, ...] = COLLECTIONS
        self.by_name: Mapping[str, Collection] = {kind.name: kind for kind in COLLECTIONS}
        self.paths = Paths(COLLECTIONS)
        self.faults = Faults(Random())
        self.reset(seed=seed)

    def reset(self, *, seed: int) -> None:
        """Forget everything and begin as a new sandbox with this seed would."""
        self.faults.clear()
        self.seed = seed
        self.clock = SandboxClock(self._now)
        self.api_version = API_VERSION
        self.latency_ms = 0.0
        self.arrivals: list[Arrival] = []
        self.forgotten_arrivals = 0
        self.answered: Counter[tuple[str, int]] = Counter()
        self.faults = Faults(self._random("faults"))
        self._request_ids = self._random("requests")
        self._changes = self._random("changes")
        self.accounts: dict[tuple[str, bool], Account] = {}
        self.default_account_id = new_id("acct_1", rng=self._random("account"), length=15)
        self.add_account(self.default_account_id, name="Springline Sandbox")
        self.keys = KeyRing(self.default_account_id)

    def add_account(self, account_id: str, *, name: str) -> None:
        """Add an account with empty live and test data; a known one stays as it is."""
        for livemode in (False, True):
            self.accounts.setdefault(
                (account_id, livemode),
                Account(
                    id=account_id,
                    livemode=livemode,
                    name=name,
                    created=int(self.clock.now()) - 400 * 86_400,
                    clock=self.clock,
                    collections=self.collections,
                    rng=self._random(f"{account_id}:{livemode}"),
                ),
            )

    def write(
        self,
        account: Account,
        *,
        now: int | None = None,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        events: bool = True,
    ) -> Write:
        return Write(
            account=account,
            api_version=self.api_version,
            now=int(self.clock.now()) if now is None else now,
            request_id=request_id,
            idempotency_key=idempotency_key,
            events=events,
        )

    def arrive(self, *, method: str, path: str, query: str) -> Arrival:
        """Note a request at the moment of its arrival."""
        arrival = Arrival(
            index=self.forgotten_arrivals + len(self.arrivals),
            at=self.monotonic(),
            clock=self.clock.now(),
            method=method,
            path=path,
            query=query,
            request_id=new_id("req_", rng=self._request_ids, length=14),
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

    def _random(self, purpose: str) -> Random:
        # Each purpose draws from its own source, so that more of one does not shift another.
        return Random(f"{self.seed}:{purpose}")
