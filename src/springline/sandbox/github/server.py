"""The sandbox as a server: in a test's own event loop, or as a command."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from springline.sandbox.common.control import MachineControl
from springline.sandbox.common.control_faults import FaultControl
from springline.sandbox.common.server import listen
from springline.sandbox.github.control import PREFIX, Control, github_refusals
from springline.sandbox.github.control_objects import ObjectControl
from springline.sandbox.github.faults import GithubFaults
from springline.sandbox.github.routes import Api
from springline.sandbox.github.seeding import fill, make_changes
from springline.sandbox.github.state import DEFAULT_ORGANIZATION, GithubSandbox

EXAMPLE_TOKEN = "ghp_springlinesandbox"  # noqa: S105 (any ghp_… will do)


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A listening sandbox; `sandbox` is its state, for tests in the same process."""

    url: str
    """The API's base: `{url}/repos/acme/web`."""
    control_url: str
    """The control API's base: `{control_url}/seed`."""
    sandbox: GithubSandbox
    _runner: web.AppRunner

    async def close(self) -> None:
        """Stop listening. Requests held by faults are let go first."""
        self.sandbox.faults.clear()
        await self._runner.cleanup()


async def start_sandbox(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> RunningSandbox:
    """Start a sandbox that holds one organization and its admin; port 0 takes a free one.

    `now` gives Unix seconds, `monotonic` dates arrivals. Raises OSError where the address cannot be had.
    """
    sandbox = GithubSandbox(seed=seed, now=now, monotonic=monotonic)
    routes = (
        *MachineControl(sandbox).routes(),
        *Control(sandbox).routes(),
        *FaultControl(sandbox, GithubFaults).routes(),
        *ObjectControl(sandbox).routes(),
    )
    runner, url = await listen(routes, Api(sandbox).handle, host=host, port=port, middlewares=(github_refusals,))
    sandbox.serve_at(url)
    return RunningSandbox(url, url + PREFIX, sandbox, runner)


async def serve_forever(
    *,
    host: str,
    port: int,
    seed: int,
    repositories: int,
    issues: int,
    stop: asyncio.Event,
    say: Callable[[str], None],
    changes_per_second: float = 0,
) -> None:
    """Serve a sandbox with so many repositories, each with so many issues, until `stop` is set.

    `say` gets the lines for a person at a terminal. With `changes_per_second` the data keeps changing by
    itself. Raises OSError where the address cannot be had.
    """
    running = await start_sandbox(host=host, port=port, seed=seed)
    try:
        fill(running.sandbox, repositories=repositories, issues=issues)
        say(f"GitHub sandbox at {running.url}, any token ghp_… or github_pat_…")
        say(f"  {repositories} repositories with {issues} issues each, organization {DEFAULT_ORGANIZATION}")
        say(f"  try: curl -H 'Authorization: Bearer {EXAMPLE_TOKEN}' '{running.url}/orgs/{DEFAULT_ORGANIZATION}/repos'")
        say(f"  change data and inject faults at {running.control_url}")
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), 1 / changes_per_second if changes_per_second else None)
            except TimeoutError:
                _change_something(running.sandbox, say=say)
    finally:
        await running.close()


def _change_something(sandbox: GithubSandbox, *, say: Callable[[str], None]) -> None:
    kinds = tuple(kind for kind in sandbox.collections.values() if kind.seed is not None)
    for change in make_changes(sandbox, kinds, count=1, rng=sandbox.chance(None)):
        say(f"{change.kind} {change.collection} {change.key}")
