"""Pull requests."""

from random import Random

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.issue_changes import (
    change_issue,
    close_issue,
    edit_issue,
    make_issue,
    reopen_issue,
)
from springline.sandbox.github.collections.issue_events import note
from springline.sandbox.github.collections.issues import issue_fields
from springline.sandbox.github.collections.pull_parts import commits_of, files_of
from springline.sandbox.github.collections.pushes import insert_commit, note_push, tell_pull_requests
from springline.sandbox.github.errors import GithubError, invalid, not_found
from springline.sandbox.github.params import array, boolean, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def _side(world: World, row: Row, name: str) -> Object:
    repository = parts.repository_of(world, row)
    owner = world.login(repository["parent"])
    return {
        "label": f"{owner}:{row[name]}",
        "ref": row[name],
        "sha": row[f"{name}_sha"],
        "user": world.account(repository["parent"]),
        "repo": world.embedded("repository", repository["id"]),
    }


def _pull(world: World, row: Row) -> Object:
    repository, number = parts.url_of(world, row), row["number"]
    url, issue_url = f"{repository}/pulls/{number}", f"{repository}/issues/{number}"
    web = f"{parts.web_of(world, row)}/pull/{number}"
    links = {
        "self": url,
        "html": web,
        "issue": issue_url,
        "comments": f"{issue_url}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{repository}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{repository}/statuses/{row['head_sha']}",
    }
    return {
        "url": url,
        "id": row["id"],
        "node_id": f"PR_{row['id']}",
        "html_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
        "issue_url": issue_url,
        **issue_fields(world, world.row("issue", row["issue"])),
        "merged_at": iso(row["merged"]),
        "merge_commit_sha": row["merge_sha"],
        "requested_reviewers": [world.account(each) for each in row["reviewers"]],
        "requested_teams": [],
        "draft": row["draft"],
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "head": _side(world, row, "head"),
        "base": _side(world, row, "base"),
        "_links": {name: {"href": href} for name, href in links.items()},
        "auto_merge": None,
    }


def _full_pull(world: World, row: Row) -> Object:
    files, open_ = files_of(world, row), world.row("issue", row["issue"])["state"] == "open"
    return {
        **_pull(world, row),
        "merged": row["merged"] is not None,
        "mergeable": True if open_ else None,
        "rebaseable": True if open_ else None,
        "mergeable_state": "clean" if open_ else "unknown",
        "merged_by": world.account(row["merged_by"]),
        "comments": world["issue_comment"].count_children(row["issue"]),
        "review_comments": world["review_comment"].count_children(row["id"]),
        "maintainer_can_modify": False,
        "commits": len(commits_of(world, row)),
        "additions": sum(each["file"]["additions"] for each in files),
        "deletions": sum(each["file"]["deletions"] for each in files),
        "changed_files": len(files),
    }


def make_pull(call: Call, repository: Row, *, head: str, base: str, draft: bool = False, **issue: object) -> Row:
    """An open pull request between two branches, and the issue that it is."""
    world = call.world
    head_row, base_row = (world["branch"].find(repository["id"], name) for name in (head, base))
    assert head_row is not None
    assert base_row is not None
    issue_row = make_issue(call, repository, **issue)  # type: ignore[arg-type]
    row = world.insert(
        "pull_request",
        repository,
        now=call.now,
        number=issue_row["number"],
        issue=issue_row["id"],
        head=head,
        base=base,
        head_sha=head_row["sha"],
        base_sha=base_row["sha"],
        draft=draft,
        merged=None,
        merged_by=None,
        merge_sha=None,
        reviewers=[],
    )
    world.change("issue", issue_row, pull=row["id"])
    return row


def _create(call: Call) -> Row:
    world, repository, params = call.world, call.repository, call.params
    head, base = params["head"].split(":")[-1], params["base"]
    for name, ref in (("head", head), ("base", base)):
        if world["branch"].find(repository["id"], ref) is None:
            raise invalid("PullRequest", name)
    for pull in world["pull_request"].in_scope(repository["id"]):
        if (pull["head"], pull["base"]) == (head, base) and world.row("issue", pull["issue"])["state"] == "open":
            owner = world.login(repository["parent"])
            raise invalid(
                "PullRequest", "head", code="custom", message=f"A pull request already exists for {owner}:{head}."
            )
    row = make_pull(
        call, repository, head=head, base=base, draft=params.get("draft", False), title=params["title"],
        body=params.get("body"),
    )  # fmt: skip
    if not commits_of(world, row):
        world.remove("pull_request", row)
        world.remove("issue", world.row("issue", row["issue"]))
        raise invalid("PullRequest", "head", code="custom", message=f"No commits between {base} and {head}")
    return row


def _update(call: Call) -> Row:
    row = call.rows["pull_request"]
    if "base" in call.params:
        base = call.world["branch"].find(call.repository["id"], call.params["base"])
        if base is None:
            raise invalid("PullRequest", "base")
        call.world.change("pull_request", row, base=base["name"], base_sha=base["sha"])
        change_issue(call, call.world.row("issue", row["issue"]))
    edit_issue(call, call.world.row("issue", row["issue"]))
    return call.world.row("pull_request", row["id"])


def merge(call: Call, row: Row, *, message: str | None = None) -> str:
    """Merge: a commit with two parents on the base, the pull request closed. Returns the commit's sha."""
    world = call.world
    repository = parts.repository_of(world, row)
    base = world["branch"].find(repository["id"], row["base"])
    if base is None:
        raise GithubError("Base branch does not exist", status=405, docs="pulls/pulls")
    commit = insert_commit(
        call,
        repository,
        parents=[base["sha"], row["head_sha"]],
        message=message or f"Merge pull request #{row['number']} from {world.full_name(repository)}/{row['head']}",
        author=call.actor["id"],
        files=[],
    )
    world.change("branch", base, sha=commit["sha"], updated=call.now)
    tell_pull_requests(call, note_push(call, repository), branch=row["base"], sha=commit["sha"])
    world.change("pull_request", row, merged=call.now, merged_by=call.actor["id"], merge_sha=commit["sha"])
    issue = world.row("issue", row["issue"])
    merged = note(call, issue, "merged")
    world.change("issue_event", merged, commit=commit["sha"])
    close_issue(call, issue)
    sha: str = commit["sha"]
    return sha


def _merge(call: Call) -> Answer:
    row = call.rows["pull_request"]
    if call.world.row("issue", row["issue"])["state"] != "open":
        raise GithubError("Pull Request is not mergeable", status=405)
    if call.params.get("sha") not in {None, row["head_sha"]}:
        raise GithubError("Head branch was modified. Review and try the merge again.", status=409)
    sha = merge(call, row, message=call.params.get("commit_title"))
    return answer_value({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _is_merged(call: Call) -> None:
    if call.rows["pull_request"]["merged"] is None:
        raise not_found("pulls/pulls")


def _reviewers(call: Call) -> list[int]:
    found = [call.world["user"].find(0, str(login)) for login in call.params.get("reviewers", [])]
    if None in found:
        raise GithubError("Reviews may only be requested from collaborators.")
    return [row["id"] for row in found if row is not None]


def _request_review(call: Call) -> Row:
    row, wanted = call.rows["pull_request"], _reviewers(call)
    issue = call.world.row("issue", row["issue"])
    for user in wanted:
        if user not in row["reviewers"]:
            note(call, issue, "review_requested", requested_reviewer=user)
    call.world.change("pull_request", row, reviewers=[*dict.fromkeys(row["reviewers"] + wanted)])
    change_issue(call, issue)
    return call.world.row("pull_request", row["id"])


def _unrequest_review(call: Call) -> Row:
    row, gone = call.rows["pull_request"], _reviewers(call)
    call.world.change("pull_request", row, reviewers=[each for each in row["reviewers"] if each not in gone])
    change_issue(call, call.world.row("issue", row["issue"]))
    return call.world.row("pull_request", row["id"])


def _seed(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    branch = world.collections["branch"].seed
    assert branch is not None
    head = branch(call, rng)
    assert head is not None
    # A branch made from this very moment's default: what the base has, the head has too.
    row = make_pull(
        call, repository, head=head["name"], base=repository["default_branch"], draft=rng.random() < 0.2,
        title=parts.title(rng), body=parts.body(rng), author=parts.some_user(call, rng)["id"],
    )  # fmt: skip
    if rng.random() < 0.3:
        merge(call, row)
    return world.row("pull_request", row["id"])


def _sample_update(call: Call, row: Row, rng: Random) -> Row:
    issue, chance = call.world.row("issue", row["issue"]), rng.random()
    if chance < 0.2 and issue["state"] == "open":
        merge(call, row)
    elif chance < 0.4 and row["merged"] is None:
        if issue["state"] == "open":
            close_issue(call, issue)
        else:
            reopen_issue(call, issue)
    else:
        change_issue(call, issue, body=parts.body(rng))
    return call.world.row("pull_request", row["id"])


def _has_state(world: World, row: Row, wanted: str) -> bool:
    return wanted == "all" or world.row("issue", row["issue"])["state"] == wanted


def _has_head(world: World, row: Row, wanted: str) -> bool:
    return bool(row["head"] == wanted.rsplit(":", maxsplit=1)[-1])


_ONE = "repos/{repository}/pulls/{pull_request}"

PULL_REQUEST = Collection(
    name="pull_request",
    docs="pulls/pulls",
    permission="pull_requests",
    parent="repository",
    key="number",
    shape=_pull,
    detail=_full_pull,
    listings=(
        Listing(
            path="repos/{repository}/pulls",
            rows=parts.in_repository("pull_request"),
            sorts={
                "created": lambda row: row["created"],
                "updated": lambda row: row["updated"],
            },
            # docs.github.com: descending for created, ascending for the others unless told, seen 2026-11.
            direction="asc",
            directions={"created": "desc"},
            sorted_by_caller=True,
            filters={
                "state": Filter(accepts=_has_state, default="open"),
                "head": Filter(accepts=_has_head),
                "base": parts.field_filter("base"),
            },
        ),
    ),
    reads=(Read(path=_ONE), Read(path=f"{_ONE}/merge", answer=_is_merged)),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/pulls",
            run=_create,
            takes={
                "title": text(required=True),
                "head": text(required=True),
                "base": text(required=True),
                "body": text(),
                "draft": boolean(),
            },
            status=201,
            kind="create",
        ),
        Operation(
            method="PATCH",
            path=_ONE,
            run=_update,
            takes={"title": text(), "body": text(), "state": word("open", "closed"), "base": text()},
            kind="update",
        ),
        Operation(
            method="PUT",
            path=f"{_ONE}/merge",
            run=_merge,
            takes={"commit_title": text(), "sha": text(), "merge_method": word("merge", "squash", "rebase")},
        ),
        Operation(
            method="POST",
            path=f"{_ONE}/requested_reviewers",
            run=_request_review,
            takes={"reviewers": array()},
            status=201,
        ),
        Operation(
            method="DELETE", path=f"{_ONE}/requested_reviewers", run=_unrequest_review, takes={"reviewers": array()}
        ),
    ),
    first_id=1_400_000_000,
    seed=_seed,
    sample_update=_sample_update,
)
