"""How a command that opens the database runs: the event loop that servers use, and what stops a start, in one line."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from springline.cli.errors import CommandFailed

Done = TypeVar("Done")


def run_inside(call: Coroutine[Any, Any, Done]) -> Done:
    """Runs a coroutine of the composition to its end. Raises CommandFailed for what stops a start."""
    import uvloop

    from springline.composition import StartError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(call)
    except StartError as error:
        raise CommandFailed(str(error)) from None
