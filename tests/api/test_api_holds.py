"""What was kept back: looked at, and decided once."""

import pytest
from tests.support.api import RunningApi
from tests.support.records import hold_something

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_hold_is_shown_with_the_beginning_of_what_is_held(shared_api: RunningApi) -> None:
    client = shared_api.ours
    sync = await client.another_sync()
    content = b'{"name":"\xff' + b"x" * 5000
    hold_id = await hold_something(shared_api.services.database, sync["id"], content=content)
    (shown,) = (await client.get(f"/v1/syncs/{sync['id']}/holds")).expect(200)["data"]
    assert shown["id"] == str(hold_id)
    assert (shown["kind"], shown["status"], shown["reason"]) == ("record", "held", "has no id")
    assert (shown["sync_id"], shown["collection_id"]) == (sync["id"], "stripe:customer")
    assert (shown["count"], shown["size"], shown["decided_at"]) == (1, len(content), None)
    assert shown["sample"] == content[:2048].decode("utf-8", "replace")


async def test_holds_come_in_pages_and_by_what_became_of_them(shared_api: RunningApi) -> None:
    client = shared_api.ours
    sync = await client.another_sync()
    made = {str(await hold_something(shared_api.services.database, sync["id"])) for _ in range(5)}
    path = f"/v1/syncs/{sync['id']}/holds"
    seen = []
    query: dict[str, object] = {"limit": 2}
    while True:
        page = (await client.get(path, **query)).expect(200)
        seen += [hold["id"] for hold in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert (len(seen), set(seen)) == (5, made)
    (await client.post(f"{path}/{seen[0]}", {"action": "discard"})).expect(200)
    for status, count in (("held", 4), ("discarded", 1), ("applied", 0)):
        assert len((await client.get(path, status=status)).expect(200)["data"]) == count
    assert "status" in (await client.get(path, status="gone")).fields


@pytest.mark.parametrize("kind", ["record", "page"])
async def test_a_record_that_cannot_be_kept_is_never_applied(shared_api: RunningApi, kind: str) -> None:
    client = shared_api.ours
    sync = await client.another_sync()
    hold_id = await hold_something(shared_api.services.database, sync["id"], kind=kind)
    path = f"/v1/syncs/{sync['id']}/holds/{hold_id}"
    refused = await client.post(path, {"action": "apply"})
    assert refused.status == 422
    assert "Mend the object in the API" in refused.fields["action"][0]
    discarded = (await client.post(path, {"action": "discard"})).expect(200)
    # What was thrown away is gone; its print stays, so that the same is not held again.
    assert (discarded["status"], discarded["sample"], discarded["size"]) == ("discarded", "", 0)
    assert discarded["decided_at"] is not None


@pytest.mark.parametrize(("action", "status"), [("apply", "applied"), ("discard", "discarded")])
async def test_deletions_are_decided_once_and_the_sync_is_taken_up_anew(
    shared_api: RunningApi, action: str, status: str
) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync = await client.another_sync()
    hold_id = await hold_something(database, sync["id"], kind="deletion", content=b'["cus_1"]', count=7)
    path = f"/v1/syncs/{sync['id']}/holds/{hold_id}"
    version = "SELECT config_version FROM syncs WHERE sync_id::text = $1"
    before, woken = await database.fetch_value(version, sync["id"]), shared_api.woken["syncs"]
    decided = (await client.post(path, {"action": action})).expect(200)
    assert (decided["status"], decided["count"], decided["sample"]) == (status, 7, '["cus_1"]')
    assert await database.fetch_value(version, sync["id"]) == before + 1
    assert shared_api.woken["syncs"] == woken + 1
    again = await client.post(path, {"action": "discard"})
    assert (again.status, again.code) == (409, "hold.decided")
    assert status in again.value["error"]


async def test_what_there_is_not(shared_api: RunningApi) -> None:
    client = shared_api.ours
    sync, other = await client.another_sync(), await client.another_sync()
    hold_id = await hold_something(shared_api.services.database, other["id"])
    for wrong in (hold_id, "x"):
        refused = await client.post(f"/v1/syncs/{sync['id']}/holds/{wrong}", {"action": "discard"})
        assert (refused.status, refused.code) == (404, "hold.not_found")
    assert (await client.post(f"/v1/syncs/{other['id']}/holds/{hold_id}", {})).status == 422
