"""The last requests of a sync, kept in a few bytes each: every sync of a process has such a log, idle ones too."""

import struct
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

import msgspec

#: So many requests are remembered.
MOST_REQUESTS: Final = 200
#: Which work of its sync a request is made for; a work's task sets it once, and the tasks that it starts inherit it.
CURRENT_WORK: Final[ContextVar[str]] = ContextVar("current_work", default="")

_METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE", "HEAD")
#: Length of the whole, start (Unix seconds), wait for a permit and duration (ms), status, method, lengths of the texts.
_HEAD: Final = struct.Struct("<HdIIHBBBBB")
_LONGEST_TEXT: Final = 255
_MOST_MS: Final = 2**32 - 1


class RequestMade(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a provider. `waited_ms`: for its permit; `ms`: from its start to the answer. `status` None: there
    was no answer, and `fault` says why. `path` is without its query."""

    at: datetime
    purpose: str
    work: str
    method: str
    path: str
    status: int | None
    ms: int
    waited_ms: int
    request_id: str | None = None
    fault: str | None = None


class UnderWay:
    """A request that waits for its permit, or for its answer (`sent_at` is set). Times are monotonic."""

    __slots__ = ("asked_at", "method", "path", "purpose", "sent_at", "work")

    def __init__(self, *, purpose: str, work: str, method: str, path: str) -> None:
        self.purpose = purpose
        self.work = work
        self.method = method
        self.path = path
        self.asked_at = time.monotonic()
        self.sent_at: float | None = None


class RequestLog:
    """Requests under way, and the last ones that ended: those one after the other in one array of bytes."""

    def __init__(self) -> None:
        self.under_way: set[UnderWay] = set()
        self._entries = bytearray()
        self._count = 0

    def begin(self, *, purpose: str, method: str, path: str) -> UnderWay:
        """A request begins to wait for its permit. `ended` or `given_up` must follow."""
        one = UnderWay(purpose=purpose, work=CURRENT_WORK.get(), method=method, path=path)
        self.under_way.add(one)
        return one

    def given_up(self, one: UnderWay) -> None:
        """Nothing waits for it any more; what was not sent is not remembered."""
        self.under_way.discard(one)

    def ended(
        self, one: UnderWay, *, status: int | None, request_id: str | None = None, fault: str | None = None
    ) -> None:
        """The request has its answer (a status), or will have none (a fault)."""
        self.under_way.discard(one)
        now = time.monotonic()
        sent_at = one.sent_at if one.sent_at is not None else now
        texts = [_encoded(text) for text in (one.purpose, one.work, one.path, request_id or "", fault or "")]
        method = _METHODS.index(one.method) if one.method in _METHODS else 0
        self._entries += _HEAD.pack(
            _HEAD.size + sum(map(len, texts)),
            time.time() - (now - sent_at),
            _ms(sent_at - one.asked_at),
            _ms(now - sent_at),
            status or 0,
            method,
            *map(len, texts[:4]),
        ) + b"".join(texts)
        self._count += 1
        if self._count > MOST_REQUESTS:
            del self._entries[: _HEAD.unpack_from(self._entries)[0]]
            self._count -= 1

    def list(self) -> list[RequestMade]:
        """Oldest first."""
        found = []
        at = 0
        while at < len(self._entries):
            length, started, waited_ms, ms, status, method, *lengths = _HEAD.unpack_from(self._entries, at)
            texts = []
            start = at + _HEAD.size
            for text_length in (*lengths, at + length - start - sum(lengths)):
                texts.append(self._entries[start : start + text_length].decode("utf-8", "replace"))
                start += text_length
            purpose, work, path, request_id, fault = texts
            found.append(
                RequestMade(
                    at=datetime.fromtimestamp(started, UTC),
                    purpose=purpose,
                    work=work,
                    method=_METHODS[method],
                    path=path,
                    status=status or None,
                    ms=ms,
                    waited_ms=waited_ms,
                    request_id=request_id or None,
                    fault=fault or None,
                )
            )
            at += length
        return found


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:_LONGEST_TEXT]


def _ms(seconds: float) -> int:
    return min(_MOST_MS, max(0, round(seconds * 1000)))
