"""Recognising processes of this machine: one that is provably gone holds no lease."""

import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from springline.store.leases import Process

#: States of a process that has ended: a zombie, or one that is just being removed.
_REMAINS = ("Z", "X")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> Process:
    """This process; where the machine has no /proc, one that nobody can recognise, so that its lease must run out."""
    host = socket.gethostname()
    try:
        boot_id = _BOOT_ID.read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
        start = process_start(os.getpid())
    except OSError:
        return Process("", "", str(os.getpid()), host)
    return Process(boot_id, namespace, start or "", host, _started_at(start))


def _started_at(start: str | None) -> datetime | None:
    """The time of day of a start that is given in clock ticks since boot."""
    if start is None or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    age_seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - int(start.partition(":")[2]) / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(time.time() - age_seconds, UTC)


def process_start(pid: int) -> str | None:
    """`<pid>:<start in clock ticks>`, or None if there is no such process, or only its remains, or it is hidden."""
    stat = _stat(pid)
    return None if stat is None or stat[0] in _REMAINS else f"{pid}:{stat[19]}"


def is_gone(start: str) -> bool:
    """Whether the process of this start provably runs no longer. Only for processes of the same boot and pid namespace;
    one that is hidden from us counts as running."""
    text, _, _ = start.partition(":")
    if not text.isdigit():
        return False
    pid = int(text)
    stat = _stat(pid)
    if stat is not None:
        return stat[0] in _REMAINS or f"{pid}:{stat[19]}" != start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on; None if it cannot be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat[stat.rindex(")") + 2 :].split()
