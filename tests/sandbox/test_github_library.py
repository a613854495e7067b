"""githubkit, with its typed models, does with the sandbox what it does with GitHub."""

import pytest
from githubkit import GitHub, TokenAuthStrategy
from tabulate import tabulate
from tests.sandbox.github_client import TOKEN, GithubClient
from tests.sandbox.github_library_user import LibraryUser

from springline.sandbox.github.collections import COLLECTIONS
from springline.sandbox.github.seeding import fill

OPERATIONS = ("list", "page", "retrieve", "create", "update", "delete")

NO_SUCH_OPERATION = {
    "organization": {"create": "on the website only", "delete": "not over this API"},
    "member": {"update": "PUT of a membership"},
    "team_member": {"update": "PUT of a membership"},
    "user": {"create": "on the website only", "delete": "on the website only"},
    "collaborator": {"update": "PUT again"},
    "contributor": dict.fromkeys(("retrieve", "create", "update", "delete"), "worked out from commits"),
    "stargazer": {"update": "nothing to change"},
    "assignee": dict.fromkeys(("create", "update", "delete"), "worked out from members"),
    "commit": {"update": "commits do not change", "delete": "commits stay"},
    "branch": {"create": "see tag: git refs", "delete": "see tag: git refs"},
    "issue": {"delete": "GraphQL only"},
    "issue_event": dict.fromkeys(("create", "update", "delete"), "made by what happens"),
    "timeline_event": dict.fromkeys(("retrieve", "create", "update", "delete"), "made by what happens"),
    "pull_request": {"delete": "stay for ever"},
    "pull_request_commit": dict.fromkeys(("retrieve", "create", "update", "delete"), "see commit"),
    "pull_request_file": dict.fromkeys(("retrieve", "create", "update", "delete"), "worked out from commits"),
    "release_asset": {"create": "uploads are left out"},
    "deployment": {"update": "by a new status"},
    "deployment_status": {"update": "do not change", "delete": "stay"},
    "workflow": {"create": "a file", "delete": "a file"},
    "workflow_run": {"create": "a dispatch, a push"},
    "workflow_job": dict.fromkeys(("create", "update", "delete"), "belong to runs"),
    "check_run": {"delete": "stay"},
    "dependabot_alert": {"create": "made by GitHub", "delete": "stay"},
    "code_scanning_alert": {"create": "made by GitHub", "delete": "stay"},
}


async def test_every_operation_of_every_collection(github: GithubClient, capsys: pytest.CaptureFixture[str]) -> None:
    fill(github.running.sandbox, repositories=3, issues=20)
    repository = (await github.value("/orgs/acme/repos"))[0]
    for name in ("workflow", "workflow_run", "dependabot_alert", "code_scanning_alert"):
        await github.seed(name, 5, parent=repository["id"], created_from=int(github.clock.now) - 86_400)
    client = GitHub(
        TokenAuthStrategy(TOKEN), base_url=github.running.url, http_cache=False, auto_retry=False, trust_env=False
    )
    async with client:
        user = LibraryUser(client, github, repository["name"])
        await user.work()
    rows = []
    for kind in COLLECTIONS:
        reasons = NO_SUCH_OPERATION.get(kind.name, {})
        cells = [user.cells.get((kind.name, operation)) or reasons[operation] for operation in OPERATIONS]
        rows.append([kind.name, *cells])
    with capsys.disabled():
        print(f"\n\ngithubkit against the sandbox\n\n{tabulate(rows, headers=['2022-11-28', *OPERATIONS])}\n")
