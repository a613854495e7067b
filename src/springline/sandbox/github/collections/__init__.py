"""Every kind of object that the sandbox knows, one description each."""

from springline.sandbox.github.collection import Collection
from springline.sandbox.github.collections.accounts import ORGANIZATION, USER
from springline.sandbox.github.collections.actions import WORKFLOW, WORKFLOW_RUN
from springline.sandbox.github.collections.alerts import CODE_SCANNING_ALERT, DEPENDABOT_ALERT
from springline.sandbox.github.collections.checks import CHECK_RUN
from springline.sandbox.github.collections.comments import COMMIT_COMMENT, ISSUE_COMMENT
from springline.sandbox.github.collections.commits import COMMIT
from springline.sandbox.github.collections.deployments import DEPLOYMENT, DEPLOYMENT_STATUS
from springline.sandbox.github.collections.issue_events import ISSUE_EVENT, TIMELINE_EVENT
from springline.sandbox.github.collections.issues import ASSIGNEE, ISSUE
from springline.sandbox.github.collections.jobs import WORKFLOW_JOB
from springline.sandbox.github.collections.labels import LABEL, MILESTONE
from springline.sandbox.github.collections.members import MEMBER, TEAM, TEAM_MEMBER
from springline.sandbox.github.collections.people import COLLABORATOR, CONTRIBUTOR, STARGAZER
from springline.sandbox.github.collections.pull_parts import PULL_REQUEST_COMMIT, PULL_REQUEST_FILE
from springline.sandbox.github.collections.pulls import PULL_REQUEST
from springline.sandbox.github.collections.refs import BRANCH, TAG
from springline.sandbox.github.collections.releases import RELEASE, RELEASE_ASSET
from springline.sandbox.github.collections.repositories import REPOSITORY
from springline.sandbox.github.collections.reviews import REVIEW, REVIEW_COMMENT

COLLECTIONS: tuple[Collection, ...] = (
    USER,
    ORGANIZATION,
    MEMBER,
    TEAM,
    TEAM_MEMBER,
    REPOSITORY,
    COLLABORATOR,
    CONTRIBUTOR,
    STARGAZER,
    ASSIGNEE,
    LABEL,
    MILESTONE,
    COMMIT,
    BRANCH,
    TAG,
    COMMIT_COMMENT,
    ISSUE,
    ISSUE_COMMENT,
    ISSUE_EVENT,
    TIMELINE_EVENT,
    PULL_REQUEST,
    PULL_REQUEST_COMMIT,
    PULL_REQUEST_FILE,
    REVIEW,
    REVIEW_COMMENT,
    RELEASE,
    RELEASE_ASSET,
    DEPLOYMENT,
    DEPLOYMENT_STATUS,
    WORKFLOW,
    WORKFLOW_RUN,
    WORKFLOW_JOB,
    CHECK_RUN,
    DEPENDABOT_ALERT,
    CODE_SCANNING_ALERT,
)
"""Parents before children: made-up data is made in this order."""
