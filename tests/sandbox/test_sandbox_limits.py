"""Rate limits and the log of arrivals."""

import asyncio

from tests.sandbox.sandbox_client import SandboxClient

from springline.sandbox.stripe.limits import LIVE_LIMITS, TEST_LIMITS, Limiter, RateLimits


def test_a_sliding_window_never_admits_more() -> None:
    limiter = Limiter(RateLimits(account=5, interval_ms=1_000))
    admitted = []
    for step in range(400):
        at = step * 0.013
        if limiter.refusal("GET /v1/customers", arrived=at, unanswered=0) is None:
            admitted.append(at)
    for start in admitted:
        assert sum(1 for at in admitted if start <= at < start + 1) <= 5
    assert len(admitted) == 30
    assert limiter.refused == 400 - len(admitted)


def test_which_limit_refuses() -> None:
    limiter = Limiter(RateLimits(account=3, endpoint=2, concurrent=4))
    assert limiter.refusal("a", arrived=0, unanswered=0) is None
    assert limiter.refusal("a", arrived=0, unanswered=0) is None
    assert limiter.refusal("a", arrived=0, unanswered=0) == "endpoint-rate"
    assert limiter.refusal("b", arrived=0, unanswered=4) == "global-concurrency"
    assert limiter.refusal("b", arrived=0, unanswered=3) is None
    assert limiter.refusal("b", arrived=0.9, unanswered=0) == "global-rate"
    assert limiter.refusal("b", arrived=1.0, unanswered=0) is None


async def test_the_limit_of_an_account(stripe: SandboxClient) -> None:
    await stripe.control("POST", "/rate_limit", {"account": 4, "interval_ms": 60_000})
    await stripe.control("DELETE", "/arrivals")
    replies = await asyncio.gather(*(stripe.get("/v1/customers", limit=1) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200] * 4 + [429] * 6
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.error == {
        "code": "rate_limit",
        "doc_url": "https://stripe.com/docs/error-codes/rate-limit",
        "message": "Request rate limit exceeded.",
        "type": "invalid_request_error",
    }
    assert refused.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    assert "Retry-After" not in refused.headers
    arrivals = await stripe.control("GET", "/arrivals")
    assert [arrival["status"] for arrival in arrivals].count(429) == 6
    assert [arrival["at"] for arrival in arrivals] == sorted(arrival["at"] for arrival in arrivals)
    counters = await stripe.control("GET", "/counters")
    assert (counters["rate_limited"], counters["by_status"]) == (6, {"200": 4, "429": 6})
    await stripe.control("POST", "/rate_limit", {"account": 4, "interval_ms": 60_000, "retry_after_seconds": 2})
    assert (await stripe.get("/v1/customers")).headers["Retry-After"] == "2"
    await stripe.control("POST", "/rate_limit", {})
    assert (await stripe.get("/v1/customers")).status == 200


async def test_limits_of_accounts_and_modes_do_not_meet(stripe: SandboxClient) -> None:
    await stripe.control("POST", "/keys", {"key": "sk_live_1"})
    await stripe.control("POST", "/rate_limit", {"account": 0})
    assert (await stripe.get("/v1/customers")).status == 429
    assert (await stripe.get("/v1/customers", key="sk_live_1")).status == 200
    assert (await stripe.get("/v1/customers", key="nobody")).status == 401


async def test_limits_out_of_the_box(stripe: SandboxClient) -> None:
    await stripe.control("POST", "/reset", {})
    assert (await stripe.control("GET", "/rate_limit"))["account"] == TEST_LIMITS.account == 25
    live = await stripe.control("GET", "/rate_limit?livemode=true")
    assert (live["account"], live["endpoint"]) == (LIVE_LIMITS.account, LIVE_LIMITS.endpoint) == (100, 25)
    replies = await asyncio.gather(*(stripe.get("/v1/customers", limit=1) for _ in range(30)))
    assert [reply.status for reply in replies].count(429) == 5


async def test_arrivals(stripe: SandboxClient) -> None:
    await stripe.get("/v1/customers", limit=3)
    await stripe.control("DELETE", "/arrivals")
    await stripe.get("/v1/customers/cus_1", headers={"Stripe-Version": "2025-03-31.basil"})
    await stripe.get("/v1/events", {"types[]": "a.b"}, key="nobody")
    [first, second] = await stripe.control("GET", "/arrivals")
    assert (first["index"], first["method"], first["path"], first["status"]) == (1, "GET", "/v1/customers/cus_1", 404)
    assert (first["endpoint"], first["version"]) == ("GET /v1/customers/:id", "2025-03-31.basil")
    assert first["account"].startswith("acct_1")
    assert first["at"] < first["finished_at"]
    assert (second["status"], second["account"], second["query"]) == (401, None, "types%5B%5D=a.b")
    assert [arrival["index"] for arrival in await stripe.control("GET", "/arrivals?since=2")] == [2]


async def test_latency(stripe: SandboxClient) -> None:
    await stripe.control("POST", "/latency", {"ms": 30})
    await stripe.get("/v1/customers")
    [arrival] = await stripe.control("GET", "/arrivals")
    assert arrival["finished_at"] - arrival["at"] >= 0.029
