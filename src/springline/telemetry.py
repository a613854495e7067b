"""Structured logging: one short event name and fields, as a line for people or as JSON for programs.

    log = telemetry.logger("worker")
    log.info("sync.backfilled", sync_id=sync.id, records=231)

Whatever the log call says, no line holds a secret (I9): `redact` is the last thing that a line passes.
"""

import json
import logging
import math
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePath
from types import TracebackType
from typing import IO, Any, Final, Literal
from uuid import UUID

_MASK: Final = "***"

#: A field, a value or a traceback longer than this is cut: a log is no place for documents.
_LONGEST: Final = 4_000

_USER_PART: Final = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s\"'<>]*@", re.IGNORECASE)
_QUERY: Final = re.compile(r"(/[^\s?#\"'<>]*)\?[^\s\"'<>]+")
#: Keys and tokens by their look: ours and the providers'. What stands in a group is kept: one sees what it was.
_TOKEN: Final = re.compile(
    r"""
    (-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----) [^-]* (?:-----END[ ][A-Z ]*-----)?
    | (\b(?:(?i:bearer)|Basic(?=\s+\S*[0-9A-Z=]))\s+) [^\s"',;]+
    | (\b(?:
        (?:sk|rk|pk)_(?:live|test)_ | whsec_ | spl_ | gh[opsur]_ | github_pat_ | lin_(?:api|oauth|wh)_
        | shp(?:at|ca|pa|ss)_ | pat-(?:na|eu|ap)\d- | SG\.(?=[\w-]{16}) | eyJ(?=[\w-]{8,}\.[\w-]{8,})
      )) [\w.-]+
    | (\bpat)[A-Za-z0-9]{14}\.[0-9a-f]{16,}
    | (["']?(?i:secret|password|token|api[-_]?key|authorization)["']?\s*[:=]\s*["']?(?:(?i:bearer|basic|token)\s+)?)
      (?=\S{6}) [^\s"',;&}]+
    """,
    re.VERBOSE,
)
_SECRET_FIELD: Final = re.compile(
    r"(?:^|_)(?:secret|password|token|authorization|cookie|(?:api|private|secret)_key)s?$", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text without secrets: keys and tokens keep their prefix, URLs lose their user part and their query."""
    text = _USER_PART.sub(rf"\1{_MASK}@", text)
    text = _QUERY.sub(r"\1", text)
    return _TOKEN.sub(lambda match: f"{next(filter(None, match.groups()), '')}{_MASK}", text)


class Log:
    """Writes events of one part of the program. Fields are numbers, strings, ids, times or structures of these; one
    whose name says that it holds a secret is masked. Never raises."""

    __slots__ = ("_logger",)

    def __init__(self, target: logging.Logger) -> None:
        self._logger = target

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, None, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, None, fields)

    def warning(self, event: str, /, *, error: BaseException | None = None, **fields: object) -> None:
        self._write(logging.WARNING, event, error, fields)

    def error(self, event: str, /, *, error: BaseException | None = None, **fields: object) -> None:
        """`error` is written as its type and message; its traceback only where the level is `debug`."""
        self._write(logging.ERROR, event, error, fields)

    def _write(self, level: int, event: str, error: BaseException | None, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            exc_info = (type(error), error, error.__traceback__) if error is not None else None
            self._logger.log(level, "%s", event, exc_info=exc_info, extra={"fields": fields})


def logger(name: str) -> Log:
    """The log of one part of the program, as `worker`. Costs nothing at import."""
    return Log(logging.getLogger(f"springline.{name}"))


def configure_logging(
    *,
    format: Literal["text", "json"] | None,  # noqa: A002 - the setting's name
    level: Literal["debug", "info", "warning", "error"],
    stream: IO[str],
    secrets: Iterable[str] = (),
) -> None:
    """Sends every log line of the process, other libraries' included, to `stream`. `format` None: text on a terminal,
    else JSON. `secrets` are masked wherever they stand, in addition to what looks like one. May be called again; the
    last call counts. Exceptions that nobody caught become log lines too."""
    shape = format or ("text" if _is_terminal(stream) else "json")
    handler = _Handler(stream)
    handler.setFormatter(_Formatter(shape, with_tracebacks=level == "debug", secrets=secrets))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    ours = getattr(logging, level.upper())
    root.setLevel(max(ours, logging.INFO if level == "debug" else logging.WARNING))
    logging.getLogger("springline").setLevel(ours)
    # Servers configure loggers of their own: one handler is enough.
    for foreign in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(foreign).handlers.clear()
        logging.getLogger(foreign).propagate = True
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda arguments: _log_uncaught(
        arguments.exc_type, arguments.exc_value, arguments.exc_traceback
    )


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        logger("process").error("process.exception_not_caught", error=error.with_traceback(trace))


def _is_terminal(stream: IO[str]) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


class _Handler(logging.StreamHandler[IO[str]]):
    """Writes lines; what the stream's encoding lacks is escaped, and a stream that is gone is no reason to fail."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            encoding = getattr(self.stream, "encoding", None) or "utf-8"
            self.stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + self.terminator)
            self.flush()
        except (OSError, ValueError, RecursionError):
            return


class _Formatter(logging.Formatter):
    def __init__(self, shape: Literal["text", "json"], *, with_tracebacks: bool, secrets: Iterable[str]) -> None:
        super().__init__()
        self._shape = shape
        self._with_tracebacks = with_tracebacks
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level, name, event = (
            record.levelname.lower(),
            record.name.removeprefix("springline."),
            self._clean(_message(record)),
        )
        fields = {field: self._plain(value, field) for field, value in getattr(record, "fields", {}).items()}
        _, error, _ = record.exc_info or (None, None, None)
        if error is not None:
            fields["error"] = self._clean(describe(error))
        trace = "".join(traceback.format_exception(error)) if error is not None and self._with_tracebacks else ""
        if self._shape == "json":
            line = {"time": at, "level": level, "logger": name, "event": event}
            line |= {field if field not in line else f"{field}_": value for field, value in fields.items()}
            return json.dumps(line | ({"traceback": self._clean(trace)} if trace else {}))
        pairs = "".join(f"  {field}={_quoted(value)}" for field, value in fields.items())
        text = f"{at}  {level:<7}  {name}  {_one_line(event)}{pairs}"
        return "\n".join([text, *map(_one_line, self._clean(trace).splitlines())])

    def _plain(self, value: object, name: str = "") -> Any:
        """A field's value as JSON can hold it, without secrets."""
        if name and _SECRET_FIELD.search(name) and value is not None:
            return _MASK
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Mapping):
            return {self._clean(str(key)): self._plain(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(inner) for inner in value]
        return self._clean(_text(value))

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return redact(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def describe(error: BaseException) -> str:
    """An exception in one line: its type and its message."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # another library's __str__
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # another library's arguments do not fit its own format
        return str(record.msg)


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} bytes)"  # a record's data, a key: nothing for a log
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, BaseException):
        return describe(value)
    if isinstance(value, str | UUID | PurePath | date):
        return str(value)
    return repr(value)


def _quoted(value: object) -> str:
    if isinstance(value, str):
        plain = value and value.isprintable() and not re.search(r"[\s\"=]", value)
        return value if plain else _one_line(json.dumps(value, ensure_ascii=False))
    return _one_line(json.dumps(value, ensure_ascii=False))


def _one_line(text: str) -> str:
    """Control characters would move the terminal's cursor or make a second line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
