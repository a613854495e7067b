"""Faults of the GitHub sandbox: what goes wrong, for whom, how often."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from tests.sandbox.github_client import GithubClient, links, query_of


async def fault(github: GithubClient, kind: str, **options: Any) -> str:
    made: str = (await github.control("POST", "/faults", {"kind": kind, **options}))["id"]
    return made


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500, 502, 503, 504])
async def test_a_status_comes_with_githubs_words(github: GithubClient, status: int) -> None:
    await fault(github, "status", status=status, match={"path": "/user", "times": 2})
    for _ in range(2):
        failed = await github.get("/user")
        assert (failed.status, failed.value["status"], bool(failed.value["message"])) == (status, str(status), True)
    assert (await github.get("/user")).status == 200


@pytest.mark.parametrize("retry_after", [None, "3", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_429_with_or_without_a_time(github: GithubClient, retry_after: str | None) -> None:
    await fault(github, "status", status=429, retry_after=retry_after)
    assert (await github.get("/user")).headers.get("retry-after") == retry_after


async def test_limits_that_are_said_to_be_reached(github: GithubClient) -> None:
    first = await fault(github, "rate_limit", which="primary", reset_seconds=90)
    refused = await github.get("/user")
    assert (refused.status, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert int(refused.headers["x-ratelimit-reset"]) == int(github.clock.now) + 90
    await github.control("DELETE", f"/faults/{first}")
    await fault(github, "rate_limit", which="secondary", status=429, retry_after="4")
    refused = await github.get("/user")
    assert (refused.status, refused.headers["retry-after"]) == (429, "4")
    assert "secondary rate limit" in refused.value["message"]
    assert refused.headers["x-ratelimit-remaining"] != "0"


async def test_a_web_page_instead_of_json(github: GithubClient) -> None:
    await fault(github, "html", status=502)
    reply = await github.get("/user")
    assert (reply.status, reply.headers["content-type"]) == (502, "text/html; charset=utf-8")


async def test_connections_that_break(github: GithubClient) -> None:
    for kind in ("reset", "timeout"):
        made = await fault(github, kind, **({"seconds": 0.01} if kind == "timeout" else {}))
        with pytest.raises(aiohttp.ClientError):
            await github.get("/user")
        await github.control("DELETE", f"/faults/{made}")
    await fault(github, "cut", share=0.5)
    with pytest.raises(aiohttp.ClientPayloadError):
        await github.get("/user")
    # The client asks once more by itself where a kept connection breaks.
    statuses = [arrival["status"] for arrival in await github.control("GET", "/arrivals")]
    assert (set(statuses[:-1]), statuses[-1]) == ({0}, 200)


async def test_half_a_json(github: GithubClient) -> None:
    await fault(github, "half_json")
    reply = await github.get("/user")
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


async def test_pages_that_never_end(github: GithubClient) -> None:
    web = await github.repository()
    whole = await github.value(f"{web}/labels")
    made = await fault(github, "endless_page", match={"path": "*/labels"})
    reply = await github.get(f"{web}/labels")
    for number in range(2, 5):
        assert reply.value == whole
        assert query_of(links(reply)["next"])["page"] == str(number)
        reply = await github.get(links(reply)["next"])
    await github.control("DELETE", f"/faults/{made}")
    await fault(github, "repeated_page", match={"path": "*/labels"})
    reply = await github.get(f"{web}/labels", per_page=1, page=2)
    assert links(reply)["next"].endswith("/labels?per_page=1&page=2")
    await github.control("DELETE", "/faults")
    await fault(github, "empty_page", has_more=True)
    reply = await github.get(f"{web}/labels")
    assert (reply.value, "next" in links(reply)) == ([], True)
    await github.control("DELETE", "/faults")
    await fault(github, "empty_page")
    runs = await github.get(f"{web}/actions/runs")
    assert (runs.value["workflow_runs"], "link" in runs.headers) == ([], False)


@pytest.mark.parametrize("defect", ["no_id", "null_id", "number_id", "null", "string"])
async def test_a_broken_record(github: GithubClient, defect: str) -> None:
    web = await github.repository()
    whole = await github.value(f"{web}/labels")
    await fault(github, "bad_record", defect=defect, position=1)
    rows = await github.value(f"{web}/labels")
    assert [row == good for row, good in zip(rows, whole, strict=True)] == [True, False, True]


async def test_odd_bytes_go_out_as_they_are(github: GithubClient) -> None:
    web = await github.repository()
    await fault(github, "bad_record", defect="invalid_utf8", match={"path": "*/labels"})
    assert b"\xff\xfe" in (await github.get(f"{web}/labels")).body
    await github.control("DELETE", "/faults")
    await fault(github, "bad_record", text='{"id": 1.50}', match={"path": "*/labels/*"})
    assert (await github.get(f"{web}/labels/bug")).body == b'{"id": 1.50}'


async def test_reads_of_yesterday(github: GithubClient) -> None:
    web = await github.repository()
    await github.write("POST", f"{web}/issues", title="One")
    made = await fault(github, "stale_page", match={"method": "GET"})
    await github.write("PATCH", f"{web}/issues/1", title="Two")
    await github.write("POST", f"{web}/issues", title="Three")
    assert [issue["title"] for issue in await github.value(f"{web}/issues")] == ["One"]
    assert (await github.get(f"{web}/issues/2")).status == 404
    await github.control("DELETE", f"/faults/{made}")
    assert [issue["title"] for issue in await github.value(f"{web}/issues")] == ["Three", "Two"]


async def test_rows_that_are_late_or_hidden(github: GithubClient) -> None:
    web = await github.repository()
    late = await fault(github, "late_rows", seconds=90)
    issue = await github.write("POST", f"{web}/issues", title="One")
    assert await github.value(f"{web}/issues") == []
    assert (await github.get(f"{web}/issues/1")).status == 404
    github.clock.now += 91
    assert len(await github.value(f"{web}/issues")) == 1
    await github.control("DELETE", f"/faults/{late}")
    await fault(github, "hidden_rows", ids=[str(issue["id"])])
    assert await github.value(f"{web}/issues") == []


async def test_an_answer_that_comes_late_shows_the_state_of_then(github: GithubClient) -> None:
    web = await github.repository()
    await github.write("POST", f"{web}/issues", title="One")
    made = await fault(github, "late_page", match={"method": "GET", "times": 1})
    held = asyncio.create_task(github.value(f"{web}/issues"))
    await github.control("GET", f"/faults/{made}/wait")
    await github.write("PATCH", f"{web}/issues/1", title="Two")
    await github.control("POST", f"/faults/{made}/release")
    assert [issue["title"] for issue in await held] == ["One"]


async def test_faults_choose_their_requests(github: GithubClient) -> None:
    web = await github.repository()
    await fault(github, "status", status=500, match={"path": f"{web}/labels", "query": {"page": "2"}})
    assert (await github.get(f"{web}/labels")).status == 200
    assert (await github.get(f"{web}/labels", page=2)).status == 500
    # A link leads to the repository by its number: the same list.
    first = await github.get(f"{web}/labels", per_page=1)
    assert (await github.get(links(first)["next"])).status == 500
    await github.control("DELETE", "/faults")
    await fault(github, "status", status=500, match={"account": "user ana"})
    assert (await github.get(web)).status == 200
    await github.control("DELETE", "/faults")
    await fault(github, "status", status=500, applied=True, match={"method": "POST", "nth": 1})
    assert (await github.request("POST", f"{web}/issues", body={"title": "Made all the same"})).status == 500
    assert len(await github.value(f"{web}/issues")) == 1
    await github.control("DELETE", "/faults")
    await fault(github, "status", status=500, match={"probability": 0.5})
    outcomes = {(await github.get(web)).status for _ in range(30)}
    assert outcomes == {200, 500}
