"""What GitHub's answers mean: what to do next, and for how long to wait."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.octokit import recorded

from springline.domain.errors import (
    CredentialDead,
    CursorLost,
    Moved,
    NotFound,
    NotPermitted,
    ProviderBroken,
    ProviderError,
    RequestRejected,
    RetryLater,
    SlowDown,
)
from springline.providers.github.answers import classify
from springline.providers.github.limits import HOUR, limits, read_limits
from springline.providers.vocabulary import Answer, LimitReading, Request

ISSUES = "/repos/acme/web/issues"
DATE = {"date": "Tue, 19 Jul 2022 04:00:00 GMT"}
SERVED = 1658203200
PRIMARY = "API rate limit exceeded for user ID 101. If you reach out to GitHub Support for help, please include …"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
NO_ACCESS = "Resource not accessible by personal access token"


def asked(
    status: int, message: str = "", *, path: str = ISSUES, headers: dict[str, str] | None = None, **fields: object
) -> ProviderError:
    body = json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest", **fields})
    error = classify(Request(path=path), Answer(status=status, headers=headers or {}, body=body.encode()))
    assert isinstance(error, ProviderError)
    assert error.status == status
    return error


@pytest.mark.parametrize(
    ("status", "message", "path", "expected"),
    [
        (401, "Bad credentials", "/user", CredentialDead),
        (403, "This installation has been suspended", ISSUES, CredentialDead),
        (403, "Sorry. Your account was suspended.", ISSUES, CredentialDead),
        (403, NO_ACCESS, ISSUES, NotPermitted),
        (403, "Resource not accessible by integration", ISSUES, NotPermitted),
        (403, "Must have push access to view repository collaborators.", ISSUES, NotPermitted),
        (403, "Dependabot alerts are disabled for this repository.", ISSUES, NotPermitted),
        (403, "Advanced Security must be enabled for this repository to use code scanning.", ISSUES, NotPermitted),
        (403, "Repository access blocked", ISSUES, NotPermitted),
        (404, "no analysis found", "/repos/acme/web/code-scanning/alerts", NotPermitted),
        (404, "Not Found", ISSUES, NotFound),
        (404, "Not Found", f"{ISSUES}/7", NotFound),
        (410, "This issue was deleted", f"{ISSUES}/7", NotFound),
        (410, "This issue was deleted", f"{ISSUES}/7/timeline", NotFound),
        (410, "Gone", f"{ISSUES}/7", NotFound),
        (410, "Issues are disabled for this repo", ISSUES, NotPermitted),
        (410, "Issues are disabled for this repo", f"{ISSUES}/7", NotPermitted),
        (409, "Git Repository is empty.", "/repos/acme/web/commits/abc", NotFound),
        (409, "Repository is being migrated.", ISSUES, RetryLater),
        (451, "Repository access blocked", ISSUES, NotPermitted),
        (422, "Invalid cursor", ISSUES, CursorLost),
        (
            422,
            "Pagination with the page parameter is not supported for large datasets, please use cursor based "
            "pagination (after/before)",
            ISSUES,
            CursorLost,
        ),
        (422, "Validation Failed", ISSUES, RequestRejected),
        (422, "In order to keep the API fast for everyone, pagination is limited for this resource.", ISSUES,
         RequestRejected),
        (400, "'2030-01-01' is not a supported API version.", ISSUES, RequestRejected),
        (500, "Server Error", ISSUES, RetryLater),
        (502, "Server Error", ISSUES, RetryLater),
        (503, "Service unavailable", ISSUES, RetryLater),
        (408, "Timeout", ISSUES, RetryLater),
        (304, "", ISSUES, ProviderBroken),
    ],
)  # fmt: skip
def test_what_to_do_next(status: int, message: str, path: str, expected: type[ProviderError]) -> None:
    error = asked(status, message, path=path)
    assert type(error) is expected
    assert message in error.words


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("message", "headers", "seconds"),
    [
        (SECONDARY, {"retry-after": "47"}, 47),
        (SECONDARY, {"retry-after": "47", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(SERVED + 900)}, 47),
        (SECONDARY, {"retry-after": "86400"}, 300),
        (SECONDARY, {"retry-after": "0"}, 60),
        (SECONDARY, {"retry-after": "soon"}, 60),
        (SECONDARY, {"retry-after": "-5"}, 60),
        (SECONDARY, {"retry-after": "nan"}, 60),
        (SECONDARY, {}, 60),
        ("You have triggered an abuse detection mechanism.", {}, 60),
        (PRIMARY, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(SERVED + 900)}, 901),
        (PRIMARY, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(SERVED + 90_000)}, 3600),
        (PRIMARY, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(SERVED - 900)}, 1),
        (PRIMARY, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 15}, 3600),
        (PRIMARY, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 400}, 60),
        (PRIMARY, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "midnight"}, 60),
        (PRIMARY, {"x-ratelimit-remaining": "0"}, 60),
        (PRIMARY, {}, 60),
    ],
)
def test_how_long_to_wait(status: int, message: str, headers: dict[str, str], seconds: float) -> None:
    error = asked(status, message, headers=DATE | headers)
    assert type(error) is SlowDown
    assert error.after_seconds == seconds


def test_without_a_clock_a_reset_is_not_believed() -> None:
    error = asked(403, PRIMARY, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(SERVED + 9)})
    assert isinstance(error, SlowDown)
    assert error.after_seconds == 60


def test_too_many_requests_says_so_even_without_words() -> None:
    error = classify(Request(path=ISSUES), Answer(status=429, headers={}, body=b""))
    assert type(error) is SlowDown
    assert error.after_seconds == 60


def test_no_permission_is_none_even_when_the_quota_is_used_up() -> None:
    assert type(asked(403, NO_ACCESS, headers=DATE | {"x-ratelimit-remaining": "0"})) is NotPermitted


def test_what_is_missing_is_said() -> None:
    needs = asked(403, NO_ACCESS, headers={"x-accepted-github-permissions": "issues=read; pull_requests=read"})
    assert needs.words == f"{NO_ACCESS}. It takes the permissions issues=read or pull_requests=read."
    scopes = asked(403, "Must have admin rights.", headers={"x-accepted-oauth-scopes": "admin:org, read:org"})
    assert scopes.words == "Must have admin rights. It takes one of the scopes admin:org, read:org."


def test_single_sign_on_is_explained_without_its_link() -> None:
    url = "https://github.com/orgs/acme/sso?authorization_request=SECRET"
    error = asked(
        403, "Resource protected by organization SAML enforcement.", headers={"x-github-sso": f"required; url={url}"}
    )
    assert type(error) is NotPermitted
    assert "single sign-on" in error.words
    assert "SECRET" not in error.words


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_no_deletion(status: int) -> None:
    to = "https://api.github.com/repositories/515436299"
    error = asked(status, "Moved Permanently", headers={"location": to})
    assert type(error) is Moved
    assert error.location == to


def test_a_server_that_names_its_time_is_believed_within_bounds() -> None:
    for said, seconds in (("5", 5.0), ("5000", 300.0), ("", None)):
        error = asked(503, "Unavailable", headers={"retry-after": said})
        assert isinstance(error, RetryLater)
        assert error.after_seconds == seconds


def test_the_field_at_fault_and_the_request_id_are_kept() -> None:
    error = asked(
        422,
        "Validation Failed",
        errors=[{"resource": "Issue", "field": "since", "code": "invalid"}],
        headers={"x-github-request-id": "0683:13C7"},
    )
    assert isinstance(error, RequestRejected)
    assert error.parameter == "since"
    assert error.request_id == "0683:13C7"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html><body>Unicorn!</body></html>", b'{"message":"Not Fo', b"[]", b'"x"', b'{"message":5}', b"\xff",
     b'{"message":null}', b"[" * 5000],
)  # fmt: skip
@pytest.mark.parametrize(
    ("status", "expected"),
    [(301, Moved), (400, ProviderBroken), (401, CredentialDead), (403, NotPermitted), (404, NotFound),
     (422, ProviderBroken), (502, RetryLater), (504, RetryLater)],
)  # fmt: skip
def test_what_is_no_answer_of_github(body: bytes, status: int, expected: type[ProviderError]) -> None:
    error = classify(Request(path=ISSUES), Answer(status=status, headers={}, body=body))
    assert type(error) is expected
    assert error.args[0] == f"HTTP {status} with a body that is no GitHub error"


HEADERS = st.dictionaries(
    st.sampled_from(
        ["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "date", "x-github-sso", "location",
         "x-accepted-github-permissions", "x-accepted-oauth-scopes"]
    ),
    st.one_of(st.text(max_size=20), st.integers().map(str), st.floats().map(str), st.just("0"), st.just(DATE["date"])),
)  # fmt: skip
MESSAGES = st.one_of(st.text(), st.sampled_from([PRIMARY, SECONDARY, NO_ACCESS]))
BODIES = st.one_of(
    st.binary(max_size=40), MESSAGES.map(lambda message: json.dumps({"message": message, "errors": message}).encode())
)


def test_what_is_left_of_the_hour_is_read_from_recorded_answers() -> None:
    path, answer = recorded("paginate-issues")[0]
    (reading,) = read_limits(Request(path=path), answer)
    # Recorded on 19 Jul 2022 at 04:39:16; the hour ended at 05:36:39.
    assert reading == LimitReading(window=HOUR, remaining=4922, reset_seconds=3444.0, allowed_requests=5000)
    assert reading.window in [limit.name for limit in limits({})]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-remaining": "many"},
        {"x-ratelimit-remaining": "-1"},
        {"x-ratelimit-remaining": "9" * 20},
        {"x-ratelimit-remaining": "0", "x-ratelimit-resource": "search"},
    ],
)
def test_other_limits_say_nothing_of_the_hour(headers: dict[str, str]) -> None:
    assert read_limits(Request(path=ISSUES), Answer(status=200, headers=headers, body=b"")) == ()


def test_a_read_that_finds_nothing_changed_is_free() -> None:
    hour, minute = limits({})
    assert (hour.allowed_requests, hour.interval, hour.uncounted_statuses) == (5000, 3600.0, (304,))
    assert (minute.allowed_requests, minute.interval, minute.max_concurrent_requests) == (900, 60.0, 100)
    assert dict(minute.costs) == {"POST": 5, "PATCH": 5, "PUT": 5, "DELETE": 5}


@given(st.integers(300, 599), HEADERS, BODIES, st.sampled_from([ISSUES, f"{ISSUES}/7", "/user"]))
def test_no_answer_raises_and_no_wait_is_absurd(status: int, headers: dict[str, str], body: bytes, path: str) -> None:
    answer = Answer(status=status, headers=headers, body=body)
    for reading in read_limits(Request(path=path), answer):
        assert reading.reset_seconds is None or reading.reset_seconds >= 1
    error = classify(Request(path=path), answer)
    assert isinstance(error, ProviderError)
    if isinstance(error, RetryLater) and error.after_seconds is not None:
        assert 0 <= error.after_seconds <= 3600
    if isinstance(error, SlowDown):
        assert error.after_seconds is not None
        assert error.after_seconds >= 0
