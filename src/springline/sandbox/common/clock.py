"""The sandbox's clock: a source of time, and how far it has been moved."""

from collections.abc import Callable


class SandboxClock:
    """Unix seconds as the sandbox sees them. `offset_seconds` moves everything that the sandbox dates."""

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self.offset_seconds = 0.0

    def now(self) -> float:
        return self._source() + self.offset_seconds
