"""Connecting an account: trying a credential against its provider."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol

import msgspec

from springline.domain.errors import (
    CredentialDead,
    NotFound,
    NotPermitted,
    OwnerUnavailable,
    ProviderError,
    RequestRejected,
    RetryLater,
    SlowDown,
)
from springline.engine.fetch import HttpClient, Origin, send
from springline.engine.grants import TokenEndpoint
from springline.engine.permits import Permits
from springline.providers.vocabulary import Account, Answer, CredentialKind, Provider, Request
from springline.store.grants import Token

#: Before a refusal that a lagging replica can bring about is asked for again.
_SECOND_TIME_SECONDS: Final = 0.5
#: So long a permit is waited for: someone waits for the answer.
_PERMIT_SECONDS: Final = 10.0


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """The provider let the credential in. `account` is whose it is; None: the answer does not say. `token` is what was
    obtained for it on the way, where it needs one; `learnt` are properties that the answer tells."""

    account: Account | None = None
    token: Token | None = None
    learnt: Mapping[str, Any] = {}


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """The provider refused the credential; `words` are its own, without secrets."""

    words: str


class Unverifiable(msgspec.Struct, frozen=True, kw_only=True):
    """The provider did not answer in time, or answered nonsense (`timed_out` False); `words` say what was seen."""

    timed_out: bool
    words: str


Verdict = Verified | Rejected | Unverifiable


class CredentialVerifier(Protocol):
    """Tries a credential, with its properties and those of its OAuth app in clear. Never raises for what the provider
    does."""

    async def __call__(
        self,
        provider: Provider,
        kind: CredentialKind,
        properties: Mapping[str, Any],
        app: Mapping[str, Any] | None = None,
        *,
        credential_no: int | None = None,
    ) -> Verdict:
        """`credential_no`: of the stored credential whose quota this draws on, where there is one."""
        ...


class CredentialCheck:
    """Tries credentials against their providers. `base_url_of`: where a provider is asked, unless an operator says
    otherwise at the provider's own. `endpoint`: where tokens are asked for, if not as this process's others are.
    `permits`: for credentials that are stored; one that is new has no quota yet."""

    def __init__(
        self,
        client: HttpClient,
        *,
        base_url_of: Callable[[Provider], str],
        endpoint: TokenEndpoint | None = None,
        permits: Permits | None = None,
    ) -> None:
        self._client = client
        self._base_url_of = base_url_of
        self._endpoint = endpoint or TokenEndpoint(client, base_url_of=base_url_of)
        self._permits = permits

    async def __call__(
        self,
        provider: Provider,
        kind: CredentialKind,
        properties: Mapping[str, Any],
        app: Mapping[str, Any] | None = None,
        *,
        credential_no: int | None = None,
    ) -> Verdict:
        """The cheapest request that a live credential can make; others in turn where it may not make that one."""
        token: Token | None = None
        if kind.grant is not None:
            try:
                token = await self._obtain(provider, kind, properties, app or {})
            except CredentialDead as error:
                return Rejected(words=f"{error.words.rstrip('.')}. {error.remedy}")
            except ProviderError as error:
                timed_out = isinstance(error, RetryLater) and error.status is None
                return Unverifiable(timed_out=timed_out, words=error.words)
            properties = {**properties, "access_token": token.access_token.reveal()}
        verdict = await self._check(provider, kind, properties, credential_no)
        if isinstance(verdict, Verified) and token is not None:
            return Verified(account=verdict.account, token=token, learnt=verdict.learnt)
        return verdict

    async def _obtain(
        self, provider: Provider, kind: CredentialKind, properties: Mapping[str, Any], app: Mapping[str, Any]
    ) -> Token:
        try:
            return await self._endpoint.obtain(provider, kind, properties, app)
        except CredentialDead as error:
            if not error.is_doubtful:
                raise
        await asyncio.sleep(_SECOND_TIME_SECONDS)
        return await self._endpoint.obtain(provider, kind, properties, app)

    async def _check(
        self, provider: Provider, kind: CredentialKind, properties: Mapping[str, Any], credential_no: int | None
    ) -> Verdict:
        async def given() -> Mapping[str, Any]:
            return properties

        origin = Origin(provider, kind, base_url=self._base_url_of(provider), open_properties=given)
        refused: ProviderError | None = None
        for request in (kind.check, *kind.check_fallbacks):
            try:
                answer = await self._send(origin, request, credential_no)
                if not 200 <= answer.status < 300:
                    raise provider.classify(request, answer)
            except (NotFound, NotPermitted, RequestRejected) as error:
                refused = error
            except CredentialDead as error:
                return Rejected(words=error.words)
            except SlowDown:
                return Verified()  # it knows the key well enough to count its requests
            except RetryLater as error:
                return Unverifiable(timed_out=error.status is None, words=error.words)
            except ProviderError as error:
                return Unverifiable(timed_out=False, words=error.words)
            except OwnerUnavailable as error:
                return Unverifiable(timed_out=True, words=str(error))
            else:
                return Verified(account=kind.identify(answer), learnt=kind.learn(answer))
        return Rejected(words=refused.words if refused else "there is nothing to try it with")

    async def _send(self, origin: Origin, request: Request, credential_no: int | None) -> Answer:
        headers = await origin.headers()
        async with AsyncExitStack() as stack:
            permit = None
            # A credential that nobody runs syncs of has nobody who counts, and nobody else who starts anything.
            if self._permits is not None and credential_no is not None and await self._permits.is_owned(credential_no):
                permit = await stack.enter_async_context(
                    self._permits.permit(
                        credential_no,
                        request,
                        valid_seconds=origin.provider.request_timeout_seconds + 1.0,
                        timeout_seconds=_PERMIT_SECONDS,
                    )
                )
            answer = await send(self._client, origin, request, headers=headers, permit=permit)
            if permit is not None:
                permit.answered(answer.status, origin.provider.read_limits(request, answer))
            return answer
