"""Workflows, their runs, checks and deployments."""

from datetime import timedelta
from typing import Final

from springline.providers.github.shapes import BY_TIME, REPOSITORY, below, in_repository, listing
from springline.providers.vocabulary import Incremental, ReadById

COLLECTIONS: Final = (
    in_repository(
        "workflow",
        "A workflow of GitHub Actions.",
        listing=listing(f"{REPOSITORY}/actions/workflows", records_field="workflows"),
        read=ReadById(path=f"{REPOSITORY}/actions/workflows/{{id}}"),
    ),
    in_repository(
        "workflow_run",
        "A run of a workflow. GitHub deletes it with its logs.",
        # Newest first. The filter `created` would end the list after 1,000 runs.
        # docs.github.com/rest/actions/workflow-runs, November 2026
        listing=listing(f"{REPOSITORY}/actions/runs", records_field="workflow_runs"),
        read=ReadById(path=f"{REPOSITORY}/actions/runs/{{id}}"),
        # A run stays where it was created in the list, and can be run again for 30 days.
        # docs.github.com/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs, November 2026
        incremental=Incremental(late_arrival=timedelta(days=30)),
        detection=BY_TIME,
    ),
    below(
        "workflow_run",
        "workflow_job",
        "A job of a workflow's run, of every attempt.",
        listing=listing(
            f"{REPOSITORY}/actions/runs/{{workflow_run.id}}/jobs", query=(("filter", "all"),), records_field="jobs"
        ),
        read=ReadById(path=f"{REPOSITORY}/actions/jobs/{{id}}"),
        updated=None,
    ),
    below(
        "commit",
        "check_run",
        "A check of a commit of the default branch. One request for each commit: sync it for small repositories only.",
        listing=listing(
            f"{REPOSITORY}/commits/{{commit.sha}}/check-runs", query=(("filter", "all"),), records_field="check_runs"
        ),
        read=ReadById(path=f"{REPOSITORY}/check-runs/{{id}}"),
        # A commit does not change when its checks do: a new commit's checks are read once, then by sweeps.
        tells=False,
        created="started_at",
        updated=None,
    ),
    in_repository(
        "deployment",
        "A version that was sent to an environment.",
        listing=listing(f"{REPOSITORY}/deployments"),  # newest first
        read=ReadById(path=f"{REPOSITORY}/deployments/{{id}}"),
        # It stays where it was created in the list; its state changes for a while.
        incremental=Incremental(late_arrival=timedelta(days=1)),
        detection=BY_TIME,
    ),
    below(
        "deployment",
        "deployment_status",
        "A step of a deployment.",
        listing=listing(f"{REPOSITORY}/deployments/{{deployment.id}}/statuses"),
        read=ReadById(path=f"{REPOSITORY}/deployments/{{deployment.id}}/statuses/{{id}}"),
    ),
)
