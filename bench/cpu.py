"""Processor time of a process tree, from /proc: user and system, reaped children included."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """A process's own time and that of every child it has waited for."""

    parent_pid: int
    user_seconds: float
    system_seconds: float


@dataclass(frozen=True, slots=True)
class CpuSeconds:
    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, earlier: CpuSeconds) -> CpuSeconds:
        return CpuSeconds(self.user - earlier.user, self.system - earlier.system)


def process_times(pid: int) -> ProcessTimes | None:
    """What the kernel counted for one process; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command may hold spaces and brackets; the fields begin after its last bracket.
    fields = stat[stat.rindex(")") + 2 :].split()
    user, system, reaped_user, reaped_system = (int(field) / TICKS_PER_SECOND for field in fields[11:15])
    return ProcessTimes(int(fields[1]), user + reaped_user, system + reaped_system)


def tree_cpu(roots: Iterable[int]) -> CpuSeconds:
    """Processor seconds of the roots, their living descendants, and all children already reaped."""
    every = {int(entry): process_times(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()}
    children: dict[int, list[int]] = {}
    for pid, times in every.items():
        if times is not None:
            children.setdefault(times.parent_pid, []).append(pid)
    user = system = 0.0
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        times = every.get(pid)
        if times is not None:
            user += times.user_seconds
            system += times.system_seconds
        waiting += children.get(pid, [])
    return CpuSeconds(user, system)
