"""Encryption at rest: AES-256-GCM, the key's id in the row, bound to the place where the secret lies."""

import hashlib
import hmac
import os
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from springline.store.database import Database, DatabaseError
from springline.store.statements import load_statements

#: AES-256.
KEY_BYTES: Final = 32

_NONCE_BYTES = 12
_PROOF = b"springline"


class SecretError(DatabaseError):
    """Secrets in the database cannot be decrypted; the message says which key is missing and what to do."""


class SecretPlace(NamedTuple):
    """Where a secret lies. It is part of what is authenticated: a secret that was copied elsewhere cannot be read."""

    org_id: uuid.UUID | None
    table: str
    row_id: str
    column: str

    def encoded(self) -> bytes:
        return "\0".join((str(self.org_id), self.table, self.row_id, self.column)).encode()


class Sealed(NamedTuple):
    """A secret as it is stored."""

    key_id: str
    content: bytes


class SecretBox:
    """Encrypts with the first key, decrypts with all. `keys` are 32 bytes each. Raises ValueError if one is not."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a secret key has {KEY_BYTES} bytes, and at least one is needed")
        self._keys = {secret_key_id(key): key for key in keys}
        self._ciphers = {key_id: AESGCM(key) for key_id, key in self._keys.items()}

    def __repr__(self) -> str:
        return f"SecretBox({', '.join(self._keys)})"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, the one that encrypts first."""
        return tuple(self._keys)

    def encrypt(self, content: bytes, place: SecretPlace) -> Sealed:
        key_id = self.key_ids[0]
        nonce = os.urandom(_NONCE_BYTES)
        return Sealed(key_id, nonce + self._ciphers[key_id].encrypt(nonce, content, place.encoded()))

    def decrypt(self, sealed: Sealed, place: SecretPlace) -> bytes:
        """Raises SecretError if the key is missing, or the content was changed or belongs elsewhere."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise SecretError(_missing([sealed.key_id]))
        nonce, content = sealed.content[:_NONCE_BYTES], sealed.content[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, content, place.encoded())
        except (InvalidTag, ValueError):
            raise SecretError(
                f"the secret in {place.table}.{place.column} of {place.row_id} was changed or moved; enter it anew"
            ) from None

    def fingerprints(self, content: bytes) -> tuple[str, ...]:
        """A hash of the content keyed with each key, the first key's first: who has only the database cannot guess."""
        return tuple(
            hmac.new(key, b"springline fingerprint\0" + content, hashlib.sha256).hexdigest()[:32]
            for key in self._keys.values()
        )


def secret_key_id(key: bytes) -> str:
    """The public name of a secret key: the first 16 hex digits of its sha256."""
    return hashlib.sha256(key).hexdigest()[:16]


async def check_secret_keys(database: Database, box: SecretBox, *, newly_made: bool) -> None:
    """Proves that every secret in the database can be decrypted with the given keys, and remembers the first of them.

    Raises SecretError naming the missing key; also if the only key was just made while the database holds secrets.
    """
    sql = load_statements("secrets")
    used = [row["key_id"] for row in await database.fetch(sql["list_used_keys"])]
    missing = [key_id for key_id in used if key_id not in box.key_ids]
    if missing and newly_made:
        raise SecretError(
            f"the secret key was just made, but the database holds secrets encrypted with {_names(missing)}; "
            "restore the old key file, or set SPRINGLINE_SECRET_KEY to the old key"
        )
    if missing:
        raise SecretError(_missing(missing))
    for row in await database.fetch(sql["list_proofs"], list(box.key_ids)):
        box.decrypt(Sealed(row["key_id"], row["proof"]), _proof_place(row["key_id"]))
    sealed = box.encrypt(_PROOF, _proof_place(box.key_ids[0]))
    await database.execute(sql["add_proof"], sealed.key_id, sealed.content)


def _proof_place(key_id: str) -> SecretPlace:
    return SecretPlace(None, "secret_keys", key_id, "proof")


def _missing(key_ids: Sequence[str]) -> str:
    return (
        f"the database holds secrets encrypted with {_names(key_ids)}, which was not given; "
        "add it to SPRINGLINE_SECRET_KEY (a comma-separated list: the first encrypts, all decrypt)"
    )


def _names(key_ids: Sequence[str]) -> str:
    return ("key " if len(key_ids) == 1 else "keys ") + ", ".join(key_ids)
