"""The works of a sync: what it does again and again, when it is due, and how long a fault puts it off."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from springline.engine.activities import Pause, Reason
from springline.engine.session import CollectionSession

#: A fault is met with growing pauses, up to this.
LONGEST_BACKOFF_SECONDS: Final = 60.0
#: A dead credential or a missing permission is tried again after this, then ever more rarely: someone may mend it.
MENDED_AFTER_SECONDS: Final = 5.0
MENDED_EVERY_SECONDS: Final = 300.0
_A_PAGE: Final = 100


class Work:
    """One thing that a sync does again and again: the feed, one collection's backfill, one collection's sweep."""

    def __init__(self, name: str, part: CollectionSession | None, run: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self.is_sweep = name.startswith(("sweep:", "ids:"))
        self.part = part
        self.run = run
        self.due_at = float("inf")
        self.started_at = float("-inf")
        self.task: asyncio.Task[None] | None = None
        self.failures = 0
        #: Something came up while it ran: it is to run again.
        self.is_wanted = False
        #: Why it was put off until `due_at`.
        self.pause: Pause | None = None

    def turn(self, now: float) -> tuple[bool, float]:
        """By which works that are due are sorted. A sweep's turn comes by how long it has been due and how little it
        has to walk over: a small collection does not wait for a large one, and a large one not for ever."""
        if not self.is_sweep or self.part is None:
            return False, self.due_at
        return True, -(now - self.due_at + 1.0) / (_A_PAGE + self.part.records)

    def put_off(self, reason: Reason, says: str) -> None:
        """It has to wait, for this reason; the first of equal ones says since when."""
        since = self.pause.since if self.pause is not None and self.pause.reason == reason else time.monotonic()
        self.pause = Pause(reason, since, says)


def backoff_seconds(failures: int) -> float:
    """How long to wait after so many faults in a row."""
    return min(LONGEST_BACKOFF_SECONDS, 0.5 * 2.0 ** min(failures, 8)) * random.uniform(0.75, 1.25)


def mending_seconds(times: int) -> float:
    """How long to wait for somebody to mend what was met so many times."""
    pause = MENDED_AFTER_SECONDS * 2.0 ** min(times - 1, 8)
    return min(MENDED_EVERY_SECONDS, pause) * random.uniform(0.75, 1.25)
