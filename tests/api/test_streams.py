"""Streams over HTTP."""

from tests.support.api import RunningApi


async def test_create_then_read_back(api: RunningApi) -> None:
    reply = await api.ours.post("/v1/streams", {"slug": "crm"})
    made = reply.expect(201)
    assert reply.headers["Location"] == f"/v1/streams/{made['id']}"
    assert {name: made[name] for name in ("slug", "head_idx", "record_count", "sync_count", "consumer_count")} == {
        "slug": "crm", "head_idx": 0, "record_count": 0, "sync_count": 0, "consumer_count": 0
    }  # fmt: skip
    assert (made["event_retention_days"], made["tombstone_days"]) == (7, 30)
    assert b'"event_retention_days":7,' in reply.body
    assert made["created_at"].endswith("Z")
    assert (await api.ours.get(f"/v1/streams/{made['id']}")).expect(200) == made
    assert (await api.ours.get("/v1/streams")).expect(200) == {"data": [made], "next_cursor": None}
