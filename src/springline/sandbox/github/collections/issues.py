"""Issues, which pull requests are too, and who may be assigned to them."""

from random import Random

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.issue_changes import (
    assignable,
    assignees_named,
    change_issue,
    close_issue,
    edit_issue,
    labels_named,
    make_issue,
    milestone_numbered,
    reopen_issue,
    set_assignees,
    set_labels,
)
from springline.sandbox.github.collections.issue_events import note
from springline.sandbox.github.collections.labels import make_milestone
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.params import anything, array, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def issue_fields(world: World, row: Row) -> Object:
    """What an issue and a pull request show alike."""
    return {
        "number": row["number"],
        "title": row["title"],
        "user": world.account(row["author"]),
        "labels": [world.embedded("label", each) for each in row["labels"]],
        "state": row["state"],
        "locked": row["lock_reason"] is not None,
        "active_lock_reason": row["lock_reason"] or None,
        "assignees": [world.account(each) for each in row["assignees"]],
        "assignee": world.account(row["assignees"][0]) if row["assignees"] else None,
        "milestone": world.embedded("milestone", row["milestone"]),
        **parts.times(row),
        "closed_at": iso(row["closed"]),
        "author_association": parts.association(world, row),
        "body": row["body"],
    }


def _issue(world: World, row: Row) -> Object:
    repository = parts.url_of(world, row)
    url = f"{repository}/issues/{row['number']}"
    place = "issues" if row["pull"] is None else "pull"
    shown = {
        "id": row["id"],
        "node_id": f"{'I' if row['pull'] is None else 'PR'}_{row['id']}",
        "url": url,
        "repository_url": repository,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{parts.web_of(world, row)}/{place}/{row['number']}",
        **issue_fields(world, row),
        "state_reason": row["state_reason"],
        "comments": world["issue_comment"].count_children(row["id"]),
        "performed_via_github_app": None,
        "reactions": parts.reactions(url, row),
        "timeline_url": f"{url}/timeline",
    }
    pull = world["pull_request"].get(row["pull"])
    if pull is not None:
        web = shown["html_url"]
        shown["draft"] = pull["draft"]
        shown["pull_request"] = {
            "url": f"{repository}/pulls/{row['number']}",
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "merged_at": iso(pull["merged"]),
        }
    return shown


def _full_issue(world: World, row: Row) -> Object:
    return {**_issue(world, row), "closed_by": world.account(row["closed_by"])}


def check_enabled(call: Call) -> None:
    """Raises GithubError 410 where the repository has no issues."""
    if not call.repository.get("has_issues", True):
        raise GithubError("Issues are disabled for this repo", status=410, docs="v3/issues/")


def _create(call: Call) -> Row:
    check_enabled(call)
    params = call.params
    assignees = params.get("assignees") or ([params["assignee"]] if params.get("assignee") else [])
    issue = make_issue(
        call, call.repository, title=str(params["title"]), body=params.get("body"),
        milestone=(milestone_numbered(call, params.get("milestone")) or {"id": None})["id"],
    )  # fmt: skip
    issue = set_labels(call, issue, labels_named(call, params.get("labels") or []))
    return set_assignees(call, issue, assignees_named(call, assignees))


def _update(call: Call) -> Row:
    if call.rows["issue"]["pull"] is None:
        check_enabled(call)
    return edit_issue(call, call.rows["issue"])


def _read(call: Call) -> Row:
    if call.rows["issue"]["pull"] is None:
        check_enabled(call)
    return call.rows["issue"]


def _rows(call: Call) -> list[Row]:
    check_enabled(call)
    return call.world["issue"].in_scope(call.repository["id"])


def _shown_labels(call: Call, issue: Row) -> Answer:
    return answer_value([call.world.embedded("label", each) for each in issue["labels"]])


def _label_issue(call: Call) -> Answer:
    issue = call.rows["issue"]
    return _shown_labels(
        call, set_labels(call, issue, [*dict.fromkeys(issue["labels"] + labels_named(call, call.params["labels"]))])
    )


def _relabel_issue(call: Call) -> Answer:
    return _shown_labels(
        call, set_labels(call, call.rows["issue"], labels_named(call, call.params.get("labels") or []))
    )


def _unlabel_issue(call: Call) -> Answer:
    issue = call.rows["issue"]
    if "label" not in call.rows:
        return _as_gone(set_labels(call, issue, []))
    label = call.rows["label"]["id"]
    if label not in issue["labels"]:
        raise GithubError("Label does not exist", status=404, docs="issues/labels")
    return _shown_labels(call, set_labels(call, issue, [each for each in issue["labels"] if each != label]))


def _as_gone(_: Row) -> Answer:
    return Answer(status=204)


def _assign(call: Call) -> Row:
    issue = call.rows["issue"]
    users = [*dict.fromkeys(issue["assignees"] + assignees_named(call, call.params["assignees"]))]
    return set_assignees(call, issue, users)


def _unassign(call: Call) -> Row:
    gone = assignees_named(call, call.params["assignees"])
    issue = call.rows["issue"]
    return set_assignees(call, issue, [each for each in issue["assignees"] if each not in gone])


def _lock(call: Call) -> None:
    note(call, call.rows["issue"], "locked")
    change_issue(call, call.rows["issue"], lock_reason=call.params.get("lock_reason") or "")


def _unlock(call: Call) -> None:
    note(call, call.rows["issue"], "unlocked")
    change_issue(call, call.rows["issue"], lock_reason=None)


def _remove(call: Call, row: Row) -> bool:
    """What only its repository's admin can do, on the website; a pull request stays for ever."""
    if row["pull"] is not None:
        return False
    call.world.remove("issue", row)
    call.world.deleted_issues.add((row["scope"], row["number"]))
    return True


def transfer_issue(call: Call, issue: Row, target: Row) -> Row:
    """Move an issue to another repository: it keeps its id and gets a new number, its old place redirects."""
    world = call.world
    world.moved_issues[issue["scope"], issue["number"]] = issue["id"]
    number = world.next_number(target["id"], "issue")
    for name in ("issue_comment", "issue_event"):
        for row in world[name].children(issue["id"]):
            world.change(name, row, scope=target["id"])
    return world.change(
        "issue", issue, scope=target["id"], parent=target["id"], number=number, labels=[], milestone=None,
        updated=call.now,
    )  # fmt: skip


def _seed(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    labels = world["label"].in_scope(repository["id"])
    milestones = world["milestone"].in_scope(repository["id"])
    if not milestones and rng.random() < 0.1:
        milestones = [make_milestone(call, repository, title=parts.title(rng))]
    author = parts.some_user(call, rng)["id"]
    closed = rng.random() < 0.4
    return make_issue(
        call, repository, title=parts.title(rng), body=parts.body(rng), author=author,
        labels=[row["id"] for row in rng.sample(labels, k=min(len(labels), rng.randrange(3)))],
        assignees=[author] if rng.random() < 0.3 else [],
        milestone=rng.choice(milestones)["id"] if milestones and rng.random() < 0.3 else None,
        **({"state": "closed", "state_reason": "completed", "closed": call.now, "closed_by": author} if closed else {}),
    )  # fmt: skip


def _sample_update(call: Call, row: Row, rng: Random) -> Row:
    chance = rng.random()
    if chance < 0.3:
        return close_issue(call, row) if row["state"] == "open" else reopen_issue(call, row)
    if chance < 0.5:
        labels = [each["id"] for each in call.world["label"].in_scope(row["scope"])]
        return set_labels(call, row, rng.sample(labels, k=min(len(labels), 2)))
    return change_issue(call, row, body=parts.body(rng))


def _labelled(world: World, row: Row, wanted: str) -> bool:
    names = {world.row("label", each)["name"].casefold() for each in row["labels"]}
    return all(name.strip().casefold() in names for name in wanted.split(","))


def _assigned(world: World, row: Row, wanted: str) -> bool:
    if wanted in {"*", "none"}:
        return bool(row["assignees"]) == (wanted == "*")
    user = world["user"].find(0, wanted)
    return user is not None and user["id"] in row["assignees"]


def _in_milestone(world: World, row: Row, wanted: str) -> bool:
    if wanted in {"*", "none"}:
        return (row["milestone"] is not None) == (wanted == "*")
    milestone = world["milestone"].get(row["milestone"])
    return milestone is not None and str(milestone["number"]) == wanted


_EDITS = {
    "title": anything(), "body": text(), "state": word("open", "closed"),
    "state_reason": word("completed", "not_planned", "duplicate", "reopened"),
    "labels": array(), "assignees": array(), "milestone": anything(),
}  # fmt: skip
_ONE = "repos/{repository}/issues/{issue}"

ISSUE = Collection(
    name="issue",
    docs="issues/issues",
    permission="issues",
    parent="repository",
    key="number",
    shape=_issue,
    detail=_full_issue,
    listings=(
        Listing(
            path="repos/{repository}/issues",
            rows=_rows,
            sorts={
                "created": lambda row: row["created"],
                "updated": lambda row: row["updated"],
            },
            direction="desc",
            sorted_by_caller=True,
            filters={
                "state": parts.state_filter(),
                "since": parts.SINCE_UPDATED,
                "labels": Filter(accepts=_labelled),
                "assignee": Filter(accepts=_assigned),
                "creator": parts.user_filter("author"),
                "milestone": Filter(accepts=_in_milestone),
            },
            paging="both",
        ),
    ),
    reads=(Read(path=_ONE, answer=_read),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/issues",
            run=_create,
            takes={
                "title": text(required=True),
                "body": text(),
                "labels": array(),
                "assignees": array(),
                "assignee": text(),
                "milestone": anything(),
            },
            status=201,
            kind="create",
        ),
        Operation(method="PATCH", path=_ONE, run=_update, takes=_EDITS, kind="update"),
        Operation(method="POST", path=f"{_ONE}/labels", run=_label_issue, takes={"labels": array(required=True)}),
        Operation(method="PUT", path=f"{_ONE}/labels", run=_relabel_issue, takes={"labels": array()}),
        Operation(method="DELETE", path=f"{_ONE}/labels", run=_unlabel_issue),
        Operation(method="DELETE", path=f"{_ONE}/labels/{{label}}", run=_unlabel_issue),
        Operation(
            method="POST",
            path=f"{_ONE}/assignees",
            run=_assign,
            takes={"assignees": array(required=True)},
            status=201,
        ),
        Operation(method="DELETE", path=f"{_ONE}/assignees", run=_unassign, takes={"assignees": array(required=True)}),
        Operation(method="PUT", path=f"{_ONE}/lock", run=_lock, takes={"lock_reason": text()}, status=204),
        Operation(method="DELETE", path=f"{_ONE}/lock", run=_unlock, status=204),
    ),
    first_id=2_500_000_000,
    seed=_seed,
    sample_update=_sample_update,
    remove=_remove,
)


def _may_be_assigned(call: Call) -> None:
    if all(
        row["login"].casefold() != call.parts["login"].casefold() for row in assignable(call.world, call.repository)
    ):
        raise not_found("issues/assignees")


def _assignee(world: World, row: Row) -> Object:
    return world.collections["user"].shape(world, row)


ASSIGNEE = Collection(
    name="assignee",
    docs="issues/assignees",
    permission="issues",
    parent="repository",
    shape=_assignee,
    rows_of=assignable,
    listings=(Listing(path="repos/{repository}/assignees", rows=lambda call: assignable(call.world, call.repository)),),
    reads=(Read(path="repos/{repository}/assignees/{login}", answer=_may_be_assigned),),
)
