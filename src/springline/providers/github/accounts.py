"""Whose data it is: users, organisations, their teams and members."""

from typing import Final

from springline.providers.github.shapes import BY_SWEEP, ORGANIZATION, below, listing
from springline.providers.vocabulary import Collection, Detection, ListEndpoint, OneObject, ReadById

COLLECTIONS: Final = (
    Collection(
        name="user",
        description="The account whose credential it is.",
        listing=ListEndpoint(path="/user", pagination=OneObject(), conditional=True),
        listing_by_kind={
            "github_app": ListEndpoint(
                path="/users/{credential.account_login}", pagination=OneObject(), conditional=True
            )
        },
        created="created_at",
        updated="updated_at",
        time_format="iso8601",
        # Without the account there is no credential.
        detection=Detection(inserts=("sweep",), updates=("sweep",), deletes=("none",)),
    ),
    Collection(
        name="organization",
        description="An organisation that the credential can act in. A fine-grained token is shown none of them.",
        # A token is shown a short form, an app its one organisation whole.
        # docs.github.com/rest/orgs/orgs, November 2026
        listing=listing("/user/orgs"),
        listing_by_kind={
            # 404: the app is installed on a person's account.
            "github_app": ListEndpoint(
                path="/orgs/{credential.account_login}",
                pagination=OneObject(),
                conditional=True,
                empty_statuses=(404,),
            )
        },
        # Anyone can read an organisation that they have left.
        read=ReadById(path="/orgs/{record.login}", only_proves=True, answers_unlisted=True),
        created="created_at",
        updated="updated_at",
        time_format="iso8601",
        detection=BY_SWEEP,
    ),
    below(
        "organization",
        "team",
        "A team of an organisation.",
        listing=listing(f"{ORGANIZATION}/teams"),
        # By ids, since a team's slug follows its name. docs.github.com/rest/teams/teams, November 2026
        read=ReadById(path="/organizations/{organization.id}/team/{id}", only_proves=True),
        tells=False,
        created=None,
        updated=None,
    ),
    below(
        "team",
        "team_member",
        "A user who is in a team, or in a team below it.",
        listing=listing(f"{ORGANIZATION}/teams/{{team.slug}}/members"),
        within="team",
        tells=False,
        created=None,
        updated=None,
    ),
    below(
        "organization",
        "member",
        "A user who is in an organisation.",
        listing=listing(f"{ORGANIZATION}/members"),
        within="organization",
        tells=False,
        created=None,
        updated=None,
    ),
)
