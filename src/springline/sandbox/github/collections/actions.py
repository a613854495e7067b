"""Workflows and their runs."""

from collections.abc import Callable
from random import Random

from springline.sandbox.github.answers import Answer, answer_value
from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Operation, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.pushes import some_history
from springline.sandbox.github.errors import GithubError
from springline.sandbox.github.params import anything, boolean, text
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso

CONCLUSIONS = ("success", "failure", "cancelled", "skipped", "timed_out", "neutral", "action_required")
_RERUN_SECONDS = 30 * 86_400
"""docs.github.com: a run can be run again for 30 days, seen 2026-11."""


def _workflow(world: World, row: Row) -> Object:
    web = parts.web_of(world, row)
    return {
        "id": row["id"],
        "node_id": f"W_{row['id']}",
        "name": row["name"],
        "path": row["path"],
        "state": row["state"],
        **parts.times(row),
        "url": f"{parts.url_of(world, row)}/actions/workflows/{row['id']}",
        "html_url": f"{web}/blob/main/{row['path']}",
        "badge_url": f"{web}/workflows/{row['name']}/badge.svg",
    }


def _find_workflow(world: World, repository: Row | None, name: str) -> Row | None:
    """By its id or by its file's name."""
    if repository is None:
        return None
    if name.isdecimal():
        return world["workflow"].get(int(name))
    return next((row for row in world["workflow"].in_scope(repository["id"]) if row["path"].endswith(f"/{name}")), None)


def _set_state(state: str) -> Callable[[Call], None]:
    def run(call: Call) -> None:
        call.world.change("workflow", call.rows["workflow"], state=state, updated=call.now)

    return run


def _dispatch(call: Call) -> None:
    row = call.rows["workflow"]
    if row["state"] != "active":
        raise GithubError("Cannot trigger a 'workflow_dispatch' on a disabled workflow")
    commit = call.world.resolve(call.repository, call.params["ref"])
    if commit is None:
        raise GithubError(f"No ref found for: {call.params['ref']}")
    make_run(call, row, commit=commit, event="workflow_dispatch", branch=call.params["ref"])


def _seed_workflow(call: Call, rng: Random) -> Row:
    name = f"{rng.choice(parts.WORDS)}-{call.world.next_number(call.repository['id'], 'workflow')}"
    path = f".github/workflows/{name}.yml"
    return call.world.insert("workflow", call.repository, now=call.now, name=name, path=path, state="active")


def _change_workflow(call: Call, row: Row, rng: Random) -> Row:
    return call.world.change("workflow", row, name=f"{row['name'][:40]} {rng.choice(parts.WORDS)}", updated=call.now)


_WORKFLOW = "repos/{repository}/actions/workflows/{workflow}"

WORKFLOW = Collection(
    name="workflow",
    docs="actions/workflows",
    permission="actions",
    parent="repository",
    shape=_workflow,
    find=_find_workflow,
    listings=(
        Listing(
            path="repos/{repository}/actions/workflows", rows=parts.in_repository("workflow"), envelope="workflows"
        ),
    ),
    reads=(Read(path=_WORKFLOW),),
    operations=(
        Operation(method="PUT", path=f"{_WORKFLOW}/disable", run=_set_state("disabled_manually"), status=204),
        Operation(method="PUT", path=f"{_WORKFLOW}/enable", run=_set_state("active"), status=204),
        Operation(
            method="POST",
            path=f"{_WORKFLOW}/dispatches",
            run=_dispatch,
            takes={"ref": text(required=True), "inputs": anything()},
            status=204,
        ),
    ),
    first_id=30_000_000,
    seed=_seed_workflow,
    sample_update=_change_workflow,
)


def _run(world: World, row: Row) -> Object:
    repository, workflow = parts.url_of(world, row), world.row("workflow", row["workflow"])
    url = f"{repository}/actions/runs/{row['id']}"
    commit = world.commit(parts.repository_of(world, row), row["sha"])
    whole = world.embedded("repository", row["scope"], "minimal")
    return {
        "id": row["id"],
        "name": workflow["name"],
        "node_id": f"WFR_{row['id']}",
        "head_branch": row["branch"],
        "head_sha": row["sha"],
        "path": workflow["path"],
        "display_title": row["title"],
        "run_number": row["number"],
        "event": row["event"],
        "status": row["status"],
        "conclusion": row["conclusion"],
        "workflow_id": row["workflow"],
        "check_suite_id": row["id"] + 1,
        "check_suite_node_id": f"CS_{row['id'] + 1}",
        "url": url,
        "html_url": f"{parts.web_of(world, row)}/actions/runs/{row['id']}",
        "pull_requests": [],
        **parts.times(row),
        "actor": world.account(row["author"]),
        "run_attempt": row["attempt"],
        "referenced_workflows": [],
        "run_started_at": iso(row["started"]),
        "triggering_actor": world.account(row["author"]),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{repository}/check-suites/{row['id'] + 1}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": f"{url}/attempts/{row['attempt'] - 1}" if row["attempt"] > 1 else None,
        "workflow_url": f"{repository}/actions/workflows/{row['workflow']}",
        "head_commit": None
        if commit is None
        else {
            "id": commit["sha"],
            "tree_id": commit["tree"],
            "message": commit["message"],
            "timestamp": iso(commit["committed"]),
            "author": commit["person"],
            "committer": commit["person"],
        },
        "repository": whole,
        "head_repository": whole,
    }


def make_run(call: Call, workflow: Row, *, commit: Row, event: str, branch: str, **values: object) -> Row:
    """A queued run with one queued job."""
    world = call.world
    fields = {"status": "queued", "conclusion": None, "author": call.actor["id"], **values}
    row = world.insert(
        "workflow_run",
        world.row("repository", workflow["scope"]),
        now=call.now,
        workflow=workflow["id"],
        number=world.next_number(workflow["id"], "run"),
        attempt=1,
        started=call.now,
        sha=commit["sha"],
        branch=branch,
        event=event,
        title=commit["message"],
        **fields,
    )
    add_job(call, row, name="build")
    return row


def add_job(call: Call, run: Row, *, name: str) -> Row:
    """A job of the run's present attempt, as far as the run is."""
    done = run["status"] == "completed"
    return call.world.insert(
        "workflow_job", run, now=call.now, name=name, attempt=run["attempt"], status=run["status"],
        conclusion=run["conclusion"], started=call.now, completed=call.now if done else None,
    )  # fmt: skip


def finish_run(call: Call, row: Row, *, conclusion: str) -> Row:
    """End a run and the jobs of its attempt."""
    for job in call.world["workflow_job"].children(row["id"]):
        if job["attempt"] == row["attempt"]:
            call.world.change(
                "workflow_job", job, status="completed", conclusion=conclusion, completed=call.now, updated=call.now
            )
    return call.world.change("workflow_run", row, status="completed", conclusion=conclusion, updated=call.now)


def rerun(call: Call, row: Row) -> Row:
    """Another attempt: an old run changes, under its old id and creation time. Raises GithubError 403 when too old."""
    if call.now - row["created"] > _RERUN_SECONDS:
        raise GithubError("Unable to retry this workflow run because it was created over a month ago", status=403)
    if row["status"] != "completed":
        raise GithubError("This workflow is already running", status=403)
    row = call.world.change(
        "workflow_run", row, attempt=row["attempt"] + 1, status="queued", conclusion=None, started=call.now,
        updated=call.now,
    )  # fmt: skip
    add_job(call, row, name="build")
    return row


def _rerun(call: Call) -> Answer:
    rerun(call, call.rows["workflow_run"])
    return answer_value({}, status=201)


def _cancel(call: Call) -> Answer:
    if call.rows["workflow_run"]["status"] == "completed":
        raise GithubError("Cannot cancel a workflow run that is completed.", status=409)
    finish_run(call, call.rows["workflow_run"], conclusion="cancelled")
    return answer_value({}, status=202)


def _delete_run(call: Call) -> None:
    if not _remove_run(call, call.rows["workflow_run"]):
        raise GithubError("Could not delete the workflow run", status=403)


def _remove_run(call: Call, row: Row) -> bool:
    if row["status"] != "completed":
        return False
    call.world.remove("workflow_run", row)
    return True


def _seed_run(call: Call, rng: Random) -> Row:
    world, repository = call.world, call.repository
    workflows = world["workflow"].in_scope(repository["id"])
    workflow = rng.choice(workflows) if workflows else _seed_workflow(call, rng)
    commits = some_history(call, rng)
    done = rng.random() < 0.8 or is_settled(call, call.now)
    return make_run(
        call, workflow, commit=rng.choice(commits[:20]), event="push", branch=repository["default_branch"],
        author=parts.some_user(call, rng)["id"],
        **({"status": "completed", "conclusion": rng.choice(CONCLUSIONS)} if done else {}),
    )  # fmt: skip


def _change_run(call: Call, row: Row, rng: Random) -> Row | None:
    if is_settled(call, row["created"]):
        return None
    if row["status"] != "completed":
        return finish_run(call, row, conclusion=rng.choice(CONCLUSIONS))
    return rerun(call, row)


def is_settled(call: Call, created: int) -> bool:
    """Whether a run of that time is too old to change any more."""
    return call.world.clock.now() - created > _RERUN_SECONDS


def _created_in(_: World, row: Row, wanted: str) -> bool:
    """`2026-01-31`, `>=2026-01-31`, `<…` or `2026-01-01..2026-01-31`, days or moments."""
    if ".." in wanted:
        first, last = wanted.split("..", 1)
        low = parts.moment(_utc(first)) if first != "*" else 0.0
        high = parts.moment(_utc(last)) + _width(last) if last != "*" else 2.0**40
        return bool(low <= row["created"] < high)
    for sign in (">=", "<=", ">", "<"):
        if wanted.startswith(sign):
            given = wanted.removeprefix(sign)
            start = parts.moment(_utc(given))
            end = start + _width(given)
            created = row["created"]
            return bool({">=": created >= start, "<=": created < end, ">": created >= end, "<": created < start}[sign])
    start = parts.moment(_utc(wanted))
    return bool(start <= row["created"] < start + _width(wanted))


def _utc(text: str) -> str:
    return f"{text}T00:00:00Z" if len(text) == 10 else text


def _width(text: str) -> int:
    return 86_400 if len(text) == 10 else 1


_RUN_FILTERS = {
    "created": Filter(accepts=_created_in),
    "branch": parts.field_filter("branch"),
    "event": parts.field_filter("event"),
    "actor": parts.user_filter("author"),
    "head_sha": parts.field_filter("sha"),
    "status": Filter(accepts=lambda _, row, wanted: wanted in (row["status"], row["conclusion"])),
}
RUN = "repos/{repository}/actions/runs/{workflow_run}"

WORKFLOW_RUN = Collection(
    name="workflow_run",
    docs="actions/workflow-runs",
    permission="actions",
    parent="repository",
    shape=_run,
    listings=(
        Listing(
            path="repos/{repository}/actions/runs",
            rows=parts.in_repository("workflow_run"),
            sorts={"created": parts.newest_first},
            direction="desc",
            filters=_RUN_FILTERS,
            most_when_filtered=1_000,
            envelope="workflow_runs",
        ),
        Listing(
            path=f"{_WORKFLOW}/runs",
            rows=lambda call: [
                row
                for row in call.world["workflow_run"].in_scope(call.repository["id"])
                if row["workflow"] == call.rows["workflow"]["id"]
            ],
            sorts={"created": parts.newest_first},
            direction="desc",
            filters=_RUN_FILTERS,
            most_when_filtered=1_000,
            envelope="workflow_runs",
        ),
    ),
    reads=(Read(path=RUN),),
    operations=(
        Operation(method="POST", path=f"{RUN}/rerun", run=_rerun, takes={"enable_debug_logging": boolean()}),
        Operation(method="POST", path=f"{RUN}/rerun-failed-jobs", run=_rerun),
        Operation(method="POST", path=f"{RUN}/cancel", run=_cancel),
        Operation(method="DELETE", path=RUN, run=_delete_run, status=204, kind="delete"),
    ),
    first_id=2**53 + 17_000_000,
    seed=_seed_run,
    sample_update=_change_run,
    remove=_remove_run,
)
