"""Requests to the GitHub sandbox: tokens, headers, versions, conditional reads, limits."""

import asyncio
import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.sandbox.github_client import TOKEN, GithubClient, links


async def test_a_request_needs_a_user_agent_a_token_and_a_known_version(github: GithubClient) -> None:
    nameless = await github.get("/user", headers={"User-Agent": ""})
    assert (nameless.status, b"User-Agent header" in nameless.body) == (403, True)
    nobody = await github.get("/user", token=None)
    assert (nobody.status, nobody.value["message"]) == (401, "Requires authentication")
    for token in ("nonsense", "ghs_nobody_minted_this"):
        bad = await github.get("/user", token=token)
        assert (bad.status, bad.value) == (
            401,
            {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"},
        )
    old = await github.get("/user", headers={"X-GitHub-Api-Version": "2019-01-01"})
    assert old.status == 400
    pinned = await github.get("/user", headers={"X-GitHub-Api-Version": "2022-11-28"})
    assert (pinned.status, pinned.headers["x-github-api-version-selected"]) == (200, "2022-11-28")
    assert pinned.headers["x-oauth-scopes"] == "repo, read:org"
    assert "x-oauth-scopes" not in (await github.get("/user", token="github_pat_x")).headers
    assert (await github.get("/nowhere")).status == 404


async def test_a_token_expires_is_revoked_and_restored(github: GithubClient) -> None:
    await github.control("POST", "/tokens", {"token": TOKEN, "expires_in_seconds": 60})
    assert "github-authentication-token-expiration" in (await github.get("/user")).headers
    github.clock.now += 61
    assert (await github.get("/user")).status == 401
    await github.control("POST", "/tokens", {"token": TOKEN, "expires_at": None})
    assert (await github.get("/user")).status == 200
    await github.control("POST", "/tokens", {"token": TOKEN, "state": "revoked"})
    assert (await github.get("/user")).status == 401
    await github.control("POST", "/tokens", {"token": TOKEN, "state": "active"})
    assert (await github.get("/user")).status == 200
    shown = await github.control("GET", "/tokens")
    assert [(token["text"], token["state"]) for token in shown] == [(TOKEN, "active")]


async def test_a_permission_is_lost_for_one_collection(github: GithubClient) -> None:
    web = await github.repository()
    await github.control("POST", "/tokens", {"token": TOKEN, "permissions": {"label": "none", "issues": "read"}})
    for path in ("labels", "labels/bug"):
        lost = await github.get(f"{web}/{path}")
        assert (lost.status, lost.value["message"]) == (403, "Resource not accessible by personal access token")
    assert (await github.get(f"{web}/issues")).status == 200
    assert (await github.request("POST", f"{web}/issues", body={"title": "x"})).status == 403
    await github.control("POST", "/tokens", {"token": TOKEN, "permissions": {}})
    assert (await github.get(f"{web}/labels")).status == 200
    unknown = await github.control_reply("POST", "/tokens", {"token": TOKEN, "permissions": {"nothing": "read"}})
    assert unknown.status == 400


async def test_a_token_sees_only_its_repositories(github: GithubClient) -> None:
    await github.repository()
    other = await github.repository("other")
    await github.control("POST", "/tokens", {"token": TOKEN, "repositories": ["acme/web"]})
    assert [row["name"] for row in await github.value("/orgs/acme/repos")] == ["web"]
    assert [row["name"] for row in await github.value("/user/repos")] == ["web"]
    assert (await github.get(f"{other}/issues")).status == 404
    await github.control("POST", "/tokens", {"token": TOKEN, "repositories": None})
    assert (await github.get(f"{other}/issues")).status == 200


async def test_another_user_lists_what_is_theirs(github: GithubClient) -> None:
    web = await github.repository()
    await github.control("POST", "/tokens", {"token": "ghp_ana", "login": "ana"})
    assert (await github.get("/user", token="ghp_ana")).value["login"] == "ana"
    assert (await github.get("/user/orgs", token="ghp_ana")).value == []
    assert (await github.get("/user/repos", token="ghp_ana")).value == []
    ana = await github.get("/users/ana")
    assert (await github.get(f"/user/{ana.value['id']}")).value == ana.value
    await github.control("POST", "/objects/collaborator", {"parent": "acme/web"})
    await github.write("PUT", "/orgs/acme/memberships/ana")
    assert [row["url"] for row in (await github.get("/user/repos", token="ghp_ana")).value] == [
        github.running.url + web
    ]


async def test_private_repositories_are_shown_to_who_has_to_do_with_them(github: GithubClient) -> None:
    web, _ = await github.repository(private=True), await github.repository("public")
    await github.control("POST", "/tokens", {"token": "ghp_ana", "login": "ana"})
    assert (await github.get(web, token="ghp_ana")).status == 404
    assert [row["name"] for row in (await github.get("/orgs/acme/repos", token="ghp_ana")).value] == ["public"]
    await github.write("PUT", "/orgs/acme/memberships/ana")
    assert (await github.get(web, token="ghp_ana")).status == 200
    for affiliation, names in (("owner", set()), ("organization_member,owner", {"web", "public"})):
        shown = await github.value("/user/repos", affiliation=affiliation)
        assert {row["name"] for row in shown} == names
    await github.write("DELETE", "/orgs/acme/members/ana")
    assert (await github.get(web, token="ghp_ana")).status == 404


async def test_organizations_as_tokens_see_them(github: GithubClient) -> None:
    assert [row["login"] for row in await github.value("/user/orgs")] == ["acme"]
    assert (await github.get("/user/orgs", token="github_pat_fine")).value == []
    acme = await github.value("/users/acme")
    whole = await github.value("/orgs/acme")
    assert (acme["type"], acme["id"]) == ("Organization", whole["id"])
    assert await github.value(f"/organizations/{whole['id']}") == whole
    team = await github.write("POST", "/orgs/acme/teams", name="Core")
    assert (await github.value(f"/organizations/{whole['id']}/team/{team['id']}"))["slug"] == "core"
    refused = await github.get("/installation/repositories")
    assert refused.status == 403


async def test_what_has_not_changed_is_not_sent_again(github: GithubClient) -> None:
    web = await github.repository()
    await github.control("POST", "/rate_limit", {"core": 100})
    for path in (f"{web}/labels", web, f"{web}/actions/runs"):
        first = await github.get(path)
        used = int(first.headers["x-ratelimit-used"])
        again = await github.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert int((await github.get(path)).headers["x-ratelimit-used"]) == used + 1
    tag = (await github.get(f"{web}/labels")).headers["etag"]
    await github.write("POST", f"{web}/labels", name="new")
    assert (await github.get(f"{web}/labels", headers={"If-None-Match": tag})).status == 200


async def test_the_primary_limit(github: GithubClient) -> None:
    await github.control("POST", "/rate_limit", {"core": 3})
    remaining = [(await github.get("/user")).headers["x-ratelimit-remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    refused = await github.get("/user", token="ghp_another_of_the_same_user")
    assert (refused.status, refused.value["message"].startswith("API rate limit exceeded for user ID")) == (403, True)
    assert refused.headers["x-ratelimit-remaining"] == "0"
    reset = int(refused.headers["x-ratelimit-reset"])
    assert reset == int(github.clock.now) + 3600
    assert "retry-after" not in refused.headers
    free = await github.value("/rate_limit")
    assert free["rate"] == {"limit": 3, "used": 3, "remaining": 0, "reset": reset, "resource": "core"}
    github.clock.now = reset
    assert (await github.get("/user")).headers["x-ratelimit-remaining"] == "2"


@pytest.mark.parametrize("limits", [{"arrivals": 2}, {"points": 2}, {"points": 6, "status": 429}, {"writes": 0}])
async def test_secondary_limits(github: GithubClient, limits: dict[str, Any]) -> None:
    web = await github.repository()
    await github.control("POST", "/rate_limit", {**limits, "retry_after_seconds": 7})
    for _ in range(limits.get("arrivals", 1)):
        assert (await github.get(web)).status == 200
    if limits.get("points") == 6:
        assert (await github.request("POST", f"{web}/issues", body={"title": "One"})).status == 201
    refused = await github.request("POST", f"{web}/issues", body={"title": "Two"})
    assert (refused.status, refused.headers["retry-after"]) == (limits.get("status", 403), "7")
    assert "secondary rate limit" in refused.value["message"]
    assert int(refused.headers["x-ratelimit-remaining"]) > 0
    assert (await github.control("GET", "/counters"))["rate_limited"] == 1


async def test_too_many_at_once(github: GithubClient) -> None:
    await github.control("POST", "/rate_limit", {"concurrent": 1})
    fault = await github.control("POST", "/faults", {"kind": "late_page", "match": {"times": 1}})
    held = asyncio.create_task(github.get("/user"))
    await github.control("GET", f"/faults/{fault['id']}/wait")
    assert (await github.get("/user")).status == 403
    await github.control("DELETE", "/faults")
    assert (await held).status == 200
    assert (await github.get("/user")).status == 200


class AppKey:
    """An app's key, and JWTs signed with it."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_pem(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def jwt(self, **claims: Any) -> str:
        parts = [_encoded(json.dumps(each).encode()) for each in ({"alg": "RS256", "typ": "JWT"}, claims)]
        signed = self.key.sign(".".join(parts).encode(), PKCS1v15(), SHA256())
        return ".".join([*parts, _encoded(signed)])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.fixture(scope="module")
def app_key() -> AppKey:
    return AppKey()


async def installed(github: GithubClient, key: AppKey, **more: Any) -> int:
    await github.control("POST", "/apps", {"id": 99, "public_key": key.public_pem})
    order = {"permissions": {"issues": "write", "contents": "read"}, **more}
    made: int = (await github.control("POST", "/apps/99/installations", order))["id"]
    return made


def claims(github: GithubClient, **changes: Any) -> dict[str, Any]:
    now = int(github.clock.now)
    return {"iat": now - 60, "exp": now + 540, "iss": "99", **changes}


async def test_an_app_mints_tokens_for_its_installations(github: GithubClient, app_key: AppKey) -> None:
    web, _ = await github.repository(private=True), await github.repository("app")
    installation = await installed(github, app_key)
    jwt = app_key.jwt(**claims(github))
    assert (await github.get("/app", token=jwt)).value["id"] == 99
    assert [each["id"] for each in (await github.get("/app/installations", token=jwt)).value] == [installation]
    minted = await github.request("POST", f"/app/installations/{installation}/access_tokens", token=jwt)
    token = minted.value["token"]
    assert (minted.status, token.startswith("ghs_")) == (201, True)
    listed = await github.get("/installation/repositories", token=token, per_page=1)
    assert (listed.value["total_count"], len(listed.value["repositories"])) == (2, 1)
    assert "next" in links(listed)
    assert (await github.request("POST", f"{web}/issues", body={"title": "x"}, token=token)).status == 201
    for path in (f"{web}/pulls", "/user", "/user/repos", "/user/orgs"):
        refused = await github.get(path, token=token)
        assert (refused.status, refused.value["message"]) == (403, "Resource not accessible by integration")
    assert (await github.get(f"{web}/labels", token=token)).status == 200
    github.clock.now += 3600
    assert (await github.get(f"{web}/labels", token=token)).status == 401


async def test_a_token_for_less(github: GithubClient, app_key: AppKey) -> None:
    web, app = await github.repository(), await github.repository("app")
    path = f"/app/installations/{await installed(github, app_key)}/access_tokens"
    jwt = app_key.jwt(**claims(github))
    order = {"repositories": ["web"], "permissions": {"issues": "read"}}
    minted = (await github.request("POST", path, body=order, token=jwt)).value
    assert [row["name"] for row in minted["repositories"]] == ["web"]
    assert (await github.get(f"{web}/labels", token=minted["token"])).status == 200
    assert (await github.get(f"{app}/labels", token=minted["token"])).status == 404
    assert (await github.get(f"{web}/commits", token=minted["token"])).status == 403
    for beyond in ({"repositories": ["nothing"]}, {"permissions": {"issues": "read", "checks": "read"}}):
        assert (await github.request("POST", path, body=beyond, token=jwt)).status == 422


async def test_an_installation_is_suspended_and_ends(github: GithubClient, app_key: AppKey) -> None:
    web = await github.repository()
    installation = await installed(github, app_key)
    jwt, path = app_key.jwt(**claims(github)), f"/app/installations/{installation}/access_tokens"
    token = (await github.request("POST", path, token=jwt)).value["token"]
    await installed(github, app_key, id=installation, suspended=True)
    suspended = await github.get(f"{web}/labels", token=token)
    assert (suspended.status, suspended.value["message"]) == (403, "This installation has been suspended")
    assert (await github.request("POST", path, token=jwt)).status == 403
    await github.control("DELETE", f"/apps/99/installations/{installation}")
    assert (await github.request("POST", path, token=jwt)).status == 404
    assert (await github.get(f"{web}/labels", token=token)).status == 401


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"exp": 1}, 401, "'Expiration time' claim ('exp') must be a numeric value representing the future time"),
        ({"exp": "soon"}, 401, "'Expiration time' claim ('exp') must be a numeric value"),
        ({"iat": 10**10}, 401, "'Issued at' claim ('iat') must be an Integer"),
        ({"iss": "somebody"}, 404, "Integration not found"),
    ],
)
async def test_a_jwt_is_checked(
    github: GithubClient, app_key: AppKey, changes: dict[str, Any], status: int, words: str
) -> None:
    await installed(github, app_key)
    refused = await github.get("/app", token=app_key.jwt(**claims(github, **changes)))
    assert (refused.status, refused.value["message"].startswith(words)) == (status, True)


async def test_a_jwt_for_too_long_or_of_another_key(github: GithubClient, app_key: AppKey) -> None:
    await installed(github, app_key)
    long = await github.get("/app", token=app_key.jwt(**claims(github, exp=int(github.clock.now) + 601)))
    assert (long.status, long.value["message"]) == (
        401,
        "'Expiration time' claim ('exp') is too far in the future",
    )
    for token in (AppKey().jwt(**claims(github)), "no.jwt", "a.b.c", TOKEN):
        refused = await github.get("/app", token=token)
        assert (refused.status, refused.value["message"]) == (401, "A JSON web token could not be decoded")
