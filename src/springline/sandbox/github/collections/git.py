"""Commits, branches and tags."""

from hashlib import sha1
from random import Random
from typing import Any

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.params import boolean, text
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def _commit(world: World, row: Row) -> Object:
    url, web = parts.url_of(world, row), parts.web_of(world, row)
    author = world["user"].get(row["author"]) or {"login": "ghost", "name": "Ghost"}
    person = {"name": author.get("name") or author["login"], "email": f"{author['login']}@users.noreply.github.com"}
    return {
        "sha": row["sha"],
        "node_id": f"C_{row['sha']}",
        "commit": {
            "author": {**person, "date": iso(row["authored"])},
            "committer": {**person, "date": iso(row["committed"])},
            "message": row["message"],
            "tree": {"sha": row["tree"], "url": f"{url}/git/trees/{row['tree']}"},
            "url": f"{url}/git/commits/{row['sha']}",
            "comment_count": world["commit_comment"].count_children(row["id"]),
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        },
        "url": f"{url}/commits/{row['sha']}",
        "html_url": f"{web}/commit/{row['sha']}",
        "comments_url": f"{url}/commits/{row['sha']}/comments",
        "author": world.account(row["author"]),
        "committer": world.account(row["author"]),
        "parents": [
            {"sha": sha, "url": f"{url}/commits/{sha}", "html_url": f"{web}/commit/{sha}"} for sha in row["parents"]
        ],
    }


def _full_commit(world: World, row: Row) -> Object:
    added, deleted = (sum(each[name] for each in row["files"]) for name in ("additions", "deletions"))
    return {
        **_commit(world, row),
        "stats": {"total": added + deleted, "additions": added, "deletions": deleted},
        "files": [file_shape(world, row, each) for each in row["files"]],
    }


def file_shape(world: World, commit: Row, changed: dict[str, Any]) -> Object:
    """A changed file as commits and pull requests show it."""
    url, web = parts.url_of(world, commit), parts.web_of(world, commit)
    name, sha = changed["filename"], commit["sha"]
    shape = {
        "sha": changed["sha"],
        "filename": name,
        "status": changed["status"],
        "additions": changed["additions"],
        "deletions": changed["deletions"],
        "changes": changed["additions"] + changed["deletions"],
        "blob_url": f"{web}/blob/{sha}/{name}",
        "raw_url": f"{web}/raw/{sha}/{name}",
        "contents_url": f"{url}/contents/{name}?ref={sha}",
    }
    if "patch" in changed:
        shape["patch"] = changed["patch"]
    return shape


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
    commit = world.insert(
        "commit",
        repository,
        now=call.now,
        sha=world.new_sha(),
        tree=world.new_sha(),
        parents=[start["sha"]] if start is not None else [],
        message=message,
        author=call.actor["id"] if author is None else author,
        authored=call.now,
        committed=call.now,
        files=changed,
    )
    if branch_row is None:
        world.insert("branch", repository, now=call.now, name=branch, sha=commit["sha"])
    else:
        world.change("branch", branch_row, sha=commit["sha"], updated=call.now)
    repository = world.change("repository", repository, pushed=call.now, updated=call.now)
    _tell_pull_requests(call, repository, branch=branch, sha=commit["sha"])
    return commit


def _tell_pull_requests(call: Call, repository: Row, *, branch: str, sha: str) -> None:
    """An open pull request from this branch has a new head, and has changed."""
    for pull in call.world["pull_request"].in_scope(repository["id"]):
        issue = call.world.row("issue", pull["issue"])
        if pull["head"] == branch and issue["state"] == "open":
            call.world.change("pull_request", pull, head_sha=sha, updated=call.now)
            call.world.change("issue", issue, updated=call.now)


def blob_sha(content: bytes) -> str:
    """A file's id as git works it out."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def head_of(world: World, repository: Row, ref: str | None = None) -> Row:
    """The commit of a ref or of the default branch. Raises GithubError 409 for an empty repository, else 404."""
    if not world["commit"].count_children(repository["id"]):
        raise GithubError("Git Repository is empty.", status=409, docs="commits/commits")
    commit = world.resolve(repository, ref or repository["default_branch"])
    if commit is None:
        raise not_found("commits/commits")
    return commit


def _commits_of(call: Call) -> list[Row]:
    head = head_of(call.world, call.repository, call.query.get("sha"))
    return call.world.history(call.repository, head["sha"])


def _commits_of_repository(world: World, repository: Row) -> list[Row]:
    """What its default branch reaches."""
    branch = world["branch"].find(repository["id"], repository["default_branch"])
    return [] if branch is None else world.history(repository, branch["sha"])


def _touches(_: World, row: Row, wanted: str) -> bool:
    return any(each["filename"] == wanted or each["filename"].startswith(wanted + "/") for each in row["files"])


def _find_commit(world: World, repository: Row | None, ref: str) -> Row | None:
    return None if repository is None else world.resolve(repository, ref)


def _seed_commit(call: Call, rng: Random) -> Row:
    return push(
        call,
        call.repository,
        branch=call.repository["default_branch"],
        message=parts.title(rng),
        files=[(f"src/{rng.choice(parts.WORDS)}.py", "modified")],
        author=parts.some_user(call, rng)["id"],
    )


COMMIT = Collection(
    name="commit",
    docs="commits/commits",
    permission="contents",
    parent="repository",
    key="sha",
    shape=_commit,
    detail=_full_commit,
    find=_find_commit,
    rows_of=_commits_of_repository,
    listings=(
        Listing(
            path="repos/{repository}/commits",
            rows=_commits_of,
            sorts={"committed": lambda row: row["committed"]},
            direction="desc",
            filters={
                "sha": Filter(accepts=lambda *_: True),
                "path": Filter(accepts=_touches),
                "author": parts.user_filter("author"),
                "since": Filter(accepts=lambda _, row, wanted: row["committed"] >= wanted, parse=parts.moment),
                "until": Filter(accepts=lambda _, row, wanted: row["committed"] <= wanted, parse=parts.moment),
            },
        ),
    ),
    reads=(Read(path="repos/{repository}/commits/{commit...}"),),
    first_id=1,
    seed=_seed_commit,
)


def _branch(world: World, row: Row) -> Object:
    url = parts.url_of(world, row)
    return {
        "name": row["name"],
        "commit": {"sha": row["sha"], "url": f"{url}/commits/{row['sha']}"},
        "protected": row.get("protected", False),
    }


def _full_branch(world: World, row: Row) -> Object:
    url, web = parts.url_of(world, row), parts.web_of(world, row)
    commit = world.commit(parts.repository_of(world, row), row["sha"])
    return {
        **_branch(world, row),
        "commit": _commit(world, commit) if commit is not None else None,
        "_links": {"self": f"{url}/branches/{row['name']}", "html": f"{web}/tree/{row['name']}"},
        "protection": {
            "enabled": False,
            "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
        },
        "protection_url": f"{url}/branches/{row['name']}/protection",
    }


def _rename_branch(call: Call) -> Row:
    world, row = call.world, call.rows["branch"]
    new_name = call.params["new_name"]
    if world["branch"].find(call.repository["id"], new_name) is not None:
        raise GithubError("Branch already exists", status=422)
    if call.repository["default_branch"] == row["name"]:
        world.change("repository", call.repository, default_branch=new_name)
    for pull in world["pull_request"].in_scope(call.repository["id"]):
        sides = {side: new_name for side in ("head", "base") if pull[side] == row["name"]}
        if sides:
            world.change("pull_request", pull, **sides)
    return world.change("branch", row, name=new_name, updated=call.now)


def _seed_branch(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    name = f"{rng.choice(parts.NAMES)}/{rng.choice(parts.WORDS)}-{world.next_number(repository['id'], 'branch')}"
    if not world["commit"].count_children(repository["id"]):
        _seed_commit(call, rng)
    push(
        call,
        repository,
        branch=name,
        message=parts.title(rng),
        files=[(f"src/{rng.choice(parts.WORDS)}.py", "modified"), (f"src/new_{rng.randrange(10**6)}.py", "added")],
        author=parts.some_user(call, rng)["id"],
    )
    row = world["branch"].find(repository["id"], name)
    assert row is not None
    return row


def _push_to_branch(call: Call, row: Row, rng: Random) -> Row:
    push(call, call.repository, branch=row["name"], message=parts.title(rng), files=[("README.md", "modified")])
    return call.world.row("branch", row["id"])


def _remove_branch(call: Call, row: Row) -> bool:
    """Open pull requests from a deleted branch are closed; the default branch stays."""
    from springline.sandbox.github.collections.issues import close_issue

    world, repository = call.world, parts.repository_of(call.world, row)
    if row["name"] == repository["default_branch"]:
        return False
    for pull in world["pull_request"].in_scope(repository["id"]):
        issue = world.row("issue", pull["issue"])
        if row["name"] in (pull["head"], pull["base"]) and issue["state"] == "open":
            close_issue(call, issue)
    world.remove("branch", row)
    return True


BRANCH = Collection(
    name="branch",
    docs="branches/branches",
    permission="contents",
    parent="repository",
    key="name",
    shape=_branch,
    detail=_full_branch,
    listings=(
        Listing(
            path="repos/{repository}/branches",
            rows=parts.in_repository("branch"),
            sorts={"name": lambda row: row["name"]},
            filters={
                "protected": Filter(accepts=lambda _, row, wanted: row.get("protected", False) == (wanted == "true"))
            },
        ),
    ),
    reads=(Read(path="repos/{repository}/branches/{branch...}"),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/branches/{branch...}/rename",
            run=_rename_branch,
            takes={"new_name": text(required=True)},
            status=201,
            kind="update",
        ),
    ),
    first_id=1,
    seed=_seed_branch,
    sample_update=_push_to_branch,
    remove=_remove_branch,
)


def _tag(world: World, row: Row) -> Object:
    url = parts.url_of(world, row)
    return {
        "name": row["name"],
        "zipball_url": f"{url}/zipball/refs/tags/{row['name']}",
        "tarball_url": f"{url}/tarball/refs/tags/{row['name']}",
        "commit": {"sha": row["sha"], "url": f"{url}/commits/{row['sha']}"},
        "node_id": f"REF_{row['id']}",
    }


def _ref(world: World, row: Row, kind: str) -> Answer:
    url = parts.url_of(world, row)
    name = f"{'heads' if kind == 'branch' else 'tags'}/{row['name']}"
    return answer_value(
        {
            "ref": f"refs/{name}",
            "node_id": f"REF_{row['id']}",
            "url": f"{url}/git/refs/{name}",
            "object": {"type": "commit", "sha": row["sha"], "url": f"{url}/git/commits/{row['sha']}"},
        }
    )


def _find_ref(call: Call, name: str) -> tuple[str, Row | None]:
    """`heads/main`: a branch or a tag. Raises GithubError 422 for any other kind of name."""
    folder, _, short = name.removeprefix("refs/").partition("/")
    if folder not in {"heads", "tags"} or not short:
        raise GithubError("Reference name must start with 'refs/' and contain at least two slashes.")
    kind = "branch" if folder == "heads" else "tag"
    return kind, call.world[kind].find(call.repository["id"], short)


def _read_ref(call: Call) -> Answer:
    kind, row = _find_ref(call, call.parts["ref"])
    if row is None:
        raise not_found("git/refs")
    return _ref(call.world, row, kind)


def _create_ref(call: Call) -> Answer:
    world, repository = call.world, call.repository
    kind, row = _find_ref(call, call.params["ref"])
    if not call.params["ref"].startswith("refs/"):
        raise GithubError("Reference name must start with 'refs/' and contain at least two slashes.")
    if row is not None:
        raise GithubError("Reference already exists")
    if world.commit(repository, call.params["sha"]) is None:
        raise GithubError("Object does not exist")
    name = call.params["ref"].split("/", 2)[2]
    row = world.insert(kind, repository, now=call.now, name=name, sha=call.params["sha"])
    world.change("repository", repository, pushed=call.now)
    answer = _ref(world, row, kind)
    answer.status = 201
    return answer


def _move_ref(call: Call) -> Answer:
    world, repository = call.world, call.repository
    kind, row = _find_ref(call, call.parts["ref"])
    sha = call.params["sha"]
    if row is None:
        raise GithubError("Reference does not exist")
    if world.commit(repository, sha) is None:
        raise GithubError("Object does not exist")
    forward = any(each["sha"] == row["sha"] for each in world.history(repository, sha))
    if not forward and not call.params.get("force", False):
        raise GithubError("Update is not a fast forward")
    row = world.change(kind, row, sha=sha, updated=call.now)
    world.change("repository", repository, pushed=call.now, updated=call.now)
    if kind == "branch":
        _tell_pull_requests(call, repository, branch=row["name"], sha=sha)
    return _ref(world, row, kind)


def _delete_ref(call: Call) -> None:
    kind, row = _find_ref(call, call.parts["ref"])
    if row is None:
        raise GithubError("Reference does not exist")
    if kind == "tag":
        call.world.remove("tag", row)
    elif not _remove_branch(call, row):
        raise GithubError("Cannot delete this branch")


def _seed_tag(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    if not world["commit"].count_children(repository["id"]):
        _seed_commit(call, rng)
        repository = world.row("repository", repository["id"])
    commit = rng.choice(_commits_of_repository(world, repository)[:100])
    number = world.next_number(repository["id"], "tag")
    return world.insert("tag", repository, now=call.now, name=f"v0.{number}.{rng.randrange(20)}", sha=commit["sha"])


def _move_tag(call: Call, row: Row, rng: Random) -> Row:
    commit = rng.choice(_commits_of_repository(call.world, call.repository)[:100])
    return call.world.change("tag", row, sha=commit["sha"], updated=call.now)


def _remove_tag(call: Call, row: Row) -> bool:
    call.world.remove("tag", row)
    return True


TAG = Collection(
    name="tag",
    docs="repos/repos",
    permission="contents",
    parent="repository",
    key="name",
    shape=_tag,
    listings=(
        Listing(
            path="repos/{repository}/tags",
            rows=parts.in_repository("tag"),
            sorts={"name": lambda row: row["name"]},
            direction="desc",
        ),
    ),
    reads=(Read(path="repos/{repository}/git/ref/{ref...}", answer=_read_ref),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/git/refs",
            run=_create_ref,
            takes={"ref": text(required=True), "sha": text(required=True)},
            status=201,
            kind="create",
        ),
        Operation(
            method="PATCH",
            path="repos/{repository}/git/refs/{ref...}",
            run=_move_ref,
            takes={"sha": text(required=True), "force": boolean()},
            kind="update",
        ),
        Operation(
            method="DELETE", path="repos/{repository}/git/refs/{ref...}", run=_delete_ref, status=204, kind="delete"
        ),
    ),
    first_id=1,
    seed=_seed_tag,
    sample_update=_move_tag,
    remove=_remove_tag,
)
