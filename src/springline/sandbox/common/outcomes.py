"""How a request ends: with an answer, with part of one, or with a broken connection."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from springline.sandbox.common.faults import (
    ActiveFault,
    CutFault,
    HalfJsonFault,
    HtmlFault,
    ResetFault,
    StatusFault,
    TimeoutFault,
)

_HTML = (
    b"<!DOCTYPE html>\n<html><head><title>We will be back soon</title></head>\n"
    b"<body><h1>Something went wrong on our side</h1></body></html>\n"
)


class Answer(Protocol):
    """What goes back, laid out when it is sent."""

    status: int
    headers: dict[str, str]

    def text(self) -> bytes:
        """The body."""
        ...


@dataclass(slots=True)
class PlainAnswer:
    """A body that is laid out already."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def text(self) -> bytes:
        return self.body


@dataclass(slots=True)
class Outcome:
    """How a request ends: with an answer, with the first `cut_at` bytes of one, or with a broken connection."""

    answer: Answer | None
    cut_at: int | None = None


async def interrupt(
    fired: list[ActiveFault], *, applied: bool, error_answer: Callable[[StatusFault], Answer]
) -> Outcome | None:
    """The outcome of the first fault that takes the answer's place, or None.

    `applied` says whether the request has been carried out: faults wait for the one or the other moment.
    `error_answer` words a status as the provider does.
    """
    for active in fired:
        fault = active.fault
        if not isinstance(fault, StatusFault | TimeoutFault | ResetFault | HtmlFault) or fault.applied != applied:
            continue
        if isinstance(fault, StatusFault):
            return Outcome(error_answer(fault))
        if isinstance(fault, HtmlFault):
            return Outcome(PlainAnswer(fault.status, _HTML, {"Content-Type": "text/html; charset=utf-8"}))
        if isinstance(fault, TimeoutFault):
            await active.hold(fault.seconds)
        return Outcome(None)
    return None


def spoil(answer: Answer, fired: list[ActiveFault]) -> Outcome:
    """The answer on its way: whole, halved or cut off."""
    for active in fired:
        fault = active.fault
        if isinstance(fault, CutFault):
            return Outcome(answer, cut_at=int(len(answer.text()) * fault.share))
        if isinstance(fault, HalfJsonFault):
            body = answer.text()
            return Outcome(PlainAnswer(answer.status, body[: int(len(body) * fault.share)], answer.headers))
    return Outcome(answer)


async def send(request: web.Request, outcome: Outcome, *, headers: Mapping[str, str]) -> web.StreamResponse:
    """The response to hand to the server; `headers` give way to the answer's own."""
    answer = outcome.answer
    if answer is None:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    sent = {**headers, **answer.headers}
    if outcome.cut_at is None:
        return web.Response(status=answer.status, body=answer.text(), headers=sent)
    return await _cut_off(request, answer.text(), outcome.cut_at, status=answer.status, headers=sent)


async def _cut_off(
    request: web.Request, body: bytes, cut_at: int, *, status: int, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: min(cut_at, max(len(body) - 1, 0))])
    if request.transport is not None:
        # Closed, not aborted: what was written still goes out before the end of the connection.
        request.transport.close()
    return response
