"""Who belongs where: members, teams, collaborators, contributors, stargazers."""

import re
from collections import Counter
from random import Random
from typing import Any

import msgspec

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import GithubError, already_exists, not_found
from springline.sandbox.github.params import array, integer, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso

_PERMISSIONS = ("pull", "triage", "push", "maintain", "admin")


def _as_user(world: World, row: Row) -> Object:
    return world.collections["user"].shape(world, world.row("user", row["user"]))


def _membership(name: str, above: str) -> Any:
    """Whether the user in the path belongs to what the path names: 204, else 404."""

    def answer(call: Call) -> None:
        if call.world[name].find(call.rows[above]["id"], call.rows["user"]["id"]) is None:
            raise not_found(call.world.collections[name].docs)

    return answer


def _stranger(call: Call, rng: Random, name: str, above: Row) -> Row | None:
    """A user who does not belong to it yet."""
    users = [row for row in call.world["user"] if call.world[name].find(above["id"], row["id"]) is None]
    return rng.choice(users) if users else None


# Members.


def _membership_shape(call: Call, row: Row) -> Answer:
    url = f"{call.world.api_url}/orgs/{call.organization['login']}"
    return answer_value(
        {
            "url": f"{url}/memberships/{call.rows['user']['login']}",
            "state": "active",
            "role": row["role"],
            "organization_url": url,
            "organization": call.world.embedded("organization", call.organization["id"]),
            "user": call.world.account(row["user"]),
        }
    )


def _read_membership(call: Call) -> Answer:
    row = call.world["member"].find(call.organization["id"], call.rows["user"]["id"])
    if row is None:
        raise not_found("orgs/members")
    return _membership_shape(call, row)


def _set_membership(call: Call) -> Answer:
    user, role = call.rows["user"], call.params.get("role", "member")
    row = call.world["member"].find(call.organization["id"], user["id"])
    if row is None:
        row = call.world.insert("member", call.organization, now=call.now, user=user["id"], role=role)
    else:
        row = call.world.change("member", row, role=role, updated=call.now)
    return _membership_shape(call, row)


def _remove_member(call: Call, row: Row) -> bool:
    """Who leaves an organization leaves its teams; its last admin stays."""
    world = call.world
    if row["user"] == call.actor["id"]:
        return False
    for team in world["team"].children(row["parent"]):
        seat = world["team_member"].find(team["id"], row["user"])
        if seat is not None:
            world.remove("team_member", seat)
    world.remove("member", row)
    return True


def _delete_member(call: Call) -> None:
    row = call.world["member"].find(call.organization["id"], call.rows["user"]["id"])
    if row is None:
        raise not_found("orgs/members")
    if not _remove_member(call, row):
        raise GithubError("Cannot remove the last owner of the organization", status=403)


def _seed_member(call: Call, rng: Random) -> Row:
    user = _stranger(call, rng, "member", call.organization) if rng.random() < 0.5 else None
    if user is None:
        make_user = call.world.collections["user"].seed
        assert make_user is not None
        user = make_user(call, rng)
        assert user is not None
    return call.world.insert("member", call.organization, now=call.now, user=user["id"], role="member")


MEMBER = Collection(
    name="member",
    docs="orgs/members",
    permission="members",
    parent="organization",
    key="user",
    shape=_as_user,
    listings=(
        Listing(
            path="orgs/{organization}/members",
            rows=parts.below("member", "organization"),
            filters={"role": Filter(accepts=lambda _, row, wanted: wanted == "all" or row["role"] == wanted)},
        ),
    ),
    reads=(
        Read(path="orgs/{organization}/members/{user}", answer=_membership("member", "organization")),
        Read(path="orgs/{organization}/memberships/{user}", answer=_read_membership),
    ),
    operations=(
        Operation(
            method="PUT",
            path="orgs/{organization}/memberships/{user}",
            run=_set_membership,
            takes={"role": word("admin", "member")},
            kind="create",
        ),
        Operation(
            method="DELETE",
            path="orgs/{organization}/members/{user}",
            run=_delete_member,
            status=204,
            kind="delete",
        ),
        Operation(method="DELETE", path="orgs/{organization}/memberships/{user}", run=_delete_member, status=204),
    ),
    first_id=1,
    seed=_seed_member,
    remove=_remove_member,
)


# Teams.


def _team(world: World, row: Row) -> Object:
    organization = world.row("organization", row["parent"])
    url = f"{world.api_url}/organizations/{organization['id']}/team/{row['id']}"
    return {
        "name": row["name"],
        "id": row["id"],
        "node_id": f"T_{row['id']}",
        "slug": row["slug"],
        "description": row.get("description"),
        "privacy": row["privacy"],
        "notification_setting": "notifications_enabled",
        "url": url,
        "html_url": f"{parts.WEB}/orgs/{organization['login']}/teams/{row['slug']}",
        "members_url": f"{url}/members{{/member}}",
        "repositories_url": f"{url}/repos",
        "permission": row["permission"],
        "type": "organization",
        "organization_id": organization["id"],
        "parent": world.embedded("team", row["above"], "bare"),
    }


def _bare_team(world: World, row: Row) -> Object:
    shown = _team(world, row)
    del shown["parent"]
    return shown


def _full_team(world: World, row: Row) -> Object:
    return {
        **_team(world, row),
        "members_count": world["team_member"].count_children(row["id"]),
        "repos_count": 0,
        **parts.times(row),
        "organization": msgspec.Raw(world.text("organization", world.row("organization", row["parent"]), "detail")),
    }


def _team_values(call: Call) -> Row:
    values = dict(call.params)
    if "name" in values:
        values["slug"] = re.sub(r"[^a-z0-9]+", "-", values["name"].lower()).strip("-") or "team"
    if "parent_team_id" in values:
        values["above"] = values.pop("parent_team_id")
    values.pop("maintainers", None)
    return values


def _create_team(call: Call) -> Row:
    values = _team_values(call)
    if call.world["team"].find(call.organization["id"], values["slug"]) is not None:
        raise already_exists("Team", "name")
    fields = {"privacy": "closed", "permission": "pull", "above": None, **values}
    return call.world.insert("team", call.organization, now=call.now, **fields)


def _update_team(call: Call) -> Row:
    return call.world.change("team", call.rows["team"], **_team_values(call), updated=call.now)


def _remove_team(call: Call, row: Row) -> bool:
    for below in call.world["team"].children(row["parent"]):
        if below["above"] == row["id"]:
            call.world.change("team", below, above=None)
    call.world.remove("team", row)
    return True


def _delete_team(call: Call) -> None:
    _remove_team(call, call.rows["team"])


def _seed_team(call: Call, rng: Random) -> Row:
    number = call.world.next_number(call.organization["id"], "team")
    name = f"{rng.choice(parts.WORDS).capitalize()} {number}"
    fields = {"privacy": "closed", "permission": "pull", "above": None, "slug": name.lower().replace(" ", "-")}
    return call.world.insert("team", call.organization, now=call.now, name=name, description=parts.title(rng), **fields)


def _change_team(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("team", row, description=parts.title(rng), updated=call.now)


_TEAM = {
    "name": text(),
    "description": text(),
    "privacy": word("secret", "closed"),
    "permission": word("pull", "push"),
    "parent_team_id": integer(),
}

TEAM = Collection(
    name="team",
    docs="teams/teams",
    permission="members",
    parent="organization",
    key="slug",
    shape=_team,
    detail=_full_team,
    views={"bare": _bare_team},
    listings=(Listing(path="orgs/{organization}/teams", rows=parts.below("team", "organization")),),
    reads=(Read(path="orgs/{organization}/teams/{team}"),),
    operations=(
        Operation(
            method="POST",
            path="orgs/{organization}/teams",
            run=_create_team,
            takes={**_TEAM, "name": text(required=True), "maintainers": array()},
            status=201,
            kind="create",
        ),
        Operation(
            method="PATCH", path="orgs/{organization}/teams/{team}", run=_update_team, takes=_TEAM, kind="update"
        ),
        Operation(
            method="DELETE", path="orgs/{organization}/teams/{team}", run=_delete_team, status=204, kind="delete"
        ),
    ),
    first_id=4_100_000,
    seed=_seed_team,
    sample_update=_change_team,
    remove=_remove_team,
)


def _seat_shape(call: Call, row: Row) -> Answer:
    team = call.rows["team"]
    url = f"{call.world.api_url}/organizations/{team['parent']}/team/{team['id']}"
    login = call.rows["user"]["login"]
    return answer_value({"url": f"{url}/memberships/{login}", "role": row["role"], "state": "active"})


def _read_seat(call: Call) -> Answer:
    row = call.world["team_member"].find(call.rows["team"]["id"], call.rows["user"]["id"])
    if row is None:
        raise not_found("teams/members")
    return _seat_shape(call, row)


def _set_seat(call: Call) -> Answer:
    """A user joins a team; who is not in the organization yet joins it too."""
    user, team, role = call.rows["user"], call.rows["team"], call.params.get("role", "member")
    if call.world["member"].find(call.organization["id"], user["id"]) is None:
        call.world.insert("member", call.organization, now=call.now, user=user["id"], role="member")
    row = call.world["team_member"].find(team["id"], user["id"])
    if row is None:
        row = call.world.insert("team_member", team, now=call.now, user=user["id"], role=role)
    else:
        row = call.world.change("team_member", row, role=role, updated=call.now)
    return _seat_shape(call, row)


def _delete_seat(call: Call) -> None:
    row = call.world["team_member"].find(call.rows["team"]["id"], call.rows["user"]["id"])
    if row is None:
        raise not_found("teams/members")
    call.world.remove("team_member", row)


def _seed_seat(call: Call, rng: Random) -> Row | None:
    team = call.rows["team"]
    free = [
        row
        for row in call.world["member"].children(team["parent"])
        if call.world["team_member"].find(team["id"], row["user"]) is None
    ]
    if not free:
        return None
    return call.world.insert("team_member", team, now=call.now, user=rng.choice(free)["user"], role="member")


def _remove_seat(call: Call, row: Row) -> bool:
    call.world.remove("team_member", row)
    return True


_SEAT = "orgs/{organization}/teams/{team}/memberships/{user}"

TEAM_MEMBER = Collection(
    name="team_member",
    docs="teams/members",
    permission="members",
    parent="team",
    key="user",
    shape=_as_user,
    listings=(
        Listing(
            path="orgs/{organization}/teams/{team}/members",
            rows=parts.below("team_member", "team"),
            filters={"role": Filter(accepts=lambda _, row, wanted: wanted == "all" or row["role"] == wanted)},
        ),
    ),
    reads=(Read(path=_SEAT, answer=_read_seat),),
    operations=(
        Operation(
            method="PUT",
            path=_SEAT,
            run=_set_seat,
            takes={"role": word("member", "maintainer")},
            kind="create",
        ),
        Operation(method="DELETE", path=_SEAT, run=_delete_seat, status=204, kind="delete"),
    ),
    first_id=1,
    seed=_seed_seat,
    remove=_remove_seat,
)


# Collaborators, contributors, stargazers.


def _collaborator(world: World, row: Row) -> Object:
    reached = _PERMISSIONS.index(row["permission"])
    roles = {"pull": "read", "push": "write"}
    return {
        **_as_user(world, row),
        "permissions": {name: index <= reached for index, name in enumerate(_PERMISSIONS)},
        "role_name": roles.get(row["permission"], row["permission"]),
    }


def _add_collaborator(call: Call) -> Answer:
    """Who is in the organization is added at once (204); anybody else is invited (201) and stays outside."""
    world, repository, user = call.world, call.repository, call.rows["user"]
    permission = call.params.get("permission", "push")
    row = world["collaborator"].find(repository["id"], user["id"])
    if row is not None:
        world.change("collaborator", row, permission=permission, updated=call.now)
        return Answer(status=204)
    if world["member"].find(repository["parent"], user["id"]) is not None:
        world.insert("collaborator", repository, now=call.now, user=user["id"], permission=permission)
        return Answer(status=204)
    url = parts.repository_url(world, repository)
    invitation = {
        "id": user["id"],
        "node_id": f"RI_{user['id']}",
        "repository": world.embedded("repository", repository["id"]),
        "invitee": world.account(user["id"]),
        "inviter": world.account(call.actor["id"]),
        "permissions": {"pull": "read", "push": "write"}.get(permission, permission),
        "created_at": iso(call.now),
        "url": f"{url}/invitations/{user['id']}",
        "html_url": f"{parts.repository_web(world, repository)}/invitations",
        "expired": False,
    }
    return answer_value(invitation, status=201)


def _delete_collaborator(call: Call) -> None:
    row = call.world["collaborator"].find(call.repository["id"], call.rows["user"]["id"])
    if row is not None:
        call.world.remove("collaborator", row)


def _seed_collaborator(call: Call, rng: Random) -> Row | None:
    user = _stranger(call, rng, "collaborator", call.repository)
    if user is None:
        return None
    permission = rng.choice(_PERMISSIONS)
    return call.world.insert("collaborator", call.repository, now=call.now, user=user["id"], permission=permission)


def _change_collaborator(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("collaborator", row, permission=rng.choice(_PERMISSIONS), updated=call.now)


def _remove_collaborator(call: Call, row: Row) -> bool:
    call.world.remove("collaborator", row)
    return True


_COLLABORATOR = "repos/{repository}/collaborators/{user}"

COLLABORATOR = Collection(
    name="collaborator",
    docs="collaborators/collaborators",
    permission="metadata",
    write_permission="administration",
    parent="repository",
    key="user",
    shape=_collaborator,
    listings=(Listing(path="repos/{repository}/collaborators", rows=parts.below("collaborator", "repository")),),
    reads=(Read(path=_COLLABORATOR, answer=_membership("collaborator", "repository")),),
    operations=(
        Operation(
            method="PUT",
            path=_COLLABORATOR,
            run=_add_collaborator,
            takes={"permission": word(*_PERMISSIONS)},
            kind="create",
        ),
        Operation(method="DELETE", path=_COLLABORATOR, run=_delete_collaborator, status=204, kind="delete"),
    ),
    first_id=1,
    seed=_seed_collaborator,
    sample_update=_change_collaborator,
    remove=_remove_collaborator,
)


def _contributors(world: World, repository: Row) -> list[Row]:
    """Who wrote what the default branch holds, and how many commits each."""
    commits = world.collections["commit"].rows(world, repository)
    counts = Counter(row["author"] for row in commits)
    newest = {row["author"]: row for row in reversed(commits)}
    return [
        {**newest[author], "id": author, "user": author, "contributions": count}
        for author, count in counts.items()
        if world["user"].get(author) is not None
    ]


def _contributor(world: World, row: Row) -> Object:
    return {**_as_user(world, row), "contributions": row["contributions"]}


CONTRIBUTOR = Collection(
    name="contributor",
    docs="repos/repos",
    permission="metadata",
    parent="repository",
    key="user",
    shape=_contributor,
    rows_of=_contributors,
    listings=(
        Listing(
            path="repos/{repository}/contributors",
            rows=parts.below("contributor", "repository"),
            sorts={"contributions": lambda row: row["contributions"]},
            direction="desc",
            empty_status=204,
        ),
    ),
)


def _stargazer(world: World, row: Row) -> Object:
    return {"starred_at": iso(row["created"]), "user": world.account(row["user"])}


def _show_stargazer(call: Call, row: Row) -> bytes:
    """With when, for who asks for it; else the bare user."""
    if "star+json" in call.accept:
        return call.world.text("stargazer", row, "list")
    return call.world.text("user", call.world.row("user", row["user"]), "list")


def _star(call: Call) -> None:
    if call.world["stargazer"].find(call.repository["id"], call.actor["id"]) is None:
        call.world.insert("stargazer", call.repository, now=call.now, user=call.actor["id"])


def _unstar(call: Call) -> None:
    row = call.world["stargazer"].find(call.repository["id"], call.actor["id"])
    if row is not None:
        call.world.remove("stargazer", row)


def _has_starred(call: Call) -> None:
    if call.world["stargazer"].find(call.repository["id"], call.actor["id"]) is None:
        raise not_found("activity/starring")


def _seed_star(call: Call, rng: Random) -> Row | None:
    user = _stranger(call, rng, "stargazer", call.repository)
    return None if user is None else call.world.insert("stargazer", call.repository, now=call.now, user=user["id"])


def _remove_star(call: Call, row: Row) -> bool:
    call.world.remove("stargazer", row)
    return True


_STARRED = "user/starred/{repository}"

STARGAZER = Collection(
    name="stargazer",
    docs="activity/starring",
    permission="metadata",
    parent="repository",
    key="user",
    shape=_stargazer,
    listings=(
        Listing(
            path="repos/{repository}/stargazers",
            rows=parts.below("stargazer", "repository"),
            sorts={"starred": lambda row: row["created"]},
            show=_show_stargazer,
        ),
    ),
    reads=(Read(path=_STARRED, answer=_has_starred),),
    operations=(
        Operation(method="PUT", path=_STARRED, run=_star, status=204, kind="create"),
        Operation(method="DELETE", path=_STARRED, run=_unstar, status=204, kind="delete"),
    ),
    first_id=1,
    seed=_seed_star,
    remove=_remove_star,
)
