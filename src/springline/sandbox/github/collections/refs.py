"""Branches and tags."""

from random import Random

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.pushes import (
    default_history,
    note_push,
    push,
    some_history,
    tell_pull_requests,
)
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.params import boolean, text
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


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
        "commit": world.collections["commit"].shape(world, commit) if commit is not None else None,
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
    note_push(call, call.repository)
    return world.change("branch", row, name=new_name, updated=call.now)


def _seed_branch(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    name = f"{rng.choice(parts.NAMES)}/{rng.choice(parts.WORDS)}-{world.next_number(repository['id'], 'branch')}"
    some_history(call, rng)
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
    from springline.sandbox.github.collections.issue_changes import close_issue

    world, repository = call.world, parts.repository_of(call.world, row)
    if row["name"] == repository["default_branch"]:
        return False
    for pull in world["pull_request"].in_scope(repository["id"]):
        issue = world.row("issue", pull["issue"])
        if row["name"] in (pull["head"], pull["base"]) and issue["state"] == "open":
            close_issue(call, issue)
    world.remove("branch", row)
    note_push(call, repository)
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
    note_push(call, repository)
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
    note_push(call, repository)
    if kind == "branch":
        tell_pull_requests(call, repository, branch=row["name"], sha=sha)
    return _ref(world, row, kind)


def _delete_ref(call: Call) -> None:
    kind, row = _find_ref(call, call.parts["ref"])
    if row is None:
        raise GithubError("Reference does not exist")
    if kind == "tag":
        _remove_tag(call, row)
    elif not _remove_branch(call, row):
        raise GithubError("Cannot delete this branch")


def _seed_tag(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    commit = rng.choice(some_history(call, rng)[:100])
    number = world.next_number(repository["id"], "tag")
    note_push(call, repository)
    return world.insert("tag", repository, now=call.now, name=f"v0.{number}.{rng.randrange(20)}", sha=commit["sha"])


def _move_tag(call: Call, row: Row, rng: Random) -> Row:
    commit = rng.choice(default_history(call.world, call.repository)[:100])
    note_push(call, call.repository)
    return call.world.change("tag", row, sha=commit["sha"], updated=call.now)


def _remove_tag(call: Call, row: Row) -> bool:
    call.world.remove("tag", row)
    note_push(call, parts.repository_of(call.world, row))
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
