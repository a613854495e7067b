"""Users and organizations."""

from random import Random

from springline.sandbox.github.answers import Answer
from springline.sandbox.github.collection import Call, Collection, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.params import boolean, text
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


def _user(world: World, row: Row) -> Object:
    url = f"{world.api_url}/users/{row['login']}"
    return {
        "login": row["login"],
        "id": row["id"],
        "node_id": f"{'O' if row.get('type') == 'Organization' else 'U'}_{row['id']}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{row['id']}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{parts.WEB}/{row['login']}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": row.get("type", "User"),
        "user_view_type": "public",
        "site_admin": False,
    }


def _public_user(world: World, row: Row) -> Object:
    return {
        **_user(world, row),
        "name": row.get("name"),
        "company": row.get("company"),
        "blog": row.get("blog", ""),
        "location": row.get("location"),
        "email": row.get("email"),
        "hireable": row.get("hireable"),
        "bio": row.get("bio"),
        "twitter_username": row.get("twitter_username"),
        "public_repos": sum(not each["private"] for each in world["repository"].children(row["id"])),
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        **parts.times(row),
    }


def _private_user(world: World, row: Row) -> Object:
    return {
        **_public_user(world, row),
        "user_view_type": "private",
        "private_gists": 0,
        "total_private_repos": 0,
        "owned_private_repos": 0,
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": True,
        "plan": {"name": "free", "space": 976562499, "collaborators": 0, "private_repos": 10000},
    }


def refuse_apps(call: Call) -> None:
    """What is a user's own is nothing to an installation. Raises GithubError 403."""
    if call.token.installation_id is not None:
        raise GithubError("Resource not accessible by integration", status=403)


def _read_own(call: Call) -> Row:
    refuse_apps(call)
    return call.actor


def _update_user(call: Call) -> Answer:
    refuse_apps(call)
    user = call.world.change("user", call.actor, **call.params, updated=call.now)
    return Answer(body=call.world.text("user", user, "private"))


def _find_user(world: World, _: Row | None, login: str) -> Row | None:
    """A user; an organization answers under its login too."""
    return world["user"].find(0, login) or world["organization"].find(0, login)


def _seed_user(call: Call, rng: Random) -> Row:
    number = len(call.world["user"])
    name = rng.choice(parts.NAMES)
    return call.world.insert(
        "user",
        None,
        now=call.now,
        login=f"{name}-{number}",
        name=f"{name.capitalize()} {rng.choice(parts.WORDS).capitalize()}",
        email=f"{name}{number}@example.com",
        company="Acme",
    )


def _change_user(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("user", row, bio=parts.title(rng), updated=call.now)


def _remove_user(call: Call, row: Row) -> bool:
    """An account that is deleted leaves its memberships and assignments; what it wrote stays, by a ghost."""
    if row["id"] == call.actor["id"]:
        return False
    for name in ("member", "team_member", "collaborator", "stargazer"):
        for each in call.world[name]:
            if each["user"] == row["id"]:
                call.world.remove(name, each)
    for issue in call.world["issue"]:
        if row["id"] in issue["assignees"]:
            left = [each for each in issue["assignees"] if each != row["id"]]
            call.world.change("issue", issue, assignees=left)
    for pull in call.world["pull_request"]:
        if row["id"] in pull["reviewers"]:
            call.world.change("pull_request", pull, reviewers=[each for each in pull["reviewers"] if each != row["id"]])
    call.world.remove("user", row)
    return True


USER = Collection(
    name="user",
    docs="users/users",
    permission="metadata",
    parent=None,
    key="login",
    find=_find_user,
    shape=_user,
    detail=_public_user,
    views={"private": _private_user},
    listings=(Listing(path="users", rows=lambda call: call.world["user"], paging="since"),),
    reads=(
        Read(path="users/{user}"),
        Read(path="user", answer=_read_own, view="private"),
    ),
    operations=(
        Operation(
            method="PATCH",
            path="user",
            run=_update_user,
            kind="update",
            takes={name: text() for name in ("name", "email", "blog", "company", "location", "bio", "twitter_username")}
            | {"hireable": boolean()},
        ),
    ),
    first_id=101,
    seed=_seed_user,
    sample_update=_change_user,
    remove=_remove_user,
)


def _organization(world: World, row: Row) -> Object:
    url = f"{world.api_url}/orgs/{row['login']}"
    return {
        "login": row["login"],
        "id": row["id"],
        "node_id": f"O_{row['id']}",
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{row['id']}?v=4",
        "description": row.get("description"),
    }


def _full_organization(world: World, row: Row) -> Object:
    repositories = world["repository"].children(row["id"])
    return {
        **_organization(world, row),
        "name": row.get("name"),
        "company": None,
        "blog": row.get("blog"),
        "location": row.get("location"),
        "email": row.get("email"),
        "twitter_username": None,
        "is_verified": False,
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": sum(not each["private"] for each in repositories),
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "html_url": f"{parts.WEB}/{row['login']}",
        "type": "Organization",
        "total_private_repos": sum(each["private"] for each in repositories),
        "owned_private_repos": sum(each["private"] for each in repositories),
        "default_repository_permission": "read",
        "members_can_create_repositories": True,
        "two_factor_requirement_enabled": False,
        **parts.times(row),
        "archived_at": None,
    }


def _as_owner(world: World, row: Row) -> Object:
    """An organization where objects show an account."""
    return _user(world, row)


def _own_organizations(call: Call) -> list[Row]:
    refuse_apps(call)
    if call.token.text.startswith("github_pat_"):
        # A fine-grained token is shown none of them. docs.github.com/rest/orgs/orgs, seen 2026-11.
        return []
    return [
        row for row in call.world["organization"] if call.world["member"].find(row["id"], call.actor["id"]) is not None
    ]


def _update_organization(call: Call) -> Row:
    return call.world.change("organization", call.organization, **call.params, updated=call.now)


def _seed_organization(call: Call, rng: Random) -> Row:
    number = len(call.world["organization"])
    row = call.world.insert(
        "organization", None, now=call.now, id=call.world.new_id("user"), login=f"{rng.choice(parts.WORDS)}-{number}",
        type="Organization",
    )  # fmt: skip
    call.world.insert("member", row, now=call.now, user=call.actor["id"], role="admin")
    return row


def _change_organization(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("organization", row, description=parts.title(rng), updated=call.now)


def _remove_organization(call: Call, row: Row) -> bool:
    # The first one is what everybody takes for granted.
    if row["id"] == next(iter(call.world["organization"]))["id"]:
        return False
    call.world.remove("organization", row)
    return True


ORGANIZATION = Collection(
    name="organization",
    docs="orgs/orgs",
    permission="metadata",
    parent=None,
    key="login",
    shape=_organization,
    detail=_full_organization,
    views={"owner": _as_owner},
    listings=(
        Listing(path="user/orgs", rows=_own_organizations),
        Listing(path="organizations", rows=lambda call: call.world["organization"], paging="since"),
        Listing(
            path="users/{user}/orgs",
            rows=lambda call: [
                row
                for row in call.world["organization"]
                if call.world["member"].find(row["id"], call.rows["user"]["id"]) is not None
            ],
        ),
    ),
    reads=(Read(path="orgs/{organization}"),),
    operations=(
        Operation(
            method="PATCH",
            path="orgs/{organization}",
            run=_update_organization,
            kind="update",
            takes={name: text() for name in ("name", "description", "blog", "location", "email")},
        ),
    ),
    first_id=1,
    seed=_seed_organization,
    sample_update=_change_organization,
    remove=_remove_organization,
)
