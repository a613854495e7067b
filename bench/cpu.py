"""Processor time of a process tree, from /proc: user and system, reaped children included."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    parent_pid: int
    seconds: float
    """Its own time and that of every child it has waited for."""


def process_times(pid: int) -> ProcessTimes | None:
    """What the kernel counted for one process; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command may hold spaces and brackets; the fields begin after its last bracket.
    fields = stat[stat.rindex(")") + 2 :].split()
    return ProcessTimes(int(fields[1]), sum(map(int, fields[11:15])) / TICKS_PER_SECOND)


def tree_cpu_seconds(roots: Iterable[int]) -> float:
    """Processor seconds of the roots, their living descendants, and all children already reaped."""
    every = {int(entry): process_times(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()}
    children: dict[int, list[int]] = {}
    for pid, times in every.items():
        if times is not None:
            children.setdefault(times.parent_pid, []).append(pid)
    total, waiting = 0.0, list(roots)
    while waiting:
        pid = waiting.pop()
        times = every.get(pid)
        if times is not None:
            total += times.seconds
        waiting += children.get(pid, [])
    return total
