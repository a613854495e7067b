"""What people type wrongly: one clear line with the way out, on stderr, and the right exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import springline
from springline.cli.main import run

COMMANDS = [
    "demo",
    "serve",
    "streams",
    "credentials",
    "collections",
    "oauth-apps",
    "syncs",
    "consumers",
    "tail",
    "events",
    "records",
    "providers",
    "worker",
    "workers",
    "migrate",
    "orgs",
    "keys",
    "sandbox",
]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SPRINGLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SPRINGLINE_DATA_DIR", str(tmp_path / "data"))


def failing(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.split("Commands:\n")[1].splitlines()] == COMMANDS
    assert "..." not in out.split("Commands:\n")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "-h"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: springline {command}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"springline {springline.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("streams",), ("sandbox",)])
def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert failing(capsys, *arguments, code=2).startswith("Usage: springline")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("stream", "did you mean 'streams'?"),
        ("streams crate", "did you mean 'create'?"),
        ("streams create", "missing argument 'slug'"),
        ("streams update main", "give --slug, --event-retention-days or --tombstone-days"),
        ("syncs create", "missing option '--provider'"),
        ("syncs create --provder stripe", "did you mean '--provider'?"),
        ("syncs create --provider stripe --stream s --collection c", "give --credential"),
        (
            "syncs create --provider stripe --stream s --collection c --credential x --stripe-key -",
            "not both",
        ),
        ("syncs create --provider github --stream s --collection c --stripe-key -", "give --credential"),
        ("syncs create --provider stripe --stream s --collection c --github-token -", "is for --provider github"),
        ("syncs create --provider github --stream s --collection c", "--github-token"),
        (
            "syncs create --provider github --stream s --collection c --stripe-key - --github-token -",
            "give --credential",
        ),
        ("syncs create --provider stripe --stream s --collection c --rate-limit 5", "write 100/60s"),
        ("syncs create --provider stripe --stream s --collection c --metadata gold", "is no json object"),
        (
            "syncs create --provider stripe --stream s --collection c --metadata @/nowhere",
            "cannot read /nowhere",
        ),
        ("syncs update x", "give at least one option"),
        ("syncs update x --collection a --add-collection b", "--collection is the whole list"),
        ("syncs update x --max-age-days never", "a number of days above 0, or `none`"),
        ("consumers next x --batch-size 1001", "1<=x<=1000"),
        ("consumers next x --wait-for 5", "write 500ms, 30s"),
        ("consumers next x --wait-for 61s", "at most 60s"),
        ("consumers ack x", "missing argument 'ack_token"),
        ("consumers update x", "give at least one option"),
        ("credentials update x", "nothing to change"),
        ("credentials create --kind k --secret-stdin --secret-file f", "give one of"),
        ("tail main --from yesterday", "'beginning', 'now'"),
        ("sandbox stripe --port 70000", "0<=x<=65535"),
        ("demo --customers 3", "20<=x<=100000"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: str, hint: str) -> None:
    err = failing(capsys, *arguments.split(), code=2)
    assert err.startswith("error: ")
    assert hint in err.lower()
    assert "--help` shows how it is used" in err


def test_without_a_token_the_way_out_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    err = failing(capsys, "streams", "list", code=1)
    assert err.startswith("error: there is no API token: set SPRINGLINE_API_TOKEN, or run `springline serve`")
    assert str(tmp_path / "data" / "token") in err


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe"])
def test_a_broken_token_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_bytes(content)
    err = failing(capsys, "streams", "list", code=1)
    assert err.startswith("error: ")
    assert "SPRINGLINE_API_TOKEN" in err


def test_without_a_server_the_way_out_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("SPRINGLINE_API_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("SPRINGLINE_PORT", str(unused_tcp_port))
    err = failing(capsys, "streams", "list", code=1)
    assert f"cannot reach Springline at http://127.0.0.1:{unused_tcp_port}: nothing listens there" in err
    assert "is `springline serve` running?" in err


def test_a_wrong_setting_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGLINE_LOG_LEVEL", "loud")
    for command in ("serve", "worker", "migrate", "streams list", "tail main", "orgs list"):
        err = failing(capsys, *command.split(), code=1)
        assert err == "error: SPRINGLINE_LOG_LEVEL=loud must be debug, info, warning or error\n"


def test_an_unknown_setting_is_a_warning(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRINGLINE_TOKEN", "0123456789abcdef")
    err = failing(capsys, "streams", "list", code=1)
    assert "warning: SPRINGLINE_TOKEN is not a setting of Springline: did you mean SPRINGLINE_API_TOKEN?\n" in err


def test_deleting_needs_a_terminal_or_yes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    from springline.cli import output

    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115 - closed with the interpreter's own
    with click.Context(click.Command("delete")), pytest.raises(click.UsageError, match="Say --yes"):
        output.confirm("Delete it?", yes=False)
    output.confirm("Delete it?", yes=True)
    sys.stdin.close()


def test_a_publishable_key_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "pk_live_HUNTER22")
    err = failing(capsys, "demo", "--stripe-key", "env", code=1)
    assert err == (
        "error: a publishable key (pk_…) cannot read an account: give a restricted (rk_…) or secret key (sk_…)\n"
    )


def test_what_is_no_key_is_refused_without_being_shown(capsys: pytest.CaptureFixture[str]) -> None:
    err = failing(capsys, "demo", "--stripe-key", "HUNTER22", code=1)
    assert "warning: --stripe-key: a secret on the command line is seen in the process list" in err
    assert "error: this is no Stripe key" in err
    assert "HUNTER22" not in err


def test_help_answers_at_once() -> None:
    """It imports neither the HTTP client nor the server."""
    code = (
        "import sys; from springline.cli.main import run; run(['--help']); "
        "slow = {'aiohttp', 'asyncpg', 'msgspec', 'starlette', 'tabulate', 'platformdirs'} & set(sys.modules); "
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_closed_pipe_is_quiet() -> None:
    done = subprocess.run(
        f"{sys.executable} -m springline.cli.main --help | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout in ("0\n", "141\n")
