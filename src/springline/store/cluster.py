"""PostgreSQL's cluster in a data directory: how it is made, who may connect, and its settings."""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from springline.store.data_directory import DataDirectory, EmbeddedPostgresError
from springline.store.postgres_binaries import MAJOR_VERSION, PostgresBinaries

ROLE = "springline"
DATABASE = "springline"

_MEBIBYTE = 1024 * 1024
_DRAFT = "postgres.new-"

_HOST_RULES = f"""\
# Written by Springline at each start.
local  all          {ROLE}  peer  map=springline
local  replication  {ROLE}  peer  map=springline
local  all          all     reject
host   all          all     all   reject
"""

_OPERATORS_FILE = """\
# springline.conf is written anew at each start. Put settings of your own below this line.
include = 'springline.conf'
"""

_SETTINGS = """\
# Written by Springline at each start; settings of your own belong into postgresql.conf.
cluster_name = 'springline'
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 50
max_logical_replication_workers = 0
shared_buffers = {shared_buffers}MB
huge_pages = off
# Files inside the cluster: neither a small /dev/shm nor a logind that clears it at logout matters.
dynamic_shared_memory_type = mmap
min_dynamic_shared_memory = 4MB
max_parallel_workers_per_gather = 0
jit = off

fsync = on
full_page_writes = on
synchronous_commit = on
wal_compression = pglz
max_wal_size = 4GB
checkpoint_timeout = 15min
# After a crash one call for the whole file system, instead of one for each of a thousand files.
recovery_init_sync_method = {sync_method}

idle_in_transaction_session_timeout = 10s
autovacuum_naptime = 15s
autovacuum_vacuum_scale_factor = 0.02
autovacuum_vacuum_insert_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.02
autovacuum_vacuum_cost_limit = 2000

timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_destination = 'stderr'
logging_collector = off
# Statements may carry customers' data.
log_min_error_statement = panic
log_startup_progress_interval = 2s
"""


def check_version(directory: DataDirectory) -> None:
    """Raises EmbeddedPostgresError if the cluster is another major version's, or damaged."""
    written = directory.read_file("postgres/PG_VERSION")
    version = written.decode(errors="replace").strip() if written is not None else None
    if version == str(MAJOR_VERSION):
        return
    if version is not None:
        raise EmbeddedPostgresError(
            f"{directory.path} holds a database of PostgreSQL {version}, and this Springline brings PostgreSQL "
            f"{MAJOR_VERSION}. Dump it with the Springline that wrote it (pg_dump) and load the dump into a new data "
            f"directory, or run a PostgreSQL {version} on it and set SPRINGLINE_DATABASE_URL."
        )
    if directory.cluster.exists() and os.listdir(directory.cluster):
        raise EmbeddedPostgresError(
            f"{directory.cluster} is damaged (it has no PG_VERSION): restore it from a backup, or move it away "
            "to begin with an empty database"
        )


def make_cluster(directory: DataDirectory, binaries: PostgresBinaries, *, held_lock: int) -> None:
    """Runs initdb unless the cluster is there. What an interrupted one left is removed.

    `held_lock` is a descriptor that initdb inherits, so that its lock lives as long as initdb does.
    """
    for draft in directory.path.glob(f"{_DRAFT}*"):
        shutil.rmtree(draft)
    if directory.read_file("postgres/PG_VERSION") is not None:
        return
    draft = directory.path / f"{_DRAFT}{secrets.token_hex(4)}"
    made = subprocess.run(  # noqa: S603 - our own words only
        [
            binaries.initdb, f"--pgdata={draft}", f"--username={ROLE}", "--locale=C", "--encoding=UTF8",
            "--data-checksums", "--auth-local=peer", "--auth-host=reject", "--no-instructions",
            "--set=dynamic_shared_memory_type=mmap", "--set=timezone=UTC",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        cwd=directory.path, env=environment(), umask=0o077, start_new_session=True,
        pass_fds=(held_lock,), **directory.account.popen_arguments,
    )  # fmt: skip
    if made.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        lines = made.stdout.decode(errors="replace").splitlines()
        raise EmbeddedPostgresError(
            f"PostgreSQL could not be set up in {directory.path}: {worth_quoting(lines) or made.returncode}"
        )
    directory.replace_file(f"{draft.name}/postgresql.conf", _OPERATORS_FILE.encode())
    os.rename(draft, directory.cluster)
    directory.flush()


def write_settings(directory: DataDirectory) -> None:
    """Who may connect (the user who runs us and the account, nobody else) and the settings."""
    users = sorted({pwd.getpwuid(os.geteuid()).pw_name, directory.account.name})
    identities = "".join(f'springline  "{user}"  {ROLE}\n' for user in users)
    settings = _SETTINGS.format(
        shared_buffers=shared_buffers_mebibytes(memory_bytes()),
        sync_method="syncfs" if sys.platform == "linux" else "fsync",
    )
    directory.replace_file("postgres/pg_hba.conf", _HOST_RULES.encode())
    directory.replace_file("postgres/pg_ident.conf", f"# Written by Springline at each start.\n{identities}".encode())
    directory.replace_file("postgres/springline.conf", settings.encode())


def shared_buffers_mebibytes(memory: int) -> int:
    """A quarter of `memory` (bytes), at least 128 MiB and at most 1 GiB."""
    return min(max(memory // 4 // _MEBIBYTE, 128), 1024)


def memory_bytes() -> int:
    """What this process may use: the machine's memory, or less where a control group says so."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([total, *_control_group_limits()])


def _control_group_limits() -> list[int]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        mount = Path("/sys/fs/cgroup" if controllers == "" else "/sys/fs/cgroup/memory")
        name = "memory.max" if controllers == "" else "memory.limit_in_bytes"
        # Inside a container the group's own path may be missing; every group above limits it as well.
        folder = mount / group.lstrip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(mount):
                try:
                    limits.append(int((place / name).read_text()))
                except (OSError, ValueError):
                    continue
    return limits


def environment() -> dict[str, str]:
    """For PostgreSQL's programs: nothing of ours that could change or reveal anything."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {"LC_ALL": "C", "TZ": "UTC", **kept}


def worth_quoting(lines: list[str]) -> str:
    """The last few lines that may say what went wrong, joined; without times and process numbers."""
    levels = ("PANIC:", "FATAL:", "ERROR:", "WARNING:", "LOG:", "DETAIL:", "HINT:", "error:")
    routine = ("starting PostgreSQL", "listening on", "database system is shut down")
    telling = [
        line[line.index(level) :].removeprefix("LOG:").strip()
        for line in lines
        if not any(words in line for words in routine)
        for level in levels
        if level in line
    ]
    return "; ".join(telling[-4:])
