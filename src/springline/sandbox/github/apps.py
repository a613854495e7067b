"""A GitHub App: its key, its installations, and the tokens that it mints."""

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.tokens import Access

LONGEST_JWT_SECONDS = 600


@dataclass(slots=True)
class Installation:
    """The app in one organization; `repositories` (ids) None is all of them."""

    id: int
    organization_id: int
    permissions: dict[str, Access]
    repositories: frozenset[int] | None
    created: int
    suspended: bool = False


@dataclass(slots=True)
class App:
    """An app, and the public half of the key that its JWTs are signed with."""

    id: int
    client_id: str
    slug: str
    public_key: RSAPublicKey
    created: int
    installations: dict[int, Installation] = field(default_factory=dict)


def read_public_key(pem: str) -> RSAPublicKey:
    """Raises ValueError where this is not the PEM of an RSA public key."""
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("an app's key is an RSA key")  # noqa: TRY004 (the text is wrong, not a type)
    return key


def app_of_jwt(text: str, apps: dict[int, App], *, now: float) -> App:
    """The app that signed this JWT. Raises GithubError 401 or 404 in GitHub's words."""
    try:
        head, claims, signature = text.split(".")
        header, payload = _json(head), _json(claims)
        signed = _bytes(signature)
    except (ValueError, binascii.Error):
        raise _undecodable() from None
    if not isinstance(header, dict) or not isinstance(payload, dict) or header.get("alg") != "RS256":
        raise _undecodable()
    app = next((app for app in apps.values() if str(payload.get("iss")) in {str(app.id), app.client_id}), None)
    if app is None:
        raise GithubError("Integration not found", status=404)
    try:
        app.public_key.verify(signed, f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise _undecodable() from None
    _check_times(payload, now=now)
    return app


def _check_times(payload: dict[str, Any], *, now: float) -> None:
    expires, issued = payload.get("exp"), payload.get("iat")
    if not isinstance(expires, int | float) or expires <= now:
        raise GithubError(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
            "assertion expires",
            status=401,
        )
    if not isinstance(issued, int | float) or issued > now:
        raise GithubError(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            status=401,
        )
    if expires - now > LONGEST_JWT_SECONDS:
        raise GithubError("'Expiration time' claim ('exp') is too far in the future", status=401)


def _undecodable() -> GithubError:
    return GithubError("A JSON web token could not be decoded", status=401)


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _json(part: str) -> Any:
    return json.loads(_bytes(part))
