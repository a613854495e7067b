"""PostgreSQL's first process in one data directory: starting it, knowing that it lives, and signalling it.

`server.lock` is held by PostgreSQL itself: each of its processes inherits the descriptor, and the kernel drops
the lock with the last of them. So "does any PostgreSQL of this directory live" has an exact answer, whoever
started it and whatever became of process numbers since.
"""

import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path

from springline.store.cluster import environment, make_cluster, worth_quoting, write_settings
from springline.store.data_directory import DataDirectory, EmbeddedPostgresError
from springline.store.file_locks import FileLock
from springline.store.postgres_binaries import PostgresBinaries, runnable_binaries
from springline.store.socket_directory import PORT, make_socket_directory

_log = logging.getLogger(__name__)

_LOG_FILE = "log/postgres.log"
_LARGEST_LOG_BYTES = 10 * 1024 * 1024
_DYING_SECONDS = 10.0
_FLAGS = os.O_RDWR


class Postmaster:
    """The postmaster of one data directory, be it our child or one that somebody else has left behind."""

    def __init__(self, directory: DataDirectory, installed: PostgresBinaries) -> None:
        self._directory = directory
        self._installed = installed
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = FileLock(directory.open_file("server.lock", _FLAGS))
        self._log_begin = self._log_bytes()

    def lives(self) -> bool:
        """Whether any process of a PostgreSQL (or initdb) of this directory lives."""
        if self._child is not None:
            self._child.poll()
        if not self._lock.try_shared():
            return True
        self._lock.release()
        return False

    def start(self) -> bool:
        """Makes the cluster where there is none and starts PostgreSQL; does not wait until it answers.

        Returns False if one lives already. Only for the process that holds the supervisor's lock, blocks for
        about half a second at the first start. Raises EmbeddedPostgresError, OSError.
        """
        lock = FileLock(self._directory.open_file("server.lock", _FLAGS))
        try:
            if not lock.try_exclusive():
                return False
            self._bury()
            _reap_orphans()
            binaries = runnable_binaries(self._directory, self._installed)
            make_cluster(self._directory, binaries, held_lock=lock.descriptor)
            stale = self._stale_process_number()
            write_settings(self._directory)
            sockets = make_socket_directory(self._directory)
            self._child = self._spawn(binaries, sockets, held_lock=lock.descriptor, stale=stale)
            return True
        finally:
            lock.close()

    @property
    def has_failed(self) -> bool:
        """Whether the PostgreSQL that we started has ended."""
        return self._child is not None and self._child.poll() is not None

    def send(self, number: signal.Signals) -> bool:
        """Signals the postmaster; False if there is none that certainly is this directory's."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)
            return True
        pid = self._written_process_number()
        return pid is not None and self._signal_verified(pid, number)

    def let_go(self) -> None:
        """Forgets the child, which may live on for other processes. Nothing else may be called after."""
        if self._child is not None and self.lives():
            # Popen would complain about a child that is still running; it is nobody's to wait for now.
            self._child.returncode = 0
        self._bury()
        self._lock.close()

    def said(self) -> list[str]:
        """PostgreSQL's own account of what it does. While a recovery moves on, it says more every 2 s."""
        # Not what it tells those whom it refuses: that grows as often as anybody knocks.
        return [line.partition("LOG:  ")[2] for line in self.log_lines() if "LOG:  " in line]

    def log_lines(self) -> list[str]:
        """What PostgreSQL has said since its last start that we know of, at most the last 16 KiB."""
        try:
            descriptor = self._directory.open_file(_LOG_FILE, os.O_RDONLY)
        except FileNotFoundError:
            return []
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(descriptor).st_size
            file.seek(max(min(self._log_begin, size), size - 16384))
            return file.read().decode(errors="replace").splitlines()

    def complaint(self) -> str:
        """Why PostgreSQL ended, in its own words."""
        return worth_quoting(self.log_lines()) or "it said nothing"

    def trim_log(self) -> None:
        """Keeps the log under about 10 MiB, and one older part beside it."""
        if self._log_bytes() <= _LARGEST_LOG_BYTES:
            return
        self._directory.remove_file(f"{_LOG_FILE}.1")
        with (
            os.fdopen(self._directory.open_file(_LOG_FILE, os.O_RDWR), "r+b") as log,
            os.fdopen(self._directory.open_file(f"{_LOG_FILE}.1", os.O_WRONLY), "wb") as older,
        ):
            log.seek(-_LARGEST_LOG_BYTES, os.SEEK_END)
            shutil.copyfileobj(log, older)
            # PostgreSQL appends, so it goes on at the new end.
            log.truncate(0)
        self._log_begin = 0

    def _log_bytes(self) -> int:
        try:
            return os.lstat(self._directory.log).st_size
        except FileNotFoundError:
            return 0

    def _spawn(
        self, binaries: PostgresBinaries, sockets: Path, *, held_lock: int, stale: int | None
    ) -> "subprocess.Popen[bytes]":
        self._directory.make_folder("log")
        self.trim_log()
        log = self._directory.open_file(_LOG_FILE, os.O_WRONLY | os.O_APPEND)
        self._log_begin = os.fstat(log).st_size
        quoted = str(sockets).replace('"', '""')
        variables = environment()
        if stale is not None:
            # PostgreSQL refuses to start while the process number in a postmaster.pid is in use, be it by a
            # stranger after a reboot. This one variable names a number that it need not mind, and leaves the
            # file and every other check to it.
            variables["PG_GRANDPARENT_PID"] = str(stale)
        try:
            return subprocess.Popen(  # noqa: S603 - our own words only
                [
                    binaries.postgres, "-D", self._directory.cluster, "-p", str(PORT),
                    "-c", f'unix_socket_directories="{quoted}"',
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._directory.path, env=variables,
                umask=0o077, start_new_session=True, pass_fds=(held_lock,), **self._directory.account.popen_arguments,
            )  # fmt: skip
        finally:
            os.close(log)

    def _stale_process_number(self) -> int | None:
        """The number in a postmaster.pid whose process has gone. Only while we hold server.lock."""
        pid = self._written_process_number()
        if pid is None:
            # Empty after a power cut, and PostgreSQL would never start over it.
            self._directory.remove_file("postgres/postmaster.pid")
            return None
        if self._is_postmaster(pid):
            raise EmbeddedPostgresError(
                f"process {pid} is a PostgreSQL that runs on {self._directory.cluster} without Springline: "
                f"stop it (kill -INT {pid}) and start again"
            )
        return pid

    def _written_process_number(self) -> int | None:
        content = self._directory.read_file("postgres/postmaster.pid")
        first = content.split(b"\n", 1)[0].strip() if content else b""
        return int(first) if first.isdigit() and int(first) > 1 else None

    def _signal_verified(self, pid: int, number: signal.Signals) -> bool:
        if not hasattr(os, "pidfd_open"):
            if not self._is_postmaster(pid):
                return False
            os.kill(pid, number)
            return True
        try:
            # Held open before the check, it can only mean the process that is checked.
            process = os.pidfd_open(pid)
        except OSError:
            return False
        try:
            if not self._is_postmaster(pid):
                return False
            signal.pidfd_send_signal(process, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(process)

    def _is_postmaster(self, pid: int) -> bool:
        """Runs `postgres`, as the directory's account, in the cluster: by working directory or arguments."""
        described = _describe(pid)
        if described is None:
            return False
        uid, arguments = described
        cluster = str(self._directory.cluster)
        if uid != self._directory.account.uid or os.path.basename(arguments[0]) != "postgres":
            return False
        try:
            # Not readable for a root without CAP_SYS_PTRACE, as in a container.
            return os.path.samefile(f"/proc/{pid}/cwd", cluster)
        except OSError:
            return cluster in arguments

    def _bury(self) -> None:
        # The kernel drops a dying process's lock a moment before its parent can wait for it.
        if self._child is not None:
            self._child.wait(timeout=_DYING_SECONDS)
        self._child = None


def _reap_orphans() -> None:
    # As process 1 of a container we inherit what a killed postmaster leaves, and nobody else waits for it.
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = status.read_text().rpartition(")")
            state, parent, *_ = rest.split()
            if head.endswith("(postgres") and state == "Z" and int(parent) == os.getpid():
                os.waitpid(int(status.parent.name), os.WNOHANG)
        except (OSError, ValueError):
            continue


def _describe(pid: int) -> tuple[int, list[str]] | None:
    """A live process's user and arguments, or None."""
    if os.path.exists("/proc/self/status"):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2])
        words = [os.fsdecode(word) for word in arguments.split(b"\0")]
        # What a postmaster forks names itself "postgres: ..." there.
        return uid, words
    shown = subprocess.run(  # noqa: S603 - our own words only
        ["/bin/ps", "-ww", "-o", "uid=,args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    uid_text, _, command = shown.stdout.strip().partition(" ")
    program, _, rest = command.strip().partition(" -D ")
    return (int(uid_text), [program, rest.rpartition(" -p ")[0]]) if uid_text.isdigit() else None
