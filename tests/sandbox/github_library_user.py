"""A user of githubkit, who tries everything on every collection."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from githubkit import GitHub
from githubkit.exception import RequestFailed
from tests.sandbox.github_client import GithubClient

ACME: dict[str, Any] = {"org": "acme"}


class LibraryUser:
    """Works through every operation of every collection and notes what happened."""

    def __init__(self, client: GitHub[Any], sandbox: GithubClient, repository: str) -> None:
        self._rest = client.rest("2022-11-28")
        self._paginate = client.rest.paginate
        self._sandbox = sandbox
        self._web: dict[str, Any] = {"owner": "acme", "repo": repository}
        self.cells: dict[tuple[str, str], str] = {}

    async def work(self) -> None:
        await self._accounts()
        await self._repositories()
        await self._people()
        await self._git()
        await self._labels_and_milestones()
        await self._issues()
        await self._pull_requests()
        await self._reviews()
        await self._releases()
        await self._deployments()
        await self._actions()
        await self._alerts()

    async def _does(self, name: str, operation: str, call: Awaitable[Any], note: str = "ok") -> Any:
        """Note an operation that worked, and return what it answered, checked by the library's model."""
        response = await call
        self.cells[name, operation] = note
        return response.parsed_data if response.content else None

    async def _lists(
        self, name: str, method: Callable[..., Awaitable[Any]], *, envelope: str | None = None, **arguments: Any
    ) -> list[Any]:
        def rows_of(parsed: Any) -> list[Any]:
            rows: list[Any] = parsed if envelope is None else getattr(parsed, envelope)
            return rows

        first = await self._does(name, "list", method(**arguments, per_page=2))
        assert len(rows_of(first)) <= 2
        pager = self._paginate(method, map_func=lambda response: rows_of(response.parsed_data), **arguments, per_page=2)
        whole = [row async for row in pager]
        assert whole, name
        self.cells[name, "page"] = f"ok ({len(whole)})"
        return whole

    async def _gone(self, call: Awaitable[Any], status: int = 404) -> None:
        with pytest.raises(RequestFailed) as caught:
            await call
        assert caught.value.response.status_code == status

    async def _accounts(self) -> None:
        users, orgs, teams = self._rest.users, self._rest.orgs, self._rest.teams
        own = await self._does("user", "retrieve", users.async_get_authenticated())
        assert (await users.async_get_by_username(own.login)).parsed_data.id == own.id
        everyone: list[Any] = (await users.async_list(per_page=100)).parsed_data
        assert own.id in [user.id for user in everyone]
        self.cells["user", "list"] = "ok"
        self.cells["user", "page"] = f"ok ({len(everyone)}, by since)"
        changed = await self._does("user", "update", users.async_update_authenticated(bio="It works"), "ok (own)")
        assert changed.bio == "It works"

        await self._lists("organization", orgs.async_list_for_authenticated_user)
        acme = await self._does("organization", "retrieve", orgs.async_get("acme"))
        assert acme.login == "acme"
        renamed = await self._does("organization", "update", orgs.async_update("acme", description="Anvils"))
        assert renamed.description == "Anvils"

        stranger = (await self._sandbox.control("POST", "/objects/user", {}))["login"]
        await self._does("member", "create", orgs.async_set_membership_for_user("acme", stranger))
        members = await self._lists("member", orgs.async_list_members, **ACME)
        assert stranger in [member.login for member in members]
        await self._does("member", "retrieve", orgs.async_check_membership_for_user("acme", stranger))

        core = await self._does("team", "create", teams.async_create("acme", name="Core Team"))
        await teams.async_create("acme", name="Below", parent_team_id=core.id)
        await self._lists("team", teams.async_list, **ACME)
        whole = await self._does("team", "retrieve", teams.async_get_by_name("acme", core.slug))
        assert (whole.slug, whole.members_count) == ("core-team", 0)
        await self._does("team", "update", teams.async_update_in_org("acme", core.slug, description="The core"))
        seat: dict[str, Any] = {"org": "acme", "team_slug": core.slug, "username": stranger}
        await self._does("team_member", "create", teams.async_add_or_update_membership_for_user_in_org(**seat))
        await self._lists("team_member", teams.async_list_members_in_org, org="acme", team_slug=core.slug)
        await self._does("team_member", "retrieve", teams.async_get_membership_for_user_in_org(**seat))
        await self._does("team_member", "delete", teams.async_remove_membership_for_user_in_org(**seat))
        await self._gone(teams.async_get_membership_for_user_in_org(**seat))
        await self._does("team", "delete", teams.async_delete_in_org("acme", core.slug))
        await self._gone(teams.async_get_by_name("acme", core.slug))
        await self._does("member", "delete", orgs.async_remove_member("acme", stranger))
        await self._gone(orgs.async_check_membership_for_user("acme", stranger))

    async def _repositories(self) -> None:
        repos = self._rest.repos
        made = await self._does("repository", "create", repos.async_create_in_org("acme", name="fresh"))
        assert made.full_name == "acme/fresh"
        await self._lists("repository", repos.async_list_for_org, **ACME)
        await self._lists("repository", repos.async_list_for_authenticated_user)
        await self._does("repository", "retrieve", repos.async_get("acme", "fresh"))
        changed = await self._does("repository", "update", repos.async_update("acme", "fresh", description="New"))
        assert changed.description == "New"
        await self._does("repository", "delete", repos.async_delete("acme", "fresh"))
        await self._gone(repos.async_get("acme", "fresh"))

    async def _people(self) -> None:
        repos, activity = self._rest.repos, self._rest.activity
        members: list[Any] = (await self._rest.orgs.async_list_members("acme", per_page=1)).parsed_data
        member = members[0].login
        one = {**self._web, "username": member}
        await self._does("collaborator", "create", repos.async_add_collaborator(**one, permission="triage"))
        await self._lists("collaborator", repos.async_list_collaborators, **self._web)
        await self._does("collaborator", "retrieve", repos.async_check_collaborator(**one))
        await self._does("collaborator", "delete", repos.async_remove_collaborator(**one))
        await self._gone(repos.async_check_collaborator(**one))
        await self._lists("contributor", repos.async_list_contributors, **self._web)
        await self._does("stargazer", "create", activity.async_star_repo_for_authenticated_user(**self._web))
        await self._does(
            "stargazer", "retrieve", activity.async_check_repo_is_starred_by_authenticated_user(**self._web)
        )
        await self._lists("stargazer", activity.async_list_stargazers_for_repo, **self._web)
        await self._does("stargazer", "delete", activity.async_unstar_repo_for_authenticated_user(**self._web))
        await self._gone(activity.async_check_repo_is_starred_by_authenticated_user(**self._web))
        assignees = await self._lists("assignee", self._rest.issues.async_list_assignees, **self._web)
        await self._does(
            "assignee",
            "retrieve",
            self._rest.issues.async_check_user_can_be_assigned(**self._web, assignee=assignees[0].login),
        )

    async def _git(self) -> None:
        repos, git = self._rest.repos, self._rest.git
        content = base64.b64encode(b"# Hello\n").decode()
        made = await self._does(
            "commit",
            "create",
            repos.async_create_or_update_file_contents(**self._web, path="docs/a.md", message="Add", content=content),
            "ok (PUT contents)",
        )
        commits = await self._lists("commit", repos.async_list_commits, **self._web)
        assert commits[0].sha == made.commit.sha
        whole = await self._does("commit", "retrieve", repos.async_get_commit(**self._web, ref=commits[0].sha))
        assert [file.filename for file in whole.files] == ["docs/a.md"]
        read: Any = (await repos.async_get_content(**self._web, path="docs/a.md")).parsed_data
        assert base64.b64decode(read.content) == b"# Hello\n"
        await repos.async_delete_file(**self._web, path="docs/a.md", message="Remove", sha=read.sha)

        await git.async_create_ref(**self._web, ref="refs/heads/next", sha=commits[1].sha)
        await self._lists("branch", repos.async_list_branches, **self._web)
        branch = await self._does("branch", "retrieve", repos.async_get_branch(**self._web, branch="next"))
        assert branch.commit.sha == commits[1].sha
        await self._does(
            "branch", "update", repos.async_rename_branch(**self._web, branch="next", new_name="later"), "ok (rename)"
        )

        tagged = {**self._web, "ref": "tags/v9"}
        await self._does("tag", "create", git.async_create_ref(**self._web, ref="refs/tags/v9", sha=commits[1].sha))
        await self._lists("tag", repos.async_list_tags, **self._web)
        await self._does("tag", "retrieve", git.async_get_ref(**tagged), "ok (git ref)")
        moved = await self._does("tag", "update", git.async_update_ref(**tagged, sha=commits[0].sha))
        assert moved.object_.sha == commits[0].sha
        await self._does("tag", "delete", git.async_delete_ref(**tagged))
        await self._gone(git.async_get_ref(**tagged))

        on = {**self._web, "commit_sha": commits[0].sha}
        comment = await self._does("commit_comment", "create", repos.async_create_commit_comment(**on, body="Nice"))
        await self._lists("commit_comment", repos.async_list_commit_comments_for_repo, **self._web)
        one = {**self._web, "comment_id": comment.id}
        await self._does("commit_comment", "retrieve", repos.async_get_commit_comment(**one))
        await self._does("commit_comment", "update", repos.async_update_commit_comment(**one, body="Very nice"))
        await self._does("commit_comment", "delete", repos.async_delete_commit_comment(**one))
        await self._gone(repos.async_get_commit_comment(**one))

        check = await self._does(
            "check_run",
            "create",
            self._rest.checks.async_create(**self._web, name="lint", head_sha=commits[0].sha, status="queued"),
        )
        await self._lists(
            "check_run", self._rest.checks.async_list_for_ref, envelope="check_runs", **self._web, ref=commits[0].sha
        )
        run = {**self._web, "check_run_id": check.id}
        await self._does("check_run", "retrieve", self._rest.checks.async_get(**run))
        ended = await self._does(
            "check_run", "update", self._rest.checks.async_update(**run, status="completed", conclusion="success")
        )
        assert (ended.status, ended.conclusion) == ("completed", "success")

    async def _labels_and_milestones(self) -> None:
        issues = self._rest.issues
        await self._does("label", "create", issues.async_create_label(**self._web, name="good first", color="00ff00"))
        await self._lists("label", issues.async_list_labels_for_repo, **self._web)
        one = {**self._web, "name": "good first"}
        await self._does("label", "retrieve", issues.async_get_label(**one))
        await self._does("label", "update", issues.async_update_label(**one, new_name="first"))
        await self._gone(issues.async_get_label(**one))
        await self._does("label", "delete", issues.async_delete_label(**self._web, name="first"))

        made = await self._does("milestone", "create", issues.async_create_milestone(**self._web, title="1.0"))
        await self._lists("milestone", issues.async_list_milestones, **self._web, state="all")
        numbered = {**self._web, "milestone_number": made.number}
        await self._does("milestone", "retrieve", issues.async_get_milestone(**numbered))
        closed = await self._does("milestone", "update", issues.async_update_milestone(**numbered, state="closed"))
        assert (closed.state, closed.closed_at is not None) == ("closed", True)
        await self._does("milestone", "delete", issues.async_delete_milestone(**numbered))
        await self._gone(issues.async_get_milestone(**numbered))

    async def _issues(self) -> None:
        issues = self._rest.issues
        me = (await self._rest.users.async_get_authenticated()).parsed_data.login
        made = await self._does(
            "issue",
            "create",
            issues.async_create(**self._web, title="It breaks", labels=["bug", "brand new"], assignees=[me]),
        )
        await self._lists("issue", issues.async_list_for_repo, **self._web, state="all", sort="updated")
        one = {**self._web, "issue_number": made.number}
        comment = await self._does("issue_comment", "create", issues.async_create_comment(**one, body="Same here"))
        whole = await self._does("issue", "retrieve", issues.async_get(**one))
        assert (whole.comments, [label.name for label in whole.labels]) == (1, ["bug", "brand new"])
        closed = await self._does("issue", "update", issues.async_update(**one, state="closed"))
        assert (closed.state, closed.state_reason) == ("closed", "completed")

        await self._lists("issue_comment", issues.async_list_comments_for_repo, **self._web)
        said = {**self._web, "comment_id": comment.id}
        await self._does("issue_comment", "retrieve", issues.async_get_comment(**said))
        await self._does("issue_comment", "update", issues.async_update_comment(**said, body="Here too"))
        timeline = await self._lists("timeline_event", issues.async_list_events_for_timeline, **one)
        assert {"labeled", "assigned", "commented", "closed"} <= {entry.event for entry in timeline}
        await self._does("issue_comment", "delete", issues.async_delete_comment(**said))
        await self._gone(issues.async_get_comment(**said))

        events = await self._lists("issue_event", issues.async_list_events_for_repo, **self._web)
        assert events[0].event == "closed"
        await self._does("issue_event", "retrieve", issues.async_get_event(**self._web, event_id=events[0].id))

    async def _pull_requests(self) -> None:
        pulls, repos = self._rest.pulls, self._rest.repos
        for name in ("one", "two"):
            await repos.async_create_or_update_file_contents(
                **self._web,
                path=f"src/{name}.py",
                message=f"Add {name}",
                content=base64.b64encode(b"pass\n").decode(),
                branch="topic",
            )
        made = await self._does(
            "pull_request", "create", pulls.async_create(**self._web, title="Topic", head="topic", base="main")
        )
        await self._lists("pull_request", pulls.async_list, **self._web, state="all")
        self._pull = {**self._web, "pull_number": made.number}
        whole = await self._does("pull_request", "retrieve", pulls.async_get(**self._pull))
        assert (whole.commits, whole.changed_files, whole.merged) == (2, 2, False)
        await self._lists("pull_request_commit", pulls.async_list_commits, **self._pull)
        files = await self._lists("pull_request_file", pulls.async_list_files, **self._pull)
        assert [file.filename for file in files] == ["src/one.py", "src/two.py"]
        await self._does(
            "pull_request", "update", pulls.async_update(**self._pull, title="The topic"), "ok (also merge)"
        )

    async def _reviews(self) -> None:
        pulls = self._rest.pulls
        pending = await self._does("review", "create", pulls.async_create_review(**self._pull, body="Hm"))
        one = {**self._pull, "review_id": pending.id}
        await self._does("review", "update", pulls.async_update_review(**one, body="Hmm"))
        await self._does("review", "delete", pulls.async_delete_pending_review(**one), "ok (pending only)")
        await self._gone(pulls.async_get_review(**one))
        approved = (await pulls.async_create_review(**self._pull, event="APPROVE", body="Go")).parsed_data
        await self._lists("review", pulls.async_list_reviews, **self._pull)
        await self._does("review", "retrieve", pulls.async_get_review(**self._pull, review_id=approved.id))

        head = (await pulls.async_get(**self._pull)).parsed_data.head.sha
        comment = await self._does(
            "review_comment",
            "create",
            pulls.async_create_review_comment(**self._pull, body="Why?", commit_id=head, path="src/one.py", line=1),
        )
        await pulls.async_create_reply_for_review_comment(**self._pull, comment_id=comment.id, body="Because")
        await self._lists("review_comment", pulls.async_list_review_comments_for_repo, **self._web)
        said = {**self._web, "comment_id": comment.id}
        await self._does("review_comment", "retrieve", pulls.async_get_review_comment(**said))
        await self._does("review_comment", "update", pulls.async_update_review_comment(**said, body="Why not?"))
        await self._does("review_comment", "delete", pulls.async_delete_review_comment(**said))
        await self._gone(pulls.async_get_review_comment(**said))
        merged = (await pulls.async_merge(**self._pull)).parsed_data
        assert merged.merged is True
        assert (await pulls.async_check_if_merged(**self._pull)).status_code == 204

    async def _releases(self) -> None:
        repos = self._rest.repos
        made = await self._does("release", "create", repos.async_create_release(**self._web, tag_name="v10"))
        assert (await self._rest.git.async_get_ref(**self._web, ref="tags/v10")).status_code == 200
        await self._lists("release", repos.async_list_releases, **self._web)
        one = {**self._web, "release_id": made.id}
        await self._does("release", "retrieve", repos.async_get_release(**one))
        await self._does("release", "update", repos.async_update_release(**one, name="Ten"))

        await self._sandbox.seed("release_asset", 3, parent=made.id)
        assets = await self._lists("release_asset", repos.async_list_release_assets, **one)
        asset = {**self._web, "asset_id": assets[0].id}
        await self._does("release_asset", "retrieve", repos.async_get_release_asset(**asset))
        await self._does("release_asset", "update", repos.async_update_release_asset(**asset, label="Source"))
        await self._does("release_asset", "delete", repos.async_delete_release_asset(**asset))
        await self._gone(repos.async_get_release_asset(**asset))
        await self._does("release", "delete", repos.async_delete_release(**one))
        await self._gone(repos.async_get_release(**one))

    async def _deployments(self) -> None:
        repos = self._rest.repos
        made = await self._does(
            "deployment", "create", repos.async_create_deployment(**self._web, ref="main", required_contexts=[])
        )
        one = {**self._web, "deployment_id": made.id}
        await self._lists("deployment", repos.async_list_deployments, **self._web)
        await self._does("deployment", "retrieve", repos.async_get_deployment(**one))
        status = await self._does(
            "deployment_status", "create", repos.async_create_deployment_status(**one, state="inactive")
        )
        await self._lists("deployment_status", repos.async_list_deployment_statuses, **one)
        await self._does("deployment_status", "retrieve", repos.async_get_deployment_status(**one, status_id=status.id))
        await self._does("deployment", "delete", repos.async_delete_deployment(**one))
        await self._gone(repos.async_get_deployment(**one))

    async def _actions(self) -> None:
        actions = self._rest.actions
        workflows = await self._lists("workflow", actions.async_list_repo_workflows, envelope="workflows", **self._web)
        workflow = {**self._web, "workflow_id": workflows[0].id}
        await self._does("workflow", "retrieve", actions.async_get_workflow(**workflow))
        await self._does("workflow", "update", actions.async_disable_workflow(**workflow), "ok (enable, disable)")
        runs = await self._lists(
            "workflow_run", actions.async_list_workflow_runs_for_repo, envelope="workflow_runs", **self._web
        )
        done = next(run for run in runs if run.status == "completed")
        run = {**self._web, "run_id": done.id}
        await self._does("workflow_run", "update", actions.async_re_run_workflow(**run), "ok (run again, cancel)")
        again = await self._does("workflow_run", "retrieve", actions.async_get_workflow_run(**run))
        assert (again.run_attempt, again.status, again.created_at) == (2, "queued", done.created_at)
        jobs = await self._lists(
            "workflow_job", actions.async_list_jobs_for_workflow_run, envelope="jobs", **run, filter_="all"
        )
        assert sorted(job.run_attempt for job in jobs) == [1, 2]
        await self._does(
            "workflow_job", "retrieve", actions.async_get_job_for_workflow_run(**self._web, job_id=jobs[0].id)
        )
        await actions.async_cancel_workflow_run(**run)
        await self._does("workflow_run", "delete", actions.async_delete_workflow_run(**run))
        await self._gone(actions.async_get_workflow_run(**run))

    async def _alerts(self) -> None:
        dependabot, scanning = self._rest.dependabot, self._rest.code_scanning
        first = (await dependabot.async_list_alerts_for_repo(**self._web, per_page=2)).parsed_data
        self.cells["dependabot_alert", "list"] = "ok"
        seen = await self._sandbox.walk(f"/repos/acme/{self._web['repo']}/dependabot/alerts", per_page=2)
        assert [alert.number for alert in first] == [alert["number"] for alert in seen[:2]]
        self.cells["dependabot_alert", "page"] = f"ok ({len(seen)}, by after)"
        one = {**self._web, "alert_number": first[0].number}
        await self._does("dependabot_alert", "retrieve", dependabot.async_get_alert(**one))
        dismissed = await self._does(
            "dependabot_alert",
            "update",
            dependabot.async_update_alert(**one, state="dismissed", dismissed_reason="not_used"),
        )
        assert (dismissed.state, dismissed.dismissed_reason) == ("dismissed", "not_used")

        alerts = await self._lists("code_scanning_alert", scanning.async_list_alerts_for_repo, **self._web)
        found = {**self._web, "alert_number": alerts[0].number}
        await self._does("code_scanning_alert", "retrieve", scanning.async_get_alert(**found))
        await self._does(
            "code_scanning_alert",
            "update",
            scanning.async_update_alert(**found, state="dismissed", dismissed_reason="used in tests"),
        )
