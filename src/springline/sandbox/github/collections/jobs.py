"""The jobs of workflow runs."""

from random import Random

from springline.sandbox.github.collection import Call, Collection, Filter, Listing, Object, Read
from springline.sandbox.github.collections import parts
from springline.sandbox.github.collections.actions import CONCLUSIONS, RUN, add_job, is_settled
from springline.sandbox.github.tables import Row
from springline.sandbox.github.world import World, iso


def _job(world: World, row: Row) -> Object:
    run = world.row("workflow_run", row["parent"])
    repository = parts.url_of(world, row)
    web = f"{parts.web_of(world, row)}/actions/runs/{run['id']}/job/{row['id']}"
    times = {"started_at": iso(row["started"]), "completed_at": iso(row["completed"])}
    return {
        "id": row["id"],
        "run_id": run["id"],
        "workflow_name": world.row("workflow", run["workflow"])["name"],
        "head_branch": run["branch"],
        "run_url": f"{repository}/actions/runs/{run['id']}",
        "run_attempt": row["attempt"],
        "node_id": f"CR_{row['id']}",
        "head_sha": run["sha"],
        "url": f"{repository}/actions/jobs/{row['id']}",
        "html_url": web,
        "status": row["status"],
        "conclusion": row["conclusion"],
        "created_at": iso(row["created"]),
        **times,
        "name": row["name"],
        "steps": [
            {"name": "Run", "status": row["status"], "conclusion": row["conclusion"], "number": 1, **times},
        ],
        "check_run_url": f"{repository}/check-runs/{row['id']}",
        "labels": ["ubuntu-latest"],
        "runner_id": 1,
        "runner_name": "GitHub Actions 1",
        "runner_group_id": 2,
        "runner_group_name": "GitHub Actions",
    }


def _in_attempt(world: World, row: Row, wanted: str) -> bool:
    return wanted == "all" or row["attempt"] == world.row("workflow_run", row["parent"])["attempt"]


def _seed_job(call: Call, rng: Random) -> Row | None:
    run = call.rows["workflow_run"]
    if is_settled(call, run["created"]):
        return None
    name = f"{rng.choice(parts.VERBS)} {rng.choice(parts.WORDS)} {rng.randrange(100)}"
    call.world.change("workflow_run", run, updated=max(call.now, run["updated"]))
    return add_job(call, run, name=name)


def _change_job(call: Call, row: Row, rng: Random) -> Row | None:
    """A job that goes on dates its run."""
    run = call.world.row("workflow_run", row["parent"])
    if is_settled(call, run["created"]):
        return None
    call.world.change("workflow_run", run, updated=call.now)
    conclusion = rng.choice(CONCLUSIONS)
    return call.world.change(
        "workflow_job", row, status="completed", conclusion=conclusion, completed=call.now, updated=call.now
    )


WORKFLOW_JOB = Collection(
    name="workflow_job",
    docs="actions/workflow-jobs",
    permission="actions",
    parent="workflow_run",
    shape=_job,
    listings=(
        Listing(
            path=f"{RUN}/jobs",
            rows=parts.below("workflow_job", "workflow_run"),
            filters={"filter": Filter(accepts=_in_attempt, default="latest")},
            envelope="jobs",
        ),
    ),
    reads=(Read(path="repos/{repository}/actions/jobs/{workflow_job}"),),
    first_id=2**53 + 48_000_000,
    seed=_seed_job,
    sample_update=_change_job,
)
