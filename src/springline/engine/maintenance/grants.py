"""Access tokens renewed ahead of their end, so that in the normal case no request waits for one (I8)."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from springline import telemetry
from springline.engine.grants import Grants
from springline.providers.vocabulary import Provider
from springline.store.database import UNAVAILABLE
from springline.store.grants import DueGrant, GrantStore

log = telemetry.logger("maintenance")

#: Five minutes remain when a token is due: what fails is tried some more times.
EVERY_SECONDS: Final = 10.0
#: So many are asked for at once; a quota that is closed holds up no more than these.
AT_ONCE: Final = 8
_LOOKED_AT_ONCE: Final = 200


class GrantRenewal:
    """Renews the tokens of the credentials that this process's worker runs: it has their quotas. `worker_no` is None
    while it runs none. Those that nobody runs are obtained when they are needed."""

    def __init__(
        self,
        grants: Grants,
        store: GrantStore,
        *,
        providers: Mapping[str, Provider],
        worker_no: Callable[[], int | None],
    ) -> None:
        self._grants = grants
        self._store = store
        self._providers = providers
        self._worker_no = worker_no

    async def run(self, stop: asyncio.Event) -> None:
        """Looks again and again until `stop` is set; attempts that are under way are left to `Grants`."""
        while not stop.is_set():
            renewing = asyncio.create_task(self._try_round())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([renewing, stopping], return_when=asyncio.FIRST_COMPLETED)
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping, timeout=EVERY_SECONDS)

    async def renew_due(self) -> int:
        """One round: returns how many tokens were renewed."""
        worker_no = self._worker_no()
        if worker_no is None:
            return 0
        due = await self._store.list_due(worker_no, limit=_LOOKED_AT_ONCE)
        places = asyncio.Semaphore(AT_ONCE)

        async def renew(one: DueGrant) -> bool:
            async with places:
                return await self._renew(one)

        return sum(await asyncio.gather(*map(renew, due)))

    async def _renew(self, due: DueGrant) -> bool:
        provider = self._providers.get(due.provider)
        kind = provider.find_kind(due.kind) if provider is not None else None
        if provider is None or kind is None or kind.grant is None:
            return False
        try:
            return await self._grants.renew(due, provider=provider, kind=kind)
        except UNAVAILABLE:
            return False
        except Exception as error:  # it alone is at fault
            log.error("maintenance.grant_not_renewed", error=error, credential_id=due.credential_id)  # noqa: TRY400
            return False

    async def _try_round(self) -> None:
        try:
            renewed = await self.renew_due()
        except UNAVAILABLE as error:
            log.debug("maintenance.database_unavailable", fault=type(error).__name__)
            return
        except Exception as error:
            log.error("maintenance.failed", concern="grants", error=error)  # noqa: TRY400
            return
        if renewed:
            log.info("maintenance.done", concern="grants", count=renewed)
