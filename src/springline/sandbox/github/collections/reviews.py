"""Reviews of pull requests, and the comments inside their diffs."""

from random import Random

from springline.sandbox.github.answers import Answer
from springline.sandbox.github.collection import Call, Collection, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.issue_changes import change_issue
from springline.sandbox.github.collections.pull_parts import files_of
from springline.sandbox.github.errors import GithubError, invalid, not_found
from springline.sandbox.github.params import array, integer, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso

_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def _pull_url(world: World, row: Row) -> str:
    return f"{parts.url_of(world, row)}/pulls/{world.row('pull_request', row['parent'])['number']}"


def _pull_web(world: World, row: Row) -> str:
    return f"{parts.web_of(world, row)}/pull/{world.row('pull_request', row['parent'])['number']}"


def _review(world: World, row: Row) -> Object:
    url, web = _pull_url(world, row), f"{_pull_web(world, row)}#pullrequestreview-{row['id']}"
    shown = {
        "id": row["id"],
        "node_id": f"PRR_{row['id']}",
        "user": world.account(row["author"]),
        "body": row["body"],
        "state": row["state"],
        "html_url": web,
        "pull_request_url": url,
        "author_association": parts.association(world, row),
        "_links": {"html": {"href": web}, "pull_request": {"href": url}},
        "commit_id": row["commit"],
    }
    if row["state"] != "PENDING":
        shown["submitted_at"] = iso(row["submitted"])
    return shown


def touch_pull(call: Call, pull: Row) -> None:
    """What happens inside a pull request dates it."""
    change_issue(call, call.world.row("issue", pull["issue"]))


def make_review(call: Call, pull: Row, *, state: str, body: str, author: int) -> Row:
    submitted = None if state == "PENDING" else call.now
    row = call.world.insert(
        "review",
        pull,
        now=call.now,
        state=state,
        body=body,
        author=author,
        commit=pull["head_sha"],
        submitted=submitted,
    )
    if submitted is not None:
        touch_pull(call, pull)
    return row


def _create(call: Call) -> Row:
    pull, params = call.rows["pull_request"], call.params
    state = _STATES.get(params.get("event", ""), "PENDING")
    if state in {"CHANGES_REQUESTED", "COMMENTED"} and not params.get("body") and not params.get("comments"):
        raise invalid("PullRequestReview", "body", code="missing_field")
    comments = [_comment_values(call, pull, each) for each in params.get("comments", [])]
    row = make_review(call, pull, state=state, body=params.get("body") or "", author=call.actor["id"])
    for values in comments:
        _insert_comment(call, pull, review=row["id"], **values)
    return row


def _update(call: Call) -> Row:
    return call.world.change("review", call.rows["review"], body=call.params["body"], updated=call.now)


def _submit(call: Call) -> Row:
    row = call.rows["review"]
    if row["state"] != "PENDING":
        raise GithubError("Unprocessable Entity", errors=["Review has already been submitted"])  # type: ignore[list-item]
    body = call.params.get("body") or row["body"]
    row = call.world.change(
        "review", row, state=_STATES[call.params["event"]], body=body, submitted=call.now, updated=call.now
    )
    touch_pull(call, call.rows["pull_request"])
    return row


def _dismiss(call: Call) -> Row:
    row = call.rows["review"]
    if row["state"] not in {"APPROVED", "CHANGES_REQUESTED"}:
        raise GithubError("Can not dismiss this review", status=422)
    touch_pull(call, call.rows["pull_request"])
    return call.world.change("review", row, state="DISMISSED", updated=call.now)


def _delete(call: Call) -> Answer:
    """Only a review that was not submitted yet can be deleted."""
    row = call.rows["review"]
    if row["state"] != "PENDING":
        raise GithubError("Can not delete a non-pending pull request review")
    shown = call.world.text("review", row, "list")
    call.world.remove("review", row)
    return Answer(body=shown)


def _seed(call: Call, rng: Random) -> Row:
    state, author = rng.choice([*_STATES.values()]), parts.some_user(call, rng)["id"]
    return make_review(call, call.rows["pull_request"], state=state, body=parts.body(rng), author=author)


def _sample_update(call: Call, row: Row, rng: Random) -> Row:
    """An edited review dates its pull request, as far as can be seen from outside."""
    touch_pull(call, call.world.row("pull_request", row["parent"]))
    return call.world.change("review", row, body=parts.body(rng), updated=call.now)


_PULL = "repos/{repository}/pulls/{pull_request}"
_ONE = f"{_PULL}/reviews/{{review}}"

REVIEW = Collection(
    name="review",
    docs="pulls/reviews",
    permission="pull_requests",
    parent="pull_request",
    shape=_review,
    listings=(Listing(path=f"{_PULL}/reviews", rows=parts.below("review", "pull_request")),),
    reads=(Read(path=_ONE),),
    operations=(
        Operation(
            method="POST",
            path=f"{_PULL}/reviews",
            run=_create,
            takes={"body": text(), "event": word(*_STATES), "comments": array(), "commit_id": text()},
            kind="create",
        ),
        Operation(method="PUT", path=_ONE, run=_update, takes={"body": text(required=True)}, kind="update"),
        Operation(method="DELETE", path=_ONE, run=_delete, kind="delete"),
        Operation(
            method="POST",
            path=f"{_ONE}/events",
            run=_submit,
            takes={"body": text(), "event": word(*_STATES, required=True)},
        ),
        Operation(method="PUT", path=f"{_ONE}/dismissals", run=_dismiss, takes={"message": text(required=True)}),
    ),
    first_id=2_900_000_000,
    seed=_seed,
    sample_update=_sample_update,
)


def _review_comment(world: World, row: Row) -> Object:
    url = f"{parts.url_of(world, row)}/pulls/comments/{row['id']}"
    pull_url, web = _pull_url(world, row), f"{_pull_web(world, row)}#discussion_r{row['id']}"
    shown = {
        "url": url,
        "pull_request_review_id": row["review"],
        "id": row["id"],
        "node_id": f"PRRC_{row['id']}",
        "diff_hunk": row["hunk"],
        "path": row["path"],
        "commit_id": row["commit"],
        "original_commit_id": row["commit"],
        "user": world.account(row["author"]),
        "body": row["body"],
        **parts.times(row),
        "html_url": web,
        "pull_request_url": pull_url,
        "author_association": parts.association(world, row),
        "_links": {"self": {"href": url}, "html": {"href": web}, "pull_request": {"href": pull_url}},
        "reactions": parts.reactions(url, row),
        "start_line": None,
        "original_start_line": None,
        "start_side": None,
        "line": row["line"],
        "original_line": row["line"],
        "side": row["side"],
        "original_position": row["line"],
        "position": row["line"],
        "subject_type": "line",
    }
    if row["answers"] is not None:
        shown["in_reply_to_id"] = row["answers"]
    return shown


def _comment_values(call: Call, pull: Row, given: Row) -> Row:
    """A comment's fields out of a request. Raises GithubError 422 for a file that the pull request leaves alone."""
    path = given.get("path") if isinstance(given, dict) else None
    if all(row["file"]["filename"] != path for row in files_of(call.world, pull)):
        raise invalid("PullRequestReviewComment", "path")
    return {
        "body": given.get("body", ""),
        "path": path,
        "line": given.get("line") or given.get("position") or 1,
        "side": given.get("side") or "RIGHT",
    }


def _insert_comment(call: Call, pull: Row, *, review: int, **values: object) -> Row:
    fields = {
        "author": call.actor["id"], "commit": pull["head_sha"], "hunk": "@@ -1 +1 @@\n-old\n+new", "answers": None,
        "line": 1, "side": "RIGHT", **values,
    }  # fmt: skip
    row = call.world.insert("review_comment", pull, now=call.now, review=review, **fields)
    touch_pull(call, pull)
    return row


def _create_comment(call: Call) -> Row:
    pull, params = call.rows["pull_request"], call.params
    if params.get("in_reply_to") is not None:
        return _answer(call, pull, params["in_reply_to"])
    values = _comment_values(call, pull, params)
    review = make_review(call, pull, state="COMMENTED", body="", author=call.actor["id"])
    return _insert_comment(call, pull, review=review["id"], **values)


def _reply(call: Call) -> Row:
    return _answer(call, call.rows["pull_request"], call.rows["review_comment"]["id"])


def _answer(call: Call, pull: Row, comment_id: int) -> Row:
    first = call.world["review_comment"].get(comment_id)
    if first is None or first["parent"] != pull["id"]:
        raise not_found("pulls/comments")
    same = {name: first[name] for name in ("path", "line", "side", "commit", "hunk")}
    return _insert_comment(
        call, pull, review=first["review"], body=call.params["body"], answers=first["answers"] or first["id"], **same
    )


def _update_comment(call: Call) -> Row:
    row = call.rows["review_comment"]
    return call.world.change("review_comment", row, body=call.params["body"], updated=call.now)


def _delete_comment(call: Call) -> None:
    _remove_comment(call, call.rows["review_comment"])


def _remove_comment(call: Call, row: Row) -> bool:
    call.world.remove("review_comment", row)
    touch_pull(call, call.world.row("pull_request", row["parent"]))
    return True


def _seed_comment(call: Call, rng: Random) -> Row | None:
    pull = call.rows["pull_request"]
    files = files_of(call.world, pull)
    if not files:
        return None
    author = parts.some_user(call, rng)["id"]
    review = make_review(call, pull, state="COMMENTED", body="", author=author)
    return _insert_comment(
        call, pull, review=review["id"], body=parts.body(rng), author=author,
        path=rng.choice(files)["file"]["filename"], line=rng.randrange(1, 50),
    )  # fmt: skip


def _change_comment(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("review_comment", row, body=parts.body(rng), updated=call.now)


_COMMENT = "repos/{repository}/pulls/comments/{review_comment}"

REVIEW_COMMENT = Collection(
    name="review_comment",
    docs="pulls/comments",
    permission="pull_requests",
    parent="pull_request",
    shape=_review_comment,
    listings=(
        Listing(
            path="repos/{repository}/pulls/comments",
            rows=parts.in_repository("review_comment"),
            sorts={
                "created": lambda row: row["created"],
                "updated": lambda row: row["updated"],
            },
            sorted_by_caller=True,
            filters={"since": parts.SINCE_UPDATED},
        ),
        Listing(
            path=f"{_ONE}/comments",
            rows=lambda call: [
                row
                for row in call.world["review_comment"].children(call.rows["pull_request"]["id"])
                if row["review"] == call.rows["review"]["id"]
            ],
        ),
        Listing(
            path=f"{_PULL}/comments",
            rows=parts.below("review_comment", "pull_request"),
            sorts={
                "created": lambda row: row["created"],
                "updated": lambda row: row["updated"],
            },
            sorted_by_caller=True,
            filters={"since": parts.SINCE_UPDATED},
        ),
    ),
    reads=(Read(path=_COMMENT),),
    operations=(
        Operation(
            method="POST",
            path=f"{_PULL}/comments",
            run=_create_comment,
            takes={
                "body": text(required=True),
                "commit_id": text(),
                "path": text(),
                "line": integer(),
                "position": integer(),
                "side": word("LEFT", "RIGHT"),
                "in_reply_to": integer(),
            },
            status=201,
            kind="create",
        ),
        Operation(
            method="POST",
            path=f"{_PULL}/comments/{{review_comment}}/replies",
            run=_reply,
            takes={"body": text(required=True)},
            status=201,
        ),
        Operation(
            method="PATCH", path=_COMMENT, run=_update_comment, takes={"body": text(required=True)}, kind="update"
        ),
        Operation(method="DELETE", path=_COMMENT, run=_delete_comment, status=204, kind="delete"),
    ),
    first_id=2**53 + 900_000,
    seed=_seed_comment,
    sample_update=_change_comment,
    remove=_remove_comment,
)
