"""Connecting an account: trying a credential against its provider."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from springline.domain.errors import (
    CredentialDead,
    NotFound,
    NotPermitted,
    ProviderError,
    RequestRejected,
    RetryLater,
    SlowDown,
)
from springline.engine.fetch import HttpClient, Origin, send
from springline.providers.vocabulary import Account, CredentialKind, Provider


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """The provider let the credential in. `account` is whose it is; None: the answer does not say."""

    account: Account | None = None


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """The provider refused the credential; `words` are its own, without secrets."""

    words: str


class Unverifiable(msgspec.Struct, frozen=True, kw_only=True):
    """The provider did not answer in time, or answered nonsense (`timed_out` False); `words` say what was seen."""

    timed_out: bool
    words: str


Verdict = Verified | Rejected | Unverifiable

#: Tries a credential, with its properties in clear. Never raises for what the provider does.
CredentialVerifier = Callable[[Provider, CredentialKind, Mapping[str, Any]], Awaitable[Verdict]]


class CredentialCheck:
    """Tries credentials against their providers. `base_url_of`: where a provider is asked, unless an operator says
    otherwise at the provider's own."""

    def __init__(self, client: HttpClient, *, base_url_of: Callable[[Provider], str]) -> None:
        self._client = client
        self._base_url_of = base_url_of

    async def __call__(self, provider: Provider, kind: CredentialKind, properties: Mapping[str, Any]) -> Verdict:
        """The cheapest request that a live credential can make; others in turn where it may not make that one."""

        async def given() -> Mapping[str, Any]:
            return properties

        origin = Origin(provider, kind, base_url=self._base_url_of(provider), open_properties=given)
        refused: ProviderError | None = None
        for request in (kind.check, *kind.check_fallbacks):
            try:
                answer = await send(self._client, origin, request, headers=await origin.headers(), permit=None)
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
            else:
                return Verified(account=kind.identify(answer))
        return Rejected(words=refused.words if refused else "there is nothing to try it with")
