"""Access tokens that must be obtained: asked for by one process at a time, stored before they are used, renewed ahead
of their end (I8).

Whoever needs a token reads the one that is stored. Only where none lives is the provider asked, under a claim in the
database; `GrantRenewal` sees to it that this is rare.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from multidict import CIMultiDict

from springline import telemetry
from springline.domain.errors import AppRefused, CredentialDead, ProviderBroken, ProviderError, RetryLater
from springline.domain.grants import COMFORTABLE_SECONDS, Setback, setback
from springline.domain.health import PartHealth
from springline.engine.fetch import HttpClient, Origin, send, server_time
from springline.engine.quotas import Permit
from springline.providers.vocabulary import Answer, CredentialKind, Grant, Obtained, Provider, Request
from springline.store.database import UNAVAILABLE
from springline.store.grants import CLAIM_SECONDS, DueGrant, GrantStore, HeldGrant, Token
from springline.store.oauth_apps import OAuthAppStore

log = telemetry.logger("grants")

#: A permit for one request in the name of a credential (its number); None where its quota is not kept here.
PermitOf = Callable[[int], AbstractAsyncContextManager[Permit | None]]

#: An attempt ends before its claim does, with the answer's way into the database.
_ATTEMPT_SECONDS: Final = CLAIM_SECONDS - 8.0
#: `Date` has no fractions, and an answer takes its time: less is no difference of clocks.
_CLOCKS_DIFFER_SECONDS: Final = 10.0
#: With less left, an old token is no way out any more.
_LAST_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 2 * CLAIM_SECONDS
_CLOSE_SECONDS: Final = 5.0
_STORE_AGAIN_SECONDS: Final = 0.5
_KEPT_IN_MEMORY_SECONDS: Final = 900.0


@asynccontextmanager
async def no_permit(credential_no: int) -> AsyncIterator[Permit | None]:
    """Where no quota is kept."""
    yield None


class TokenEndpoint:
    """Asks providers for tokens. `now` is our own clock; how far a provider's is from it is learnt from its answers."""

    def __init__(
        self,
        client: HttpClient,
        *,
        base_url_of: Callable[[Provider], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._base_url_of = base_url_of
        self._now = now
        self._offsets: dict[str, timedelta] = {}

    async def obtain(
        self,
        provider: Provider,
        kind: CredentialKind,
        properties: Mapping[str, Any],
        app: Mapping[str, Any],
        *,
        permit: Permit | None = None,
    ) -> Token:
        """A new token. Raises CredentialDead or AppRefused if there will be none, any other ProviderError if it may
        work later."""
        grant = kind.grant
        assert grant is not None
        base_url = self._base_url(provider, grant)
        origin = Origin(provider, kind, base_url=base_url, open_properties=_nothing)
        for last_try in (False, True):
            believed = self._offsets.get(base_url, timedelta())
            request = grant.request(properties, app, self._now() + believed)
            answer = await send(self._client, origin, request, headers=_headers(provider, request), permit=permit)
            theirs = self._learn_clock(base_url, answer)
            if 200 <= answer.status < 300:
                return _token(grant.read(answer, theirs), theirs)
            # A request that was signed for the wrong time may be refused for this alone.
            is_refused = 400 <= answer.status < 500 and answer.status != 429
            if last_try or not is_refused or self._offsets.get(base_url, timedelta()) == believed:
                raise grant.classify(request, answer)
        raise AssertionError("the last try returns or raises")

    def _learn_clock(self, base_url: str, answer: Answer) -> datetime:
        """The provider's time."""
        now = self._now()
        offset = self._offsets.get(base_url, timedelta())
        served_at = server_time(answer)
        if served_at is None:
            return now + offset
        seen = datetime.fromtimestamp(served_at, UTC)
        if abs((seen - now - offset).total_seconds()) > _CLOCKS_DIFFER_SECONDS:
            log.warning("grants.clocks_differ", origin=base_url, offset_seconds=round((seen - now).total_seconds()))
            self._offsets[base_url] = seen - now
        return seen

    def _base_url(self, provider: Provider, grant: Grant) -> str:
        chosen = self._base_url_of(provider)
        # An operator's own address stands for all of a provider.
        return grant.base_url if grant.base_url is not None and chosen == provider.base_url else chosen


class Grants:
    """The tokens of all credentials that need one. `permit_of`: the quota that a request for a token draws on."""

    def __init__(
        self,
        store: GrantStore,
        apps: OAuthAppStore,
        endpoint: TokenEndpoint,
        *,
        permit_of: PermitOf = no_permit,
    ) -> None:
        self._store = store
        self._apps = apps
        self._endpoint = endpoint
        self._permit_of = permit_of
        self._attempts: dict[int, asyncio.Task[None]] = {}

    async def open(
        self, org_id: uuid.UUID, credential_id: uuid.UUID, *, provider: Provider, kind: CredentialKind
    ) -> Mapping[str, Any]:
        """A credential's properties in clear, with an `access_token` that lives; nothing if the credential is gone.

        Raises CredentialDead, AppRefused or RetryLater if there is none, and none can be obtained.
        """
        held = await self._store.get(org_id, credential_id)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while held is not None and held.seconds_left <= COMFORTABLE_SECONDS:
                    failed = await self._obtain(org_id, credential_id, held, provider=provider, kind=kind)
                    held = await self._store.get(org_id, credential_id)
                    if held is not None and held.seconds_left > _LAST_SECONDS:
                        break  # a new one, or the old one that lives still: a failure costs nothing
                    if failed is not None:
                        raise failed
        except TimeoutError:
            raise RetryLater(f"no token for {provider.title} could be had in {_PATIENCE_SECONDS:g} s") from None
        return {} if held is None else held.properties

    async def renew(self, due: DueGrant, *, provider: Provider, kind: CredentialKind) -> bool:
        """Obtains a token in place of one that lives; False: it could not be had now, and the old one stays."""
        held = await self._store.get(due.org_id, due.credential_id)
        if held is None or held.version != due.version:
            return False  # somebody has just renewed it
        failed = await self._obtain(due.org_id, due.credential_id, held, provider=provider, kind=kind)
        renewed = await self._store.get(due.org_id, due.credential_id)
        return failed is None and renewed is not None and renewed.version != held.version

    async def withdraw(self, credential_no: int) -> bool:
        """The provider refuses a token that should live. Whether another is worth asking for."""
        withdrawn = await self._store.withdraw(credential_no)
        if withdrawn:
            log.warning("grants.token_withdrawn", credential_no=credential_no)
        return withdrawn

    async def close(self) -> None:
        """Lets attempts that are under way end: an answer that nobody stores may be lost for ever."""
        attempts = list(self._attempts.values())
        if attempts:
            await asyncio.wait(attempts, timeout=_CLOSE_SECONDS)
        for task in attempts:
            task.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)

    async def _obtain(
        self,
        org_id: uuid.UUID,
        credential_id: uuid.UUID,
        held: HeldGrant,
        *,
        provider: Provider,
        kind: CredentialKind,
    ) -> ProviderError | None:
        """One attempt, shared by all who want it in this process. None: look again; else why there is no token."""
        if held.retry_seconds > 0 and held.fault is not None:
            return held.fault.error(after_seconds=held.retry_seconds)
        task = self._attempts.get(held.credential_no)
        if task is None:
            attempt = self._attempt(org_id, credential_id, held, provider=provider, kind=kind)
            task = asyncio.create_task(attempt, name=f"grant {held.credential_no}")
            self._attempts[held.credential_no] = task
            task.add_done_callback(lambda ended: self._forget(held.credential_no, ended))
        try:
            # Whoever waits may be cancelled; the attempt goes on, since its answer must be stored.
            await asyncio.shield(task)
        except ProviderError as error:
            return error
        return None

    def _forget(self, credential_no: int, ended: asyncio.Task[None]) -> None:
        del self._attempts[credential_no]
        if not ended.cancelled():
            ended.exception()  # whoever waited for it may be gone

    async def _attempt(
        self,
        org_id: uuid.UUID,
        credential_id: uuid.UUID,
        seen: HeldGrant,
        *,
        provider: Provider,
        kind: CredentialKind,
    ) -> None:
        """Asks for a token and stores it. Returns also if another process does so; raises what `setback` makes of a
        failure."""
        claimant = uuid.uuid4()
        token: Token | None = None
        # The permit first: a claim that waits for one would keep other processes from asking.
        async with self._permit_of(seen.credential_no) as permit:
            version = await self._store.claim(seen.credential_no, claimant, seen_version=seen.version)
            # Read again under the claim: a refresh token that counts once is the newest one.
            held = None if version is None else await self._store.get(org_id, credential_id)
            if held is not None:
                try:
                    async with asyncio.timeout(_ATTEMPT_SECONDS):
                        app = await self._app(org_id, held.oauth_app_id)
                        token = await self._endpoint.obtain(provider, kind, held.properties, app, permit=permit)
                except (ProviderError, TimeoutError) as error:
                    await self._note_failure(org_id, held, claimant, _as_provider_error(error, provider))
        if version is None or held is None or token is None:
            await asyncio.sleep(_LOOK_SECONDS)  # somebody else's attempt: nothing tells when it ends
        elif await self._keep(org_id, credential_id, credential_no=held.credential_no, version=version, token=token):
            log.info("grants.token_obtained", credential_id=credential_id, lifetime_seconds=token.lifetime_seconds)
            if held.oauth_app_id is not None:
                await self._apps.save_health(org_id, held.oauth_app_id, PartHealth(time=datetime.now(UTC)))

    async def _keep(
        self, org_id: uuid.UUID, credential_id: uuid.UUID, *, credential_no: int, version: int, token: Token
    ) -> bool:
        """Stores a token, however long the database is away: what rotated with it is nowhere else."""
        began = asyncio.get_running_loop().time()
        while True:
            try:
                return await self._store.keep(
                    org_id, credential_id, credential_no=credential_no, version=version, token=token
                )
            except UNAVAILABLE as error:
                if asyncio.get_running_loop().time() > began + _KEPT_IN_MEMORY_SECONDS:
                    raise
                log.warning("grants.not_stored_yet", error=error, credential_id=credential_id)
                await asyncio.sleep(_STORE_AGAIN_SECONDS)

    async def _note_failure(
        self, org_id: uuid.UUID, held: HeldGrant, claimant: uuid.UUID, error: ProviderError
    ) -> None:
        """Always raises."""
        after: Setback = setback(error, refusals=held.refusals, failures=held.failures)
        await self._store.give_up(held.credential_no, claimant, after)
        log.warning(
            "grants.refused" if isinstance(error, CredentialDead) else "grants.failed",
            credential_no=held.credential_no,
            words=error.words,
            status=error.status,
            is_believed=after.fault.is_dead,
            retry_in_seconds=round(after.retry_seconds, 1),
        )
        if isinstance(error, AppRefused) and held.oauth_app_id is not None and after.fault.is_dead:
            note = f"No token can be obtained with it: {error.words.rstrip('.')}. {error.remedy}"
            said = PartHealth(status="error", notes=(note,), time=datetime.now(UTC))
            await self._apps.save_health(org_id, held.oauth_app_id, said)
        raise after.error()

    async def _app(self, org_id: uuid.UUID, app_id: uuid.UUID | None) -> Mapping[str, Any]:
        if app_id is None:
            return {}
        found = await self._apps.properties(org_id, [app_id])
        return found[app_id].reveal() if app_id in found else {}


async def _nothing() -> Mapping[str, Any]:
    return {}


def _headers(provider: Provider, request: Request) -> CIMultiDict[str]:
    headers = CIMultiDict(provider.request_headers)
    headers.update(request.headers)
    return headers


def _token(obtained: Obtained, theirs: datetime) -> Token:
    """Raises ProviderBroken for a token that has ended before it begins."""
    if obtained.expires_at is None:
        return Token(obtained.access_token, obtained.rotated, None)
    lifetime = (obtained.expires_at - theirs).total_seconds()
    if lifetime <= _LAST_SECONDS:
        raise ProviderBroken("answered with a token that has expired already")
    return Token(obtained.access_token, obtained.rotated, lifetime)


def _as_provider_error(error: ProviderError | TimeoutError, provider: Provider) -> ProviderError:
    if isinstance(error, ProviderError):
        return error
    return RetryLater(f"{provider.title} did not answer within {_ATTEMPT_SECONDS:g} s")
