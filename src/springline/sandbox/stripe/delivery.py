"""Sending an outcome with the headers that Stripe sends."""

from email.utils import formatdate

from aiohttp import web

from springline.sandbox.common.outcomes import Outcome, send


async def deliver(
    request: web.Request, outcome: Outcome, *, request_id: str, version: str, now: float
) -> web.StreamResponse:
    """The response to hand to the server. `now` (Unix seconds) becomes the Date header."""
    headers = {
        "Server": "nginx",
        "Date": formatdate(now, usegmt=True),
        "Content-Type": "application/json",
        "Cache-Control": "no-cache, no-store",
        "Request-Id": request_id,
        "Stripe-Version": version,
    }
    if outcome.answer is not None and 400 <= outcome.answer.status < 500:
        headers["Stripe-Should-Retry"] = "true" if outcome.answer.status == 409 else "false"
    return await send(request, outcome, headers=headers)
