"""An event loop whose clock jumps to the next timer instead of waiting for it."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _JumpingSelector(selectors.SelectSelector):
    """Nothing real is waited for: a timeout passes at once, by the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and for nothing that time would bring")
        # A clock always moves: what is due in less than a float can tell would be due for ever.
        self.now += max(1e-9, timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Seconds of `time()` are those that the timers ask for, however long the work between them takes."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_simulated(main: Callable[[Callable[[], float]], Coroutine[Any, Any, Result]]) -> Result:
    """Runs `main(clock)` to its end; `clock` gives the loop's seconds."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        loop = runner.get_loop()
        return runner.run(main(loop.time))
