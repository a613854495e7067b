"""The API token and the secret key, as files that only the user who runs Springline can read."""

import base64
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from springline.store.secrets import KEY_BYTES

SECRET_KEY_FILE: Final = "secret.key"  # noqa: S105 - a file's name


class PrivateFileError(Exception):
    """A private file cannot be used; the message says why and what to do."""


def prepare_directory(path: Path) -> None:
    """Makes the directory, for us alone, if it is missing. Raises PrivateFileError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PrivateFileError(
            f"cannot make the data directory {path}: {error.strerror}; set SPRINGLINE_DATA_DIR to another"
        ) from None


def write_token(path: Path, token: str) -> None:
    """Replaces the token file."""
    _write(path.parent, path.name, token)


def secret_key(directory: Path) -> tuple[bytes, bool]:
    """The key of the key file, and whether it was made just now. Raises PrivateFileError if the file cannot be used."""
    path = directory / SECRET_KEY_FILE
    text = _read(path)
    if text is not None:
        try:
            key = base64.urlsafe_b64decode(text.strip() + b"==")
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise PrivateFileError(f"{path} holds no key of {KEY_BYTES} bytes in base64url; restore it from a backup")
        return key, False
    key = secrets.token_bytes(KEY_BYTES)
    try:
        _write(directory, SECRET_KEY_FILE, base64.urlsafe_b64encode(key).decode().rstrip("="), exclusive=True)
    except FileExistsError:  # another process was first
        return secret_key(directory)
    return key, True


def forget_secret_key(directory: Path) -> None:
    """Removes the key file that was made just now and that encrypts nothing: it would hide that the right one is
    missing."""
    (directory / SECRET_KEY_FILE).unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PrivateFileError(f"cannot read {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise PrivateFileError(f"{path} belongs to another user; give it back: chown {os.geteuid()} {path}")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise PrivateFileError(f"others can read {path}; make it private: chmod 600 {path}")
        return file.read()


def _write(directory: Path, name: str, text: str, *, exclusive: bool = False) -> Path:
    """Whole or not at all, and never through a link. Raises FileExistsError if `exclusive` and it is there."""
    path = directory / name
    temporary = directory / f".{name}.{secrets.token_hex(4)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)
        if exclusive:
            os.link(temporary, path)
            temporary.unlink()
        else:
            temporary.replace(path)
    except FileExistsError:
        temporary.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise PrivateFileError(f"cannot write {path}: {error.strerror}") from None
    return path
