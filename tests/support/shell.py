"""A reader who types what a page of the documentation says into a shell, and compares what comes back."""

import asyncio
import os
import re
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from tests.support.markdown import Block, Command, commands

#: What a page shows as the data directory.
SHOWN_DATA_DIR: Final = "/home/you/.local/share/springline"
#: Shown addresses, and whose they are.
SPRINGLINE_PORT: Final = "7376"
SANDBOX_PORT: Final = "12111"
GITHUB_SANDBOX_PORT: Final = "12112"

_WITHIN_SECONDS: Final = 25.0
_AGAIN_SECONDS: Final = 0.1
#: Commands that change nothing: their answer may need a moment to become what the page shows.
_LOOKING = re.compile(
    r"^(springline (\w+ )?(list|show|why|explain|holds|pending|backfills|history)\b"
    r"|curl (?!.*(?: -d| -X| --data|/next|/receive)))",
    re.DOTALL,
)
_MASKS: Final = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?Z"), "<time>"),
    (re.compile(r"\b(cus|prod|plan|sub|in|acct|evt|req)_\w+"), r"\1_<id>"),
    (re.compile(r"\bspl_[\w-]+"), "spl_<token>"),
    (re.compile(r"\b[A-Za-z0-9_-]{38}\b(?![-\w])"), "<ack token>"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), r"\1:<port>"),
    (re.compile(r"\b\d[\d,.]* (ms|s)\b"), r"<duration> \1"),
    (re.compile(r"\b1[67]\d{8}\b"), "<unix time>"),
)


class NotAsShown(AssertionError):
    """A command did something else than the page says."""


class _Running(NamedTuple):
    """A command in the background, and the file that has what it says."""

    command: str
    pid: int
    said: Path


@dataclass
class Reader:
    """A reader at a shell of their own. Use `reader`."""

    folder: Path
    data_dir: Path
    shown: Mapping[str, str]
    shell: asyncio.subprocess.Process
    _running: list[_Running] = field(default_factory=list)

    async def follow(self, block: Block) -> None:
        """Does what a block says. Raises NotAsShown."""
        said = [comment.partition(": ")[::2] for comment in block.comments]
        notes = dict(said)
        if "not run" in notes:
            return
        for subject in [subject for action, subject in said if action == "stop"]:
            await self._stop(subject)
        if "file" in notes:
            (self.folder / notes["file"]).write_text(self._ported(block.text) + "\n")
        elif "printed by" in notes:
            await self._until_said(notes["printed by"], block.text.splitlines(), block.place)
        elif block.language == "sh":
            code, out = await self._type(self._ported(block.text))
            if code:
                raise NotAsShown(f"{block.place}: exit code {code}\n{out}")
        elif block.language == "console":
            for command in commands(block):
                where = f"{block.path.name}:{command.line}"
                if "in the background" in notes:
                    await self._start(command, where)
                else:
                    await self._run(command, where)

    async def _run(self, command: Command, where: str) -> None:
        deadline = asyncio.get_running_loop().time() + _WITHIN_SECONDS
        while True:
            code, out = await self._type(self._ported(command.text))
            fails = any(line.startswith("error: ") for line in command.output)
            fault = difference(command.output, self._as_shown(out))
            if fault is None and bool(code) != fails:
                fault = f"exit code {code}"
            if fault is None:
                return
            if not _LOOKING.match(command.text) or asyncio.get_running_loop().time() > deadline:
                raise NotAsShown(f"{where}: {command.text}\n{fault}\n--- it printed\n{out}")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _start(self, command: Command, where: str) -> None:
        """Starts a command that goes on running; returns when it has said what the page shows."""
        said = self.folder / f".said-{secrets.token_hex(4)}"
        said.touch()
        text = self._ported(command.text)
        _, out = await self._type(f"{text} >{said} 2>&1 &\necho pid $!")
        pid = int(out.split("pid ")[-1])
        self._running.append(_Running(command.text, pid, said))
        await self._until_said(command.text, command.output, where)

    async def _until_said(self, command: str, output: Sequence[str], where: str) -> None:
        """Returns when a command in the background has said what the page shows, and perhaps more."""
        running = next(running for running in reversed(self._running) if command in running.command)
        deadline = asyncio.get_running_loop().time() + _WITHIN_SECONDS
        while (fault := difference((*output, "..."), self._as_shown(running.said.read_text()), gaps=True)) is not None:
            if asyncio.get_running_loop().time() > deadline or not _lives(running.pid):
                raise NotAsShown(f"{where}: {command}\n{fault}\n--- it printed\n{running.said.read_text()}")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _stop(self, subject: str) -> None:
        """Ctrl-C, or rather SIGTERM: what runs in the background of a shell does not hear Ctrl-C."""
        for running in [running for running in self._running if subject in running.command]:
            with suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGTERM)
            await self._until_gone(running.pid)
            self._running.remove(running)

    async def leave(self) -> None:
        """Stops everything that was started, then the shell."""
        for running in list(reversed(self._running)):
            await self._stop(running.command)
        assert self.shell.stdin is not None
        self.shell.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.shell.wait(), 5)
        if self.shell.returncode is None:
            self.shell.kill()
            await self.shell.wait()

    async def _until_gone(self, pid: int) -> None:
        deadline = asyncio.get_running_loop().time() + _WITHIN_SECONDS
        while _lives(pid):
            if asyncio.get_running_loop().time() > deadline:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_AGAIN_SECONDS / 5)

    async def _type(self, text: str) -> tuple[int, str]:
        """Exit code and output of a piece of shell."""
        mark = secrets.token_hex(8)
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{{\n{text}\n}} </dev/null 2>&1\nprintf '\\n{mark} %d\\n' $?\n".encode())
        await self.shell.stdin.drain()
        out = b""
        async with asyncio.timeout(60):
            while True:
                line = await self.shell.stdout.readline()
                if not line:
                    raise NotAsShown(f"the shell ended at: {text}\n{out.decode()}")
                if line.startswith(mark.encode()):
                    return int(line.split()[1]), out.decode().removesuffix("\n")
                out += line

    def _ported(self, text: str) -> str:
        """The text with addresses of this test's own."""
        for shown, own in self.shown.items():
            text = own.join(re.split(rf"(?<!\w){re.escape(shown)}(?!\w)", text))
        text = text.replace(SHOWN_DATA_DIR, str(self.data_dir))
        for command, port in (("sandbox stripe", SANDBOX_PORT), ("sandbox github", GITHUB_SANDBOX_PORT)):
            if port in self.shown:
                text = text.replace(f"springline {command}", f"springline {command} --port {self.shown[port]}")
        return text

    def _as_shown(self, text: str) -> str:
        return text.replace(str(self.data_dir), SHOWN_DATA_DIR).replace(str(self.folder), "/home/you")


@asynccontextmanager
async def reader(
    folder: Path, data_dir: Path, environment: Mapping[str, str], *, shown: Mapping[str, str]
) -> AsyncIterator[Reader]:
    """A reader in a folder of their own; when the block ends, nothing of what they started runs any more."""
    shell = await asyncio.create_subprocess_exec(
        "bash", "--noprofile", "--norc", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, cwd=folder, env=environment, start_new_session=True, limit=2**24,
    )  # fmt: skip
    found = Reader(folder, data_dir, shown, shell)
    try:
        yield found
    finally:
        await found.leave()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def difference(shown: Sequence[str], printed: str, *, gaps: bool = False) -> str | None:
    """How the output differs from what is shown; None: it does not.

    Ids, times, ports and white space do not count. A shown line `...` stands for any lines, `…` inside one for
    anything; `gaps`: lines that are not shown may stand anywhere.
    """
    pattern = "".join("(?:.*\n)*?" if line.strip() == "..." else _line_pattern(line, gaps=gaps) for line in shown)
    lines = [_masked(line) for line in printed.splitlines() if line.strip()]
    text = "".join(f"{line}\n" for line in lines)
    if re.fullmatch(pattern, text):
        return None
    wanted = "\n".join(_masked(line) for line in shown)
    return f"--- the page shows\n{wanted}\n--- it printed, masked\n{text}"


def _line_pattern(line: str, *, gaps: bool) -> str:
    if not line.strip():
        return ""
    escaped = ".*".join(re.escape(part) for part in _masked(line).split("…"))
    return ("(?:.*\n)*?" if gaps else "") + escaped + "\n"


def _masked(line: str) -> str:
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return " ".join(line.split())
