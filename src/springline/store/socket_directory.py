"""Where PostgreSQL's socket lies: a folder that only its account may enter, with a path short enough.

A socket's path has about a hundred bytes, however long the data directory's is. Where `run/` does not fit,
a folder of the system's temporary directory takes its place; its path is recorded in the data directory
*before* it is made, so that a crash in between leaves none behind.
"""

import os
import secrets
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from springline.store.data_directory import Account, DataDirectory, EmbeddedPostgresError

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
#: 107 on Linux, 103 on macOS.
_LONGEST_BYTES = 100
_RECORD = "socket-directory"


class _Record(msgspec.Struct):
    path: str
    #: Of the data directory: a copy of it must not use the original's socket.
    inode: int


def find_socket_directory(directory: DataDirectory) -> Path | None:
    """The folder that is in use, or None while nobody has made a safe one."""
    own = directory.path / "run"
    found = own if _fits(own) else _recorded(directory)
    return found if found is not None and _is_private(found, directory.account) else None


def make_socket_directory(directory: DataDirectory) -> Path:
    """The folder to start PostgreSQL with; a socket left by one that was killed is removed.

    Only for the one process that may start PostgreSQL. The path stays the same for as long as the recorded
    folder is ours or gone, so that who has connected before connects again.
    """
    own = directory.path / "run"
    if _fits(own):
        directory.make_folder("run")
        found = own
    else:
        recorded = _recorded(directory)
        if recorded is not None and not os.path.lexists(recorded):
            _make_private(recorded, directory.account)
        found = recorded if recorded and _is_private(recorded, directory.account) else _make_elsewhere(directory)
    _remove_socket(found)
    return found


def remove_socket_directory(directory: DataDirectory) -> None:
    """Removes what lies outside the data directory. Only after PostgreSQL has ended."""
    recorded = _recorded(directory)
    if recorded is not None and _is_private(recorded, directory.account):
        _remove_socket(recorded)
        with suppress(OSError):
            recorded.rmdir()
    directory.remove_file(_RECORD)


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET)) <= _LONGEST_BYTES


def _recorded(directory: DataDirectory) -> Path | None:
    content = directory.read_file(_RECORD)
    if content is None:
        return None
    try:
        record = msgspec.json.decode(content, type=_Record)
    except msgspec.DecodeError:
        return None
    return Path(record.path) if record.inode == os.stat(directory.path).st_ino else None


def _is_private(folder: Path, account: Account) -> bool:
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid and stat.S_IMODE(found.st_mode) == 0o700


def _make_elsewhere(directory: DataDirectory) -> Path:
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - made 0700, name random
        folder = Path(os.path.realpath(place)) / f"springline-{secrets.token_hex(8)}"
        if not _fits(folder) or directory.account.first_refused(
            *[("-x", ancestor) for ancestor in reversed(folder.parents)]
        ):
            continue
        record = _Record(path=str(folder), inode=os.stat(directory.path).st_ino)
        directory.replace_file(_RECORD, msgspec.json.encode(record))
        if _make_private(folder, directory.account):
            return folder
    raise EmbeddedPostgresError(
        f"the path of {directory.path} is too long for a socket, and no temporary directory can hold one: "
        "set SPRINGLINE_DATA_DIR to a shorter path, or TMPDIR to a short one that every user may enter"
    )


def _make_private(folder: Path, account: Account) -> bool:
    # By the account itself: root must not give away a folder whose name it read in a file of the account.
    made = subprocess.run(  # noqa: S603 - the path is an argument, not code
        ["/bin/sh", "-c", 'umask 077 && mkdir -m 700 -- "$1"', "sh", str(folder)],
        stderr=subprocess.DEVNULL, check=False, cwd="/", **account.popen_arguments,
    )  # fmt: skip
    return made.returncode == 0


def _remove_socket(folder: Path) -> None:
    for name in (SOCKET, f"{SOCKET}.lock"):
        with suppress(FileNotFoundError):
            os.unlink(folder / name)
