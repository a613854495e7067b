"""Springline as an operator starts it: real processes, what they say, and what is left of them."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

#: The command as it is installed beside this Python.
SPRINGLINE: Final = (str(Path(sys.executable).with_name("springline")),)
READY: Final = "Springline is ready at "
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Ended:
    """A command that has come to its end by itself."""

    code: int
    out: str
    err: str


class Springline:
    """One `springline serve` or `springline worker`, the leader of a session and a process group of its own."""

    def __init__(self, process: asyncio.subprocess.Process, data_dir: Path) -> None:
        """Use `Place.start`."""
        self.data_dir = data_dir
        self.pid = process.pid
        self.url = ""
        #: From the start of the process until /readyz said 200.
        self.ready_seconds = float("nan")
        #: Meanwhile, how many processor cores everything else on this machine used.
        self.busy_cores = float("nan")
        self._started_at = time.monotonic()
        self._used_at_start = used_seconds()
        self._process = process
        self._out: list[str] = []
        self._err: list[str] = []
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._readers = [asyncio.create_task(self._read_out()), asyncio.create_task(self._read_err())]

    @property
    def out(self) -> str:
        """What it has said on stdout so far."""
        return "".join(self._out)

    @property
    def err(self) -> str:
        """What it has logged on stderr so far."""
        return "".join(self._err)

    @property
    def token(self) -> str:
        """The default organisation's token, as the first start wrote it."""
        return (self.data_dir / "token").read_text().strip()

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def until_ready(self, *, within_seconds: float = 30) -> "Springline":
        """Returns when /readyz says 200."""
        async with asyncio.timeout(within_seconds):
            try:
                self.url = await asyncio.shield(self._address)
            except EOFError:
                await self.wait()
                raise AssertionError(f"it ended before it was ready: {self.err}") from None
            async with aiohttp.ClientSession() as session:
                while not await _is_ready(session, self.url):  # noqa: ASYNC110 - only it knows
                    await asyncio.sleep(_POLL_SECONDS)
        self.ready_seconds = time.monotonic() - self._started_at
        others = used_seconds() - self._used_at_start - self._own_seconds()
        self.busy_cores = others / self.ready_seconds
        return self

    async def until_said(self, words: str, *, within_seconds: float = 30) -> None:
        """Returns when stdout or stderr holds these words."""
        await until(lambda: words in self.out or words in self.err, within_seconds=within_seconds)

    async def terminate(self, *, within_seconds: float = 20) -> float:
        """SIGTERM. Returns the seconds until it had ended with exit code 0."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = await self.wait(within_seconds=within_seconds)
        assert code == 0, f"exit code {code}: {self.err}"
        return time.monotonic() - begun

    async def kill(self) -> None:
        """kill -9 for its process group; PostgreSQL, which has a session of its own, lives on."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.wait()

    async def kill_everything(self) -> None:
        """kill -9 for its process group and every process of its PostgreSQL."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await kill_postgres(self.data_dir)
        await self.wait()

    async def wait(self, *, within_seconds: float = 20) -> int:
        """The exit code, when it has ended by itself or by a signal."""
        async with asyncio.timeout(within_seconds):
            code = await self._process.wait()
            await asyncio.gather(*self._readers)
        return code

    def left(self) -> list[str]:
        """What runs of it: members of its group or session, and PostgreSQL's processes."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if self.pid in (os.getpgid(process.pid), os.getsid(process.pid)):
                    found.append(process)
        return [_described(process) for process in (*found, *postgres_processes(self.data_dir))]

    def _own_seconds(self) -> float:
        """Processor time that it and its PostgreSQL have used, with what they have started and waited for."""
        own = [psutil.Process(self.pid), *postgres_processes(self.data_dir)]
        return sum(sum(process.cpu_times()[:4]) for process in own)

    async def _read_out(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode()
            self._out.append(text)
            if text.startswith(READY) and not self._address.done():
                self._address.set_result(text.removeprefix(READY).strip())
        if not self._address.done():
            self._address.set_exception(EOFError())
            self._address.exception()  # nobody need ask

    async def _read_err(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._err.append(line.decode())


class Place:
    """A folder of one test's own, which every user may enter; `TMPDIR` of what is started here lies in it."""

    def __init__(self, folder: Path) -> None:
        """Use `place`."""
        self.folder = folder
        self.folder.chmod(0o755)
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        self._started: list[Springline] = []

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def environment(self, settings: Mapping[str, str] | None = None, *, data_dir: Path | None = None) -> dict[str, str]:
        """This process's environment with no settings of Springline but these."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("SPRINGLINE_")}
        chosen = {"SPRINGLINE_DATA_DIR": str(data_dir or self.data_dir), **(settings or {})}
        return {**own, "TMPDIR": str(self.temporary), **chosen}

    async def start(
        self,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        command: tuple[str, ...] = SPRINGLINE,
        account: pwd.struct_passwd | None = None,
    ) -> Springline:
        """Starts a command that runs until it is stopped; without arguments `serve` on a free port."""
        process = await asyncio.create_subprocess_exec(
            *command, *(arguments or ("serve", "--port", "0")),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
            env=self.environment(settings, data_dir=data_dir), start_new_session=True, limit=2**24,
            **becoming(account),
        )  # fmt: skip
        started = Springline(process, data_dir or self.data_dir)
        self._started.append(started)
        return started

    async def run(
        self,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        command: tuple[str, ...] = SPRINGLINE,
        within_seconds: float = 30,
    ) -> Ended:
        """Runs a command to its end."""
        started = await self.start(*arguments, settings=settings, data_dir=data_dir, command=command)
        code = await started.wait(within_seconds=within_seconds)
        return Ended(code, started.out, started.err)

    async def clear(self) -> None:
        """Whatever state it is in: nothing is left."""
        for started in self._started:
            if started.is_running:
                await started.kill()
        await kill_postgres(self.folder)
        shutil.rmtree(self.folder)


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """A folder for data directories; when the block ends, it is gone with all that runs in it."""
    made = Place(Path(tempfile.mkdtemp(prefix="springline-test-")))
    try:
        yield made
    finally:
        await made.clear()


def postgres_processes(folder: Path) -> list[psutil.Process]:
    """PostgreSQL's processes whose data directory is `folder` or lies in it, the postmaster first."""
    prefix = str(folder)
    parents: dict[psutil.Process, int] = {}
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and _belongs(process, prefix):
                parents[process] = process.ppid()
        except psutil.Error:
            continue
    pids = {process.pid for process in parents}
    return sorted(parents, key=lambda process: parents[process] in pids)


async def kill_postgres(folder: Path) -> None:
    """kill -9 for every process of PostgreSQL there; returns when they have gone."""
    for process in postgres_processes(folder):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await until(lambda: not postgres_processes(folder))


async def until(holds: Callable[[], bool], *, within_seconds: float = 20) -> None:
    """Polls, for what only other processes know."""
    deadline = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < deadline, f"it did not happen within {within_seconds:g} s"
        await asyncio.sleep(_POLL_SECONDS)


def becoming(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """What a subprocess needs to run as this account."""
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def assert_one_line(err: str, *words: str) -> None:
    """What stopped a command is said in one line, beside what is logged, and holds these words."""
    said = [line for line in err.splitlines() if not line.startswith('{"time":')]
    assert len(said) == 1, err
    assert said[0].startswith("error: "), err
    for word in words:
        assert word in said[0], f"{word!r} is not in: {said[0]}"


def modes_above(path: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode, owner and group of every folder above `path` that is there."""
    found = {}
    for folder in path.absolute().parents:
        with suppress(FileNotFoundError):
            status = folder.stat()
            found[folder] = (status.st_mode, status.st_uid, status.st_gid)
    return found


def used_seconds() -> float:
    """Processor time that the whole machine has used."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system


def _belongs(process: psutil.Process, prefix: str) -> bool:
    # A backend renames itself, and its working directory is not readable for everybody.
    if any(word.startswith(prefix) for word in process.cmdline()):
        return True
    with suppress(psutil.AccessDenied):
        if process.cwd().startswith(prefix):
            return True
    parent = process.parent()
    return parent is not None and any(word.startswith(prefix) for word in parent.cmdline())


def _described(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())}"
    return str(process.pid)


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False
