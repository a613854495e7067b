"""GitHub: its REST API, found by updated times, by changes of a parent, and by sweeps.

Facts from docs.github.com/rest at API version 2022-11-28 and from the types that are generated from GitHub's own
description of it (githubkit-schemas 26.10), as collected in November 2026. What GitHub has over GraphQL alone
(projects, discussions), an enterprise's audit log, and the feed of a repository's events (300 of them, hours late) are
no collections.
"""

from springline.providers.github import accounts, actions, code, issues, pulls, repositories
from springline.providers.github.answers import classify
from springline.providers.github.app import GITHUB_APP, GITHUB_APP_FIELDS
from springline.providers.github.limits import read_limits
from springline.providers.github.tokens import GITHUB_TOKEN
from springline.providers.vocabulary import Provider

#: Every answer has this version's shape. It is kept until March 2028 at least (github.blog/changelog, 2026-03-12).
VERSION = "2022-11-28"

github = Provider(
    name="github",
    title="GitHub",
    base_url="https://api.github.com",
    credential_kinds=(GITHUB_TOKEN, GITHUB_APP),
    oauth_app=GITHUB_APP_FIELDS,
    request_headers=(("Accept", "application/vnd.github+json"), ("X-GitHub-Api-Version", VERSION)),
    request_id_header="x-github-request-id",
    classify=classify,
    read_limits=read_limits,
    collections=(
        *accounts.COLLECTIONS,
        *repositories.COLLECTIONS,
        *issues.COLLECTIONS,
        *pulls.COLLECTIONS,
        *code.COLLECTIONS,
        *actions.COLLECTIONS,
    ),
)
