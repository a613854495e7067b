"""The limits that providers publish, and what their answers say of them."""

import pytest

from springline.domain.errors import RetryLater, SlowDown
from springline.engine.quotas import CredentialQuota
from springline.providers.stripe import stripe
from springline.providers.stripe.answers import classify, read_limits
from springline.providers.stripe.limits import ACCOUNT, ENDPOINT, limits
from springline.providers.vocabulary import Answer, LimitReading, LimitWindow, Request

LISTS = Request(path="/v1/customers")


def refused(**headers: str) -> Answer:
    body = b'{"error": {"message": "Request rate limit exceeded.", "code": "rate_limit"}}'
    return Answer(status=429, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


@pytest.mark.parametrize(
    ("secret", "per_second"), [("sk_live_x", 100), ("rk_live_x", 100), ("sk_test_x", 25), (None, 25)]
)
def test_stripe_allows_more_in_live_mode(secret: str | None, per_second: int) -> None:
    account, endpoint = limits({} if secret is None else {"secret": secret})
    assert (account.name, account.allowed_requests, account.interval) == (ACCOUNT, per_second, 1.0)
    assert (endpoint.name, endpoint.allowed_requests) == (ENDPOINT, 25)
    assert stripe.credential_kinds[0].limits is limits


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/v1/customers", "/v1/customers", True),
        ("/v1/customers/cus_1", "/v1/customers/cus_2", True),
        ("/v1/plans/gold", "/v1/plans/silver", True),
        ("/v1/issuing/cards/ic_1", "/v1/issuing/cards/ic_2", True),
        ("/v1/customers/cus_1/sources", "/v1/customers/cus_2/sources", True),
        ("/v1/customers", "/v1/customers/cus_1", False),
        ("/v1/customers", "/v1/products", False),
        ("/v1/issuing/cards", "/v1/issuing/cards/ic_1", False),
        ("/v1/issuing/cards", "/v1/issuing/disputes", False),
        ("/v1/customers/cus_1", "/v1/customers/cus_1/sources", False),
        ("/v1/invoices/in_1/pay", "/v1/invoices/in_1/void", False),
    ],
)
def test_each_of_stripe_s_operations_has_a_limit_of_its_own(one: str, other: str, same: bool) -> None:
    quota = CredentialQuota("credential:1", limits({}), clock=lambda: 0.0)
    (first,) = [draw.limit for draw in quota.draws(Request(path=one), None) if draw.limit.name == ENDPOINT]
    (second,) = [draw.limit for draw in quota.draws(Request(path=other), None) if draw.limit.name == ENDPOINT]
    (write,) = [
        draw.limit for draw in quota.draws(Request(method="POST", path=one), None) if draw.limit.name == ENDPOINT
    ]
    assert (first is second) == same
    assert write is not first


def test_a_thousand_endpoints_are_not_kept() -> None:
    now = 0.0
    window = LimitWindow(name="endpoint", allowed_requests=5, path=r"/(\w+)")
    quota = CredentialQuota("credential:1", (window,), clock=lambda: now)
    for number in range(1000):
        quota.draws(Request(path=f"/a{number}"), None)
    assert len(quota.limits.all) <= 257


@pytest.mark.parametrize(
    ("reason", "window"),
    [
        ("global-rate", ACCOUNT),
        ("global-concurrency", ACCOUNT),
        ("endpoint-rate", ENDPOINT),
        ("endpoint-concurrency", ENDPOINT),
        ("resource-specific", ENDPOINT),
    ],
)
def test_stripe_says_which_limit_refused(reason: str, window: str) -> None:
    (reading,) = read_limits(LISTS, refused(stripe_rate_limited_reason=reason, retry_after="7"))
    assert reading == LimitReading(window=window, is_exceeded=True, after_seconds=7.0, because=f"429, {reason}")


def test_without_a_reason_it_is_the_whole_account_or_one_object() -> None:
    assert read_limits(LISTS, refused()) == ()
    assert isinstance(classify(LISTS, refused()), SlowDown)
    locked = Answer(status=429, headers={}, body=b'{"error": {"message": "in use", "code": "lock_timeout"}}')
    assert read_limits(LISTS, locked) == ()
    assert type(classify(LISTS, locked)) is RetryLater
    assert read_limits(LISTS, Answer(status=200, headers={}, body=b"{}")) == ()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "limits nothing"),
        ({"allowed_requests": -1}, "must not be negative"),
        ({"allowed_requests": 5, "interval": 0.0}, "must not be negative"),
        ({"allowed_requests": 5, "interval": 3600.0, "path": "/(a|b)"}, "at most 10 s long"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_at_once(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LimitWindow(name="limit", **wrong)  # type: ignore[arg-type]
