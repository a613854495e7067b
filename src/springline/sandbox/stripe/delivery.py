"""Sending an outcome: whole, cut off, or not at all."""

from email.utils import formatdate

from aiohttp import web

from springline.sandbox.stripe.fault_effects import Outcome


async def deliver(
    request: web.Request, outcome: Outcome, *, request_id: str, version: str, now: float
) -> web.StreamResponse:
    """The response to hand to the server. `now` (Unix seconds) becomes the Date header."""
    answer = outcome.answer
    if answer is None:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    headers = {
        "Server": "nginx",
        "Date": formatdate(now, usegmt=True),
        "Content-Type": "application/json",
        "Cache-Control": "no-cache, no-store",
        "Request-Id": request_id,
        "Stripe-Version": version,
    }
    if 400 <= answer.status < 500:
        headers["Stripe-Should-Retry"] = "true" if answer.status == 409 else "false"
    headers |= answer.headers
    body = answer.text()
    if outcome.cut_at is None:
        return web.Response(status=answer.status, body=body, headers=headers)
    return await _cut_off(request, body, outcome.cut_at, status=answer.status, headers=headers)


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
