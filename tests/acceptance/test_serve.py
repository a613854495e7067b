"""`springline serve`, as an operator starts, stops and loses it."""

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil
import pytest
from tests.support.api import Client
from tests.support.localstripe_process import REPOSITORY
from tests.support.processes import Place, Springline, assert_one_line, becoming, modes_above, postgres_processes, until

from springline.sandbox.stripe.server import RunningSandbox

READY_SECONDS: Final = 3.0
STOP_SECONDS: Final = 5.0
#: A start is measured again where something disturbed it, but not judged while others use more than half a core.
TRIES: Final = 3
BUSY_CORES: Final = 0.5


async def measured_start(place: Place, **options: Any) -> Springline:
    """A server on an empty directory that was ready in time."""
    for _ in range(TRIES):
        server = await (await place.start(**options)).until_ready()
        print(f"\nempty directory to ready: {server.ready_seconds:.2f} s (others used {server.busy_cores:.1f} cores)")
        if server.ready_seconds < READY_SECONDS or server.busy_cores > BUSY_CORES:
            return server
        await server.terminate()
        shutil.rmtree(server.data_dir)
    pytest.fail(f"never ready within {READY_SECONDS:g} s")


async def measured_stop(server: Springline) -> None:
    """Ends the server in time, with nothing left of it."""
    seconds = await server.terminate()
    print(f"SIGTERM to the end: {seconds:.2f} s")
    assert seconds < STOP_SECONDS
    assert not server.left()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@asynccontextmanager
async def client_of(server: Springline) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, server.url, server.token)


# Starting and stopping -----------------------------------------------------------------------------


async def test_an_empty_directory_is_ready_in_time_and_nothing_is_left(place: Place) -> None:
    before = modes_above(place.data_dir)
    server = await measured_start(place)
    assert mode(place.data_dir) == 0o700
    assert mode(place.data_dir / "token") == 0o600
    assert mode(place.data_dir / "secret.key") == 0o600
    assert server.token not in server.out + server.err
    assert str(place.data_dir) in server.out
    assert str(place.data_dir / "token") in server.out
    assert server.url in server.out
    async with client_of(server) as client:
        (await client.get("/v1/streams")).expect(200)
        # Somebody else on the same port is told so, and the one who was first goes on.
        port = server.url.rpartition(":")[2]
        second = await place.run("serve", "--port", port, data_dir=place.folder / "second")
        assert second.code == 1
        assert_one_line(second.err, port, "SPRINGLINE_PORT")
        assert not (place.folder / "second").exists()
        (await client.get("/v1/streams")).expect(200)
    await measured_stop(server)
    assert modes_above(place.data_dir) == before
    assert not list(place.temporary.iterdir())


async def test_a_long_path_with_a_space_survives_two_kills_of_everything(place: Place) -> None:
    parent = place.folder / "a folder"
    parent.mkdir(mode=0o711)
    data_dir = parent / ("x" * (150 - len(f"{parent}/")))
    assert len(str(data_dir)) == 150
    before = modes_above(data_dir)
    server = await measured_start(place, data_dir=data_dir)
    async with client_of(server) as client:
        await client.stream("kept")
    token = server.token
    for _ in range(2):
        await server.kill_everything()
        assert not server.left()
        server = await (await place.start(data_dir=data_dir)).until_ready()
        print(f"after kill -9 of everything to ready: {server.ready_seconds:.2f} s")
        assert server.token == token
        async with client_of(server) as client:
            streams = (await client.get("/v1/streams")).expect(200)["data"]
            assert [stream["slug"] for stream in streams] == ["kept"]
    # Only the server, and PostgreSQL lives on: the next start finds it.
    await server.kill()
    assert postgres_processes(data_dir)
    server = await (await place.start(data_dir=data_dir)).until_ready()
    await measured_stop(server)
    assert modes_above(data_dir) == before
    assert not list(place.temporary.iterdir())


async def test_sigterm_drains_a_long_poll_and_a_backfill(place: Place, sandbox: RunningSandbox) -> None:
    server = await place.start(settings={"SPRINGLINE_STRIPE_BASE_URL": sandbox.url})
    await seed(sandbox, customers=3000)
    await server.until_ready()
    async with client_of(server) as client:
        stream = await client.stream()
        sync = await client.sync(stream_id=stream["id"], rate_limit={"allowed_requests": 5, "interval": 1})
        nothing = await client.consumer(stream_id=stream["id"], filters={"collection_id": "stripe:coupon"})
        reader = await client.consumer(stream_id=stream["id"])
        polling = asyncio.create_task(client.get(f"/v1/http-consumers/{nothing['id']}/next", wait_for=60_000))
        first = (await client.get(f"/v1/http-consumers/{reader['id']}/next", wait_for=20_000)).expect(200)
        assert first["data"]
        found = (await client.get(f"/v1/syncs/{sync['id']}")).expect(200)
        assert found["initial_backfill_completed_at"] is None
        assert not polling.done()
        await measured_stop(server)
        assert (await polling).expect(200)["data"] == []
    assert "Traceback" not in server.err
    assert '"level": "error"' not in server.err


async def test_an_unprivileged_account_runs_it_too(place: Place) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root starts processes of another account; every other test here is of an unprivileged one")
    account = pwd.getpwnam("nobody")
    command = command_for(account)
    home = place.folder / "home"
    home.mkdir()
    os.chown(home, account.pw_uid, account.pw_gid)
    before = modes_above(home / "data")
    server = await measured_start(place, data_dir=home / "data", command=command, account=account)
    owners = {process.username() for process in postgres_processes(server.data_dir)}
    assert owners == {account.pw_name}
    await server.kill_everything()
    server = await (await place.start(data_dir=home / "data", command=command, account=account)).until_ready()
    await measured_stop(server)
    assert modes_above(home / "data") == before


def command_for(account: pwd.struct_passwd) -> tuple[str, ...]:
    """Springline, by a Python that this account may run; skips the test where there is none."""
    paths = os.pathsep.join([str(REPOSITORY / "src"), *(path for path in sys.path if path.endswith("site-packages"))])
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/local/bin/{name}", f"/usr/bin/{name}"):
        command = ("/usr/bin/env", f"PYTHONPATH={paths}", "HOME=/nonexistent", python, "-m", "springline.cli.main")
        try:
            tried = subprocess.run(
                [*command, "--version"], capture_output=True, check=False, cwd="/", timeout=30, **becoming(account)
            )
        except OSError:
            continue
        if tried.returncode == 0:
            return command
    pytest.skip(f"{account.pw_name} may run no {name} with Springline's dependencies here")


async def seed(sandbox: RunningSandbox, *, customers: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.control_url}/seed", json={"collection": "customer", "count": customers}) as response,
    ):
        assert response.status == 200


# Several processes ---------------------------------------------------------------------------------


async def test_a_worker_joins_takes_over_and_is_the_last_one_out(place: Place, sandbox: RunningSandbox) -> None:
    settings = {"SPRINGLINE_STRIPE_BASE_URL": sandbox.url, "SPRINGLINE_LEASE_SECONDS": "3"}
    server = await (await place.start(settings=settings)).until_ready()
    (postmaster,) = postmasters(place.data_dir)
    worker = await place.start("worker", settings=settings)
    await worker.until_said("this worker runs")
    assert postmasters(place.data_dir) == [postmaster]
    async with client_of(server) as client:
        await client.sync()
        await until(lambda: len(sandbox.sandbox.arrivals) > 0)
    await server.terminate()
    assert postmasters(place.data_dir) == [postmaster]
    asked = len(sandbox.sandbox.arrivals)
    await until(lambda: len(sandbox.sandbox.arrivals) > asked + 2)
    await measured_stop(worker)
    assert not postgres_processes(place.data_dir)


def postmasters(data_dir: Path) -> list[psutil.Process]:
    found = postgres_processes(data_dir)
    return [process for process in found if process.ppid() not in {other.pid for other in found}]
