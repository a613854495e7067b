"""A running Springline for the commands to speak to."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.serving import Served, served

from springline.cli.main import run

CUSTOMERS = 40


@pytest.fixture(scope="module")
def springline_server() -> Iterator[Served]:
    with served(customers=CUSTOMERS) as running:
        yield running


class Cli:
    """Runs commands in this process, against the running server."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def ok(self, *arguments: str) -> str:
        """What a command that succeeds prints."""
        code = run(arguments)
        out, err = self._capsys.readouterr()
        assert code == 0, err
        return out

    def value(self, *arguments: str) -> Any:
        """What a command answers as JSON."""
        return json.loads(self.ok(*arguments, "--json"))

    def fails(self, *arguments: str, code: int = 1) -> str:
        """What a command that fails says."""
        assert run(arguments) == code
        out, err = self._capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        return err

    def said(self, run_it: Callable[[], object]) -> tuple[str, str]:
        """stdout and stderr of whatever runs."""
        run_it()
        out, err = self._capsys.readouterr()
        return out, err


@pytest.fixture
def cli(springline_server: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name in [name for name in os.environ if name.startswith("SPRINGLINE_")]:
        monkeypatch.delenv(name)
    for name, value in springline_server.env.items():
        if name.startswith("SPRINGLINE_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_commands")
    return Cli(capsys)
