"""Lists of the GitHub sandbox: pages, links, cursors, orders, filters."""

from typing import Any

import pytest
from tests.sandbox.github_client import GithubClient, links, query_of
from tests.sandbox.sandbox_client import NOW

AT = int(NOW) - 86_400


async def test_pages_have_links_to_their_neighbours(github: GithubClient) -> None:
    web = await github.repository()
    await github.seed("issue", 7, parent="acme/web")
    middle = await github.get(f"{web}/issues", state="all", per_page=2, page=2)
    assert {rel: query_of(url)["page"] for rel, url in links(middle).items()} == {
        "prev": "1",
        "next": "3",
        "first": "1",
        "last": "4",
    }
    assert all(url.startswith(f"{github.running.url}/repositories/") for url in links(middle).values())
    assert all("state=all" in url and "per_page=2" in url for url in links(middle).values())
    only = await github.get(f"{web}/issues", state="all")
    assert (only.status, "link" in only.headers, len(only.value)) == (200, False, 7)
    beyond = await github.get(f"{web}/issues", state="all", per_page=2, page=9)
    assert (beyond.value, "next" in links(beyond)) == ([], False)


@pytest.mark.parametrize(("given", "size"), [("500", 100), ("0", 30), ("x", 30), ("7", 7)])
async def test_a_page_holds_at_most_a_hundred(github: GithubClient, given: str, size: int) -> None:
    web = await github.repository()
    await github.seed("issue", 101, parent="acme/web")
    assert len(await github.value(f"{web}/issues", state="all", per_page=given)) == size


async def test_following_links_sees_everything_once_while_rows_move(github: GithubClient) -> None:
    """Oldest change first: what is edited meanwhile moves to the end, and cursors let nothing slip past."""
    web = await github.repository()
    ids = await github.seed("issue", 250, parent="acme/web", at=AT)
    reply = await github.get(f"{web}/issues", state="all", sort="updated", direction="asc", per_page=100)
    seen = [issue["id"] for issue in reply.value]
    await github.control("POST", f"/objects/issue/{seen[0]}", {"set": {"title": "moved"}})
    while "next" in links(reply):
        reply = await github.get(links(reply)["next"])
        seen += [issue["id"] for issue in reply.value]
    assert set(seen) == set(ids)
    assert seen.count(seen[0]) == 2


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["created", "updated"])
async def test_cursors_walk_forth_and_back(github: GithubClient, sort: str, direction: str) -> None:
    web = await github.repository()
    await github.seed("issue", 25, parent="acme/web", seed=1)
    query: dict[str, Any] = {"state": "all", "sort": sort, "direction": direction}
    whole = await github.value(f"{web}/issues", **query, per_page=100)
    ordered = sorted(whole, key=lambda issue: (issue[f"{sort}_at"], issue["id"]), reverse=direction == "desc")
    assert whole == ordered
    assert await github.walk(f"{web}/issues", **query, per_page=4) == whole
    third = await github.get(f"{web}/issues", **query, per_page=4)
    for _ in range(2):
        third = await github.get(links(third)["next"])
    assert third.value == whole[8:12]
    assert (await github.get(links(third)["prev"])).value == whole[4:8]


async def test_deep_pages_need_a_cursor(github: GithubClient) -> None:
    web = await github.repository()
    await github.seed("issue", 30, parent="acme/web")
    await github.control("POST", "/paging", {"deepest_rows": 20})
    first = await github.get(f"{web}/issues", state="all", per_page=10)
    assert "last" not in links(first)
    assert (await github.get(f"{web}/issues", state="all", per_page=9, page=2)).status == 200
    deep = await github.get(f"{web}/issues", state="all", per_page=10, page=2)
    assert (deep.status, deep.value["message"]) == (
        422,
        "Pagination with the page parameter is not supported for large datasets, please use cursor based pagination "
        "(after/before)",
    )
    assert len(await github.walk(f"{web}/issues", state="all", per_page=10)) == 30
    assert (await github.get(f"{web}/labels", per_page=1, page=3)).status == 200


async def test_alerts_have_cursors_only(github: GithubClient) -> None:
    web = await github.repository()
    await github.seed("dependabot_alert", 7, parent="acme/web")
    first = await github.get(f"{web}/dependabot/alerts", per_page=3, sort="updated", direction="asc")
    assert links(first).keys() == {"next"}
    assert "page" not in query_of(links(first)["next"])
    walked = await github.walk(f"{web}/dependabot/alerts", per_page=3, sort="updated", direction="asc")
    assert sorted(alert["number"] for alert in walked) == [1, 2, 3, 4, 5, 6, 7]
    assert (await github.get(f"{web}/dependabot/alerts", after="nonsense")).status == 422


async def test_since_is_inclusive_to_the_second(github: GithubClient) -> None:
    web = await github.repository()
    for offset in (0, 1, 2):
        await github.seed("issue", 2, parent="acme/web", at=AT + offset)
    shown = await github.value(f"{web}/issues", state="all", sort="updated", direction="asc")
    middle = shown[2]["updated_at"]
    later = await github.value(f"{web}/issues", state="all", since=middle)
    assert {issue["id"] for issue in later} == {issue["id"] for issue in shown[2:]}
    assert (await github.get(f"{web}/issues", since="yesterday")).status == 422


async def test_issues_hold_pull_requests_and_have_filters(github: GithubClient) -> None:
    web = await github.repository()
    await github.write("POST", f"{web}/issues", title="One", labels=["bug"], assignees=["octo-admin"])
    two = await github.write("POST", f"{web}/issues", title="Two")
    await github.write("PATCH", f"{web}/issues/{two['number']}", state="closed")
    await github.seed("pull_request", 1, parent="acme/web")
    titles = {issue["title"] for issue in await github.value(f"{web}/issues")}
    assert {"One"} <= titles
    assert "Two" not in titles
    everything = await github.value(f"{web}/issues", state="all")
    assert sum("pull_request" in issue for issue in everything) == 1
    for query, expected in (
        ({"labels": "bug"}, ["One"]),
        ({"assignee": "octo-admin"}, ["One"]),
        ({"state": "closed", "creator": "octo-admin", "assignee": "none"}, ["Two"]),
    ):
        found = [
            issue["title"] for issue in await github.value(f"{web}/issues", **query) if "pull_request" not in issue
        ]
        assert found == expected


async def test_lists_have_the_orders_that_github_documents(github: GithubClient) -> None:
    web = await github.repository()
    for name in ("release", "deployment", "commit_comment", "stargazer", "issue_comment", "workflow_run"):
        if name == "issue_comment":
            await github.seed("issue", 3, parent="acme/web")
        await github.seed("user", 2)
        await github.seed(
            name, 3, **({"parent": "acme/web"} if name not in {"commit_comment", "issue_comment"} else {})
        )

    def times(rows: list[dict[str, str]], field: str = "created_at") -> list[str]:
        return [row[field] for row in rows]

    for path, descending in (
        ("releases", True),
        ("deployments", True),
        ("comments", False),
        ("issues/comments", False),
    ):
        shown = times(await github.value(f"{web}/{path}"))
        assert len(shown) == 3, path
        if path != "comments":
            assert shown == sorted(shown, reverse=descending), path
    runs = await github.value(f"{web}/actions/runs")
    assert runs["total_count"] == 3
    assert times(runs["workflow_runs"]) == sorted(times(runs["workflow_runs"]), reverse=True)
    stars = await github.get(f"{web}/stargazers", headers={"Accept": "application/vnd.github.star+json"})
    assert times(stars.value, "starred_at") == sorted(times(stars.value, "starred_at"))
    assert "login" in (await github.value(f"{web}/stargazers"))[0]
    refused = await github.get(f"{web}/issues", sort="colour")
    assert (refused.status, refused.value["errors"][0]["field"]) == (422, "sort")


async def test_pull_requests_sort_by_update_and_have_no_since(github: GithubClient) -> None:
    web = await github.repository()
    await github.seed("pull_request", 4, parent="acme/web")
    oldest = (await github.value(f"{web}/pulls", state="all", sort="updated", direction="asc"))[0]
    github.clock.now += 60
    await github.write("POST", f"{web}/issues/{oldest['number']}/comments", body="Ping")
    newest = (await github.value(f"{web}/pulls", state="all", sort="updated", direction="desc"))[0]
    assert newest["number"] == oldest["number"]
    assert newest["updated_at"] > oldest["updated_at"]
    since = await github.value(f"{web}/pulls", state="all", since=newest["updated_at"])
    assert len(since) == 4


async def test_workflow_runs_are_a_thousand_at_most_when_filtered(github: GithubClient) -> None:
    web = await github.repository()
    await github.seed("workflow_run", 1010, parent="acme/web", at=AT)
    assert (await github.value(f"{web}/actions/runs", per_page=1))["total_count"] == 1010
    assert (await github.value(f"{web}/actions/runs", per_page=1, event="push"))["total_count"] == 1000
    day = (await github.value(f"{web}/actions/runs", per_page=1))["workflow_runs"][0]["created_at"][:10]
    for query, total in ((f">={day}", 1000), (day, 1000), (f">{day}", 0), (f"<{day}", 0), (f"{day}..{day}", 1000)):
        assert (await github.value(f"{web}/actions/runs", created=query, per_page=1))["total_count"] == total, query


async def test_commits_of_a_branch_newest_first(github: GithubClient) -> None:
    web = await github.repository()
    assert (await github.get(f"{web}/commits")).status == 409
    assert (await github.get(f"{web}/contributors")).status == 204
    await github.seed("commit", 6, parent="acme/web")
    commits = await github.value(f"{web}/commits")
    dates = [commit["commit"]["committer"]["date"] for commit in commits]
    assert dates == sorted(dates, reverse=True)
    await github.write("POST", f"{web}/git/refs", ref="refs/heads/feature/old", sha=commits[3]["sha"])
    on_branch = await github.value(f"{web}/commits", sha="feature/old")
    assert [each["sha"] for each in on_branch] == [each["sha"] for each in commits[3:]]
    window = await github.value(f"{web}/commits", since=dates[2], until=dates[1])
    assert [each["sha"] for each in window] == [each["sha"] for each in commits[1:3]]
    assert (await github.value(f"{web}/branches/feature/old"))["commit"]["sha"] == commits[3]["sha"]
    assert (await github.get(f"{web}/commits", sha="nowhere")).status == 404


async def test_users_are_listed_by_id(github: GithubClient) -> None:
    await github.seed("user", 5)
    walked = await github.walk("/users", per_page=2)
    ids = [user["id"] for user in walked]
    assert (len(ids), ids) == (6, sorted(ids))
