"""The control API of the GitHub sandbox: data, histories, arrivals, clock."""

from typing import Any

import pytest
from tests.sandbox.github_client import GithubClient

from springline.sandbox.github.collections import COLLECTIONS

MADE_UP = [kind.name for kind in COLLECTIONS if kind.seed is not None]


async def dump(github: GithubClient, collection: str, query: str = "") -> list[Any]:
    rows: list[Any] = await github.control("GET", f"/objects/{collection}{query}")
    return rows


async def furnish(github: GithubClient) -> None:
    await github.repository()
    await github.repository("app")
    for name in MADE_UP:
        if name not in {"organization", "repository"}:
            await github.seed(name, 3)


async def test_every_collection_can_be_seeded_and_dumped(github: GithubClient) -> None:
    await furnish(github)
    for kind in COLLECTIONS:
        for view in ("list", "detail"):
            rows = await dump(github, kind.name, f"?view={view}")
            assert rows, kind.name
            assert len(rows) == len({str(row) for row in rows}) or kind.name in {"contributor", "assignee", "member"}


@pytest.mark.parametrize(
    ("collection", "path", "envelope"),
    [
        ("issue", "issues?state=all", None),
        ("issue_comment", "issues/comments", None),
        ("pull_request", "pulls?state=all", None),
        ("label", "labels", None),
        ("branch", "branches", None),
        ("commit", "commits", None),
        ("contributor", "contributors", None),
        ("workflow_run", "actions/runs", "workflow_runs"),
        ("dependabot_alert", "dependabot/alerts", None),
    ],
)
async def test_a_dump_is_what_lists_show(
    github: GithubClient, collection: str, path: str, envelope: str | None
) -> None:
    await furnish(github)
    reply = await github.get(f"/repos/acme/web/{path}{'&' if '?' in path else '?'}per_page=100")
    shown = reply.value if envelope is None else reply.value[envelope]
    if collection == "issue_comment":
        issues = {row["url"] for row in await dump(github, "issue", "?parent=acme/web")}
        held = [row for row in await dump(github, collection) if row["issue_url"] in issues]
    else:
        held = await dump(github, collection, "?parent=acme/web")
    assert sorted(map(str, shown)) == sorted(map(str, held))


async def test_many_rows_of_one_time(github: GithubClient) -> None:
    web = await github.repository()
    at = int(github.clock.now) - 1_000
    ids = await github.seed("issue", 3_000, parent="acme/web", at=at)
    rows = await dump(github, "issue")
    assert {row["updated_at"] for row in rows} == {rows[0]["updated_at"]}
    walked = await github.walk(f"{web}/issues", state="all", sort="updated", direction="asc", per_page=100)
    assert [row["id"] for row in walked] == sorted(ids)


async def test_a_seed_repeats_a_history(github: GithubClient) -> None:
    histories = []
    for _ in range(2):
        await github.control("POST", "/reset", {"seed": 11})
        await furnish(github)
        changes = await github.control("POST", "/changes", {"count": 300, "seed": 5})
        histories.append((changes, await dump(github, "issue"), await dump(github, "workflow_run")))
    assert histories[0] == histories[1]
    assert {change["kind"] for change in histories[0][0]} == {"insert", "update", "delete"}
    assert {change["collection"] for change in histories[0][0]} == set(MADE_UP)


async def test_changes_stay_in_the_chosen_collections(github: GithubClient) -> None:
    await furnish(github)
    changes = await github.control("POST", "/changes", {"count": 50, "collections": ["label", "issue"]})
    assert {change["collection"] for change in changes} == {"label", "issue"}
    refused = await github.control_reply("POST", "/changes", {"count": 1, "collections": ["label", "timeline_event"]})
    assert refused.status == 404


async def test_objects_are_made_changed_and_deleted(github: GithubClient) -> None:
    web = await github.repository()
    made = await github.control("POST", "/objects/issue", {"parent": "acme/web", "params": {"title": "One"}})
    github.clock.now += 10
    changed = await github.control("POST", f"/objects/issue/{made['id']}", {"params": {"state": "closed"}})
    assert (changed["state"], changed["updated_at"] > made["updated_at"]) == ("closed", True)
    at = int(github.clock.now) - 500
    put = await github.control("POST", f"/objects/issue/{made['id']}", {"set": {"title": "Two", "updated": at}})
    assert (put["title"], put["updated_at"] < made["updated_at"]) == ("Two", True)
    assert await github.control("GET", f"/objects/issue/{made['id']}") == await github.value(f"{web}/issues/1")
    await github.control("DELETE", f"/objects/issue/{made['id']}?mode=vanish")
    assert (await github.get(f"{web}/issues/1")).status == 404
    pull = (await github.seed("pull_request", 1, parent="acme/web"))[0]
    assert (await github.control_reply("DELETE", f"/objects/pull_request/{pull}")).status == 409
    branch = await github.control("POST", "/objects/branch", {"parent": "acme/web"})
    await github.control("DELETE", f"/objects/branch/{branch['name']}?parent=acme/web")
    assert (await github.get(f"{web}/branches/{branch['name']}")).status == 404
    bad = await github.control_reply("POST", "/objects/label", {"parent": "acme/web", "params": {"name": "bug"}})
    assert (bad.status, bad.value["github"]["errors"][0]["code"]) == (400, "already_exists")


async def test_raw_objects_go_out_byte_for_byte(github: GithubClient) -> None:
    web = await github.repository()
    issue = await github.write("POST", f"{web}/issues", title="One")
    text = b'{"id": 12345678901234567890, "title":  "\\u00e9 \xc3\xa9", "n": 1.0e2}'
    await github.control("PUT", f"/raw/issue/{issue['id']}", raw=text)
    assert (await github.get(f"{web}/issues/1")).body == text
    assert (await github.get(f"{web}/issues")).body == b"[" + text + b"]"
    assert (await github.control_reply("PUT", f"/raw/issue/{issue['id']}", raw=b"\xff")).status == 400
    await github.control("PUT", f"/raw/issue/{issue['id']}?unchecked=true", raw=b"\xff")
    assert (await github.get(f"{web}/issues/1")).body == b"\xff"


async def test_arrivals_and_counters(github: GithubClient) -> None:
    web = await github.repository()
    await github.control("DELETE", "/arrivals")
    first = await github.get(f"{web}/labels", per_page=1)
    await github.get(f"{web}/labels", headers={"If-None-Match": first.headers["etag"]}, per_page=1)
    arrivals = await github.control("GET", "/arrivals")
    assert [(arrival["endpoint"], arrival["status"], arrival["account"]) for arrival in arrivals] == [
        ("GET repos/{repository}/labels", 200, "user octo-admin"),
        ("GET repos/{repository}/labels", 304, "user octo-admin"),
    ]
    assert arrivals[0]["query"] == "per_page=1"
    counters = await github.control("GET", "/counters")
    assert counters["by_status"]["304"] == 1


async def test_the_clock_moves_everything(github: GithubClient) -> None:
    web = await github.repository()
    await github.control("POST", "/clock", {"shift_seconds": 3600})
    made = await github.write("POST", f"{web}/issues", title="Later")
    shown = await github.control("GET", "/clock")
    assert shown["offset_seconds"] == 3600
    assert made["created_at"] > (await github.value(web))["created_at"]


async def test_refusals_of_the_control_api(github: GithubClient) -> None:
    for method, path, body, status in (
        ("POST", "/seed", {"collection": "nothing", "count": 1}, 404),
        ("POST", "/seed", {"collection": "timeline_event", "count": 1}, 400),
        ("POST", "/seed", {"collection": "issue", "count": 1, "parent": "acme/nowhere"}, 404),
        ("POST", "/objects/issue", {"params": {}, "set": {}}, 400),
        ("POST", "/objects/workflow_run", {"params": {}}, 400),
        ("POST", "/objects/member", {"params": {}}, 400),
        ("POST", "/objects/user/octo-admin", {"params": {"bio": "x"}}, 400),
        ("GET", "/objects/issue/1", None, 404),
        ("POST", "/faults", {"kind": "meteor"}, 400),
        ("POST", "/apps", {"public_key": "no key"}, 400),
        ("POST", "/apps/1/installations", {}, 404),
        ("POST", "/tokens", {"token": "what"}, 400),
    ):
        refused = await github.control_reply(method, path, body)
        assert (refused.status, "error" in refused.value) == (status, True), path


async def test_a_deleted_object_comes_back_under_its_id(github: GithubClient) -> None:
    web = await github.repository()
    label = (await github.value(f"{web}/labels"))[0]
    await github.control("DELETE", f"/objects/label/{label['id']}")
    order = {"parent": "acme/web", "set": {"id": label["id"], "name": label["name"]}}
    again = await github.control("POST", "/objects/label", order)
    assert (again["id"], again["name"], again["color"] == label["color"]) == (label["id"], label["name"], False)
    assert (await github.control_reply("POST", "/objects/label", order)).status == 409
    assert len(await github.value(f"{web}/labels")) == 3
