"""How a Stripe account lets us in: by a secret or a restricted key."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from springline.providers.access import Account, Answer, CredentialField, CredentialKind, RateLimit, Request
from springline.providers.stripe.limits import limits


class _Account(msgspec.Struct):
    id: str
    email: str | None = None


def _headers(properties: Mapping[str, Any]) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {properties['secret']}"}
    if properties.get("account"):
        headers["Stripe-Account"] = properties["account"]
    return headers


def _identify(answer: Answer) -> Account | None:
    try:
        account = msgspec.json.decode(answer.body, type=_Account)
    except msgspec.DecodeError:
        return None
    return Account(identity=account.id, label=account.email) if account.id.startswith("acct_") else None


def _data_set_of(properties: Mapping[str, Any]) -> str | None:
    """Mode and connected account are data sets of their own."""
    mode = "live" if "_live_" in properties["secret"] else "test"
    return f"{mode}/{properties['account']}" if properties.get("account") else mode


def _identity_of(properties: Mapping[str, Any]) -> str | None:
    """A restricted key sees what it was granted."""
    secret: str = properties["secret"]
    return hashlib.sha256(secret.encode()).hexdigest()[:16] if secret.startswith("rk_") else None


def _refuse(properties: Mapping[str, Any]) -> str | None:
    secret: str = properties["secret"]
    if secret.startswith("pk_"):
        return "is a publishable key; use a secret key (sk_…) or a restricted key (rk_…)"
    if not secret.startswith(("sk_", "rk_")):
        return "is no Stripe key: those begin with sk_ or rk_"
    test = properties.get("test")
    if test is not None and ("_live_" in secret) == bool(test):
        return f"does not fit test={str(test).lower()}: the key's own prefix says otherwise"
    return None


def _rate_limit(properties: Mapping[str, Any]) -> RateLimit:
    # Stripe allows 100/s live and 25/s in test mode, and 25/s for each endpoint; this leaves the customer's own
    # programs most of it. docs.stripe.com/rate-limits
    per_second = 20 if "_live_" in str(properties.get("secret", "")) else 8
    return RateLimit(allowed_requests=per_second, interval=1.0, max_concurrent_requests=4)


STRIPE_KEY = CredentialKind(
    name="stripe_key",
    aliases=("stripe",),
    fields=(
        CredentialField(
            name="secret",
            aliases=("secret_key",),
            required=True,
            secret=True,
            description="A secret key (sk_…), or a restricted key (rk_…) with Read on each collection and on Events.",
        ),
        CredentialField(name="test", type="boolean", description="Whether it is a key of test mode."),
        CredentialField(name="name", description="What the account calls itself."),
        CredentialField(name="account", description="A connected account (acct_…) whose data is read with this key."),
    ),
    headers=_headers,
    check=Request(path="/v1/account"),
    # A restricted key may not read the account, and not every fake has one.
    check_fallbacks=(Request(path="/v1/events", query=(("limit", "1"),)),),
    identify=_identify,
    data_set_of=_data_set_of,
    identity_of=_identity_of,
    refuse=_refuse,
    rate_limit=_rate_limit,
    limits=limits,
)
