"""The directory that holds one embedded installation, private (0700) to the account that runs PostgreSQL.

    springline.json      the version of this layout; without it a directory is not ours
    postgres/            PostgreSQL's cluster
    run/                 its socket, or `socket-directory` names where it is (see socket_directory.py)
    log/postgres.log
    *.lock               who is here (see embedded.py)
    bin-<version>/       only where the account cannot run the installed binaries
    token, secret.key    written by others, as the user who runs us

Run as root, we write where another account may rename and link as it likes. So every file is opened
relative to its folder, never through a link, and only the account's own powers apply to what it plants.
"""

import os
import pwd
import secrets
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

LAYOUT = 1
MARKER = "springline.json"
#: Who runs PostgreSQL when root runs us: the first of these that exists.
ACCOUNTS = ("springline", "postgres", "nobody")
#: What an operator or a file system may have put into a directory that is still to become ours.
_HARMLESS = {"lost+found", "token", "secret.key"}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used. The message is one or two sentences, with the way out."""


class _Marker(msgspec.Struct):
    layout: int


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that runs PostgreSQL."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    @property
    def popen_arguments(self) -> dict[str, Any]:
        """What `subprocess.Popen` needs to run a program as this account and with nothing of ours."""
        return {} if self.is_us else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def first_refused(self, *checks: tuple[str, Path]) -> Path | None:
        """The first path that fails its check (`-x`, `-r`, as test(1) has them) for this account."""
        if self.is_us:
            return next((path for how, path in checks if not os.access(path, _ACCESS[how])), None)
        script = 'while [ $# -gt 0 ]; do [ "$1" "$2" ] || { printf %s "$2"; exit 1; }; shift 2; done'
        words = [str(word) for check in checks for word in check]
        found = subprocess.run(  # noqa: S603 - the paths are arguments, not code
            ["/bin/sh", "-c", script, "sh", *words],
            capture_output=True, check=False, cwd="/", **self.popen_arguments,
        )  # fmt: skip
        return Path(os.fsdecode(found.stdout)) if found.returncode else None


_ACCESS = {"-x": os.X_OK, "-r": os.R_OK}


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A prepared data directory: absolute path, links resolved, and the account that owns it."""

    path: Path
    account: Account

    @classmethod
    def prepare(cls, path: Path) -> "DataDirectory":
        """Makes the directory, or checks that it is one of ours. Safe with several processes at once.

        Touches nothing outside it but missing parents. Raises EmbeddedPostgresError if it is something
        else's, was made by a newer Springline, or cannot be reached by the account.
        """
        path = Path(os.path.realpath(path))
        if "\n" in str(path):
            raise EmbeddedPostgresError(f"{str(path)!r} cannot be a data directory: its name has a line break")
        if path.exists() and not path.is_dir():
            raise EmbeddedPostgresError(f"{path} is a file: set SPRINGLINE_DATA_DIR to a directory")
        with refusing(path):
            account = _account_for(path)
            _check_reachable(path, account)
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_reachable(path, account)
            directory = cls(path, account)
            directory._make_ours()
            return directory

    @property
    def cluster(self) -> Path:
        return self.path / "postgres"

    @property
    def log(self) -> Path:
        return self.path / "log" / "postgres.log"

    def open_file(self, name: str, flags: int) -> int:
        """A descriptor of the regular file `name`, made (0600, the account's) if it is missing."""
        with self._folder_of(name) as (folder, last):
            try:
                descriptor = os.open(last, flags | os.O_CREAT | os.O_EXCL | _PRIVATE, 0o600, dir_fd=folder)
            except FileExistsError:
                return _regular(os.open(last, flags | os.O_NONBLOCK | _PRIVATE, dir_fd=folder), name)
            self._give_away(descriptor)
            return descriptor

    def read_file(self, name: str) -> bytes | None:
        """The content of `name`, or None if there is no such file."""
        try:
            with self._folder_of(name) as (folder, last):
                descriptor = os.open(last, os.O_RDONLY | os.O_NONBLOCK | _PRIVATE, dir_fd=folder)
        except FileNotFoundError:
            return None
        with os.fdopen(_regular(descriptor, name), "rb") as file:
            return file.read()

    def replace_file(self, name: str, content: bytes) -> None:
        """Writes `name` (0600, the account's) whole and durably, or not at all."""
        if self.read_file(name) == content:
            return
        with self._folder_of(name) as (folder, last):
            new = f"{last}.{secrets.token_hex(4)}"
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PRIVATE, 0o600, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    self._give_away(descriptor)
                    file.write(content)
                    file.flush()
                    os.fsync(descriptor)
                os.rename(new, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(new, dir_fd=folder)
                raise
            os.fsync(folder)

    def remove_file(self, name: str) -> None:
        """Removes `name`, if it is there; a link is removed, not followed."""
        try:
            with self._folder_of(name) as (folder, last):
                os.unlink(last, dir_fd=folder)
        except FileNotFoundError:
            pass

    def make_folder(self, name: str) -> None:
        """A folder of ours, 0700 and the account's. Raises OSError if something else has its name."""
        with self._folder_of(name) as (parent, last):
            with suppress(FileExistsError):
                os.mkdir(last, mode=0o700, dir_fd=parent)
            folder = os.open(last, _FOLDER, dir_fd=parent)
            try:
                self._give_away(folder)
                os.fchmod(folder, 0o700)
            finally:
                os.close(folder)

    def flush(self) -> None:
        """Makes a rename inside the data directory outlive a power cut."""
        folder = os.open(self.path, _FOLDER)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _folder_of(self, name: str) -> Iterator[tuple[int, str]]:
        *folders, last = name.split("/")
        descriptor = os.open(self.path, _FOLDER)
        try:
            for folder in folders:
                inner = os.open(folder, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor, last
        finally:
            os.close(descriptor)

    def _give_away(self, descriptor: int) -> None:
        if not self.account.is_us and os.fstat(descriptor).st_uid != self.account.uid:
            os.fchown(descriptor, self.account.uid, self.account.gid)

    def _make_ours(self) -> None:
        marker = self.read_file(MARKER)
        if marker is None and (strangers := self._strangers()):
            # Another process may have marked it between the two looks.
            marker = self.read_file(MARKER)
            if marker is None:
                raise EmbeddedPostgresError(
                    f"{self.path} is not a Springline data directory and not empty (it holds {strangers[0]!r}): "
                    "set SPRINGLINE_DATA_DIR to an empty or a new directory"
                )
        if marker is None:
            self.replace_file(MARKER, msgspec.json.encode(_Marker(layout=LAYOUT)) + b"\n")
        else:
            _check_layout(self.path, marker)
        folder = os.open(self.path, _FOLDER)
        try:
            self._give_away(folder)
            if stat.S_IMODE(os.fstat(folder).st_mode) != 0o700:
                os.fchmod(folder, 0o700)
        finally:
            os.close(folder)

    def _strangers(self) -> list[str]:
        return sorted(name for name in os.listdir(self.path) if name not in _HARMLESS and MARKER not in name)


_PRIVATE = os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turns an OSError into an EmbeddedPostgresError that says what to do about it."""
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) and error.filename.startswith("/") else path
        raise EmbeddedPostgresError(
            f"cannot use the data directory {path}: {error.strerror or error} ({where}); "
            "it must be writable, not full, and belong to the user who runs Springline"
        ) from error


def _regular(descriptor: int, name: str) -> int:
    """Refuses what another account may have planted: a pipe that blocks us, a second name of a foreign file."""
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    raise EmbeddedPostgresError(f"{name} in the data directory is not a plain file: remove it and start again")


def _check_layout(path: Path, marker: bytes) -> None:
    try:
        layout = msgspec.json.decode(marker, type=_Marker).layout
    except msgspec.DecodeError as error:
        raise EmbeddedPostgresError(f"{path / MARKER} is damaged ({error}): restore it from a backup") from error
    if layout > LAYOUT:
        raise EmbeddedPostgresError(
            f"{path} was made by a newer Springline (layout {layout}, this one knows {LAYOUT}): "
            "run that version, or set SPRINGLINE_DATA_DIR to another directory"
        )


def _account_for(path: Path) -> Account:
    uid = os.geteuid()
    if uid == 0:
        # Who owns the directory keeps it: which accounts exist may change between two starts.
        owner = os.stat(path).st_uid if (path / MARKER).exists() else 0
        if owner == 0:
            return _unprivileged_account()
        uid = owner
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL would run as user number {uid}, which has no name on this machine: "
            "add it to /etc/passwd, or set SPRINGLINE_DATABASE_URL to a PostgreSQL of your own"
        ) from None
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def _unprivileged_account() -> Account:
    for name in ACCOUNTS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(found.pw_name, found.pw_uid, found.pw_gid)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists: "
        "make one (useradd --system springline), or run Springline as an ordinary user"
    )


def _check_reachable(path: Path, account: Account) -> None:
    if account.is_us:
        return
    ancestors = [ancestor for ancestor in reversed(path.parents) if ancestor.exists()]
    try:
        closed = account.first_refused(*[("-x", ancestor) for ancestor in ancestors])
    except PermissionError:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and this root may not become {account.name!r} (it lacks CAP_SETUID): "
            "run Springline as an ordinary user, or set SPRINGLINE_DATABASE_URL to a PostgreSQL of your own"
        ) from None
    if closed is not None:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root but as {account.name!r}, who may not enter {closed} and so cannot "
            f"reach the data directory {path}: set SPRINGLINE_DATA_DIR to a place that every user may enter "
            "(the default for root is /var/lib/springline), or run Springline as an ordinary user"
        )
