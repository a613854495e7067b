"""What the demo shows: plain lines, and on a terminal one line that moves."""

import sys
import time
from typing import Final

from springline.cli.output import printable, say

_LINE_EVERY_SECONDS: Final = 1.0


class Screen:
    """Progress is one line that is written over on a terminal, and at most one line a second elsewhere."""

    def __init__(self) -> None:
        self._moves = sys.stdout.isatty()
        self._open = False
        self._shown_at = 0.0

    def say(self, line: str = "") -> None:
        self._close()
        say(line)

    def step(self, number: int, what: str) -> None:
        self.say()
        self.say(f"{number}  {what}")

    def progress(self, line: str) -> None:
        if self._moves:
            print(f"\r\x1b[K   {printable(line)}", end="", flush=True)
            self._open = True
        elif time.monotonic() - self._shown_at >= _LINE_EVERY_SECONDS:
            self._shown_at = time.monotonic()
            say(f"   {printable(line)}")

    def _close(self) -> None:
        """Ends the line that moves."""
        if self._open:
            print("\r\x1b[K", end="", flush=True)
            self._open = False
