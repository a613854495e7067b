"""What happens to an issue, and what follows from it: events, dates, the pull request that it may be."""

from typing import Any

from springline.sandbox.github.collection import Call
from springline.sandbox.github.collections.issue_events import note
from springline.sandbox.github.errors import invalid
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


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
    if "title" in texts:
        texts["title"] = issue["title"] if texts["title"] is None else str(texts["title"])
    if texts:
        issue = change_issue(call, issue, **texts)
    if params.get("state") == "closed" and issue["state"] == "open":
        issue = close_issue(call, issue, reason=params.get("state_reason"))
    if params.get("state") == "open" and issue["state"] == "closed":
        issue = reopen_issue(call, issue)
    if params.get("labels") is not None:
        issue = set_labels(call, issue, labels_named(call, params["labels"]))
    if params.get("assignees") is not None:
        issue = set_assignees(call, issue, assignees_named(call, params["assignees"]))
    if "milestone" in params:
        issue = set_milestone(call, issue, milestone_numbered(call, params["milestone"]))
    return issue


def labels_named(call: Call, given: list[Any]) -> list[int]:
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


def assignees_named(call: Call, logins: list[Any]) -> list[int]:
    """Ids of those who may be assigned; others are left out, as GitHub does."""
    able = {row["id"]: row for row in assignable(call.world, call.repository)}
    users = [call.world["user"].find(0, str(login)) for login in logins]
    return list(dict.fromkeys(user["id"] for user in users if user is not None and user["id"] in able))


def milestone_numbered(call: Call, number: Any) -> Row | None:
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
