"""Check runs."""

from random import Random
from typing import Any

from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.params import mapping, text, word
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso

_CONCLUSIONS = ("success", "failure", "cancelled", "skipped", "timed_out", "neutral", "action_required")


def _check_run(world: World, row: Row) -> Object:
    url = f"{parts.url_of(world, row)}/check-runs/{row['id']}"
    output: dict[str, Any] = {"title": None, "summary": None, "text": None, **row["output"]}
    return {
        "id": row["id"],
        "name": row["name"],
        "node_id": f"CR_{row['id']}",
        "head_sha": world.row("commit", row["parent"])["sha"],
        "external_id": row["external_id"],
        "url": url,
        "html_url": f"{parts.web_of(world, row)}/runs/{row['id']}",
        "details_url": row["details_url"],
        "status": row["status"],
        "conclusion": row["conclusion"],
        "started_at": iso(row["started"]),
        "completed_at": iso(row["completed"]),
        "output": {**output, "annotations_count": 0, "annotations_url": f"{url}/annotations"},
        "check_suite": {"id": row["parent"]},
        "app": None,
        "pull_requests": [],
    }


def _check_values(call: Call) -> Row:
    values = {name: value for name, value in call.params.items() if name != "head_sha"}
    for given, field in (("started_at", "started"), ("completed_at", "completed")):
        if given in values:
            value = values.pop(given)
            values[field] = None if value is None else int(parts.moment(value))
    if values.get("conclusion") is not None:
        values["status"] = "completed"
        values.setdefault("completed", call.now)
    if isinstance(values.get("output"), dict):
        values["output"] = {name: values["output"].get(name) for name in ("title", "summary", "text")}
    return values


def make_check_run(call: Call, commit: Row, *, name: str, **values: object) -> Row:
    fields = {
        "status": "queued", "conclusion": None, "started": call.now, "completed": None, "external_id": "",
        "details_url": None, "output": {}, **values,
    }  # fmt: skip
    return call.world.insert("check_run", commit, now=call.now, name=name, **fields)


def _create_check_run(call: Call) -> Row:
    commit = call.world.commit(call.repository, call.params["head_sha"])
    if commit is None:
        raise GithubError(f"No commit found for SHA: {call.params['head_sha']}")
    return make_check_run(call, commit, **_check_values(call))


def _update_check_run(call: Call) -> Row:
    return call.world.change("check_run", call.rows["check_run"], **_check_values(call), updated=call.now)


def _seed_check_run(call: Call, rng: Random) -> Row:
    done = rng.random() < 0.7
    values = {"status": "completed", "conclusion": rng.choice(_CONCLUSIONS), "completed": call.now} if done else {}
    return make_check_run(call, call.rows["commit"], name=f"{rng.choice(parts.WORDS)} {rng.randrange(100)}", **values)


def _change_check_run(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change(
        "check_run", row, status="completed", conclusion=rng.choice(_CONCLUSIONS), completed=call.now, updated=call.now
    )


_CHECK = {
    "name": text(),
    "status": word("queued", "in_progress", "completed"),
    "conclusion": word(*_CONCLUSIONS),
    "started_at": text(),
    "completed_at": text(),
    "external_id": text(),
    "details_url": text(),
    "output": mapping(),
}

CHECK_RUN = Collection(
    name="check_run",
    docs="checks/runs",
    permission="checks",
    parent="commit",
    shape=_check_run,
    listings=(
        Listing(
            path="repos/{repository}/commits/{commit...}/check-runs",
            rows=parts.below("check_run", "commit"),
            filters={
                "check_name": parts.field_filter("name"),
                "status": parts.field_filter("status"),
                "filter": Filter(accepts=lambda *_: True),
            },
            envelope="check_runs",
        ),
    ),
    reads=(Read(path="repos/{repository}/check-runs/{check_run}"),),
    operations=(
        Operation(
            method="POST",
            path="repos/{repository}/check-runs",
            run=_create_check_run,
            takes={**_CHECK, "name": text(required=True), "head_sha": text(required=True)},
            status=201,
            kind="create",
        ),
        Operation(
            method="PATCH",
            path="repos/{repository}/check-runs/{check_run}",
            run=_update_check_run,
            takes=_CHECK,
            kind="update",
        ),
    ),
    first_id=2**53 + 81_000_000,
    seed=_seed_check_run,
    sample_update=_change_check_run,
)
