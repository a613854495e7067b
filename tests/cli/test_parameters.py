"""Options: durations, rate limits, JSON objects, and secrets by where they come from."""

import io
import sys
from datetime import timedelta
from pathlib import Path

import click
import pytest

from springline.cli.errors import CommandFailed
from springline.cli.parameters import duration, json_object, rate_limit, read_secret
from springline.client.objects import RateLimit


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("1.5s", 1.5), ("5m", 300), ("1h", 3600), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 minutes", "1e3s", "99999999999s"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 500ms, 30s, 5m or 1h"):
        duration(text)


def test_rate_limits() -> None:
    assert rate_limit("100/60s") == RateLimit(allowed_requests=100, interval=60)
    assert rate_limit("50/s") == RateLimit(allowed_requests=50, interval=1)
    assert rate_limit("5000/1h") == RateLimit(allowed_requests=5000, interval=3600)
    assert rate_limit("10/30") == RateLimit(allowed_requests=10, interval=30)
    for text in ("5", "5/", "/5s", "a/5s", "5/5x"):
        with pytest.raises(click.BadParameter):
            rate_limit(text)


def test_json_objects(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"plan": "gold"}')
    assert json_object('{"plan": "gold"}') == json_object(f"@{tmp_path / 'm.json'}") == {"plan": "gold"}
    for text in ("gold", "[1]", "{", f"@{tmp_path}", f"@{tmp_path / 'none'}"):
        with pytest.raises(click.BadParameter):
            json_object(text)


def test_a_secret_from_each_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", " sk_test_1\n")
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_2")
    (tmp_path / "key").write_text("sk_test_3\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk_test_4\nmore\n"))
    assert read_secret("env:MY_KEY", option="--stripe-key") == "sk_test_1"
    assert read_secret("env", option="--stripe-key", variable="STRIPE_API_KEY") == "sk_test_2"
    assert read_secret(f"@{tmp_path / 'key'}", option="--stripe-key") == "sk_test_3"
    assert read_secret("-", option="--stripe-key") == "sk_test_4"
    assert capsys.readouterr().err == ""
    assert read_secret("sk_test_5", option="--stripe-key") == "sk_test_5"
    assert "process list" in capsys.readouterr().err


def test_a_place_that_holds_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CommandFailed, match="the environment variable MY_KEY holds no secret"):
        read_secret("env:MY_KEY", option="--stripe-key")
    with pytest.raises(CommandFailed, match="standard input holds no secret"):
        read_secret("-", option="--stripe-key")
    with pytest.raises(CommandFailed, match="No such file"):
        read_secret(f"@{tmp_path / 'none'}", option="--stripe-key")
    with pytest.raises(CommandFailed, match="it is no text"):
        read_secret(f"@{tmp_path / 'binary'}", option="--stripe-key")
