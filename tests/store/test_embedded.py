"""The embedded PostgreSQL, with real processes: started, shared, killed in every way, and stopped."""

import asyncio
import fcntl
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from springline.store import embedded, postmaster, probe
from springline.store.cluster import memory_bytes, shared_buffers_mebibytes
from springline.store.data_directory import ACCOUNTS, DataDirectory
from springline.store.embedded import EmbeddedPostgres, EmbeddedPostgresError
from springline.store.postgres_binaries import PostgresBinaries, installed_binaries, runnable_binaries
from springline.store.postmaster import Postmaster

AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not AS_ROOT, reason="only root runs PostgreSQL as somebody else")

# One process that uses a data directory: says each state and "open", and leaves when its input ends.
USER = """
import asyncio, json, pathlib, sys
import uvloop
from springline.store.embedded import EmbeddedPostgres

def say(**what):
    print(json.dumps(what), flush=True)

async def main():
    postgres = await EmbeddedPostgres.open(pathlib.Path(sys.argv[1]), on_state=lambda state: say(state=state))
    say(open=postgres.dsn)
    await asyncio.to_thread(sys.stdin.read)
    await postgres.close()

uvloop.run(main())
"""


class User:
    """Another process that uses the data directory."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.states: list[str] = []

    @classmethod
    async def start(cls, data_dir: Path) -> "User":
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", USER, str(data_dir),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            )
        )  # fmt: skip

    @classmethod
    async def opened(cls, data_dir: Path) -> "User":
        user = await cls.start(data_dir)
        await user.until_open()
        return user

    async def until_open(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self.process.stdout.readline():
                said = json.loads(line)
                if "open" in said:
                    dsn: dict[str, Any] = said["open"]
                    return dsn
                self.states.append(said["state"])
        raise AssertionError("the process ended before it was open")

    async def leave(self) -> None:
        async with asyncio.timeout(20):
            await self.process.communicate(b"")
        assert self.process.returncode == 0

    async def kill(self) -> None:
        self.process.kill()
        await self.process.communicate()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, for data directories; nothing is left of it."""
    folder = Path(tempfile.mkdtemp(prefix="springline-test-"))
    folder.chmod(0o755)
    yield folder
    for process in postgres_processes(folder):
        process.kill()
    psutil.wait_procs(postgres_processes(folder), timeout=10)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """A data directory that has been open once, so that not every test pays for a first start."""
    folder = Path(tempfile.mkdtemp(prefix="springline-test-"))
    folder.chmod(0o755)

    async def make() -> None:
        await (await EmbeddedPostgres.open(folder / "data")).close()

    asyncio.run(make())
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def data_dir(place: Path, made_once: Path) -> Path:
    """A data directory that has been open before; nobody uses it."""
    subprocess.run(["cp", "-a", made_once, place / "data"], check=True)
    return place / "data"


def postgres_processes(folder: Path) -> list[psutil.Process]:
    """The servers that were started for a data directory below `folder`, and their processes."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and any(word.startswith(str(folder)) for word in process.cmdline()):
                found += [process, *process.children()]
        except psutil.Error:
            continue
    return found


def is_held(lock: Path) -> bool:
    with lock.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def held_locks(data_dir: Path) -> set[str]:
    return {lock.name for lock in data_dir.glob("*.lock") if is_held(lock)}


def lives(data_dir: Path) -> bool:
    """Whether any process of PostgreSQL is left."""
    return is_held(data_dir / "server.lock") or bool(postgres_processes(data_dir))


def postmaster_of(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres/postmaster.pid").read_text().split()[0]))


async def kill_postgres(data_dir: Path) -> None:
    """kill -9 for every process of the server at once."""
    processes = postgres_processes(data_dir)
    assert processes
    for process in processes:
        process.kill()
    await until(lambda: not lives(data_dir))


async def until(holds: Callable[[], bool], *, seconds: float = 20) -> None:
    """Polls, for what only other processes know."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def ask(dsn: dict[str, Any], query: str) -> Any:
    connection = await asyncpg.connect(**dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def write(dsn: dict[str, Any], value: int) -> None:
    connection = await asyncpg.connect(**dsn)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS written (value int)")
        await connection.execute("INSERT INTO written VALUES ($1)", value)
    finally:
        await connection.close()


def modes_above(path: Path) -> dict[Path, tuple[int, int, int]]:
    return {
        above: (os.stat(above).st_mode, os.stat(above).st_uid, os.stat(above).st_gid)
        for above in path.parents
        if above.exists()
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def account() -> pwd.struct_passwd:
    """Who runs PostgreSQL here."""
    if not AS_ROOT:
        return pwd.getpwuid(os.geteuid())
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in ACCOUNTS if name in known)


def run_as(who: pwd.struct_passwd, *words: str | Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(words, capture_output=True, check=False, cwd="/", **becoming(who))


def start_as(who: pwd.struct_passwd, *words: str | Path, executable: str | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(words, executable=executable, cwd="/", **becoming(who))


def becoming(who: pwd.struct_passwd) -> dict[str, Any]:
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if AS_ROOT else {}


# Starting ------------------------------------------------------------------------------------------


async def test_an_empty_directory_becomes_ready_and_private(place: Path) -> None:
    data_dir = place / "below" / "data"
    data_dir.parent.mkdir()
    before = modes_above(data_dir)
    states: list[str] = []
    postgres = await EmbeddedPostgres.open(data_dir, on_state=states.append)
    try:
        assert postgres.state() == "ready"
        assert states[0].startswith("starting: ")
        assert states[-1] == "ready"
        for setting, value in {
            "listen_addresses": "",
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "max_connections": "50",
            "max_wal_size": "4GB",
            "wal_compression": "pglz",
            "idle_in_transaction_session_timeout": "10s",
            "jit": "off",
        }.items():
            assert await ask(postgres.dsn, f"SHOW {setting}") == value
        assert await ask(postgres.dsn, "SELECT current_database()") == "springline"
        assert await ask(postgres.dsn, "SELECT datcollate FROM pg_database WHERE datname = 'springline'") == "C"
        for folder in (data_dir, data_dir / "postgres", data_dir / "run", data_dir / "log"):
            assert mode(folder) == 0o700
            assert os.stat(folder).st_uid == account().pw_uid
        assert {mode(file) for file in data_dir.iterdir() if file.is_file()} == {0o600}
        assert modes_above(data_dir) == before
    finally:
        await postgres.close()
        await postgres.close()
    assert not lives(data_dir)
    assert modes_above(data_dir) == before


async def test_a_path_of_150_characters_with_a_space(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = place / "tmp"
    short.mkdir()
    short.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(short))
    data_dir = place / "a folder" / ("x" * (150 - len(str(place)) - len("/a folder/")))
    assert len(str(data_dir)) == 150
    data_dir.parent.mkdir()
    for value in range(2):
        user = await User.start(data_dir)
        dsn = await user.until_open()
        (sockets,) = short.iterdir()
        assert dsn["host"] == str(sockets)
        assert mode(sockets) == 0o700
        await write(dsn, value)
        await user.kill()
        await kill_postgres(data_dir)
    shutil.rmtree(sockets)
    user = await User.start(data_dir)
    dsn = await user.until_open()
    assert await ask(dsn, "SELECT array_agg(value ORDER BY value) FROM written") == [0, 1]
    assert len(list(short.iterdir())) == 1
    await user.leave()
    assert not list(short.iterdir())
    assert not lives(data_dir)


async def test_what_an_interrupted_first_start_left_is_removed(place: Path) -> None:
    data_dir = place / "data"
    user = await User.start(data_dir)
    await until(lambda: bool(list(data_dir.glob("postgres.new-*"))))
    await user.kill()
    postgres = await EmbeddedPostgres.open(data_dir)
    try:
        await write(postgres.dsn, 1)
        assert not list(data_dir.glob("postgres.new-*"))
    finally:
        await postgres.close()


async def test_a_start_that_is_cancelled_leaves_nothing_running(place: Path) -> None:
    data_dir = place / "data"
    opening = asyncio.create_task(EmbeddedPostgres.open(data_dir))
    await until(lambda: bool(list(data_dir.glob("postgres.new-*"))))
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not lives(data_dir)


# Sharing -------------------------------------------------------------------------------------------


async def test_the_last_one_out_stops_the_server(place: Path) -> None:
    data_dir = place / "data"
    users = await asyncio.gather(*[User.start(data_dir) for _ in range(4)])
    hosts = [dsn["host"] for dsn in await asyncio.gather(*[user.until_open() for user in users])]
    assert hosts == [str(data_dir / "run")] * 4
    first = postmaster_of(data_dir).pid
    postgres = await EmbeddedPostgres.open(data_dir)
    await asyncio.gather(*[user.leave() for user in users])
    await write(postgres.dsn, 1)
    assert postmaster_of(data_dir).pid == first
    await postgres.close()
    assert not lives(data_dir)


async def test_who_comes_while_the_last_one_leaves_is_served(data_dir: Path) -> None:
    leaving = await EmbeddedPostgres.open(data_dir)
    for value in range(5):
        _, coming = await asyncio.gather(leaving.close(), EmbeddedPostgres.open(data_dir))
        await write(coming.dsn, value)
        leaving = coming
    assert await ask(leaving.dsn, "SELECT count(*) FROM written") == 5
    await leaving.close()
    assert not lives(data_dir)


@root_only
async def test_another_user_of_the_machine_is_kept_out(data_dir: Path) -> None:
    stranger = pwd.getpwnam("daemon")
    psql = installed_binaries().install / "bin" / "psql"
    ask_as_stranger = (stranger, psql, "-h", data_dir / "run", "-U", "springline", "-d", "springline", "-c", "SELECT 1")
    if run_as(stranger, "/bin/sh", "-c", '"$1" --version', "sh", psql).returncode != 0:
        pytest.skip("the other user cannot run psql, wherever this environment lies")
    postgres = await EmbeddedPostgres.open(data_dir)
    try:
        assert b"Permission denied" in run_as(*ask_as_stranger).stderr
        # And were every folder open, PostgreSQL itself would know who asks.
        for opened in (data_dir, data_dir / "run", data_dir / "run" / ".s.PGSQL.5432"):
            os.chmod(opened, 0o777)
        assert b"Peer authentication failed" in run_as(*ask_as_stranger).stderr
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await asyncpg.connect(**{**postgres.dsn, "user": "postgres"})
    finally:
        await postgres.close()


# Killing -------------------------------------------------------------------------------------------


async def test_a_killed_postmaster_is_started_again(data_dir: Path) -> None:
    states: list[str] = []
    postgres = await EmbeddedPostgres.open(data_dir, on_state=states.append)
    joined = await User.opened(data_dir)
    try:
        await write(postgres.dsn, 1)
        for _ in range(2):
            states.clear()
            first = postmaster_of(data_dir)
            first.kill()
            await until(lambda: "ready" in states)
            assert states[0].startswith(("starting: ", "recovering: "))
            assert await ask(postgres.dsn, "SELECT count(*) FROM written") == 1
    finally:
        await joined.leave()
        await postgres.close()
    assert not lives(data_dir)


async def test_a_killed_backend_and_a_server_that_is_told_to_stop(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_RECHECK_SECONDS", 0.1)
    states: list[str] = []
    postgres = await EmbeddedPostgres.open(data_dir, on_state=states.append)
    held = await asyncpg.connect(**postgres.dsn)
    try:
        psutil.Process(held.get_server_pid()).kill()
        await until(held.is_closed)
        await until(lambda: len(states) > 2 and states[-1] == "ready")

        held = await asyncpg.connect(**postgres.dsn)
        states.clear()
        first = postmaster_of(data_dir)
        # Waits for `held` to go and lets nobody in meanwhile.
        first.terminate()
        await until(lambda: "ready" in states)
        assert "starting: PostgreSQL is shutting down" in states
        assert postmaster_of(data_dir).pid != first.pid
        assert await ask(postgres.dsn, "SELECT 1") == 1
    finally:
        held.terminate()
        await postgres.close()


async def test_a_socket_that_somebody_removed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(embedded, "_UNREACHABLE_SECONDS", 0.5)
    states: list[str] = []
    postgres = await EmbeddedPostgres.open(data_dir, on_state=states.append)
    try:
        states.clear()
        shutil.rmtree(data_dir / "run")
        await until(lambda: "ready" in states)
        assert await ask(postgres.dsn, "SELECT 1") == 1
    finally:
        await postgres.close()


async def test_another_process_takes_over_from_a_killed_supervisor(data_dir: Path) -> None:
    supervisor = await User.opened(data_dir)
    postgres = await EmbeddedPostgres.open(data_dir)
    try:
        first = postmaster_of(data_dir)
        await supervisor.kill()
        assert first.is_running()
        await write(postgres.dsn, 1)
        first.kill()
        await until(lambda: postgres.state() != "ready")
        await until(lambda: postgres.state() == "ready")
        assert await ask(postgres.dsn, "SELECT count(*) FROM written") == 1
    finally:
        await postgres.close()
    assert not lives(data_dir)


async def test_a_server_that_outlived_its_supervisor_is_joined_and_stopped(data_dir: Path) -> None:
    supervisor = await User.opened(data_dir)
    await supervisor.kill()
    survivor = postmaster_of(data_dir)
    # What the dead process held must not live on in its child.
    assert held_locks(data_dir) == {"server.lock"}
    postgres = await EmbeddedPostgres.open(data_dir)
    assert postmaster_of(data_dir) == survivor
    await postgres.close()
    assert not lives(data_dir)


async def test_a_server_that_hangs_is_not_waited_for_without_end(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_CONNECT_SECONDS", 0.1)
    for limit in ("_UNMOVED_SECONDS", "_FAST_STOP_SECONDS", "_IMMEDIATE_STOP_SECONDS"):
        monkeypatch.setattr(embedded, limit, 0.3)
    supervisor = await User.opened(data_dir)
    await supervisor.kill()
    hung = postmaster_of(data_dir)
    hung.suspend()
    with pytest.raises(EmbeddedPostgresError, match=r"has not moved on .*\(not answering in time\)"):
        await EmbeddedPostgres.open(data_dir)
    hung.resume()
    await until(lambda: not lives(data_dir))


async def test_kill_9_of_everything_twice_in_a_row(data_dir: Path) -> None:
    for value in range(2):
        user = await User.start(data_dir)
        await write(await user.until_open(), value)
        await user.kill()
        await kill_postgres(data_dir)
    postgres = await EmbeddedPostgres.open(data_dir)
    try:
        assert await ask(postgres.dsn, "SELECT array_agg(value ORDER BY value) FROM written") == [0, 1]
    finally:
        await postgres.close()


async def test_a_long_recovery_is_waited_for_and_told(data_dir: Path) -> None:
    user = await User.start(data_dir)
    dsn = await user.until_open()
    await ask(dsn, "CREATE TABLE large AS SELECT n, repeat(n::text, 20) FROM generate_series(1, 700000) n")
    await user.kill()
    await kill_postgres(data_dir)
    states: list[str] = []
    postgres = await EmbeddedPostgres.open(data_dir, on_state=states.append)
    try:
        assert any(state.startswith("recovering: ") for state in states), states
        assert await ask(postgres.dsn, "SELECT count(*) FROM large") == 700000
    finally:
        await postgres.close()


@pytest.mark.parametrize("name", ["sleep", "postgres"])
async def test_a_stranger_with_the_number_of_a_dead_postmaster_is_left_alone(data_dir: Path, name: str) -> None:
    user = await User.opened(data_dir)
    await user.kill()
    await kill_postgres(data_dir)
    stranger = start_as(account(), name, "600", executable="/bin/sleep")
    try:
        written = data_dir / "postgres/postmaster.pid"
        written.write_text("\n".join([str(stranger.pid), *written.read_text().splitlines()[1:], ""]))
        postgres = await EmbeddedPostgres.open(data_dir)
        assert postmaster_of(data_dir).pid != stranger.pid
        # Nor is it signalled when the server has gone again and only the number is left.
        pid_file = written.read_text()
        await postgres.close()
        written.write_text(pid_file.replace(pid_file.split()[0], str(stranger.pid)))
        written.chmod(0o600)
        os.chown(written, account().pw_uid, account().pw_gid)
        watched = Postmaster(DataDirectory.prepare(data_dir), installed_binaries())
        assert not watched.send(signal.SIGKILL)
        watched.let_go()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_an_empty_process_number_file(data_dir: Path) -> None:
    (data_dir / "postgres/postmaster.pid").touch(mode=0o600)
    await (await EmbeddedPostgres.open(data_dir)).close()


# Refusing ------------------------------------------------------------------------------------------


async def test_a_directory_of_something_else_is_not_touched(place: Path) -> None:
    theirs = place / "theirs"
    theirs.mkdir(mode=0o755)
    (theirs / "photo.jpg").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"not a Springline data directory .*photo\.jpg"):
        await EmbeddedPostgres.open(theirs)
    assert os.listdir(theirs) == ["photo.jpg"]
    assert mode(theirs) == 0o755
    (theirs / "springline.json").write_text('{"layout": 99}')
    with pytest.raises(EmbeddedPostgresError, match="newer Springline"):
        await EmbeddedPostgres.open(theirs)


async def test_an_empty_directory_becomes_private(place: Path) -> None:
    ours = place / "ours"
    ours.mkdir(mode=0o755)
    (ours / "lost+found").mkdir()
    directory = DataDirectory.prepare(ours)
    assert directory == DataDirectory.prepare(ours)
    assert mode(ours) == 0o700


async def test_another_major_version_is_refused_with_the_way_out(place: Path) -> None:
    data_dir = place / "data"
    DataDirectory.prepare(data_dir).make_folder("postgres")
    (data_dir / "postgres/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError) as refused:
        await EmbeddedPostgres.open(data_dir)
    for word in ("PostgreSQL 17", "PostgreSQL 18", str(data_dir), "SPRINGLINE_DATABASE_URL"):
        assert word in str(refused.value)
    (data_dir / "postgres/PG_VERSION").rename(data_dir / "postgres/other")
    with pytest.raises(EmbeddedPostgresError, match="damaged"):
        await EmbeddedPostgres.open(data_dir)


async def test_a_server_that_does_not_start_says_why(data_dir: Path) -> None:
    with (data_dir / "postgres/postgresql.conf").open("a") as settings:
        settings.write("max_connections = many\n")
    with pytest.raises(EmbeddedPostgresError, match=r"max_connections.*many.*log/postgres\.log"):
        await EmbeddedPostgres.open(data_dir)
    assert not lives(data_dir)


async def test_a_postgres_that_somebody_runs_by_hand_is_not_disturbed(data_dir: Path) -> None:
    by_hand = start_as(
        account(),
        installed_binaries().postgres,
        "-D",
        data_dir / "postgres",
        "-k",
        data_dir,
        "-c",
        "log_min_messages=panic",
    )
    try:
        await until((data_dir / ".s.PGSQL.5432").exists)
        with pytest.raises(EmbeddedPostgresError, match=f"process {by_hand.pid} .* without Springline"):
            await EmbeddedPostgres.open(data_dir)
        assert by_hand.poll() is None
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.wait()


@root_only
async def test_a_place_that_the_account_cannot_reach(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError) as refused:
        await EmbeddedPostgres.open(closed / "deep" / "data")
    assert f"may not enter {closed} " in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(closed.iterdir())
    assert mode(closed) == 0o700


@root_only
async def test_binaries_that_the_account_cannot_reach_are_copied_once(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    installed = installed_binaries()
    hidden = PostgresBinaries(closed, installed.version)
    shutil.copytree(installed.install, hidden.install)
    shutil.copytree(installed.libraries, hidden.libraries)
    directory = DataDirectory.prepare(place / "data")
    (directory.path / "bin-0.0.1").mkdir()
    for _ in range(2):
        copied = runnable_binaries(directory, hidden)
        assert copied.root == directory.path / f"bin-{installed.version}"
        assert copied.can_be_run_by(directory.account)
    assert [file.name for file in directory.path.glob("bin-*")] == [copied.root.name]
    shutil.rmtree(closed)
    assert b"initdb" in run_as(account(), copied.initdb, "--version").stdout


@root_only
async def test_links_and_pipes_that_the_account_planted_are_not_followed(place: Path) -> None:
    directory = DataDirectory.prepare(place / "data")
    secret = place / "secret"
    secret.write_text("root's")
    (directory.path / "users.lock").symlink_to(secret)
    with pytest.raises(EmbeddedPostgresError, match="cannot use the data directory"):
        await EmbeddedPostgres.open(directory.path)
    (directory.path / "users.lock").unlink()
    (directory.path / "users.lock").hardlink_to(secret)
    with pytest.raises(EmbeddedPostgresError, match=r"users\.lock .* not a plain file"):
        await EmbeddedPostgres.open(directory.path)
    (directory.path / "users.lock").unlink()
    os.mkfifo(directory.path / "token")
    with pytest.raises(EmbeddedPostgresError, match="not a plain file"):
        directory.read_file("token")
    assert secret.read_text() == "root's"
    assert os.stat(secret).st_uid == 0


# Limits --------------------------------------------------------------------------------------------


async def test_the_log_does_not_grow_for_ever(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postmaster, "_LARGEST_LOG_BYTES", 1000)
    directory = DataDirectory.prepare(place / "data")
    directory.make_folder("log")
    with os.fdopen(directory.open_file("log/postgres.log", os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as log:
        log.write(b"old " * 1000)
        watched = Postmaster(directory, installed_binaries())
        watched.trim_log()
        log.write(b"new")
        watched.let_go()
    assert directory.read_file("log/postgres.log") == b"new"
    assert directory.read_file("log/postgres.log.1") == b"old " * 250


@pytest.mark.parametrize(("memory_gibibytes", "mebibytes"), [(0.25, 128), (1, 256), (2, 512), (4, 1024), (256, 1024)])
def test_shared_buffers_follow_the_memory(memory_gibibytes: float, mebibytes: int) -> None:
    assert shared_buffers_mebibytes(int(memory_gibibytes * 1024**3)) == mebibytes
    assert 0 < memory_bytes() <= psutil.virtual_memory().total * 1.1
