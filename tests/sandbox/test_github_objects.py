"""Objects of the GitHub sandbox: reads by id, writes, and what follows from them."""

from typing import Any

from tests.sandbox.github_client import GithubClient, links


async def updated(github: GithubClient, path: str) -> str:
    value: str = (await github.value(path))["updated_at"]
    return value


async def test_what_happens_around_an_issue_dates_it(github: GithubClient) -> None:
    web = await github.repository()
    issue = await github.write("POST", f"{web}/issues", title="It breaks")
    path = f"{web}/issues/{issue['number']}"
    comment: Any = None
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"{path}/comments", {"body": "Same here"}),
        ("POST", f"{path}/labels", {"labels": ["bug"]}),
        ("DELETE", f"{path}/labels/bug", {}),
        ("POST", f"{path}/assignees", {"assignees": ["octo-admin"]}),
        ("PATCH", path, {"title": "It breaks often"}),
        ("PATCH", path, {"state": "closed"}),
    ]
    for method, where, body in steps:
        before = await updated(github, path)
        github.clock.now += 5
        answer = await github.write(method, where, **body)
        comment = comment or answer
        assert await updated(github, path) > before, where
    github.clock.now += 5
    before = await updated(github, path)
    await github.write("DELETE", f"{web}/issues/comments/{comment['id']}")
    assert await updated(github, path) > before
    assert (await github.value(path))["comments"] == 0
    events = [event["event"] for event in await github.value(f"{path}/events")]
    assert events == ["labeled", "unlabeled", "assigned", "renamed", "closed"]
    timeline = [event["event"] for event in await github.value(f"{path}/timeline")]
    assert timeline == events
    newest = (await github.value(f"{web}/issues/events"))[0]
    assert (newest["event"], newest["issue"]["number"]) == ("closed", issue["number"])


async def test_a_renamed_label_shows_on_its_issues(github: GithubClient) -> None:
    web = await github.repository()
    issue = await github.write("POST", f"{web}/issues", title="One", labels=["bug"])
    github.clock.now += 5
    await github.write("PATCH", f"{web}/labels/bug", new_name="defect")
    shown = await github.value(f"{web}/issues/{issue['number']}")
    assert [label["name"] for label in shown["labels"]] == ["defect"]
    assert shown["updated_at"] == issue["updated_at"]
    await github.write("DELETE", f"{web}/labels/defect")
    assert (await github.value(f"{web}/issues/{issue['number']}"))["labels"] == []


async def test_a_pull_request_is_an_issue(github: GithubClient) -> None:
    web = await github.repository(auto_init=True)
    await github.write("PUT", f"{web}/contents/a.txt", message="Add", content="YQ==", branch="topic")
    made = await github.write("POST", f"{web}/pulls", title="Topic", head="topic", base="main")
    number = made["number"]
    issue = await github.value(f"{web}/issues/{number}")
    assert (issue["pull_request"]["url"], issue["id"] == made["id"]) == (made["url"], False)
    assert (
        await github.request("POST", f"{web}/pulls", body={"title": "x", "head": "topic", "base": "main"})
    ).status == 422
    github.clock.now += 5
    await github.write("POST", f"{web}/issues/{number}/comments", body="Hm")
    assert await updated(github, f"{web}/pulls/{number}") > made["updated_at"]
    assert (await github.get(f"{web}/pulls/{number}/merge")).status == 404
    merged = await github.write("PUT", f"{web}/pulls/{number}/merge")
    assert (await github.get(f"{web}/pulls/{number}/merge")).status == 204
    shown = await github.value(f"{web}/pulls/{number}")
    assert (shown["state"], shown["merged"], shown["merge_commit_sha"]) == ("closed", True, merged["sha"])
    assert (await github.value(f"{web}/commits"))[0]["sha"] == merged["sha"]
    assert len(await github.value(f"{web}/pulls/{number}/commits")) == 1
    assert [event["event"] for event in await github.value(f"{web}/issues/{number}/events")] == ["merged", "closed"]


async def test_a_deleted_issue_is_gone_and_a_deleted_comment_unknown(github: GithubClient) -> None:
    web = await github.repository()
    issue = await github.write("POST", f"{web}/issues", title="One")
    comment = await github.write("POST", f"{web}/issues/1/comments", body="Two")
    await github.control("DELETE", f"/objects/issue/{issue['id']}")
    gone = await github.get(f"{web}/issues/1")
    assert (gone.status, gone.value["message"]) == (410, "This issue was deleted")
    assert (await github.get(f"{web}/issues/comments/{comment['id']}")).status == 404
    assert await github.value(f"{web}/issues", state="all") == []
    assert (await github.write("POST", f"{web}/issues", title="Next"))["number"] == 2


async def test_a_transferred_issue_redirects(github: GithubClient) -> None:
    web, app = await github.repository(), await github.repository("app")
    issue = await github.write("POST", f"{web}/issues", title="One")
    await github.control("POST", f"/transfer/{issue['id']}", {"repository": "acme/app"})
    moved = await github.get(f"{web}/issues/1")
    assert moved.status == 301
    shown = await github.value(moved.headers["location"])
    assert (shown["id"], shown["repository_url"].endswith(app)) == (issue["id"], True)


async def test_a_renamed_repository_redirects(github: GithubClient) -> None:
    web = await github.repository()
    await github.seed("issue", 3, parent="acme/web")
    reply = await github.get(f"{web}/issues", state="all", per_page=1)
    await github.write("PATCH", web, name="site")
    moved = await github.get(f"{web}/issues", state="all")
    assert (moved.status, moved.value["message"]) == (301, "Moved Permanently")
    assert moved.headers["location"].endswith("/issues?state=all")
    assert "/repositories/" in moved.headers["location"]
    assert len(await github.value(moved.headers["location"])) == 3
    assert (await github.request("POST", f"{web}/issues", body={"title": "x"})).status == 307
    # What was being walked goes on under the number.
    assert (await github.get(links(reply)["next"])).status == 200
    await github.repository()
    assert (await github.get(f"{web}/issues")).status == 200


async def test_a_redirect_is_for_who_may_see_where_it_leads(github: GithubClient) -> None:
    web = await github.repository(private=True)
    await github.write("PATCH", web, name="the new site")
    assert (await github.get(web)).status == 301
    await github.control("POST", "/tokens", {"token": "ghp_ana", "login": "ana"})
    assert (await github.get(web, token="ghp_ana")).status == 404
    assert (await github.value("/repos/ACME/The-New-Site"))["name"] == "the-new-site"


async def test_a_deleted_repository_takes_everything_along(github: GithubClient) -> None:
    web = await github.repository()
    for name in ("issue", "pull_request", "release", "workflow_run"):
        await github.seed(name, 2, parent="acme/web")
    for name in ("issue_comment", "review", "release_asset", "check_run"):
        await github.seed(name, 2)
    await github.write("DELETE", web)
    assert (await github.get(web)).status == 404
    shown = await github.control("GET", "")
    assert shown["objects"].keys() == {"user", "organization", "member"}


async def test_what_a_repository_has_not(github: GithubClient) -> None:
    web = await github.repository(has_issues=False)
    for path in (f"{web}/issues", f"{web}/issues?state=all"):
        off = await github.get(path)
        assert (off.status, off.value["message"]) == (410, "Issues are disabled for this repo")
    repository = (await github.value(web))["id"]
    settings = {"set": {"code_scanning": "off", "dependabot": "off"}}
    await github.control("POST", f"/objects/repository/{repository}", settings)
    for path in ("code-scanning", "dependabot"):
        assert (await github.get(f"{web}/{path}/alerts")).status == 403
    await github.control("POST", f"/objects/repository/{repository}", {"set": {"code_scanning": "empty"}})
    assert (await github.get(f"{web}/code-scanning/alerts")).status == 404


async def test_memberships_answer_204_or_404(github: GithubClient) -> None:
    web = await github.repository()
    stranger = (await github.control("POST", "/objects/user", {}))["login"]
    for path in (
        f"{web}/assignees/{stranger}",
        f"{web}/collaborators/{stranger}",
        f"/orgs/acme/members/{stranger}",
        f"/user/starred{web.removeprefix('/repos')}",
    ):
        assert (await github.get(path)).status == 404, path
    for path in (f"{web}/assignees/octo-admin", "/orgs/acme/members/octo-admin"):
        assert (await github.get(path)).status == 204, path
    invited = await github.request("PUT", f"{web}/collaborators/{stranger}", body={})
    assert (invited.status, (await github.get(f"{web}/collaborators/{stranger}")).status) == (201, 404)


async def test_runs_are_run_again_for_a_month(github: GithubClient) -> None:
    web = await github.repository()
    now = int(github.clock.now)
    for age_days in (5, 40):
        await github.seed("workflow_run", 8, parent="acme/web", at=now - age_days * 86_400)
    runs = (await github.value(f"{web}/actions/runs", status="completed", per_page=100))["workflow_runs"]
    young, old = runs[0], runs[-1]
    await github.write("POST", f"{web}/actions/runs/{young['id']}/rerun")
    again = await github.value(f"{web}/actions/runs/{young['id']}")
    assert (again["run_attempt"], again["created_at"], again["updated_at"] > young["updated_at"]) == (
        2,
        young["created_at"],
        True,
    )
    assert (await github.value(f"{web}/actions/runs/{young['id']}/jobs"))["total_count"] == 1
    assert (await github.value(f"{web}/actions/runs/{young['id']}/jobs", filter="all"))["total_count"] == 2
    assert (await github.request("POST", f"{web}/actions/runs/{old['id']}/rerun")).status == 403


async def test_every_push_is_seen_at_the_repository(github: GithubClient) -> None:
    web = await github.repository(auto_init=True)
    head = (await github.value(f"{web}/branches/main"))["commit"]["sha"]
    before = await github.value(web)
    for method, path, body in (
        ("POST", "git/refs", {"ref": "refs/tags/v1", "sha": head}),
        ("PUT", "contents/a", {"message": "Add", "content": "YQ=="}),
        ("DELETE", "git/refs/tags/v1", {}),
        ("POST", "branches/main/rename", {"new_name": "trunk"}),
    ):
        github.clock.now += 5
        await github.write(method, f"{web}/{path}", **body)
        after = await github.value(web)
        assert after["pushed_at"] > before["pushed_at"], path
        assert after["updated_at"] == before["updated_at"]
        before = after
    assert before["default_branch"] == "trunk"


async def test_a_release_is_dated_by_its_commit(github: GithubClient) -> None:
    web = await github.repository(auto_init=True)
    github.clock.now += 3_600
    made = await github.write("POST", f"{web}/releases", tag_name="v1")
    assert (
        made["published_at"]
        > made["created_at"]
        == (await github.value(f"{web}/commits"))[0]["commit"]["author"]["date"]
    )
    assert [tag["name"] for tag in await github.value(f"{web}/tags")] == ["v1"]
    assert (await github.value(f"{web}/releases/latest"))["id"] == made["id"]
    assert (await github.value(f"{web}/releases/tags/v1"))["id"] == made["id"]
    again = await github.request("POST", f"{web}/releases", body={"tag_name": "v1"})
    assert again.value["errors"][0]["code"] == "already_exists"


async def test_refs_are_made_moved_and_deleted(github: GithubClient) -> None:
    web = await github.repository()
    await github.seed("commit", 3, parent="acme/web")
    new, old = [(await github.value(f"{web}/commits"))[index]["sha"] for index in (0, 2)]
    await github.write("POST", f"{web}/git/refs", ref="refs/heads/x/y", sha=new)
    assert (await github.request("POST", f"{web}/git/refs", body={"ref": "refs/heads/x/y", "sha": new})).status == 422
    back = await github.request("PATCH", f"{web}/git/refs/heads/x/y", body={"sha": old})
    assert (back.status, back.value["message"]) == (422, "Update is not a fast forward")
    await github.write("PATCH", f"{web}/git/refs/heads/x/y", sha=old, force=True)
    assert (await github.value(f"{web}/git/ref/heads/x/y"))["object"]["sha"] == old
    await github.write("DELETE", f"{web}/git/refs/heads/x/y")
    assert (await github.get(f"{web}/branches/x/y")).status == 404


async def test_bodies_are_checked_as_github_does(github: GithubClient) -> None:
    web = await github.repository()
    missing = await github.request("POST", f"{web}/issues", body={"body": "x"})
    assert (missing.status, missing.value["message"]) == (422, 'Invalid request.\n\n"title" wasn\'t supplied.')
    empty = await github.request("POST", f"{web}/issues", body={"title": ""})
    assert empty.value["errors"] == [{"resource": "Issue", "field": "title", "code": "missing_field"}]
    assert (await github.request("POST", f"{web}/issues", body=["title"])).status == 400
    wrong = await github.request("POST", f"{web}/issues", body={"title": "x", "body": 12})
    assert "12 is not a string" in wrong.value["message"]
    bad = await github.request("PATCH", f"{web}/milestones/1", body={"state": "ajar"})
    assert bad.status == 404
    assert (await github.request("POST", f"{web}/labels", body={"name": "BUG"})).value["errors"][0][
        "code"
    ] == "already_exists"


async def test_who_leaves_github_becomes_a_ghost(github: GithubClient) -> None:
    web = await github.repository()
    member = await github.control("POST", "/objects/member", {})
    issue = await github.write("POST", f"{web}/issues", title="One", assignees=[member["login"]])
    assert [user["login"] for user in issue["assignees"]] == [member["login"]]
    await github.control("POST", "/tokens", {"token": "ghp_leaver", "login": member["login"]})
    said = await github.request("POST", f"{web}/issues/1/comments", body={"body": "Bye"}, token="ghp_leaver")
    await github.control("DELETE", f"/objects/user/{member['login']}")
    assert (await github.value(f"{web}/issues/1"))["assignees"] == []
    assert (await github.value(f"{web}/issues/comments/{said.value['id']}"))["user"]["login"] == "ghost"
    assert (await github.get(f"/users/{member['login']}")).status == 404
    assert (await github.get("/user", token="ghp_leaver")).status == 401
    assert [user["login"] for user in await github.value("/orgs/acme/members")] == ["octo-admin"]


async def test_ids_beyond_what_a_double_holds(github: GithubClient) -> None:
    web = await github.repository()
    await github.write("POST", f"{web}/issues", title="One")
    comment = await github.write("POST", f"{web}/issues/1/comments", body="Two")
    assert comment["id"] > 2**53
    assert (await github.value(f"{web}/issues/comments/{comment['id']}"))["id"] == comment["id"]
    assert comment["created_at"].endswith("Z")
    assert len(comment["created_at"]) == len("2026-01-31T12:00:00Z")
