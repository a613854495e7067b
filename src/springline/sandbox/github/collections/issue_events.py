"""What happened to issues: events as a list of the repository, and the timeline of one issue."""

from springline.sandbox.github.collection import Call, Collection, Listing, Object, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def note(call: Call, issue: Row, event: str, **details: object) -> Row:
    """Remember that this happened to the issue: `label`, `milestone`, `assignee` and `rename` as GitHub shows them."""
    return call.world.insert(
        "issue_event", issue, now=call.now, event=event, actor=call.actor["id"], details=details, commit=None
    )


def _event(world: World, row: Row) -> Object:
    """An event without the issue that it happened to, as a timeline shows it."""
    url = parts.url_of(world, row)
    shown: Object = {
        "id": row["id"],
        "node_id": f"IE_{row['id']}",
        "url": f"{url}/issues/events/{row['id']}",
        "actor": world.account(row["actor"]),
        "event": row["event"],
        "commit_id": row["commit"],
        "commit_url": None if row["commit"] is None else f"{url}/commits/{row['commit']}",
        "created_at": iso(row["created"]),
        "performed_via_github_app": None,
    }
    details = dict(row["details"])
    if "assignee" in details:
        shown["assignee"] = world.account(details.pop("assignee"))
        shown["assigner"] = world.account(row["actor"])
    if "requested_reviewer" in details:
        shown["requested_reviewer"] = world.account(details.pop("requested_reviewer"))
        shown["review_requester"] = world.account(row["actor"])
    return {**shown, **details}


def _repository_event(world: World, row: Row) -> Object:
    return {**_event(world, row), "issue": world.embedded("issue", row["parent"])}


ISSUE_EVENT = Collection(
    name="issue_event",
    docs="issues/events",
    permission="issues",
    parent="issue",
    shape=_repository_event,
    views={"bare": _event},
    listings=(
        Listing(
            path="repos/{repository}/issues/events",
            rows=parts.in_repository("issue_event"),
            sorts={"created": parts.newest_first},
            direction="desc",
        ),
        Listing(
            path="repos/{repository}/issues/{issue}/events",
            rows=parts.below("issue_event", "issue"),
            sorts={"created": parts.newest_first},
            view="bare",
        ),
    ),
    reads=(Read(path="repos/{repository}/issues/events/{issue_event}"),),
    first_id=2**53 + 400_000,
)


def _timeline_rows(world: World, issue: Row) -> list[Row]:
    """Events, comments, reviews and commits of one issue."""
    sources = [("issue_event", row) for row in world["issue_event"].children(issue["id"])]
    sources += [("issue_comment", row) for row in world["issue_comment"].children(issue["id"])]
    pull = world["pull_request"].get(issue.get("pull"))
    if pull is not None:
        sources += [("review", row) for row in world["review"].children(pull["id"])]
        sources += [("commit", row) for row in world.collections["pull_request_commit"].rows(world, pull)]
    return [
        {
            **{name: row[name] for name in ("id", "scope", "created", "updated", "seen_at")},
            "parent": issue["id"],
            "kind": kind,
            "row": row,
        }
        for kind, row in sources
    ]


def _timeline_event(world: World, entry: Row) -> Object:
    kind, row = entry["kind"], entry["row"]
    if kind == "issue_event":
        return _event(world, row)
    if kind == "issue_comment":
        shown = world.collections["issue_comment"].shape(world, row)
        return {**shown, "event": "commented", "actor": shown["user"]}
    if kind == "review":
        return {**world.collections["review"].shape(world, row), "event": "reviewed"}
    whole = world.collections["commit"].shape(world, row)
    inner = whole["commit"]
    return {
        "event": "committed",
        "sha": whole["sha"],
        "node_id": whole["node_id"],
        "url": inner["url"],
        "html_url": whole["html_url"],
        **{name: inner[name] for name in ("author", "committer", "tree", "message", "verification")},
        "parents": whole["parents"],
    }


TIMELINE_EVENT = Collection(
    name="timeline_event",
    docs="issues/timeline",
    permission="issues",
    parent="issue",
    shape=_timeline_event,
    rows_of=_timeline_rows,
    listings=(
        Listing(
            path="repos/{repository}/issues/{issue}/timeline",
            rows=parts.below("timeline_event", "issue"),
            sorts={"created": parts.newest_first},
        ),
    ),
)
