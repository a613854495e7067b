"""The event log: one entry per change, with what changed, how it was found and what proves it."""

import json
import uuid
from typing import Any

import pytest
from tests.support.api import RunningApi
from tests.support.records import change_record, write_records

from springline.domain.records import DetectedBy, Evidence, event_id, parse_event_id, parse_record_id, record_id
from springline.engine.deliveries import MOST_BYTES
from springline.engine.events import changed_fields

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def followed(shared_api: RunningApi, sync: dict[str, Any]) -> uuid.UUID:
    """A record's life: made, changed twice, deleted, made again; beside it another one that only is."""
    database = shared_api.services.database
    record, _ = await write_records(database, sync["id"], ["cus_1", "cus_2"])
    await change_record(database, sync["id"], "cus_1", b'{"id": "cus_1", "name": "Ada", "n": 1.10}')
    await change_record(
        database, sync["id"], "cus_1", b'{"n":1.1,"id":"cus_1","tags":[1, 2]}', detected_by=DetectedBy.sweep
    )
    await change_record(
        database, sync["id"], "cus_1", None, detected_by=DetectedBy.sweep, evidence=Evidence.sweep_and_read
    )
    await change_record(database, sync["id"], "cus_1", b'{"id":"cus_1","name":"Eve"}')
    return record


async def test_what_happened_in_order(shared_api: RunningApi) -> None:
    client = shared_api.ours
    sync = await client.another_sync()
    record = await followed(shared_api, sync)
    read = (await client.get("/v1/events", stream_id=sync["stream_id"])).expect(200)
    events = read["events"]
    assert [(e["event"], e["upstream_id"], e["detected_by"], e["evidence"]) for e in events] == [
        ("created", "cus_1", "backfill", None),
        ("created", "cus_2", "backfill", None),
        ("updated", "cus_1", "feed", None),
        ("updated", "cus_1", "sweep", None),
        ("deleted", "cus_1", "sweep", "sweep+read"),
        ("created", "cus_1", "feed", None),
    ]
    assert [e["changes"] for e in events] == [
        {},
        {},
        {"name": None, "n": None},
        {"n": 1.1, "name": "Ada", "tags": None},
        {},
        {},
    ]
    assert [e["updated_idx"] for e in events] == [1, 2, 3, 4, 5, 6]
    assert len({e["event_id"] for e in events}) == 6
    for event in events:
        assert event["sync"]["id"] == event["sync_id"] == sync["id"]
        assert event["event_inserted_at"] == event["inserted_at"]
    deleted = events[4]
    assert (deleted["id"], deleted["deleted"], deleted["deleted_reason"]) == (str(record), True, "upstream")
    assert deleted["data"] == {"n": 1.1, "id": "cus_1", "tags": [1, 2]}
    again = (await client.get("/v1/events", stream_id=sync["stream_id"], after_cursor=read["cursor"])).expect(200)
    assert again == {"events": [], "cursor": read["cursor"]}


async def test_in_small_answers_and_by_filters(shared_api: RunningApi) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync = await client.another_sync(collection_ids=["stripe:customer", "stripe:plan"])
    await write_records(database, sync["id"], [f"cus_{n}" for n in range(5)])
    await write_records(database, sync["id"], [f"plan_{n}" for n in range(3)], collection_id="stripe:plan")
    await write_records(database, sync["id"], [f"cus_{n}" for n in range(5, 9)])
    query = {"stream_id": sync["stream_id"], "collection_id": "stripe:plan", "limit": 2}
    seen: list[str] = []
    read = (await client.get("/v1/events", **query)).expect(200)
    while read["events"]:
        assert len(read["events"]) <= 2
        seen += [event["upstream_id"] for event in read["events"]]
        read = (await client.get("/v1/events", **query, after_cursor=read["cursor"])).expect(200)
    assert seen == ["plan_0", "plan_1", "plan_2"]
    refused = await client.get("/v1/events", stream_id=sync["stream_id"], after_cursor=read["cursor"])
    assert "belongs to other filters" in refused.fields["after_cursor"][0]
    # A cursor of the records is none of the events.
    records = (await client.get("/v1/records", stream_id=sync["stream_id"])).expect(200)
    assert (await client.get("/v1/events", stream_id=sync["stream_id"], after_cursor=records["cursor"])).status == 422


async def test_an_answer_ends_before_it_is_too_large(shared_api: RunningApi) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync = await client.another_sync()
    large = b"x" * 5_000_000
    for key in (b"a", b"b"):
        await change_record(database, sync["id"], "cus_1", b'{"%s":"%s"}' % (key, large))
    await change_record(database, sync["id"], "cus_2", b'{"a":"%s%s%s%s"}' % (large, large, large, large))
    sizes = []
    query: dict[str, Any] = {"stream_id": sync["stream_id"]}
    while True:
        reply = await client.get("/v1/events", **query)
        read = reply.expect(200)
        if not read["events"]:
            break
        sizes.append(len(read["events"]))
        assert len(reply.body) < MOST_BYTES or len(read["events"]) == 1
        query["after_cursor"] = read["cursor"]
    assert sizes == [2, 1]


async def test_the_history_of_one_record(shared_api: RunningApi) -> None:
    client = shared_api.ours
    sync = await client.another_sync()
    record = await followed(shared_api, sync)
    path = f"/v1/records/{record}/history"
    whole = (await client.get(path)).expect(200)
    assert whole["next_cursor"] is None
    assert [event["event"] for event in whole["data"]] == ["created", "deleted", "updated", "updated", "created"]
    assert whole["data"][2]["changes"] == {"n": 1.1, "name": "Ada", "tags": None}
    paged = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get(path, **query)).expect(200)
        paged += page["data"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert paged == whole["data"]
    assert (await client.get(path, cursor="A" * 22)).fields == {"cursor": ["is no cursor that this list gave out"]}
    unknown = await client.get(f"/v1/records/{record_id(1, 2**40)}/history")
    assert (unknown.status, unknown.code) == (404, "record.not_found")


async def test_what_is_not_kept_any_more(shared_api: RunningApi) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync = await client.another_sync()
    record = await followed(shared_api, sync)
    await change_record(database, sync["id"], "cus_1", None, evidence=Evidence.event)
    stream_no, record_no = parse_record_id(record) or (0, 0)
    # Retention was here: the oldest entries with what they replaced, then the tombstone.
    await database.execute("DELETE FROM events WHERE stream_no = $1 AND idx < 4", stream_no)
    await database.execute("DELETE FROM payload_history WHERE stream_no = $1 AND idx <= 3", stream_no)
    history = (await client.get(f"/v1/records/{record}/history")).expect(200)
    assert [(event["updated_idx"], event["changes"]) for event in history["data"]] == [
        (7, {}),
        (6, {}),
        (5, {}),
        (4, None),
    ]
    await database.execute("DELETE FROM payloads WHERE stream_no = $1 AND record_no = $2", stream_no, record_no)
    read = (await client.get("/v1/events", stream_id=sync["stream_id"])).expect(200)
    last = read["events"][-1]
    assert (last["event"], last["deleted"], last["deleted_reason"]) == ("deleted", True, None)
    assert last["data"] == {"id": "cus_1", "name": "Eve"}
    assert last["evidence"] == "event"


async def test_what_an_update_changed() -> None:
    def changed(before: str, after: str) -> Any:
        return json.loads(changed_fields(before.encode(), after.encode()))

    assert changed('{"a":1,"b":{"x":1,"y":2}}', '{"b": {"y":2, "x":1}, "a": 1}') == {}
    assert changed('{"a":1}', '{"a":1.0}') == {"a": 1}
    assert changed('{"a":null}', "{}") == {"a": None}
    assert changed_fields(b'{"a":100000000000000000001}', b'{"a":2}') == b'{"a":100000000000000000001}'
    assert changed('{"a":1', "{}") is None
    deep = "[" * 100_000 + "]" * 100_000
    assert changed(f'{{"a":{deep}}}', '{"a":1}') is None


async def test_an_entrys_id_is_no_records() -> None:
    for numbers in ((1, 1), (2**31 - 1, 2**62 - 1)):
        assert parse_event_id(event_id(*numbers)) == numbers
        assert parse_record_id(event_id(*numbers)) is None
        assert parse_event_id(record_id(*numbers)) is None
    assert parse_event_id(uuid.uuid4()) is None
