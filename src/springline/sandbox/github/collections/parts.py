"""What many descriptions share: URLs, filters, and the small objects inside others."""

from datetime import datetime
from random import Random
from typing import Any

from springline.sandbox.github.collection import Call, Filter, Object
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso

WEB = "https://github.com"

WORDS = (
    "login", "billing", "export", "webhook", "search", "cache", "upload", "invoice", "profile", "settings",
    "timeout", "dashboard", "mobile", "api", "sync", "report", "retry", "locale", "theme", "session",
)  # fmt: skip
VERBS = ("fix", "add", "remove", "speed up", "document", "rework", "test", "rename")
NAMES = ("ana", "bob", "chen", "dora", "emil", "femi", "gita", "hugo", "ines", "juno", "kofi", "lena")


def title(rng: Random) -> str:
    return f"{rng.choice(VERBS)} {rng.choice(WORDS)} {rng.choice(WORDS)} {rng.randrange(10_000)}".capitalize()


def body(rng: Random) -> str:
    return f"{title(rng)}.\n\n{title(rng)}: {'é' * rng.randrange(3)} {title(rng)}."


def repository_url(world: World, repository: Row) -> str:
    return f"{world.api_url}/repos/{world.full_name(repository)}"


def repository_web(world: World, repository: Row) -> str:
    return f"{WEB}/{world.full_name(repository)}"


def repository_of(world: World, row: Row) -> Row:
    return world.row("repository", row["scope"])


def url_of(world: World, row: Row) -> str:
    """The API's URL of the repository that the row is in."""
    return repository_url(world, repository_of(world, row))


def web_of(world: World, row: Row) -> str:
    return repository_web(world, repository_of(world, row))


def times(row: Row) -> Object:
    return {"created_at": iso(row["created"]), "updated_at": iso(row["updated"])}


def reactions(url: str, row: Row) -> Object:
    given: dict[str, int] = row.get("reactions", {})
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    counts = {kind: given.get(kind, 0) for kind in kinds}
    return {"url": f"{url}/reactions", "total_count": sum(counts.values()), **counts}


def association(world: World, row: Row) -> str:
    """What the author is to the repository."""
    repository = repository_of(world, row)
    author = row.get("author")
    if author == repository["parent"]:
        return "OWNER"
    if world["member"].find(repository["parent"], author) is not None:
        return "MEMBER"
    if world["collaborator"].find(repository["id"], author) is not None:
        return "COLLABORATOR"
    return "NONE"


def moment(text: str) -> float:
    """Unix seconds of a time as callers write it. Raises GithubError."""
    try:
        return datetime.fromisoformat(text.replace(" ", "+")).timestamp()
    except ValueError:
        raise GithubError(
            "Validation Failed", errors=[{"resource": "Query", "field": "since", "code": "invalid"}]
        ) from None


def state_filter(default: str = "open", *, field: str = "state") -> Filter:
    """`open`, `closed` or `all`."""
    return Filter(
        accepts=lambda _, row, wanted: wanted == "all" or row[field] == wanted,
        default=default,
    )


# Inclusive, and as coarse as the times that the API shows: whole seconds.
SINCE_UPDATED = Filter(accepts=lambda _, row, wanted: row["updated"] >= int(wanted), parse=moment)


def field_filter(field: str) -> Filter:
    """The parameter is the field's value as text."""
    return Filter(accepts=lambda _, row, wanted: str(row.get(field)) == wanted)


def user_filter(field: str) -> Filter:
    """The parameter is the login of the user whose id is in the field."""

    def accepts(world: World, row: Row, wanted: str) -> bool:
        user = world["user"].find(0, wanted)
        return user is not None and row[field] == user["id"]

    return Filter(accepts=accepts)


def newest_first(row: Row) -> Any:
    return row["created"]


def some_user(call: Call, rng: Random) -> Row:
    """A user to write something: one of the organization's, if it has any."""
    members = call.world["member"].children(call.repository["parent"]) if "repository" in call.rows else []
    if members:
        return call.world.row("user", rng.choice(members)["user"])
    users = list(call.world["user"])
    return rng.choice(users)


def in_repository(name: str) -> Any:
    """All rows of the path's repository."""
    return lambda call: call.world[name].in_scope(call.repository["id"])


def below(name: str, above: str) -> Any:
    """The rows that belong to the one of this collection in the path."""
    return lambda call: call.world.collections[name].rows(call.world, call.rows[above])
