"""Everything that one Stripe sandbox knows: accounts, keys, faults, and what has arrived."""

from collections.abc import Mapping
from random import Random
from typing import Any

from springline.sandbox.common.state import Sandbox
from springline.sandbox.stripe.accounts import Account, Checkpoint
from springline.sandbox.stripe.collection import Collection
from springline.sandbox.stripe.collections import COLLECTIONS
from springline.sandbox.stripe.ids import new_id
from springline.sandbox.stripe.keys import KeyRing
from springline.sandbox.stripe.paths import Paths
from springline.sandbox.stripe.writes import Write

API_VERSION = "2026-09-30.endive"


class StripeSandbox(Sandbox):
    """One fake Stripe. The same seed, clock and requests give the same ids, data and faults."""

    provider = "stripe"
    collections: tuple[Collection, ...] = COLLECTIONS
    by_name: Mapping[str, Collection] = {kind.name: kind for kind in COLLECTIONS}
    paths = Paths(COLLECTIONS)

    def reset_data(self) -> None:
        self.api_version = API_VERSION
        self.accounts: dict[tuple[str, bool], Account] = {}
        self.default_account_id = new_id("acct_1", rng=self.random("account"), length=15)
        self.add_account(self.default_account_id, name="Springline Sandbox")
        self.keys = KeyRing(self.default_account_id)

    def picture(self) -> dict[tuple[str, bool], Checkpoint]:
        return {name: account.checkpoint() for name, account in self.accounts.items()}

    def summary(self) -> dict[str, Any]:
        accounts = [
            {
                "id": account.id,
                "livemode": account.livemode,
                "objects": {name: len(table) for name, table in account.tables.items()},
                "events": len(account.events),
            }
            for account in self.accounts.values()
        ]
        return {"api_version": self.api_version, "default_account": self.default_account_id, "accounts": accounts}

    def totals(self) -> dict[str, int]:
        return {
            "rate_limited": sum(account.limiter.refused for account in self.accounts.values()),
            "events": sum(account.events_written for account in self.accounts.values()),
        }

    def new_request_id(self, rng: Random) -> str:
        return new_id("req_", rng=rng, length=14)

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
                    rng=self.random(f"{account_id}:{livemode}"),
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
