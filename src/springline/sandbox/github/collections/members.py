"""Who is in an organization, and in its teams."""

import re
from random import Random
from typing import Any

import msgspec

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import GithubError, already_exists, not_found
from springline.sandbox.github.params import array, integer, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World


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
