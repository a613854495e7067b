"""Springline and a sandbox as real processes, started by their commands."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

STRIPE_KEY = "sk_test_commands"


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with no setting of Springline but these."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SPRINGLINE_")}
    return {**own, "PYTHONUNBUFFERED": "1", **variables}


def springline(*arguments: str) -> list[str]:
    """The command, as it is started."""
    return [sys.executable, "-m", "springline.cli.main", *arguments]


class Process:
    """A command that runs until it is told to stop; its lines are read as they come."""

    def __init__(self, *arguments: str, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            springline(*arguments), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._out: queue.Queue[str | None] = queue.Queue()
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_err, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def errors(self) -> str:
        """What stands on stderr so far."""
        return "".join(self._err)

    def line(self, wanted: str = "", *, within: float = 30) -> str:
        """The next line on stdout that holds this text."""
        deadline = time.monotonic() + within
        while True:
            try:
                line = self._out.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {wanted!r} within {within} s; stderr: {self.errors}") from None
            if line is None:
                raise AssertionError(f"it ended without a line with {wanted!r}; stderr: {self.errors}")
            if wanted in line:
                return line.rstrip("\n")

    def stop(self, number: signal.Signals = signal.SIGTERM, *, within: float = 20) -> int:
        """Sends the signal and returns the exit code."""
        self._process.send_signal(number)
        return self.wait(within=within)

    def wait(self, *, within: float) -> int:
        """The exit code; a process that does not end is killed, and that is a failure."""
        try:
            code = self._process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it did not end within {within} s; stderr: {self.errors}") from None
        finally:
            for reader in self._readers:
                reader.join(timeout=5)
            for pipe in (self._process.stdout, self._process.stderr):
                assert pipe is not None
                pipe.close()
        return code

    def end(self) -> None:
        """Whatever state it is in: it is gone."""
        if self._process.poll() is None:
            self.stop()

    def _read_out(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._out.put(line)
        self._out.put(None)

    def _read_err(self) -> None:
        assert self._process.stderr is not None
        self._err.extend(self._process.stderr)


@dataclass(frozen=True)
class Served:
    """A whole Springline behind `url`, with Stripe played by the sandbox at `stripe_url`."""

    url: str
    stripe_url: str
    data_dir: Path
    env: Mapping[str, str]

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text().strip()


@contextmanager
def running(*arguments: str, env: Mapping[str, str]) -> Iterator[Process]:
    """The command while the block runs."""
    process = Process(*arguments, env=env)
    try:
        yield process
    finally:
        process.end()


@contextmanager
def served(*, customers: int) -> Iterator[Served]:
    """`springline serve` and `springline sandbox stripe`, each on a free port, in a directory of their own."""
    data_dir = Path(tempfile.mkdtemp(prefix="springline-test-"))
    sandbox_arguments = ("sandbox", "stripe", "--port", "0", "--customers", str(customers))
    try:
        with running(*sandbox_arguments, env=environment()) as sandbox:
            stripe_url = sandbox.line("Stripe sandbox at").split()[3].rstrip(",")
            base = {"SPRINGLINE_DATA_DIR": str(data_dir), "SPRINGLINE_STRIPE_BASE_URL": stripe_url}
            with running("serve", "--port", "0", env=environment(**base)) as server:
                url = server.line("Springline is ready at").split()[-1]
                yield Served(url, stripe_url, data_dir, environment(**base, SPRINGLINE_URL=url))
    finally:
        shutil.rmtree(data_dir)


def eventually(find: Callable[[], Found | None], *, within: float = 30) -> Found:
    """What `find` finds, once it finds something: for what real processes do in their own time."""
    deadline = time.monotonic() + within
    while (found := find()) is None:
        assert time.monotonic() < deadline, f"not within {within} s"
        threading.Event().wait(0.1)
    return found
