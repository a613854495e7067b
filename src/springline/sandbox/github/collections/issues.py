"""Issues, which pull requests are too, and who may be assigned to them."""

from random import Random
from typing import Any

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.issue_events import note
from springline.sandbox.github.collections.labels import make_milestone
from springline.sandbox.github.errors import GithubError, invalid, not_found
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


def make_issue(call: Call, repository: Row, *, title: str, **values: Any) -> Row:
    """An open issue with the next number."""
    fields: Row = {
        "body": None, "state": "open", "state_reason": None, "labels": [], "assignees": [], "milestone": None,
        "author": call.actor["id"], "closed": None, "closed_by": None, "lock_reason": None, "pull": None, **values,
    }  # fmt: skip
    number = call.world.next_number(repository["id"], "issue")
    return call.world.insert("issue", repository, now=call.now, number=number, title=title, **fields)


def change_issue(call: Call, issue: Row, **values: Any) -> Row:
    """Change an issue, which dates it and the pull request that it may be."""
    row = call.world.change("issue", issue, **{"updated": call.now, **values})
    pull = call.world["pull_request"].get(row["pull"])
    if pull is not None:
        call.world.change("pull_request", pull, updated=row["updated"])
    return row


def close_issue(call: Call, issue: Row, *, reason: str | None = None) -> Row:
    note(call, issue, "closed", state_reason=reason)
    if issue["pull"] is None and reason is None:
        reason = "completed"
    return change_issue(call, issue, state="closed", state_reason=reason, closed=call.now, closed_by=call.actor["id"])


def reopen_issue(call: Call, issue: Row) -> Row:
    note(call, issue, "reopened")
    reason = "reopened" if issue["pull"] is None else None
    return change_issue(call, issue, state="open", state_reason=reason, closed=None, closed_by=None)


def set_labels(call: Call, issue: Row, labels: list[int]) -> Row:
    """The issue has these labels from now on; each that came or went is an event."""
    for label_id in [*set(labels) ^ set(issue["labels"])]:
        label = call.world.row("label", label_id)
        event = "labeled" if label_id in labels else "unlabeled"
        note(call, issue, event, label={"name": label["name"], "color": label["color"]})
    return change_issue(call, issue, labels=labels) if labels != issue["labels"] else issue


def set_assignees(call: Call, issue: Row, users: list[int]) -> Row:
    for user in [*set(users) ^ set(issue["assignees"])]:
        note(call, issue, "assigned" if user in users else "unassigned", assignee=user)
    return change_issue(call, issue, assignees=users) if users != issue["assignees"] else issue


def set_milestone(call: Call, issue: Row, milestone: Row | None) -> Row:
    before = call.world["milestone"].get(issue["milestone"])
    if (before and before["id"]) == (milestone and milestone["id"]):
        return issue
    for event, row in (("demilestoned", before), ("milestoned", milestone)):
        if row is not None:
            note(call, issue, event, milestone={"title": row["title"]})
    return change_issue(call, issue, milestone=None if milestone is None else milestone["id"])


def edit_issue(call: Call, issue: Row) -> Row:
    """Carry out the request's parameters: text, state, labels, assignees, milestone."""
    params = call.params
    if params.get("title") not in (None, issue["title"]):
        note(call, issue, "renamed", rename={"from": issue["title"], "to": params["title"]})
    texts = {name: params[name] for name in ("title", "body") if name in params}
    if texts:
        issue = change_issue(call, issue, **texts)
    if params.get("state") == "closed" and issue["state"] == "open":
        issue = close_issue(call, issue, reason=params.get("state_reason"))
    if params.get("state") == "open" and issue["state"] == "closed":
        issue = reopen_issue(call, issue)
    if params.get("labels") is not None:
        issue = set_labels(call, issue, _labels(call, params["labels"]))
    if params.get("assignees") is not None:
        issue = set_assignees(call, issue, _users(call, params["assignees"]))
    if "milestone" in params:
        issue = set_milestone(call, issue, _milestone(call, params["milestone"]))
    return issue


def _labels(call: Call, given: list[Any]) -> list[int]:
    """Ids of labels by name; one that is not there yet is made."""
    found = []
    for each in given:
        name = each if isinstance(each, str) else each["name"] if isinstance(each, dict) and "name" in each else None
        if not isinstance(name, str) or not name:
            raise invalid("Label", "name")
        label = call.world["label"].find(call.repository["id"], name) or call.world.insert(
            "label", call.repository, now=call.now, name=name, color="ededed", description=None
        )
        found.append(label["id"])
    return list(dict.fromkeys(found))


def _users(call: Call, logins: list[Any]) -> list[int]:
    """Ids of those who may be assigned; others are left out, as GitHub does."""
    able = {row["id"]: row for row in assignable(call.world, call.repository)}
    users = [call.world["user"].find(0, str(login)) for login in logins]
    return list(dict.fromkeys(user["id"] for user in users if user is not None and user["id"] in able))


def _milestone(call: Call, number: Any) -> Row | None:
    if number is None:
        return None
    row = call.world["milestone"].find(call.repository["id"], number)
    if row is None:
        raise invalid("Issue", "milestone", value=number)
    return row


def assignable(world: World, repository: Row) -> list[Row]:
    """The users who may be assigned: the owner, the organization's members, collaborators."""
    ids = [repository["parent"]]
    ids += [row["user"] for row in world["member"].children(repository["parent"])]
    ids += [row["user"] for row in world["collaborator"].children(repository["id"])]
    users = (world["user"].get(each) for each in dict.fromkeys(ids))
    return [user for user in users if user is not None]


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
        milestone=(_milestone(call, params.get("milestone")) or {"id": None})["id"],
    )  # fmt: skip
    issue = set_labels(call, issue, _labels(call, params.get("labels") or []))
    return set_assignees(call, issue, _users(call, assignees))


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
        call, set_labels(call, issue, [*dict.fromkeys(issue["labels"] + _labels(call, call.params["labels"]))])
    )


def _relabel_issue(call: Call) -> Answer:
    return _shown_labels(call, set_labels(call, call.rows["issue"], _labels(call, call.params.get("labels") or [])))


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
    users = [*dict.fromkeys(issue["assignees"] + _users(call, call.params["assignees"]))]
    return set_assignees(call, issue, users)


def _unassign(call: Call) -> Row:
    gone = _users(call, call.params["assignees"])
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
