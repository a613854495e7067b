"""New commits, and where they come to stand."""

import hashlib
from random import Random

from springline.sandbox.github.collection import Call
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


def push(
    call: Call,
    repository: Row,
    *,
    branch: str,
    message: str,
    files: list[tuple[str, str]],
    contents: dict[str, bytes] | None = None,
    author: int | None = None,
) -> Row:
    """A new commit at the end of a branch; a branch that is not there begins at the default one.

    `files` are names and what happened to them; `contents` has what the new ones hold.
    """
    world = call.world
    branch_row = world["branch"].find(repository["id"], branch)
    start = branch_row or world["branch"].find(repository["id"], repository["default_branch"])
    changed = []
    for name, status in files:
        content = (contents or {}).get(name, f"{message}\n".encode())
        changed.append(
            {
                "filename": name,
                "status": status,
                "sha": blob_sha(content),
                "additions": 0 if status == "removed" else content.count(b"\n") or 1,
                "deletions": 0 if status == "added" else 1,
                "content": content,
            }
        )
    commit = insert_commit(
        call,
        repository,
        parents=[start["sha"]] if start is not None else [],
        message=message,
        author=call.actor["id"] if author is None else author,
        files=changed,
    )
    if branch_row is None:
        world.insert("branch", repository, now=call.now, name=branch, sha=commit["sha"])
    else:
        world.change("branch", branch_row, sha=commit["sha"], updated=call.now)
    repository = note_push(call, repository)
    tell_pull_requests(call, repository, branch=branch, sha=commit["sha"])
    return commit


def insert_commit(
    call: Call, repository: Row, *, parents: list[str], message: str, author: int, files: list[Row]
) -> Row:
    """A commit that nothing points to yet. Who made it stands in it as they were called then."""
    world = call.world
    user = world["user"].get(author)
    login = world.login(author)
    name = login if user is None else user.get("name") or login
    return world.insert(
        "commit",
        repository,
        now=call.now,
        sha=world.new_sha(),
        tree=world.new_sha(),
        parents=parents,
        message=message,
        author=author,
        person={"name": name, "email": f"{login}@users.noreply.github.com"},
        authored=call.now,
        committed=call.now,
        files=files,
    )


def note_push(call: Call, repository: Row) -> Row:
    """Every new, moved or deleted ref is a push; it changes nothing else of the repository for sure."""
    return call.world.change("repository", repository, pushed=call.now)


def tell_pull_requests(call: Call, repository: Row, *, branch: str, sha: str) -> None:
    """An open pull request from this branch has a new head, and has changed."""
    for pull in call.world["pull_request"].in_scope(repository["id"]):
        issue = call.world.row("issue", pull["issue"])
        if pull["head"] == branch and issue["state"] == "open":
            call.world.change("pull_request", pull, head_sha=sha, updated=call.now)
            call.world.change("issue", issue, updated=call.now)


def blob_sha(content: bytes) -> str:
    """A file's id as git works it out."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def head_of(world: World, repository: Row, ref: str | None = None) -> Row:
    """The commit of a ref or of the default branch. Raises GithubError 409 for an empty repository, else 404."""
    if not world["commit"].count_children(repository["id"]):
        raise GithubError("Git Repository is empty.", status=409, docs="commits/commits")
    commit = world.resolve(repository, ref or repository["default_branch"])
    if commit is None:
        raise not_found("commits/commits")
    return commit


def default_history(world: World, repository: Row) -> list[Row]:
    """What its default branch reaches."""
    branch = world["branch"].find(repository["id"], repository["default_branch"])
    return [] if branch is None else world.history(repository, branch["sha"])


def make_up_commit(call: Call, rng: Random) -> Row:
    return push(
        call,
        call.repository,
        branch=call.repository["default_branch"],
        message=parts.title(rng),
        files=[(f"src/{rng.choice(parts.WORDS)}.py", "modified")],
        author=parts.some_user(call, rng)["id"],
    )


def some_history(call: Call, rng: Random) -> list[Row]:
    """The default branch's history; a first commit is made where there is none."""
    repository = call.world.row("repository", call.repository["id"])
    return default_history(call.world, repository) or [make_up_commit(call, rng)]
