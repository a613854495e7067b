"""What a command prints: tables for people, exact JSON for programs, nothing that commands a terminal."""

import io
import os
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from springline.cli import output
from springline.cli.errors import CommandFailed
from springline.cli.main import commands, run


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("name", "records", "at"), [("main", 1234567, None), ("a\x1b[2Jb", 5, True)], empty="none")
    assert capsys.readouterr().out.splitlines() == [
        "name       records    at",
        "main       1,234,567  –",
        "a\\x1b[2Jb  5          yes",
    ]


def test_an_empty_table_says_what_to_do_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("name",), [], empty="make one: springline streams create main")
    assert capsys.readouterr() == ("", "make one: springline streams create main\n")


def test_cells() -> None:
    assert output.cell(datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=timezone(timedelta(hours=1)))) == (
        "2026-01-02 02:04:05Z"
    )
    assert output.cell(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02 00:00:00Z"
    assert output.cell(timedelta(seconds=1.5)) == "1.5 s"
    assert output.cell({"plan": "gold"}) == '{"plan":"gold"}'
    assert output.cell(["a", "b"]) == "a, b"
    assert output.cell([]) == "–"
    assert output.cell(30.0) == "30"
    assert output.cell("12345678901234567890") == "12345678901234567890"


def test_details_have_one_value_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_details({"name": "main", "external id": None, "collections": ["a", "b"]})
    assert capsys.readouterr().out == "name         main\ncollections  a\n             b\n"


def test_json_is_printed_byte_for_byte(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", os.fdopen(os.dup(1), "w"))
    output.print_json(b'{"a": 1.10, "b": "\\u0000\xc3\xa9"}')
    sys.stdout.close()
    assert capfdbinary.readouterr().out == b'{"a": 1.10, "b": "\\u0000\xc3\xa9"}\n'


def test_a_json_line_has_no_line_break_and_the_same_value() -> None:
    assert output.one_line(b'{\r\n  "a": "x\\ny"\n}') == b'{    "a": "x\\ny" }'


def test_a_snippet_is_one_short_printable_line() -> None:
    assert output.snippet(b'{\n  "id": "cus_1",\n  "name": "A\\u001b"\n}') == '{ "id": "cus_1", "name": "A\\u001b" }'
    assert len(output.snippet(b"x" * 500)) == output.SNIPPET
    assert output.snippet("é".encode()[:1]) == "�"
    assert "\x1b" not in output.snippet(b"\x1b[2J")


def test_a_fault_is_one_line_and_debug_shows_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPRINGLINE_LOG_LEVEL", raising=False)
    output.say_fault(KeyError("sk_live_HUNTER22"))
    assert capsys.readouterr().err == (
        "error: KeyError: 'sk_live_***' (a fault in Springline; SPRINGLINE_LOG_LEVEL=debug shows where)\n"
    )
    monkeypatch.setenv("SPRINGLINE_LOG_LEVEL", "debug")
    try:
        raise KeyError("sk_live_HUNTER22")  # noqa: TRY301
    except KeyError as error:
        output.say_fault(error)
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "HUNTER22" not in err


@pytest.mark.parametrize(
    ("raised", "code", "err"),
    [
        (CommandFailed("no such thing"), 1, "error: no such thing\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            RuntimeError("x"),
            1,
            "error: RuntimeError: x (a fault in Springline; SPRINGLINE_LOG_LEVEL=debug shows where)\n",
        ),
    ],
)
def test_what_becomes_of_an_error(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    code: int,
    err: str,
) -> None:
    monkeypatch.delenv("SPRINGLINE_LOG_LEVEL", raising=False)

    def fail() -> None:
        raise raised

    monkeypatch.setattr(commands.commands["migrate"], "callback", fail)
    assert run(["migrate"]) == code
    assert capsys.readouterr() == ("", err)


def test_a_commands_exit_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.commands["migrate"], "callback", lambda: 3)
    assert run(["migrate"]) == 3


def test_a_terminal_that_lacks_a_character_gets_it_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.prepare()
    output.say("é – ü")
    assert raw.getvalue() == b"\\xe9 \\u2013 \\xfc\n"
