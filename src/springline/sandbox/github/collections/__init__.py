"""Every kind of object that the sandbox knows, one description each."""

from springline.sandbox.github.collection import Collection
from springline.sandbox.github.collections.accounts import ORGANIZATION, USER
from springline.sandbox.github.collections.comments import COMMIT_COMMENT, ISSUE_COMMENT
from springline.sandbox.github.collections.git import BRANCH, COMMIT, TAG
from springline.sandbox.github.collections.issue_events import ISSUE_EVENT, TIMELINE_EVENT
from springline.sandbox.github.collections.issues import ASSIGNEE, ISSUE
from springline.sandbox.github.collections.labels import LABEL, MILESTONE
from springline.sandbox.github.collections.people import (
    COLLABORATOR,
    CONTRIBUTOR,
    MEMBER,
    STARGAZER,
    TEAM,
    TEAM_MEMBER,
)
from springline.sandbox.github.collections.pulls import PULL_REQUEST, PULL_REQUEST_COMMIT, PULL_REQUEST_FILE
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
)
"""Parents before children: made-up data is made in this order."""
