"""Recognising processes of this machine: one that is provably gone holds no lease."""

import os
from pathlib import Path

from springline.store.leases import Process

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> Process:
    """This process; where the machine has no /proc, one that nobody can recognise, so that its lease must run out."""
    try:
        boot_id = _BOOT_ID.read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
        start = process_start(os.getpid())
    except OSError:
        return Process("", "", str(os.getpid()))
    return Process(boot_id, namespace, start or "")


def process_start(pid: int) -> str | None:
    """`<pid>:<start in clock ticks>`, or None if there is no such process, or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else f"{pid}:{fields[19]}"


def is_gone(start: str) -> bool:
    """Whether the process of this start no longer runs. Only for processes of the same boot and pid namespace."""
    pid, _, _ = start.partition(":")
    return pid.isdigit() and process_start(int(pid)) != start
