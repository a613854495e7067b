"""Branches, tags, commits, releases, and what was found in the code."""

from datetime import timedelta
from typing import Final

from springline.providers.github.shapes import (
    BY_PARENT,
    BY_TIME,
    LAST_UPDATED,
    REPOSITORY,
    SINCE,
    below,
    in_repository,
    listing,
)
from springline.providers.vocabulary import Detection, Incremental, ReadById

# A push changes the repository's pushed_at.
COLLECTIONS: Final = (
    in_repository(
        "branch",
        "A branch of a repository, and the commit at its head.",
        listing=listing(f"{REPOSITORY}/branches"),
        read=ReadById(path=f"{REPOSITORY}/branches/{{record.name}}", only_proves=True),
        tells=True,
        key="name",
        within=True,
        created=None,
        updated=None,
        detection=BY_PARENT,
    ),
    in_repository(
        "tag",
        "A tag of a repository, and its commit.",
        listing=listing(f"{REPOSITORY}/tags"),
        tells=True,
        key="name",
        within=True,
        created=None,
        updated=None,
        detection=BY_PARENT,
    ),
    in_repository(
        "commit",
        "A commit of a repository's default branch.",
        # 409: the repository is empty. `since` compares the committer's date.
        # docs.github.com/rest/commits/commits#list-commits, November 2026
        listing=listing(f"{REPOSITORY}/commits", since=SINCE, empty_statuses=(409,)),
        # One that was pushed away can still be read by its hash, which would prove nothing.
        key="sha",
        within=True,
        created="commit.committer.date",
        updated=None,
        # A merge brings commits with the dates that they were made at, days ago; what is older still, a sweep finds.
        incremental=Incremental(late_arrival=timedelta(days=7)),
        # A commit never changes, but the accounts of its author and committer, which it shows, do.
        detection=Detection(inserts=("incremental", "sweep"), updates=("sweep",), deletes=("sweep",)),
    ),
    in_repository(
        "commit_comment",
        "A comment on a commit.",
        listing=listing(f"{REPOSITORY}/comments"),  # oldest first, and no other way
        read=ReadById(path=f"{REPOSITORY}/comments/{{id}}"),
    ),
    in_repository(
        "release",
        "A release of a repository. Who may push sees drafts too.",
        # created_at is the tag's commit's, so that a new release may be listed anywhere.
        listing=listing(f"{REPOSITORY}/releases"),
        read=ReadById(path=f"{REPOSITORY}/releases/{{id}}"),
    ),
    below(
        "release",
        "release_asset",
        "A file of a release; its description, not its content.",
        listing=listing(f"{REPOSITORY}/releases/{{release.id}}/assets"),
        read=ReadById(path=f"{REPOSITORY}/releases/assets/{{id}}"),
    ),
    in_repository(
        "dependabot_alert",
        "A dependency with a known vulnerability.",
        listing=listing(f"{REPOSITORY}/dependabot/alerts"),
        read=ReadById(path=f"{REPOSITORY}/dependabot/alerts/{{record.number}}"),
        key="number",
        within=True,
        incremental=LAST_UPDATED,
        detection=BY_TIME,
    ),
    in_repository(
        "code_scanning_alert",
        "A weakness that code scanning found.",
        listing=listing(f"{REPOSITORY}/code-scanning/alerts"),
        # This answer says more about the rule.
        read=ReadById(path=f"{REPOSITORY}/code-scanning/alerts/{{record.number}}", only_proves=True),
        key="number",
        within=True,
        incremental=LAST_UPDATED,
        detection=BY_TIME,
    ),
)
