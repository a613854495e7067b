"""What a pull request would bring: its commits and its files."""

from springline.sandbox.github.collection import Collection, Listing, Object
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.commits import file_shape
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


def commits_of(world: World, pull: Row) -> list[Row]:
    """What the head has and the base had not, oldest first."""
    repository = parts.repository_of(world, pull)
    before = {row["sha"] for row in world.history(repository, pull["base_sha"])}
    return [row for row in reversed(world.history(repository, pull["head_sha"])) if row["sha"] not in before]


def files_of(world: World, pull: Row) -> list[Row]:
    """The files that its commits change, by name."""
    changed: dict[str, Row] = {}
    for commit in commits_of(world, pull):
        for file in commit["files"]:
            before = changed.get(file["filename"])
            merged = dict(file)
            if before is not None:
                merged["additions"] += before["file"]["additions"]
                merged["deletions"] += before["file"]["deletions"]
                merged["status"] = "added" if before["file"]["status"] == "added" else file["status"]
            changed[file["filename"]] = {**commit, "parent": pull["id"], "file": merged, "commit": commit}
    ordered = [changed[name] for name in sorted(changed)]
    return [{**row, "id": index} for index, row in enumerate(ordered)]


_ONE = "repos/{repository}/pulls/{pull_request}"


def _as_commit(world: World, row: Row) -> Object:
    return world.collections["commit"].shape(world, row)


PULL_REQUEST_COMMIT = Collection(
    name="pull_request_commit",
    docs="pulls/pulls",
    permission="pull_requests",
    parent="pull_request",
    key="sha",
    shape=_as_commit,
    rows_of=commits_of,
    listings=(
        Listing(
            path=f"{_ONE}/commits",
            rows=parts.below("pull_request_commit", "pull_request"),
            sorts={"committed": lambda row: row["committed"]},
            most=250,
        ),
    ),
)


def _as_file(world: World, row: Row) -> Object:
    return file_shape(world, row["commit"], row["file"])


PULL_REQUEST_FILE = Collection(
    name="pull_request_file",
    docs="pulls/pulls",
    permission="pull_requests",
    parent="pull_request",
    shape=_as_file,
    rows_of=files_of,
    listings=(
        Listing(
            path=f"{_ONE}/files",
            rows=parts.below("pull_request_file", "pull_request"),
            sorts={"name": lambda row: row["file"]["filename"]},
            most=3000,
        ),
    ),
)
