"""`springline demo` as a real process: the story, its end, and that nothing is left of it, however it ends."""

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from tests.support.serving import environment, running, springline

CUSTOMERS = 120


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the demo keeps what it makes; empty and in nobody's command line afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="springline-test-"))
    # PostgreSQL does not run as root; whoever it then runs as must reach the demo's directory.
    directory.chmod(0o755)
    yield directory
    left = list(directory.iterdir())
    shutil.rmtree(directory)
    assert left == []
    assert commands_that_name(directory) == []


def commands_that_name(directory: Path) -> list[str]:
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [command for command in commands if str(directory) in command]


def demo(temporary: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        springline("demo", *arguments),
        env=of(temporary, **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def of(temporary: Path, **variables: str) -> Mapping[str, str]:
    return environment(TMPDIR=str(temporary), **variables)


def test_the_whole_story(temporary: Path) -> None:
    told = demo(temporary, "--customers", str(CUSTOMERS))
    assert (told.returncode, told.stderr) == (0, ""), told.stderr + told.stdout
    lines = told.stdout.splitlines()
    assert [line[0] for line in lines if re.match(r"\d  ", line)] == list("1234567")
    assert sum("curl http://127.0.0.1:" in line for line in lines) == 4
    held = [line.split() for line in lines if "held after" in line]
    assert sorted(words[0] for words in held) == ["created"] * 3 + ["deleted"] * 3 + ["updated"] * 10
    assert all(0 <= float(words[4].replace(",", "")) < 5000 for words in held)
    assert any(f"{CUSTOMERS} customers, every field equal" in line and "none twice" in line for line in lines)
    assert re.search(r"16 changes, each in the consumer's hands after [\d,]+ to [\d,]+ ms", told.stdout)
    assert "\r" not in told.stdout
    assert "\x1b" not in told.stdout


@pytest.mark.parametrize(
    ("number", "when"),
    [
        (signal.SIGINT, "a sandbox that fakes Stripe"),
        (signal.SIGTERM, "5  The backfill begins"),
        (signal.SIGINT, "held after"),
    ],
)
def test_a_signal_ends_it_cleanly(temporary: Path, number: signal.Signals, when: str) -> None:
    with running("demo", "--customers", str(CUSTOMERS), env=of(temporary)) as process:
        process.line(when)
        assert process.stop(number) == 128 + number
        assert process.errors == "\nstopping; the temporary data is removed\n"


def test_an_account_is_only_read(temporary: Path) -> None:
    """The sandbox stands for the account, with a live key as an account has one."""
    with running("sandbox", "stripe", "--port", "0", "--customers", "10", env=environment()) as sandbox:
        url = sandbox.line("Stripe sandbox at").split()[3].rstrip(",")
        key = temporary.parent / f"{temporary.name}.key"
        key.write_text("sk_test_HUNTER22\n")
        try:
            with running(
                *("demo", "--stripe-key", f"@{key}"), env=of(temporary, SPRINGLINE_STRIPE_BASE_URL=url)
            ) as process:
                lines = [process.line("it only reads"), process.line("sk_test_…"), process.line("6  Changes")]
                assert not any("HUNTER22" in line for line in lines)
                assert process.stop(signal.SIGTERM) == 143
                assert "HUNTER22" not in process.errors
        finally:
            key.unlink()
        import json
        import urllib.request

        with urllib.request.urlopen(f"{url}/_sandbox/stripe/arrivals") as response:
            methods = {arrival["method"] for arrival in json.load(response)}
        assert methods == {"GET"}


def test_a_dead_key_is_one_clear_line(temporary: Path) -> None:
    with running("sandbox", "stripe", "--port", "0", "--customers", "0", env=environment()) as sandbox:
        url = sandbox.line("Stripe sandbox at").split()[3].rstrip(",")
        import json
        import urllib.request

        order = json.dumps({"key": "sk_live_HUNTER22", "state": "revoked"}).encode()
        request = urllib.request.Request(f"{url}/_sandbox/stripe/keys", data=order)
        with urllib.request.urlopen(request) as response:
            response.read()
        told = demo(
            temporary,
            *("--stripe-key", "env"),
            SPRINGLINE_STRIPE_BASE_URL=url,
            STRIPE_API_KEY="sk_live_HUNTER22",
        )
    assert told.returncode == 1
    assert told.stderr.startswith("error: ")
    assert len(told.stderr.splitlines()) == 1
    assert "HUNTER22" not in told.stdout + told.stderr


def test_a_reader_that_goes_away_ends_it(temporary: Path) -> None:
    command = " ".join(springline("demo", "--customers", str(CUSTOMERS)))
    done = subprocess.run(
        ["/bin/bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
        env=dict(of(temporary)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout.splitlines()[1:], done.stderr) == (["141"], "")
