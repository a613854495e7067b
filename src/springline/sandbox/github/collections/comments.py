"""Comments: on issues and on commits."""

from random import Random

from springline.sandbox.github.collection import Call, Collection, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.issue_changes import change_issue
from springline.sandbox.github.params import integer, text
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


def _issue_comment(world: World, row: Row) -> Object:
    issue = world.row("issue", row["parent"])
    url = f"{parts.url_of(world, row)}/issues/comments/{row['id']}"
    place = "issues" if issue["pull"] is None else "pull"
    return {
        "url": url,
        "html_url": f"{parts.web_of(world, row)}/{place}/{issue['number']}#issuecomment-{row['id']}",
        "issue_url": f"{parts.url_of(world, row)}/issues/{issue['number']}",
        "id": row["id"],
        "node_id": f"IC_{row['id']}",
        "user": world.account(row["author"]),
        **parts.times(row),
        "body": row["body"],
        "author_association": parts.association(world, row),
        "reactions": parts.reactions(url, row),
        "performed_via_github_app": None,
    }


def _comment(call: Call, issue: Row, *, body: str, author: int) -> Row:
    row = call.world.insert("issue_comment", issue, now=call.now, body=body, author=author)
    change_issue(call, issue)
    return row


def _create(call: Call) -> Row:
    return _comment(call, call.rows["issue"], body=call.params["body"], author=call.actor["id"])


def _update(call: Call) -> Row:
    return call.world.change("issue_comment", call.rows["issue_comment"], body=call.params["body"], updated=call.now)


def _delete(call: Call) -> None:
    _remove(call, call.rows["issue_comment"])


def _remove(call: Call, row: Row) -> bool:
    """A comment's end changes its issue: there is one less."""
    call.world.remove("issue_comment", row)
    change_issue(call, call.world.row("issue", row["parent"]))
    return True


def _seed(call: Call, rng: Random) -> Row:
    return _comment(call, call.rows["issue"], body=parts.body(rng), author=parts.some_user(call, rng)["id"])


def _sample_update(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("issue_comment", row, body=parts.body(rng), updated=call.now)


_ONE = "repos/{repository}/issues/comments/{issue_comment}"

ISSUE_COMMENT = Collection(
    name="issue_comment",
    docs="issues/comments",
    permission="issues",
    parent="issue",
    shape=_issue_comment,
    listings=(
        Listing(
            path="repos/{repository}/issues/comments",
            rows=parts.in_repository("issue_comment"),
            sorts={
                "created": lambda row: row["created"],
                "updated": lambda row: row["updated"],
            },
            sorted_by_caller=True,
            filters={"since": parts.SINCE_UPDATED},
        ),
        Listing(
            path="repos/{repository}/issues/{issue}/comments",
            rows=parts.below("issue_comment", "issue"),
            filters={"since": parts.SINCE_UPDATED},
        ),
    ),
    reads=(Read(path=_ONE),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/issues/{issue}/comments",
            run=_create,
            takes={"body": text(required=True)},
            status=201,
            kind="create",
        ),
        Operation(method="PATCH", path=_ONE, run=_update, takes={"body": text(required=True)}, kind="update"),
        Operation(method="DELETE", path=_ONE, run=_delete, status=204, kind="delete"),
    ),
    # JavaScript's integers end below this: a program that reads numbers as doubles gets them wrong.
    first_id=2**53 + 1,
    seed=_seed,
    sample_update=_sample_update,
    remove=_remove,
)


def _commit_comment(world: World, row: Row) -> Object:
    commit = world.row("commit", row["parent"])
    url = f"{parts.url_of(world, row)}/comments/{row['id']}"
    return {
        "url": url,
        "html_url": f"{parts.web_of(world, row)}/commit/{commit['sha']}#commitcomment-{row['id']}",
        "id": row["id"],
        "node_id": f"CC_{row['id']}",
        "user": world.account(row["author"]),
        "position": row.get("position"),
        "line": row.get("line"),
        "path": row.get("path"),
        "commit_id": commit["sha"],
        **parts.times(row),
        "author_association": parts.association(world, row),
        "body": row["body"],
        "reactions": parts.reactions(url, row),
    }


def _create_on_commit(call: Call) -> Row:
    return call.world.insert(
        "commit_comment", call.rows["commit"], now=call.now, author=call.actor["id"], **call.params
    )


def _update_on_commit(call: Call) -> Row:
    return call.world.change("commit_comment", call.rows["commit_comment"], body=call.params["body"], updated=call.now)


def _delete_on_commit(call: Call) -> None:
    _remove_on_commit(call, call.rows["commit_comment"])


def _remove_on_commit(call: Call, row: Row) -> bool:
    call.world.remove("commit_comment", row)
    return True


def _seed_on_commit(call: Call, rng: Random) -> Row:
    author = parts.some_user(call, rng)["id"]
    return call.world.insert("commit_comment", call.rows["commit"], now=call.now, author=author, body=parts.body(rng))


def _change_on_commit(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("commit_comment", row, body=parts.body(rng), updated=call.now)


COMMIT_COMMENT = Collection(
    name="commit_comment",
    docs="commits/comments",
    permission="contents",
    parent="commit",
    shape=_commit_comment,
    listings=(
        Listing(path="repos/{repository}/comments", rows=parts.in_repository("commit_comment")),
        Listing(path="repos/{repository}/commits/{commit...}/comments", rows=parts.below("commit_comment", "commit")),
    ),
    reads=(Read(path="repos/{repository}/comments/{commit_comment}"),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/commits/{commit...}/comments",
            run=_create_on_commit,
            takes={"body": text(required=True), "path": text(), "position": integer(), "line": integer()},
            status=201,
            kind="create",
        ),
        Operation(
            method="PATCH",
            path="repos/{repository}/comments/{commit_comment}",
            run=_update_on_commit,
            takes={"body": text(required=True)},
            kind="update",
        ),
        Operation(
            method="DELETE",
            path="repos/{repository}/comments/{commit_comment}",
            run=_delete_on_commit,
            status=204,
            kind="delete",
        ),
    ),
    first_id=3_400_000,
    seed=_seed_on_commit,
    sample_update=_change_on_commit,
    remove=_remove_on_commit,
)
