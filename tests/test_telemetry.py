"""Logging: one line per event, for people and for programs, and no secret in it."""

import io
import json
import logging
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from springline import telemetry


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, ours = list(root.handlers), root.level, logging.getLogger("springline").level
    hooks = (sys.excepthook, threading.excepthook)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("springline").setLevel(ours)
    sys.excepthook, threading.excepthook = hooks


def configured(
    shape: Literal["text", "json"] | None = "text",
    level: Literal["debug", "info", "warning", "error"] = "info",
    *secrets: str,
) -> io.StringIO:
    stream = io.StringIO()
    telemetry.configure_logging(format=shape, level=level, stream=stream, secrets=secrets)
    return stream


def a_failure() -> Exception:
    try:
        next(iter(()))
    except StopIteration as cause:
        return RuntimeError("cannot go on").with_traceback(cause.__traceback__)


def test_text_is_one_line_with_event_and_fields() -> None:
    stream = configured()
    telemetry.logger("worker").info(
        "sync.backfilled", sync_id="s1", records=231, took=timedelta(seconds=1.5), note="a b"
    )
    time, rest = stream.getvalue().split("  ", 1)
    assert datetime.fromisoformat(time).tzinfo == UTC
    assert rest == 'info     worker  sync.backfilled  sync_id=s1  records=231  took=1.5s  note="a b"\n'


def test_json_is_one_object_per_line() -> None:
    stream = configured("json")
    sync_id = uuid.uuid4()
    telemetry.logger("worker").warning(
        "x",
        sync_id=sync_id,
        at=datetime(2026, 1, 2, tzinfo=UTC),
        share=float("nan"),
        parts=[1, {"a": None}],
        data=b"abc",
    )
    line = json.loads(stream.getvalue())
    assert {**line, "time": ""} == {
        "time": "",
        "level": "warning",
        "logger": "worker",
        "event": "x",
        "sync_id": str(sync_id),
        "at": "2026-01-02T00:00:00Z",
        "share": "nan",
        "parts": [1, {"a": None}],
        "data": "(3 bytes)",
    }


def test_without_a_terminal_the_default_is_json() -> None:
    stream = configured(None)
    telemetry.logger("worker").info("x")
    assert json.loads(stream.getvalue())["event"] == "x"


def test_a_field_may_have_the_name_of_a_column() -> None:
    stream = configured("json")
    telemetry.logger("worker").info("x", event="y", level=3)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["event_"], line["level"], line["level_"]) == ("x", "y", "info", 3)


def test_the_level_is_kept_and_other_libraries_are_quieter() -> None:
    stream = configured("text", "info")
    telemetry.logger("worker").debug("hidden")
    logging.getLogger("someone.else").info("hidden")
    logging.getLogger("someone.else").warning("shown %s", 1)
    assert "hidden" not in stream.getvalue()
    assert "someone.else  shown 1" in stream.getvalue()


def test_a_traceback_is_for_debug_only() -> None:
    stream = configured("text", "info")
    telemetry.logger("worker").error("worker.failed", error=a_failure())
    logging.getLogger("asyncio").error("never retrieved", exc_info=a_failure())
    assert stream.getvalue().count('error="RuntimeError: cannot go on"') == 2
    assert "Traceback" not in stream.getvalue()
    stream = configured("text", "debug")
    telemetry.logger("worker").error("worker.failed", error=a_failure())
    assert "Traceback" in stream.getvalue()
    stream = configured("json", "debug")
    telemetry.logger("worker").error("worker.failed", error=a_failure())
    assert "Traceback" in json.loads(stream.getvalue())["traceback"]


def test_an_exception_that_nobody_caught_is_one_line() -> None:
    stream = configured("text", "info")
    error = a_failure()
    sys.excepthook(type(error), error, error.__traceback__)
    assert 'process.exception_not_caught  error="RuntimeError: cannot go on"' in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_control_characters_and_lone_surrogates_do_not_reach_the_terminal() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    telemetry.configure_logging(format="text", level="info", stream=stream)
    telemetry.logger("worker").info("x", name="a\x1b[2J\nb\x9b", odd="\udc80", plain="é")
    line = raw.getvalue().decode("ascii")
    assert line.count("\n") == 1
    assert "\x1b" not in line


def test_a_stream_that_is_gone_is_no_reason_to_fail(capsys: pytest.CaptureFixture[str]) -> None:
    stream = configured()
    stream.close()
    telemetry.logger("worker").info("x")
    assert capsys.readouterr() == ("", "")


def test_configuring_twice_writes_once() -> None:
    configured()
    stream = configured()
    telemetry.logger("worker").info("x")
    assert stream.getvalue().count("x\n") == 1


SECRETS: list[Any] = [
    "sk_live_HUNTER22abc",
    "sk_test_HUNTER22",
    "rk_live_HUNTER22",
    "whsec_HUNTER22",
    "spl_HUNTER22-_x",
    "ghp_HUNTER22",
    "github_pat_HUNTER22_x",
    "lin_api_HUNTER22",
    "shpat_HUNTER22",
    "pat-na1-HUNTER22-1234",
    "eyJHUNTER22abc.HUNTER22abc.HUNTER22",
    "Authorization: Bearer HUNTER22",
    "authorization: bearer HUNTER22",
    '{"Authorization": "Basic SFVOVEVSMjI6HUNTER22"}',
    "'secret': 'HUNTER22'",
    "client_secret=HUNTER22&a=b",
    "https://api.example.com/v1/x?key=HUNTER22",
    "GET /v1/events?code=HUNTER22 HTTP/1.1",
    "https://user:HUNTER22@example.com/x?y=HUNTER22",
    "https://api.example.com/sk_live_HUNTER22/x?y=1",
    "postgresql://u:HUNTER22/x@h:5432/d",
    "-----BEGIN RSA PRIVATE KEY-----\nHUNTER22\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nHUNTER22, cut off",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_reaches_a_line(text: str) -> None:
    assert "HUNTER22" not in telemetry.redact(text)
    for shape in ("text", "json"):
        stream = configured(shape, "debug")
        log = telemetry.logger("worker")
        log.info("x", words=text, nested={"list": [text], text: 1}, error_like=ValueError(text))
        log.error(text, error=ValueError(text))
        logging.getLogger("someone.else").warning("failed: %s", text)
        assert "HUNTER22" not in stream.getvalue()


def test_a_field_that_is_named_as_a_secret_is_masked_whatever_it_holds() -> None:
    stream = configured()
    telemetry.logger("worker").info("x", token="HUNTER22", properties={"api_key": "HUNTER22"}, client_secret="HUNTER22")
    assert "HUNTER22" not in stream.getvalue()


def test_the_installation_s_own_secrets_are_masked_wherever_they_stand() -> None:
    stream = configured("json", "info", "correcthorsebattery", "")
    telemetry.logger("worker").info("sent correcthorsebattery", words="xcorrecthorsebatteryx")
    assert "correcthorsebattery" not in stream.getvalue()


def test_what_is_no_secret_stays() -> None:
    for text in ("Basic authentication is needed", "the token of the organisation", "/v1/records", "why? because"):
        assert telemetry.redact(text) == text


def test_a_long_value_is_cut() -> None:
    stream = configured()
    telemetry.logger("worker").info("x", words="y" * 100_000)
    assert len(stream.getvalue()) < 5_000
