"""Every answer that is not what was asked for, in one shape."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from springline import telemetry
from springline.domain.errors import ERROR_CODES, Refused

log = telemetry.logger("api")


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`error` is one sentence a person can act on, `code` is stable, `docs` are pages about it. `fields` (only with
    422) maps each wrong field to sentences about it."""

    error: str
    code: str
    fields: dict[str, list[str]] | msgspec.UnsetType = msgspec.UNSET
    docs: tuple[str, ...]


class Problems:
    """The wrong fields of one request, gathered so that all are named at once."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}

    def add(self, field: str, sentence: str) -> None:
        """`sentence` goes on from the field's name: "must be …", "is …"."""
        sentences = self.fields.setdefault(field, [])
        if sentence not in sentences:
            sentences.append(sentence)

    def __bool__(self) -> bool:
        return bool(self.fields)

    def __contains__(self, field: str) -> bool:
        return field in self.fields

    def raise_if_any(self) -> None:
        """Raises Refused (422) with every field that was added."""
        if self.fields:
            raise Refused("request.invalid", _summary(self.fields), fields=self.fields)


def not_found(noun: str, shown_id: str) -> Refused:
    """The 404 of a noun whose id stands in the path."""
    words = "OAuth app" if noun == "oauth_app" else noun
    return Refused(f"{noun}.not_found", f"no {words} has the id {shown_id[:64]!r}")


def refused_field(field: str, sentence: str) -> Refused:
    """A 422 about one field."""
    problems = Problems()
    problems.add(field, sentence)
    return Refused("request.invalid", _summary(problems.fields), fields=problems.fields)


def error_response(refused: Refused, *, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells a client why not."""
    return _response(refused.code, refused.message, fields=refused.fields or None, headers=headers)


def unavailable_response(error: BaseException, *, method: str, path: str) -> Response:
    """The database is gone or coming back: what was asked may be asked again."""
    log.warning("request.database_unavailable", error=error, method=method, path=path)
    return _response(
        "service.unavailable",
        "the database cannot be reached at the moment; try again in a second",
        headers={"Retry-After": "1"},
    )


def failure_response(error: BaseException, *, method: str, path: str) -> Response:
    """A fault of ours. What it was is in the log, never in the answer."""
    log.error("request.failed", error=error, method=method, path=path)
    return _response("service.failed", "something went wrong on our side; the server's log says what")


def _response(
    code: str, message: str, *, fields: dict[str, list[str]] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    answer = ErrorAnswer(error=message, code=code, fields=fields or msgspec.UNSET, docs=(f"/docs#{code}",))
    return Response(
        msgspec.json.encode(answer),
        status_code=ERROR_CODES[code],
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def _summary(fields: Mapping[str, list[str]]) -> str:
    first = next(iter(fields))
    sentence = f"{first} {fields[first][0]}"
    return sentence if len(fields) == 1 else f"{sentence} (and {len(fields) - 1} more wrong: see fields)"
