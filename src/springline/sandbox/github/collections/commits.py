"""Commits."""

from typing import Any

from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.contents import CONTENT_OPERATIONS, CONTENT_READS
from springline.sandbox.github.collections.pushes import default_history, head_of, make_up_commit
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def commit_shape(world: World, row: Row) -> Object:
    """A commit as lists show it."""
    url, web = parts.url_of(world, row), parts.web_of(world, row)
    person = row["person"]
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
        **commit_shape(world, row),
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


def _commits_of(call: Call) -> list[Row]:
    head = head_of(call.world, call.repository, call.query.get("sha"))
    return call.world.history(call.repository, head["sha"])


def _touches(_: World, row: Row, wanted: str) -> bool:
    return any(each["filename"] == wanted or each["filename"].startswith(wanted + "/") for each in row["files"])


def _find_commit(world: World, repository: Row | None, ref: str) -> Row | None:
    return None if repository is None else world.resolve(repository, ref)


COMMIT = Collection(
    name="commit",
    docs="commits/commits",
    permission="contents",
    parent="repository",
    key="sha",
    shape=commit_shape,
    detail=_full_commit,
    find=_find_commit,
    rows_of=default_history,
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
    reads=(Read(path="repos/{repository}/commits/{commit...}"), *CONTENT_READS),
    operations=CONTENT_OPERATIONS,
    first_id=1,
    seed=make_up_commit,
)
