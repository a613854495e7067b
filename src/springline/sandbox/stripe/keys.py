"""API keys: who a request speaks for, and what it may."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from springline.sandbox.stripe.errors import StripeError

Access = Literal["none", "read", "write"]
State = Literal["active", "expired", "revoked"]

_FORM = re.compile(r"(sk|rk)_(test|live)_\w+")


@dataclass(slots=True)
class Key:
    """One key of one account. `permissions` by collection name; what is not named is allowed."""

    text: str
    account_id: str
    state: State = "active"
    permissions: dict[str, Access] = field(default_factory=dict)

    @property
    def livemode(self) -> bool:
        return "_live_" in self.text

    def check(self, collection: str, *, writes: bool, account_id: str) -> None:
        """Raises StripeError 403 where the key lacks the permission."""
        allowed = self.permissions.get(collection, "write")
        if allowed == "write" or (allowed == "read" and not writes):
            return
        wanted = f"rak_{collection}_{'write' if writes else 'read'}"
        raise StripeError(
            f"The provided key '{masked(self.text)}' does not have the required permissions for this endpoint "
            f"on account '{account_id}'. Having the '{wanted}' permission would allow this request to continue.",
            status=403,
        )


class KeyRing:
    """All known keys. A `sk_test_` key nobody added belongs to the default account."""

    def __init__(self, default_account_id: str) -> None:
        self._default_account_id = default_account_id
        self.keys: dict[str, Key] = {}

    def put(self, text: str, *, account_id: str | None, state: State, permissions: Mapping[str, Access]) -> Key:
        """Add a key, or change one. Raises ValueError for what no Stripe key looks like."""
        if not _FORM.fullmatch(text):
            raise ValueError("a key looks like sk_test_…, sk_live_…, rk_test_… or rk_live_…")
        known = self.keys.get(text)
        account = account_id or (known.account_id if known else self._default_account_id)
        self.keys[text] = Key(text, account, state, dict(permissions))
        return self.keys[text]

    def authenticate(self, headers: Mapping[str, str]) -> Key:
        """The key of a request. Raises StripeError 401."""
        text = _presented(headers.get("Authorization", ""))
        if not text:
            raise StripeError(
                "You did not provide an API key. You need to provide your API key in the Authorization header, "
                "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
                "https://stripe.com/docs/api#authentication for details, or we can help at "
                "https://support.stripe.com/.",
                status=401,
                headers={"WWW-Authenticate": 'Basic realm="Stripe"'},
            )
        key = self.keys.get(text)
        if key is None and text.startswith("sk_test_") and _FORM.fullmatch(text):
            key = Key(text, self._default_account_id)
        if key is None or key.state == "revoked":
            raise StripeError(f"Invalid API Key provided: {masked(text)}", status=401)
        if key.state == "expired":
            raise StripeError(f"Expired API Key provided: {masked(text)}", status=401, code="api_key_expired")
        return key


def masked(key: str) -> str:
    """A key as Stripe's messages show it: its kind and its last four characters."""
    kind = "_".join(key.split("_")[:2]) if key.count("_") >= 2 else ""
    return f"{kind}_****{key[-4:]}" if kind and len(key) > len(kind) + 5 else "****"


def _presented(authorization: str) -> str:
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
