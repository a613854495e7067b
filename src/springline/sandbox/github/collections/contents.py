"""Files: read, written and deleted, each write a commit."""

import base64
import binascii

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.pushes import head_of, push
from springline.sandbox.github.errors import GithubError, not_found
from springline.sandbox.github.params import text
from springline.sandbox.github.tables import Row

_DOCS = "repos/contents"


def _read(call: Call) -> Answer:
    """A file as it is at `?ref=`, or at the end of the default branch. Raises GithubError 404."""
    commit = head_of(call.world, call.repository, call.query.get("ref"))
    file = _file_at(call, commit, call.parts["path"])
    if file is None:
        raise not_found(_DOCS)
    content = {"content": base64.encodebytes(file["content"]).decode(), "encoding": "base64"}
    return answer_value({**_shape(call, file), **content})


def _write(call: Call) -> Answer:
    """Create a file, or replace the one whose `sha` is given. Raises GithubError 409 or 422."""
    path, before = call.parts["path"], _current(call, call.parts["path"])
    try:
        content = base64.b64decode(call.params["content"])
    except (binascii.Error, ValueError):
        raise GithubError("content is not valid Base64", docs=_DOCS) from None
    given = call.params.get("sha")
    if before is not None and given is None:
        raise GithubError('Invalid request.\n\n"sha" wasn\'t supplied.', docs=_DOCS)
    if given != (before and before["sha"]):
        raise GithubError(f"{path} does not match {given}", status=409, docs=_DOCS)
    commit = push(
        call,
        call.repository,
        branch=_branch(call),
        message=call.params["message"],
        files=[(path, "added" if before is None else "modified")],
        contents={path: content},
    )
    shown = {"content": _shape(call, commit["files"][0]), "commit": _commit(call, commit)}
    return answer_value(shown, status=201 if before is None else 200)


def _delete(call: Call) -> Answer:
    """Delete the file whose `sha` is given. Raises GithubError 404 or 409."""
    path, before = call.parts["path"], _current(call, call.parts["path"])
    if before is None:
        raise not_found(_DOCS)
    if call.params["sha"] != before["sha"]:
        raise GithubError(f"{path} does not match {call.params['sha']}", status=409, docs=_DOCS)
    commit = push(
        call, call.repository, branch=_branch(call), message=call.params["message"], files=[(path, "removed")]
    )
    return answer_value({"content": None, "commit": _commit(call, commit)})


def _branch(call: Call) -> str:
    return str(call.params.get("branch") or call.repository["default_branch"])


def _current(call: Call, path: str) -> Row | None:
    """The file at the end of the branch that is written to."""
    branch = call.world["branch"].find(call.repository["id"], _branch(call))
    commit = None if branch is None else call.world.commit(call.repository, branch["sha"])
    return None if commit is None else _file_at(call, commit, path)


def _file_at(call: Call, commit: Row, path: str) -> Row | None:
    """The newest version of the file at this commit or before it."""
    for each in call.world.history(call.repository, commit["sha"]):
        for file in each["files"]:
            if file["filename"] == path:
                found: Row = file
                return None if found["status"] == "removed" else found
    return None


def _shape(call: Call, file: Row) -> Object:
    path = file["filename"]
    url = f"{parts.repository_url(call.world, call.repository)}/contents/{path}"
    web = f"{parts.repository_web(call.world, call.repository)}/blob/{call.repository['default_branch']}/{path}"
    git = f"{parts.repository_url(call.world, call.repository)}/git/blobs/{file['sha']}"
    return {
        "type": "file",
        "size": len(file["content"]),
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "sha": file["sha"],
        "url": url,
        "git_url": git,
        "html_url": web,
        "download_url": f"https://raw.githubusercontent.com/{call.world.full_name(call.repository)}/{path}",
        "_links": {"self": url, "git": git, "html": web},
    }


def _commit(call: Call, row: Row) -> Object:
    whole = call.world.collections["commit"].shape(call.world, row)
    inner = dict(whole["commit"])
    del inner["comment_count"]
    return {**inner, **{name: whole[name] for name in ("sha", "node_id", "html_url", "parents")}}


_PATH = "repos/{repository}/contents/{path...}"
_FILE = {"message": text(required=True), "branch": text()}

CONTENT_READS = (Read(path=_PATH, answer=_read),)
CONTENT_OPERATIONS = (
    Operation(
        method="PUT",
        path=_PATH,
        run=_write,
        takes={**_FILE, "content": text(required=True), "sha": text()},
        kind="create",
    ),
    Operation(method="DELETE", path=_PATH, run=_delete, takes={**_FILE, "sha": text(required=True)}),
)
