"""Who works on a repository, worked on it, or likes it."""

from collections import Counter
from random import Random
from typing import Any

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import not_found
from springline.sandbox.github.params import word
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
        "repository": world.embedded("repository", repository["id"], "minimal"),
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
