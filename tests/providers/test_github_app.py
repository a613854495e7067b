"""GitHub Apps: what is signed, what the answers mean, what is refused before anybody is asked."""

from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec
import pytest
from tests.support.hub_side import app_key, app_pem

from springline.domain.errors import AppRefused, CredentialDead, ProviderBroken, ProviderError, RetryLater, SlowDown
from springline.providers.github.app import GITHUB_APP, GITHUB_APP_FIELDS
from springline.providers.registry import PROVIDERS
from springline.providers.vocabulary import Answer, Request

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
APP = {"client_id": "Iv1.x", "app_id": 4711, "private_key": app_pem()}
PROPERTIES = {"installation_id": 17}
EXP = "'Expiration time' claim ('exp') is too far in the future"


def answered(status: int, body: Any = None, **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=given, body=msgspec.json.encode(body if body is not None else {}))


def classified(status: int, message: str = "", **headers: str) -> ProviderError:
    assert GITHUB_APP.grant is not None
    error = GITHUB_APP.grant.classify(Request(path="/"), answered(status, {"message": message}, **headers))
    assert isinstance(error, ProviderError)
    return error


def test_the_kind_is_one_of_github_s() -> None:
    assert PROVIDERS["github"].find_kind("github_app") is GITHUB_APP
    assert PROVIDERS["github"].oauth_app is GITHUB_APP_FIELDS


@pytest.mark.parametrize("pem", [app_pem(), app_pem().replace("\n", "\\n")])
def test_a_request_is_signed_for_ten_minutes_at_most(pem: str) -> None:
    assert GITHUB_APP.grant is not None
    request = GITHUB_APP.grant.request(PROPERTIES, {**APP, "private_key": pem}, NOW)
    assert (request.method, request.path) == ("POST", "/app/installations/17/access_tokens")
    authorization = dict(request.headers)["Authorization"]
    options: Any = {"verify_exp": False, "verify_iat": False}
    text = authorization.removeprefix("Bearer ")
    claims = jwt.decode(text, app_key().public_key(), algorithms=["RS256"], options=options)
    now = int(NOW.timestamp())
    assert claims == {"iss": "4711", "iat": now - 60, "exp": now + 540}


def test_a_key_that_cannot_be_used_is_the_apps_fault() -> None:
    assert GITHUB_APP.grant is not None
    with pytest.raises(AppRefused, match="private key cannot be used"):
        GITHUB_APP.grant.request(PROPERTIES, {**APP, "private_key": "-----BEGIN RSA PRIVATE KEY-----\nx"}, NOW)


def test_a_token_is_read() -> None:
    assert GITHUB_APP.grant is not None
    body = {"token": "ghs_1", "expires_at": "2026-11-23T13:00:00Z", "permissions": {}, "repository_selection": "all"}
    obtained = GITHUB_APP.grant.read(answered(201, body), NOW)
    assert obtained.access_token.reveal() == "ghs_1"
    assert obtained.expires_at == datetime(2026, 11, 23, 13, tzinfo=UTC)
    assert "ghs_1" not in repr(obtained)
    for wrong in ({}, {"token": "ghs_1"}, {"token": "ghs_1", "expires_at": "soon"}, ["ghs_1"]):
        with pytest.raises(ProviderBroken) as broken:
            GITHUB_APP.grant.read(answered(201, wrong), NOW)
        assert "ghs_1" not in str(broken.value)
    with pytest.raises(ProviderBroken, match="time zone"):
        GITHUB_APP.grant.read(answered(201, {"token": "ghs_1", "expires_at": "2026-11-23T13:00:00"}), NOW)


@pytest.mark.parametrize(
    ("status", "message", "kind", "is_doubtful"),
    [
        (404, "Not Found", CredentialDead, True),
        (403, "This installation has been suspended", CredentialDead, False),
        (403, "Resource not accessible by integration", CredentialDead, True),
        (401, "A JSON web token could not be decoded", AppRefused, False),
        (401, "Bad credentials", AppRefused, False),
        (404, "Integration not found", AppRefused, False),
        (401, EXP, RetryLater, None),
        (500, "", RetryLater, None),
        (503, "", RetryLater, None),
        (429, "", SlowDown, None),
        (403, "You have exceeded a secondary rate limit.", SlowDown, None),
    ],
)
def test_what_answers_mean(status: int, message: str, kind: type[ProviderError], is_doubtful: bool | None) -> None:
    error = classified(status, message)
    assert type(error) is kind
    if isinstance(error, CredentialDead):
        assert error.is_doubtful is is_doubtful
        assert error.remedy.endswith(".")
        assert "Replace its key" not in error.remedy


def test_limits_say_how_long() -> None:
    error = classified(403, "API rate limit exceeded", retry_after="7")
    assert isinstance(error, SlowDown)
    assert error.after_seconds == 7


def test_whose_installation_it_is_is_learnt() -> None:
    repository = {"id": 1, "owner": {"login": "acme", "type": "Organization"}}
    learnt = GITHUB_APP.learn(answered(200, {"total_count": 1, "repositories": [repository]}))
    assert learnt == {"account_type": "Organization", "account_login": "acme"}
    nothing: Any
    for nothing in ({"repositories": []}, {"repositories": [{}]}, []):
        assert GITHUB_APP.learn(answered(200, nothing)) == {}


def test_what_cannot_be_is_refused() -> None:
    assert GITHUB_APP.refuse({"installation_id": 17}) is None
    assert GITHUB_APP.refuse({"installation_id": -1}) is not None
    assert GITHUB_APP.refuse({"installation_id": 17, "account_type": "Team"}) is not None
    assert GITHUB_APP.account_of({"installation_id": 17}) == "17"
    assert GITHUB_APP_FIELDS.refuse(APP) is None
    assert GITHUB_APP_FIELDS.refuse({"client_secret": "s"}) is None
