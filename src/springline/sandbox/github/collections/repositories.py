"""Repositories."""

import re
from random import Random
from typing import Any

from springline.sandbox.github.collection import Call, Collection, Direction, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.accounts import refuse_apps
from springline.sandbox.github.errors import GithubError, already_exists
from springline.sandbox.github.params import array, boolean, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso

_PLACES = {
    "archive": "/{archive_format}{/ref}", "assignees": "assignees{/user}", "blobs": "git/blobs{/sha}",
    "branches": "branches{/branch}", "collaborators": "collaborators{/collaborator}", "comments": "comments{/number}",
    "commits": "commits{/sha}", "compare": "compare/{base}...{head}", "contents": "contents/{+path}",
    "contributors": "contributors", "deployments": "deployments", "downloads": "downloads", "events": "events",
    "forks": "forks", "git_commits": "git/commits{/sha}", "git_refs": "git/refs{/sha}", "git_tags": "git/tags{/sha}",
    "hooks": "hooks", "issue_comment": "issues/comments{/number}", "issue_events": "issues/events{/number}",
    "issues": "issues{/number}", "keys": "keys{/key_id}", "labels": "labels{/name}", "languages": "languages",
    "merges": "merges", "milestones": "milestones{/number}",
    "notifications": "notifications{?since,all,participating}", "pulls": "pulls{/number}", "releases": "releases{/id}",
    "stargazers": "stargazers", "statuses": "statuses/{sha}", "subscribers": "subscribers",
    "subscription": "subscription", "tags": "tags", "teams": "teams", "trees": "git/trees{/sha}",
}  # fmt: skip

_FLAGS = {
    "has_issues": True, "has_projects": True, "has_wiki": True, "has_pages": False, "has_downloads": True,
    "has_discussions": False, "archived": False, "disabled": False, "is_template": False,
    "allow_forking": True, "web_commit_signoff_required": False,
}  # fmt: skip

_SETTINGS = {
    "name": text(), "description": text(), "homepage": text(), "private": boolean(), "default_branch": text(),
    "visibility": word("public", "private", "internal"), "has_issues": boolean(), "has_projects": boolean(),
    "has_wiki": boolean(), "archived": boolean(), "is_template": boolean(), "allow_forking": boolean(),
}  # fmt: skip


def _minimal_repository(world: World, row: Row) -> Object:
    """A repository inside a run or an invitation: what it is, and no counts."""
    url = parts.repository_url(world, row)
    return {
        "id": row["id"],
        "node_id": f"R_{row['id']}",
        "name": row["name"],
        "full_name": world.full_name(row),
        "private": row["private"],
        "owner": world.account(row["parent"]),
        "html_url": parts.repository_web(world, row),
        "description": row["description"],
        "fork": False,
        "url": url,
        **{f"{place}_url": f"{url}/{path.lstrip('/')}" for place, path in _PLACES.items()},
    }


def _repository(world: World, row: Row) -> Object:
    name, web = world.full_name(row), parts.repository_web(world, row)
    issues = world["issue"].in_scope(row["id"])
    stars = world["stargazer"].count_children(row["id"])
    open_issues = sum(issue["state"] == "open" for issue in issues)
    return {
        **_minimal_repository(world, row),
        "created_at": iso(row["created"]),
        "updated_at": iso(row["updated"]),
        "pushed_at": iso(row["pushed"]),
        "git_url": f"git://github.com/{name}.git",
        "ssh_url": f"git@github.com:{name}.git",
        "clone_url": f"{web}.git",
        "svn_url": web,
        "mirror_url": None,
        "homepage": row.get("homepage"),
        "size": world["commit"].count_children(row["id"]),
        "stargazers_count": stars,
        "watchers_count": stars,
        "language": row.get("language"),
        **{flag: row.get(flag, default) for flag, default in _FLAGS.items()},
        "forks_count": 0,
        "open_issues_count": open_issues,
        "license": None,
        "topics": row.get("topics", []),
        "visibility": row.get("visibility") or ("private" if row["private"] else "public"),
        "forks": 0,
        "open_issues": open_issues,
        "watchers": stars,
        "default_branch": row["default_branch"],
        "permissions": {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True},
    }


def _full_repository(world: World, row: Row) -> Object:
    shown = {
        **_repository(world, row),
        "allow_squash_merge": True,
        "allow_merge_commit": True,
        "allow_rebase_merge": True,
        "allow_auto_merge": False,
        "delete_branch_on_merge": False,
        "network_count": 0,
        "subscribers_count": 0,
    }
    if world["organization"].get(row["parent"]) is not None:
        shown["organization"] = world.account(row["parent"])
    return shown


def may_read(call: Call, row: Row) -> bool:
    """Whether this token is shown the repository at all: public ones, and those that its user has to do with."""
    return call.token.sees(row) and (not row["private"] or _affiliation(call, row) is not None)


def _affiliation(call: Call, row: Row) -> str | None:
    """What the token's user is to the repository, in the words of `?affiliation=`."""
    if row["parent"] == call.actor["id"]:
        return "owner"
    if call.world["collaborator"].find(row["id"], call.actor["id"]) is not None:
        return "collaborator"
    in_organization = call.world["member"].find(row["parent"], call.actor["id"]) is not None
    return "organization_member" if in_organization or call.token.installation_id is not None else None


def _own(call: Call) -> list[Row]:
    """What the token's user owns, works on or reaches through an organization."""
    wanted = call.query.get("affiliation", "owner,collaborator,organization_member").split(",")
    return [row for row in call.world["repository"] if call.token.sees(row) and _affiliation(call, row) in wanted]


def _users_own(call: Call) -> list[Row]:
    refuse_apps(call)
    return _own(call)


def _installations_own(call: Call) -> list[Row]:
    if call.token.installation_id is None:
        raise GithubError(
            "You must authenticate with an installation access token in order to list repositories for an "
            "installation.",
            status=403,
        )
    return _own(call)


def _owned_by(collection: str) -> Any:
    def rows(call: Call) -> list[Row]:
        return [row for row in call.world["repository"].children(call.rows[collection]["id"]) if may_read(call, row)]

    return rows


def _visibility(_: World, row: Row, wanted: str) -> bool:
    return wanted not in {"public", "private"} or row["private"] == (wanted == "private")


_SORTS = {
    "full_name": lambda row: row["name"].casefold(),
    "created": lambda row: row["created"],
    "updated": lambda row: row["updated"],
    "pushed": lambda row: row["pushed"],
}
_DIRECTIONS: dict[str, Direction] = {"created": "desc", "updated": "desc", "pushed": "desc"}


def _create(call: Call) -> Row:
    owner = call.rows.get("organization", call.actor)
    # GitHub makes a name that it can have out of any other.
    name = call.params["name"] = re.sub(r"[^\w.-]+", "-", call.params["name"])
    if call.world["repository"].find(owner["id"], name) is not None:
        raise GithubError(
            "Repository creation failed.",
            errors=[
                {
                    "resource": "Repository",
                    "code": "custom",
                    "field": "name",
                    "message": "name already exists on this account",
                }
            ],
        )
    call.world.moved.pop(f"{owner['login']}/{name}".casefold(), None)
    auto_init = call.params.pop("auto_init", False)
    row = make_repository(call, owner, **call.params)
    if auto_init:
        from springline.sandbox.github.collections.pushes import push

        push(call, row, branch=row["default_branch"], message="Initial commit", files=[("README.md", "added")])
    return call.world.row("repository", row["id"])


def make_repository(call: Call, owner: Row, *, name: str, **settings: Any) -> Row:
    """An empty repository with GitHub's default labels."""
    values: Row = {
        "private": False, "default_branch": "main", "pushed": call.now, "description": None, "has_issues": True,
        "code_scanning": "on", "dependabot": "on", **settings,
    }  # fmt: skip
    row = call.world.insert("repository", owner, now=call.now, name=name, **values)
    for label, color in (("bug", "d73a4a"), ("enhancement", "a2eeef"), ("question", "d876e3")):
        call.world.insert("label", row, now=call.now, name=label, color=color, description=None, default=True)
    return row


def _update(call: Call) -> Row:
    world, row, params = call.world, call.repository, dict(call.params)
    name = re.sub(r"[^\w.-]+", "-", params.get("name") or row["name"])
    if name != row["name"]:
        other = world["repository"].find(row["parent"], name)
        if other is not None and other["id"] != row["id"]:
            raise already_exists("Repository", "name")
        world.moved[world.full_name(row).casefold()] = row["id"]
        world.moved.pop(f"{world.login(row['parent'])}/{name}".casefold(), None)
    params["name"] = name
    if "visibility" in params:
        params["private"] = params["visibility"] != "public"
    elif "private" in params:
        params["visibility"] = None
    return world.change("repository", row, **params, updated=call.now)


def _transfer(call: Call) -> Row:
    world, row = call.world, call.repository
    owner = world["organization"].find(0, call.params["new_owner"]) or world["user"].find(0, call.params["new_owner"])
    if owner is None:
        raise GithubError("Validation Failed", errors=["Owner not found"])  # type: ignore[list-item]
    world.moved[world.full_name(row).casefold()] = row["id"]
    return world.change("repository", row, parent=owner["id"], scope=owner["id"], updated=call.now)


def _delete(call: Call) -> None:
    _remove(call, call.repository)


def _topics(call: Call) -> Any:
    from springline.sandbox.github.answers import answer_value

    names = call.params["names"]
    call.world.change("repository", call.repository, topics=names, updated=call.now)
    return answer_value({"names": names})


def _remove(call: Call, row: Row) -> bool:
    call.world.remove("repository", row)
    return True


def _seed(call: Call, rng: Random) -> Row:
    name = f"{rng.choice(parts.WORDS)}-{call.world.next_number(0, 'repository')}"
    return make_repository(
        call, call.organization, name=name, private=rng.random() < 0.5, description=parts.title(rng), language="Python"
    )


def _sample_update(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("repository", row, description=parts.title(rng), updated=call.now)


REPOSITORY = Collection(
    name="repository",
    docs="repos/repos",
    permission="metadata",
    write_permission="administration",
    parent="organization",
    key="name",
    shape=_repository,
    detail=_full_repository,
    views={"minimal": _minimal_repository},
    listings=(
        Listing(
            path="orgs/{organization}/repos",
            rows=_owned_by("organization"),
            sorts={"created": _SORTS["created"], **_SORTS},
            directions={**_DIRECTIONS, "full_name": "asc"},
            direction="desc",
            sorted_by_caller=True,
            filters={"type": Filter(accepts=_visibility)},
        ),
        Listing(
            path="users/{user}/repos",
            rows=_owned_by("user"),
            sorts=_SORTS,
            directions=_DIRECTIONS,
            sorted_by_caller=True,
        ),
        Listing(
            path="user/repos",
            rows=_users_own,
            sorts=_SORTS,
            directions=_DIRECTIONS,
            sorted_by_caller=True,
            filters={
                "visibility": Filter(accepts=_visibility),
                "type": Filter(accepts=_visibility),
                "affiliation": Filter(accepts=lambda *_: True),
                "since": parts.SINCE_UPDATED,
            },
        ),
        Listing(path="installation/repositories", rows=_installations_own, envelope="repositories"),
    ),
    reads=(Read(path="repos/{repository}"),),
    operations=(
        Operation(
            method="POST",
            path="orgs/{organization}/repos",
            run=_create,
            takes={**_SETTINGS, "name": text(required=True), "auto_init": boolean()},
            status=201,
            kind="create",
        ),
        Operation(
            method="POST",
            path="user/repos",
            run=_create,
            takes={**_SETTINGS, "name": text(required=True), "auto_init": boolean()},
            status=201,
            kind="create",
        ),
        Operation(method="PATCH", path="repos/{repository}", run=_update, takes=_SETTINGS, kind="update"),
        Operation(method="DELETE", path="repos/{repository}", run=_delete, status=204, kind="delete"),
        Operation(
            method="POST",
            path="repos/{repository}/transfer",
            run=_transfer,
            takes={"new_owner": text(required=True)},
            status=202,
        ),
        Operation(method="PUT", path="repos/{repository}/topics", run=_topics, takes={"names": array(required=True)}),
    ),
    first_id=1_296_269_000,
    seed=_seed,
    sample_update=_sample_update,
    remove=_remove,
)
