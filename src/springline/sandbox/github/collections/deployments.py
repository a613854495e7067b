"""Deployments and what became of them."""

from random import Random

from springline.sandbox.github.collection import Call, Collection, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.pushes import head_of, some_history
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.params import anything, array, boolean, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World

_STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")


def _deployment(world: World, row: Row) -> Object:
    repository = parts.url_of(world, row)
    url = f"{repository}/deployments/{row['id']}"
    return {
        "url": url,
        "id": row["id"],
        "node_id": f"DE_{row['id']}",
        "task": row["task"],
        "original_environment": row["environment"],
        "environment": row["environment"],
        "description": row["description"],
        **parts.times(row),
        "statuses_url": f"{url}/statuses",
        "repository_url": repository,
        "creator": world.account(row["author"]),
        "sha": row["sha"],
        "ref": row["ref"],
        "payload": row["payload"],
        "transient_environment": row["transient"],
        "production_environment": row["production"],
        "performed_via_github_app": None,
    }


def make_deployment(call: Call, repository: Row, *, ref: str, **values: object) -> Row:
    fields = {
        "task": "deploy", "environment": "production", "description": None, "payload": {}, "transient": False,
        "production": values.get("environment", "production") == "production", "author": call.actor["id"], **values,
    }  # fmt: skip
    sha = head_of(call.world, repository, ref)["sha"]
    return call.world.insert("deployment", repository, now=call.now, ref=ref, sha=sha, **fields)


def _create(call: Call) -> Row:
    values = dict(call.params)
    for unused in ("auto_merge", "required_contexts"):
        values.pop(unused, None)
    for given, field in (("transient_environment", "transient"), ("production_environment", "production")):
        if given in values:
            values[field] = values.pop(given)
    if values.get("payload") in (None, ""):
        values["payload"] = {}
    return make_deployment(call, call.repository, **values)


def _delete(call: Call) -> None:
    if not _remove(call, call.rows["deployment"]):
        raise GithubError(
            "We cannot delete an active deployment unless it is the only deployment in a given environment."
        )


def _remove(call: Call, row: Row) -> bool:
    """An active one goes only if it is alone in its environment."""
    world = call.world
    others = [
        each
        for each in world["deployment"].in_scope(row["scope"])
        if each["environment"] == row["environment"] and each["id"] != row["id"]
    ]
    statuses = world["deployment_status"].children(row["id"])
    if others and statuses and statuses[-1]["state"] == "success":
        return False
    world.remove("deployment", row)
    return True


def _seed(call: Call, rng: Random) -> Row:
    repository = call.repository
    some_history(call, rng)
    return make_deployment(
        call, repository, ref=repository["default_branch"], environment=rng.choice(("production", "staging")),
        description=parts.title(rng),
    )  # fmt: skip


def _sample_update(call: Call, row: Row, rng: Random) -> Row:
    """What changes a deployment is a new status."""
    _add_status(call, row, state=rng.choice(_STATES), description=parts.title(rng))
    return call.world.row("deployment", row["id"])


_ONE = "repos/{repository}/deployments/{deployment}"

DEPLOYMENT = Collection(
    name="deployment",
    docs="deployments/deployments",
    permission="deployments",
    parent="repository",
    shape=_deployment,
    listings=(
        Listing(
            path="repos/{repository}/deployments",
            rows=parts.in_repository("deployment"),
            sorts={"created": parts.newest_first},
            direction="desc",
            filters={name: parts.field_filter(name) for name in ("sha", "ref", "task", "environment")},
        ),
    ),
    reads=(Read(path=_ONE),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/deployments",
            run=_create,
            takes={
                "ref": text(required=True),
                "task": text(),
                "environment": text(),
                "description": text(),
                "payload": anything(),
                "auto_merge": boolean(),
                "required_contexts": array(),
                "transient_environment": boolean(),
                "production_environment": boolean(),
            },
            status=201,
            kind="create",
        ),
        Operation(method="DELETE", path=_ONE, run=_delete, status=204, kind="delete"),
    ),
    first_id=900_000_000,
    seed=_seed,
    sample_update=_sample_update,
    remove=_remove,
)


def _status(world: World, row: Row) -> Object:
    repository = parts.url_of(world, row)
    deployment = f"{repository}/deployments/{row['parent']}"
    return {
        "url": f"{deployment}/statuses/{row['id']}",
        "id": row["id"],
        "node_id": f"DES_{row['id']}",
        "state": row["state"],
        "creator": world.account(row["author"]),
        "description": row["description"],
        "environment": world.row("deployment", row["parent"])["environment"],
        "target_url": row["log_url"],
        **parts.times(row),
        "deployment_url": deployment,
        "repository_url": repository,
        "environment_url": row["environment_url"],
        "log_url": row["log_url"],
        "performed_via_github_app": None,
    }


def _add_status(call: Call, deployment: Row, *, state: str, **values: object) -> Row:
    fields = {"description": "", "log_url": "", "environment_url": "", "author": call.actor["id"], **values}
    row = call.world.insert("deployment_status", deployment, now=call.now, state=state, **fields)
    call.world.change("deployment", deployment, updated=call.now)
    return row


def _create_status(call: Call) -> Row:
    """A success makes what stood in that environment before inactive."""
    values = {name: value or "" for name, value in call.params.items() if name not in {"target_url", "auto_inactive"}}
    values.setdefault("log_url", call.params.get("target_url") or "")
    row, deployment = call.rows["deployment"], call.world["deployment"]
    made = _add_status(call, row, **values)
    if made["state"] == "success" and call.params.get("auto_inactive", True):
        for other in deployment.in_scope(row["scope"]):
            statuses = call.world["deployment_status"].children(other["id"])
            alike = other["environment"] == row["environment"] and other["id"] != row["id"]
            if alike and statuses and statuses[-1]["state"] == "success":
                _add_status(call, other, state="inactive")
    return made


def _seed_status(call: Call, rng: Random) -> Row:
    return _add_status(call, call.rows["deployment"], state=rng.choice(_STATES), description=parts.title(rng))


_STATUS = f"{_ONE}/statuses/{{deployment_status}}"

DEPLOYMENT_STATUS = Collection(
    name="deployment_status",
    docs="deployments/statuses",
    permission="deployments",
    parent="deployment",
    shape=_status,
    listings=(
        Listing(
            path=f"{_ONE}/statuses",
            rows=parts.below("deployment_status", "deployment"),
            sorts={"created": parts.newest_first},
            direction="desc",
        ),
    ),
    reads=(Read(path=_STATUS),),
    operations=(
        Operation(
            method="POST",
            path=f"{_ONE}/statuses",
            run=_create_status,
            takes={
                "state": word(*_STATES, required=True),
                "description": text(),
                "log_url": text(),
                "target_url": text(),
                "environment_url": text(),
                "auto_inactive": boolean(),
            },
            status=201,
            kind="create",
        ),
    ),
    first_id=1_100_000_000,
    seed=_seed_status,
)
