"""The commands that start something, as real processes: how they greet, refuse and end."""

import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from tests.cli.conftest import Cli
from tests.support.serving import Served, environment, running, springline

from springline.cli.main import run


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def once(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(springline(*arguments), env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_token_is_not_shown_where_a_log_may_keep_it(springline_server: Served) -> None:
    """`serve` says where the token is; the token itself only on a terminal (I9)."""
    env = dict(springline_server.env)
    with running("serve", "--port", "0", env=env) as second:
        second.line("Springline is ready at")
        assert str(springline_server.data_dir) in second.line("data")
        line = second.line("token")
        assert "token  in " in line
        assert springline_server.token not in line
        assert second.stop() == 0
        assert "Traceback" not in second.errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_worker_comes_and_goes(springline_server: Served, number: signal.Signals) -> None:
    with running("worker", env=springline_server.env) as worker:
        worker.line("this worker runs")
        assert worker.stop(number) == 0
        assert "Traceback" not in worker.errors


def test_migrate_says_that_it_is_done(springline_server: Served) -> None:
    done = once("migrate", env=dict(springline_server.env))
    assert (done.returncode, done.stdout) == (0, "the database is up to date\n")


def test_organisations(springline_server: Served, cli: Cli) -> None:
    done = once("orgs", "create", "Second", env=dict(springline_server.env))
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    assert "made the organisation Second" in done.stderr
    assert token not in done.stderr
    assert "Second" in once("orgs", "list", env=dict(springline_server.env)).stdout
    twice = once("orgs", "create", "Second", env=dict(springline_server.env))
    assert (twice.returncode, twice.stdout) == (1, "")
    assert "choose another name" in twice.stderr
    cli.ok("streams", "create", "first-org")
    other = once("streams", "list", env={**springline_server.env, "SPRINGLINE_API_TOKEN": token})
    assert (other.returncode, other.stdout) == (0, "")
    assert "there are no streams yet" in other.stderr


def test_a_port_that_is_taken(taken_port: int, springline_server: Served) -> None:
    serve = once("serve", "--port", str(taken_port), env=dict(springline_server.env))
    sandboxes = [once("sandbox", name, "--port", str(taken_port), env=environment()) for name in ("stripe", "github")]
    for done in (serve, *sandboxes):
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")
        assert str(taken_port) in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("provider", "shown", "more"),
    [
        ("stripe", "Stripe sandbox at", ("--customers", "5")),
        ("github", "GitHub sandbox at", ("--repositories", "1", "--issues", "5", "--changes-per-second", "1000")),
    ],
)
def test_the_sandbox_ends_on_a_signal(provider: str, shown: str, more: tuple[str, ...]) -> None:
    with running("sandbox", provider, "--port", "0", *more, env=environment()) as sandbox:
        sandbox.line(shown)
        assert sandbox.stop(signal.SIGINT) == 0
        assert sandbox.errors == ""


def test_a_closed_pipe_is_quiet(springline_server: Served) -> None:
    command = " ".join(springline("providers", "show", "stripe"))
    done = subprocess.run(
        ["/bin/bash", "-c", f"{command} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"],
        env=dict(springline_server.env),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout in ("0\n", "141\n")


def test_a_person_is_asked_before_something_goes(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.ok("streams", "create", "asked")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, code in (("n\n", 130), ("y\n", 0)):
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _, given=answer: given.strip())
        assert run(["streams", "delete", "asked"]) == code
    assert "deleted the stream asked" in capsys.readouterr().out
