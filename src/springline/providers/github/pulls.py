"""Pull requests and how they are reviewed."""

from typing import Final

from springline.providers.github.shapes import (
    BY_TIME,
    LAST_UPDATED,
    REPOSITORY,
    SINCE,
    SINCE_UPDATED,
    below,
    in_repository,
    listing,
)
from springline.providers.vocabulary import ReadById

_PULL: Final = REPOSITORY + "/pulls/{pull_request.number}"

COLLECTIONS: Final = (
    in_repository(
        "pull_request",
        "A pull request, as it is listed: without counts of lines, and whether it can be merged.",
        # This list has no `since`. docs.github.com/rest/pulls/pulls#list-pull-requests, November 2026
        listing=listing(f"{REPOSITORY}/pulls", query=(("state", "all"),)),
        read=ReadById(path=f"{REPOSITORY}/pulls/{{record.number}}", only_proves=True),
        incremental=LAST_UPDATED,
        detection=BY_TIME,
    ),
    below(
        "pull_request",
        "review",
        "A review of a pull request. It cannot be deleted once it is submitted, but dismissed.",
        listing=listing(f"{_PULL}/reviews"),
        read=ReadById(path=f"{_PULL}/reviews/{{id}}"),
        created="submitted_at",
        updated=None,
    ),
    in_repository(
        "review_comment",
        "A comment on a line of a pull request's changes; `pull_request_url` says of which.",
        listing=listing(f"{REPOSITORY}/pulls/comments", since=SINCE),
        read=ReadById(path=f"{REPOSITORY}/pulls/comments/{{id}}"),
        incremental=SINCE_UPDATED,
        detection=BY_TIME,
    ),
    below(
        "pull_request",
        "pull_request_commit",
        "A commit of a pull request: the first 250.",
        listing=listing(f"{_PULL}/commits"),
        key="sha",
        within="pull_request",
        created="commit.committer.date",
        updated=None,
    ),
    below(
        "pull_request",
        "pull_request_file",
        "A file that a pull request changes: the first 3,000.",
        listing=listing(f"{_PULL}/files"),
        key="filename",
        within="pull_request",
        created=None,
        updated=None,
    ),
)
