"""How GitHub lets in a GitHub App that is installed in an account: by tokens of an hour, minted with the app's key.

docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app, seen 2026-11.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from springline.domain.errors import (
    AppRefused,
    CredentialDead,
    ProviderBroken,
    ProviderError,
    RetryLater,
)
from springline.domain.secrets import Secret
from springline.providers.github.answers import classify
from springline.providers.github.limits import limits
from springline.providers.vocabulary import (
    Account,
    Answer,
    CredentialField,
    CredentialKind,
    Grant,
    OAuthAppFields,
    Obtained,
    RateLimit,
    Request,
)

#: GitHub takes no claim that ends more than ten minutes from its own time; a minute back allows for clocks.
_ISSUED_BEFORE: Final = timedelta(seconds=60)
_VALID_FOR: Final = timedelta(seconds=540)
_REINSTALL: Final = "Have the app installed in the account again, and import the installation that GitHub then names."
_LET_IN: Final = "See that the account lets the app in."
_LOOK: Final = "See in the account's settings that the app is still installed there, and not suspended."
_UNSUSPEND: Final = "Have an owner of the account unsuspend the app in its settings."
_APP_KEY: Final = (
    "Make a private key in the app's settings at GitHub, and give it to the OAuth app here; see that app_id is its own."
)


class _Token(msgspec.Struct):
    token: str
    expires_at: datetime


def _request(properties: Mapping[str, Any], app: Mapping[str, Any], now: datetime) -> Request:
    claims = {
        "iat": int((now - _ISSUED_BEFORE).timestamp()),
        "exp": int((now + _VALID_FOR).timestamp()),
        "iss": str(app["app_id"]),
    }
    try:
        signed = jwt.encode(claims, _normalised(app["private_key"]), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        refused = AppRefused("the app's private key cannot be used")
        refused.remedy = _APP_KEY
        raise refused from None
    return Request(
        method="POST",
        path=f"/app/installations/{int(properties['installation_id'])}/access_tokens",
        headers=(("Authorization", f"Bearer {signed}"), ("Accept", "application/vnd.github+json")),
    )


def _read(answer: Answer, now: datetime) -> Obtained:
    try:
        token = msgspec.json.decode(answer.body, type=_Token)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderBroken("answered a token that cannot be read", status=answer.status) from None
    if token.expires_at.tzinfo is None:
        raise ProviderBroken("answered a token whose end has no time zone", status=answer.status)
    return Obtained(access_token=Secret(token.token), expires_at=token.expires_at)


def _classify(request: Request, answer: Answer) -> ProviderError:
    """What an answer that gives no token means; limits and passing faults are what they are everywhere."""
    fault = classify(request, answer)
    if isinstance(fault, RetryLater):
        return fault
    said = fault.words.lower()
    if fault.status == 401 and ("claim ('exp')" in said or "claim ('iat')" in said):
        # The clocks were compared before this was asked again; that they still differ passes.
        return RetryLater(f"{fault.words} (look at this machine's clock)", status=401, request_id=fault.request_id)
    if fault.status == 401 or "integration not found" in said:
        return _dead(AppRefused, fault, _APP_KEY)
    if fault.status == 404:
        # Right after an installation a replica may not know it yet: believed the second time.
        words = f"the app is not installed there any more ({fault.words})"
        return _dead(CredentialDead, fault, _REINSTALL, words=words, is_doubtful=True)
    if fault.status == 403:
        is_suspended = "suspended" in said
        return _dead(CredentialDead, fault, _UNSUSPEND if is_suspended else _LET_IN, is_doubtful=not is_suspended)
    return fault


def _dead(
    kind: type[CredentialDead],
    fault: ProviderError,
    remedy: str,
    *,
    words: str | None = None,
    is_doubtful: bool = False,
) -> CredentialDead:
    dead = kind(words or fault.words, status=fault.status, request_id=fault.request_id)
    dead.remedy = remedy
    dead.is_doubtful = is_doubtful
    return dead


def _headers(properties: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {properties['access_token']}"}


def _identify(answer: Answer) -> Account | None:
    # The answer lists repositories; it names neither the installation nor, if there is none, the account.
    return None


class _Owner(msgspec.Struct):
    login: str
    type: str


class _Repository(msgspec.Struct):
    owner: _Owner


class _Repositories(msgspec.Struct):
    repositories: list[_Repository]


def _learn(answer: Answer) -> dict[str, Any]:
    """An installation is one account's, and so are all repositories that it sees."""
    try:
        seen = msgspec.json.decode(answer.body, type=_Repositories).repositories
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not seen or seen[0].owner.type not in ("User", "Organization"):
        return {}
    return {"account_type": seen[0].owner.type, "account_login": seen[0].owner.login}


def _account_of(properties: Mapping[str, Any]) -> str | None:
    return str(properties["installation_id"])


def _refuse(properties: Mapping[str, Any]) -> str | None:
    if properties["installation_id"] <= 0:
        return "must name an installation: installation_id is a number above 0"
    kind = properties.get("account_type")
    return None if kind in (None, "User", "Organization") else "must have account_type `User` or `Organization`"


def _rate_limit(properties: Mapping[str, Any]) -> RateLimit:
    # An installation is allowed 5,000 an hour at least, and 100 at once; the account's other apps have their own.
    # docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    return RateLimit(allowed_requests=4000, interval=3600.0, max_concurrent_requests=5)


def _normalised(pem: str) -> str:
    """A key that went through an environment variable has its line breaks spelt out."""
    return pem.replace("\\n", "\n") if "\n" not in pem.strip() else pem


def _refuse_app(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    if "app_id" in fields and not str(fields["app_id"]).isdecimal():
        return "app_id", "is no app id: GitHub shows it, a number, in the app's settings"
    if "private_key" not in fields:
        return None
    try:
        key = load_pem_private_key(_normalised(fields["private_key"]).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "private_key", "is no private key in PEM: take the file that GitHub offered when the key was made"
    if not isinstance(key, RSAPrivateKey):
        return "private_key", "is no RSA key: take the file that GitHub offered when the key was made"
    return None


GITHUB_APP_FIELDS: Final = OAuthAppFields(
    fields=(
        CredentialField(name="app_id", description="A GitHub App's own id, a number."),
        CredentialField(name="private_key", secret=True, description="A private key of the GitHub App, in PEM."),
    ),
    stands_for_secret=("app_id", "private_key"),
    refuse=_refuse_app,
)

GITHUB_APP: Final = CredentialKind(
    name="github_app",
    fields=(
        CredentialField(
            name="installation_id",
            type="integer",
            required=True,
            description="Which installation of the app: `installation_id` of the URL that GitHub returns to.",
        ),
        CredentialField(name="account_type", description="`User` or `Organization`: whose account it is."),
        CredentialField(
            name="account_login",
            description="The account's name at GitHub; left out, it is learnt from the first repository.",
        ),
    ),
    headers=_headers,
    check=Request(path="/installation/repositories", query=(("per_page", "1"),)),
    identify=_identify,
    learn=_learn,
    account_of=_account_of,
    identity_of=lambda properties: None,
    refuse=_refuse,
    rate_limit=_rate_limit,
    limits=limits,
    remedy=_LOOK,
    grant=Grant(app_fields=("app_id", "private_key"), request=_request, read=_read, classify=_classify),
)
