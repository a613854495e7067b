"""Repositories and the people around them."""

from typing import Final

from springline.providers.github.shapes import BY_TIME, LAST_UPDATED, REPOSITORY, in_repository, listing
from springline.providers.vocabulary import Collection, ReadById

COLLECTIONS: Final = (
    Collection(
        name="repository",
        description="A repository that the credential is given access to.",
        listing=listing("/user/repos", query=(("affiliation", "owner,collaborator,organization_member"),)),
        listing_by_kind={"github_app": listing("/installation/repositories", records_field="repositories")},
        # The list has a shorter form, and anyone can read a public repository.
        read=ReadById(path="/repositories/{id}", only_proves=True, answers_unlisted=True),
        created="created_at",
        updated="updated_at",
        time_format="iso8601",
        # There is one order at a time: by updated_at, which moves with a new name (other paths are made of it) and
        # with the settings. A push moves only pushed_at for sure: commits look for themselves, and the sweep over
        # repositories is one page for a hundred of them. (An installation's list has no order: sweeps find all there.)
        incremental=LAST_UPDATED,
        detection=BY_TIME,
    ),
    in_repository(
        "collaborator",
        "A user with access to a repository. Who may push may see them.",
        listing=listing(f"{REPOSITORY}/collaborators"),
        within=True,
        created=None,
        updated=None,
    ),
    in_repository(
        "contributor",
        "A user who wrote commits of a repository, with their number; counted anew every few hours.",
        # 204: the repository is empty.
        listing=listing(f"{REPOSITORY}/contributors", empty_statuses=(204,)),
        within=True,
        created=None,
        updated=None,
    ),
    in_repository(
        "stargazer",
        "A user who starred a repository, and when.",
        # Without this the list is of bare users. docs.github.com/rest/activity/starring, November 2026
        listing=listing(f"{REPOSITORY}/stargazers", headers=(("Accept", "application/vnd.github.star+json"),)),
        key="user.id",
        within=True,
        created="starred_at",
        updated=None,
    ),
    in_repository(
        "assignee",
        "A user to whom issues of a repository can be assigned.",
        listing=listing(f"{REPOSITORY}/assignees"),
        within=True,
        created=None,
        updated=None,
    ),
)
