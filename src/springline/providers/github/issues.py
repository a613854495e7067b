"""Issues and what is written on them."""

from typing import Final

from springline.providers.github.shapes import (
    BY_TIME,
    LATE_ARRIVAL,
    REPOSITORY,
    SINCE,
    SINCE_UPDATED,
    below,
    in_repository,
    listing,
)
from springline.providers.vocabulary import Detection, Incremental, ReadById

COLLECTIONS: Final = (
    in_repository(
        "issue",
        "An issue, or a pull request seen as one: that has the key `pull_request`.",
        listing=listing(f"{REPOSITORY}/issues", query=(("state", "all"),), since=SINCE),
        # Only this answer has `closed_by`. An issue that was deleted is 410; one given to another repository is 301.
        # docs.github.com/rest/issues/issues#get-an-issue, November 2026
        read=ReadById(path=f"{REPOSITORY}/issues/{{record.number}}", only_proves=True),
        incremental=SINCE_UPDATED,
        detection=BY_TIME,
    ),
    in_repository(
        "issue_comment",
        "A comment on an issue or a pull request; `issue_url` says on which.",
        listing=listing(f"{REPOSITORY}/issues/comments", since=SINCE),
        read=ReadById(path=f"{REPOSITORY}/issues/comments/{{id}}"),
        incremental=SINCE_UPDATED,
        detection=BY_TIME,
    ),
    in_repository(
        "issue_event",
        "Something that was done to an issue: closed, labeled, assigned … with the issue as it is now.",
        listing=listing(f"{REPOSITORY}/issues/events"),
        read=ReadById(path=f"{REPOSITORY}/issues/events/{{id}}"),
        updated=None,
        incremental=Incremental(late_arrival=LATE_ARRIVAL),  # the list is newest first
        detection=Detection(inserts=("incremental", "sweep"), updates=("sweep",), deletes=("sweep",)),
    ),
    below(
        "issue",
        "timeline_event",
        "An entry of the page of an issue or a pull request, in its order.",
        listing=listing(f"{REPOSITORY}/issues/{{issue.number}}/timeline"),
        # Events, comments and reviews each count their own ids, which can be the same number; node ids are of one kind.
        # A cross-reference has neither: the issue that it comes from stands for it.
        # docs.github.com/rest/issues/timeline, November 2026
        key=("node_id", "sha", "source.issue.node_id"),
        within="issue",
    ),
    in_repository(
        "label",
        "A label that issues of a repository can have.",
        # To be read by its name, which can change while its id stays: that would prove nothing.
        listing=listing(f"{REPOSITORY}/labels"),
        created=None,
        updated=None,
    ),
    in_repository(
        "milestone",
        "A goal that issues of a repository lead to.",
        listing=listing(f"{REPOSITORY}/milestones", query=(("state", "all"),)),
        read=ReadById(path=f"{REPOSITORY}/milestones/{{record.number}}"),
    ),
)
