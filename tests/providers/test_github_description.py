"""GitHub's description, held against answers and webhooks that were recorded from GitHub itself."""

import json
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.octokit import WEBHOOKS, inside_webhook, recorded

from springline.domain.errors import Moved, NotFound, RequestRejected
from springline.domain.records import PageRecord
from springline.providers.github import github
from springline.providers.github.answers import classify
from springline.providers.github.tokens import GITHUB_TOKEN
from springline.providers.pages import PageParser
from springline.providers.record_readers import field_at
from springline.providers.stripe import stripe
from springline.providers.vocabulary import Account, Answer, Collection, OneObject, Request, placeholders

COLLECTIONS = {collection.name: collection for collection in github.collections}
DESCRIBED = {
    "assignee", "branch", "check_run", "code_scanning_alert", "collaborator", "commit", "commit_comment", "contributor",
    "dependabot_alert", "deployment", "deployment_status", "issue", "issue_comment", "issue_event", "label", "member",
    "milestone", "organization", "pull_request", "pull_request_commit", "pull_request_file", "release",
    "release_asset", "repository", "review", "review_comment", "stargazer", "tag", "team", "team_member",
    "timeline_event", "user", "workflow", "workflow_job", "workflow_run",
}  # fmt: skip

#: Which object of which payload is a record of which collection.
IN_WEBHOOKS = [
    ("check_run.created", "check_run", "check_run"),
    ("code_scanning_alert.reopened", "alert", "code_scanning_alert"),
    ("commit_comment.created", "comment", "commit_comment"),
    ("dependabot_alert.created", "alert", "dependabot_alert"),
    ("deployment.created", "deployment", "deployment"),
    ("deployment_status.created", "deployment_status", "deployment_status"),
    ("issue_comment.created", "comment", "issue_comment"),
    ("issue_comment.created", "issue", "issue"),
    ("issues.assigned", "issue", "issue"),
    ("issues.assigned", "assignee", "assignee"),
    ("issues.edited", "issue", "issue"),
    ("label.created", "label", "label"),
    ("member.added", "member", "collaborator"),
    ("membership.added", "member", "team_member"),
    ("membership.added", "team", "team"),
    ("milestone.created", "milestone", "milestone"),
    ("organization.member_added", "organization", "organization"),
    ("pull_request.closed", "pull_request", "pull_request"),
    ("pull_request.opened", "pull_request", "pull_request"),
    ("pull_request_review.submitted", "review", "review"),
    ("pull_request_review_comment.created", "comment", "review_comment"),
    ("release.published", "release", "release"),
    ("repository.created", "repository", "repository"),
    ("star.created", "sender", "user"),
    ("team.created", "team", "team"),
    ("workflow_job.completed", "workflow_job", "workflow_job"),
    ("workflow_job.in_progress", "workflow_job", "workflow_job"),
    ("workflow_run.completed", "workflow", "workflow"),
    ("workflow_run.completed", "workflow_run", "workflow_run"),
]
each_collection = pytest.mark.parametrize("collection", github.collections, ids=lambda collection: collection.name)


def parser_of(name: str, kind: str = "github_token") -> PageParser:
    collection = COLLECTIONS[name]
    return PageParser(collection, collection.listing_of(kind))


def time_us(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp() * 1_000_000)


def assert_read(record: object, data: bytes, collection: Collection, *, within: str | None) -> None:
    """A record with its key and times, and every byte as it came (I6)."""
    assert isinstance(record, PageRecord)
    assert record.data == data.strip()
    fields = json.loads(data)
    key = next(str(value) for value in (field_at(fields, path) for path in collection.keys) if value is not None)
    assert record.upstream_id == (key if within is None else f"{within}/{key}")
    for path, at_us in (
        (collection.created, record.created_us),
        (collection.updated, record.updated_us),
    ):
        assert at_us == (None if path is None else time_us(field_at(fields, path)))


def test_these_collections_are_described() -> None:
    assert set(COLLECTIONS) == DESCRIBED


@each_collection
def test_a_sweep_is_the_last_resort(collection: Collection) -> None:
    detection = collection.detection
    assert detection.inserts[-1] == "sweep"
    assert detection.updates[-1] == "sweep"
    assert detection.deletes[-1] == ("none" if collection.name == "user" else "sweep")


@each_collection
def test_an_unchanged_list_is_asked_for_free(collection: Collection) -> None:
    assert collection.listing.conditional
    assert set(collection.listing_by_kind) <= {"github_app"}
    assert all(listing.conditional for listing in collection.listing_by_kind.values())


@each_collection
def test_no_parameter_is_said_twice(collection: Collection) -> None:
    names = [name for name, _ in collection.listing.query]
    if collection.incremental is not None:
        names += [name for name, _ in collection.incremental.query]
    if collection.listing.since is not None:
        names.append(collection.listing.since.parameter)
    assert len(names) == len(set(names))


@each_collection
def test_what_names_records_within_a_parent_is_not_read_by_it(collection: Collection) -> None:
    """A made-up id is not what a path takes: it is the record's own field."""
    if collection.within is not None and collection.read is not None:
        assert "{id}" not in collection.read.path


def test_what_paths_name_is_there() -> None:
    """In objects that GitHub sent, every field of a parent that a path is made of."""
    found: dict[str, Any] = {
        collection: json.loads(inside_webhook(name, field)) for name, field, collection in IN_WEBHOOKS
    }
    found["commit"] = {"sha": "…"}  # no webhook has one in this form
    found["credential"] = {"account_login": "…"}
    for collection in github.collections:
        listings = (collection.listing, *collection.listing_by_kind.values())
        for path in [listing.path for listing in listings] + ([collection.read.path] if collection.read else []):
            for name in placeholders(path):
                source, _, field = name.partition(".")
                if source == "record" and collection.name in found:
                    assert field_at(found[collection.name], field) is not None
                elif source in found:
                    assert field_at(found[source], field) is not None, f"{path}: {name}"
                else:
                    assert source in ("id", "record"), f"{path}: {name}"


def test_a_list_is_walked_by_the_links_that_github_sent() -> None:
    pages = recorded("paginate-issues")
    parser = parser_of("issue")
    numbers: list[int] = []
    for place, (_, answer) in enumerate(pages):
        page = parser.parse_page(answer)
        assert page.rejected == []
        assert b",".join(record.data for record in page.records) == answer.body[1:-1]
        for record in page.records:
            assert_read(record, record.data, COLLECTIONS["issue"], within=None)
            numbers.append(json.loads(record.data)["number"])
        following = pages[place + 1].path if place + 1 < len(pages) else None
        assert page.next_cursor == (following and f"https://api.github.com{following}")
    assert numbers == list(range(13, 0, -1))


@pytest.mark.parametrize(
    ("scenario", "place", "name", "within"),
    [
        ("labels", 0, "label", None),
        ("add-and-remove-repository-collaborator", 0, "collaborator", "42"),
        ("add-and-remove-repository-collaborator", 1, "collaborator", "42"),
        ("release-assets", 1, "release_asset", None),
    ],
)
def test_a_list_of_one_page(scenario: str, place: int, name: str, within: str | None) -> None:
    answer = recorded(scenario)[place].answer
    page = parser_of(name).parse_page(answer, within=within)
    assert page.rejected == []
    assert page.next_cursor is None
    assert len(page.records) == len(json.loads(answer.body))
    assert b",".join(record.data for record in page.records) == answer.body[1:-1]
    for record in page.records:
        assert_read(record, record.data, COLLECTIONS[name], within=within)


def test_an_organisation_of_an_app_is_its_one_record() -> None:
    ((path, answer),) = recorded("get-organization")
    collection = COLLECTIONS["organization"]
    listing = collection.listing_of("github_app")
    assert listing.path.replace("{credential.account_login}", "octokit-fixture-org") == path
    assert isinstance(listing.pagination, OneObject)
    (record,) = parser_of("organization", "github_app").parse_page(answer).records
    assert_read(record, answer.body, collection, within=None)


def test_an_app_on_a_person_s_account_has_no_organisation() -> None:
    not_found = Answer(status=404, headers={}, body=b'{"message":"Not Found"}')
    assert parser_of("organization", "github_app").parse_page(not_found).records == []


def test_an_app_lists_its_repositories_in_an_envelope() -> None:
    repository = inside_webhook("repository.created", "repository")
    body = b'{"total_count":1,"repository_selection":"all","repositories":[%s]}' % repository
    link = '<https://api.github.com/installation/repositories?per_page=100&page=2>; rel="next"'
    page = parser_of("repository", "github_app").parse_page(Answer(status=200, headers={"link": link}, body=body))
    (record,) = page.records
    assert_read(record, repository, COLLECTIONS["repository"], within=None)
    assert page.next_cursor == "https://api.github.com/installation/repositories?per_page=100&page=2"


def test_a_renamed_repository_is_read_by_its_id() -> None:
    (old_path, moved), (new_path, found) = recorded("rename-repository")
    error = classify(Request(path=old_path), moved)
    assert type(error) is Moved
    assert error.location == f"https://api.github.com{new_path}"
    collection = COLLECTIONS["repository"]
    assert collection.read is not None
    record = parser_of("repository").parse_record(found.body)
    assert_read(record, found.body, collection, within=None)
    assert isinstance(record, PageRecord)
    assert collection.read.path.replace("{id}", record.upstream_id) == new_path


@pytest.mark.parametrize(
    ("scenario", "expected", "words"),
    [
        ("branch-protection", NotFound, "Branch not protected"),
        ("errors", RequestRejected, "Validation Failed"),
        ("get-archive", Moved, "HTTP 302"),
    ],
)
def test_errors_that_github_sent(scenario: str, expected: type[Exception], words: str) -> None:
    ((path, answer),) = recorded(scenario)
    error = classify(Request(path=path), answer)
    assert type(error) is expected
    assert words in str(error)


@pytest.mark.parametrize("status", [204, 409])
def test_an_empty_repository_has_empty_lists(status: int) -> None:
    name = "contributor" if status == 204 else "commit"
    answer = Answer(status=status, headers={}, body=b'{"message":"Git Repository is empty."}' if status == 409 else b"")
    assert parser_of(name).parse_page(answer, within="42") == ([], [], None)


@pytest.mark.parametrize(("webhook", "field", "name"), IN_WEBHOOKS)
def test_what_webhooks_bring_is_read_as_records(webhook: str, field: str, name: str) -> None:
    collection = COLLECTIONS[name]
    data = inside_webhook(webhook, field)
    within = None if collection.within is None else "42"
    assert_read(parser_of(name).parse_record(data, within=within), data, collection, within=within)


def test_every_recorded_webhook_is_looked_at() -> None:
    assert {name for name, _, _ in IN_WEBHOOKS} == set(WEBHOOKS)


def test_assets_inside_a_release_are_read_as_records() -> None:
    (_, by_tag), *_ = recorded("release-assets")
    assert_read(parser_of("release").parse_record(by_tag.body), by_tag.body, COLLECTIONS["release"], within=None)


def test_entries_of_a_timeline_have_ids() -> None:
    """By their node id, their hash, or the issue that they come from."""
    body = (
        b'[{"id":7,"node_id":"LE_7","event":"labeled","created_at":"2026-02-01T10:00:00Z"},'
        b'{"sha":"abc","node_id":"C_abc","event":"committed"},{"sha":"def","event":"committed"},'
        b'{"event":"cross-referenced","created_at":"2026-02-01T10:00:00Z","source":{"issue":{"node_id":"I_9"}}},'
        b'{"event":"unknown"}]'
    )
    page = parser_of("timeline_event").parse_page(Answer(status=200, headers={}, body=body), within="1")
    assert [record.upstream_id for record in page.records] == ["1/LE_7", "1/C_abc", "1/def", "1/I_9"]
    assert len(page.rejected) == 1


def test_stars_say_when() -> None:
    listing = COLLECTIONS["stargazer"].listing
    assert dict(listing.headers) == {"Accept": "application/vnd.github.star+json"}
    body = b'[{"starred_at":"2026-02-01T10:00:00Z","user":{"login":"ana","id":101}}]'
    (record,) = parser_of("stargazer").parse_page(Answer(status=200, headers={}, body=body), within="42").records
    assert record.upstream_id == "42/101"
    assert record.created_us == time_us("2026-02-01T10:00:00Z")


def test_what_reads_another_shape_is_not_what_events_lead_to() -> None:
    issue = COLLECTIONS["issue"]
    assert issue.read is not None
    assert issue.read.only_proves
    customer = stripe.collections[0]
    assert customer.read is not None
    wrong = replace(customer, read=replace(customer.read, only_proves=True))
    with pytest.raises(ValueError, match="stripe:customer: events name its records"):
        replace(stripe, collections=(wrong,))


@pytest.mark.parametrize(
    "token",
    ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "github_pat_11ABCDE0_abcdefghijk", "gho_x", "ghu_x", "ab12" * 10],
)
def test_a_token_is_taken(token: str) -> None:
    assert GITHUB_TOKEN.refuse({"token": token}) is None


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("ghs_abc", "github_app"),
        ("ghr_abc", "refresh token"),
        ("eyJhbGciOi.x.y", "github_app"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII", "private key"),
        ("Bearer ghp_abc", "the token alone"),
        ("token ghp_abc", "the token alone"),
        ("sk_test_123", "no GitHub token"),
        ("ghp_abc def", "no GitHub token"),
        ("ghp_abc\n", "no GitHub token"),
        ("", "no GitHub token"),
    ],
)
def test_what_is_no_token_is_refused(token: str, words: str) -> None:
    assert words in str(GITHUB_TOKEN.refuse({"token": token}))


def test_an_account_is_the_user_and_a_credential_the_token() -> None:
    user = Answer(status=200, headers={}, body=b'{"login":"octocat","id":583231,"type":"User"}')
    assert GITHUB_TOKEN.identify(user) == Account(identity="583231", label="octocat")
    for body in (b"", b"<html>", b'{"login":"octocat"}', b'{"id":"x","login":"y"}'):
        assert GITHUB_TOKEN.identify(replace(user, body=body)) is None
    identities = [GITHUB_TOKEN.identity_of({"token": token}) for token in ("ghp_a", "ghp_b")]
    assert len(set(identities)) == 2
    assert not any(str(identity).startswith("ghp") for identity in identities)


def test_the_allotment_leaves_a_fifth() -> None:
    limit = GITHUB_TOKEN.rate_limit({"token": "ghp_a"})
    assert (limit.allowed_requests, limit.interval, limit.max_concurrent_requests) == (4000, 3600.0, 5)
