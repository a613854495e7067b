"""What a consumer has in flight, what was given up, and how it is delivered again."""

from typing import Any

import pytest
from tests.support.api import Client, RunningApi
from tests.support.records import change_record, write_records

from springline.domain.records import record_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def reader(shared_api: RunningApi, records: int, **fields: Any) -> tuple[dict[str, Any], str]:
    """A sync with so many records, and the path of a consumer of its stream."""
    sync = await shared_api.ours.another_sync()
    await write_records(shared_api.services.database, sync["id"], [f"cus_{n}" for n in range(records)])
    consumer = await shared_api.ours.consumer(stream_id=sync["stream_id"], **fields)
    return sync, f"/v1/http-consumers/{consumer['id']}"


async def received(client: Client, path: str, batch_size: int = 1000) -> list[dict[str, Any]]:
    answer = (await client.post(f"{path}/next", {"batch_size": batch_size})).expect(200)
    messages: list[dict[str, Any]] = answer["data"]
    return messages


async def test_messages_in_flight(shared_api: RunningApi) -> None:
    client = shared_api.ours
    sync, path = await reader(shared_api, 3, ack_wait_ms=60_000)
    assert (await client.get(f"{path}/pending")).expect(200)["data"] == []
    first = (await received(client, path, 1))[0]
    (await client.post(f"{path}/nack", {"ack_tokens": [first["ack_token"]]})).expect(204)
    again = await received(client, path, 1)
    while again[0]["record"]["id"] != first["record"]["id"]:
        again = await received(client, path, 1)
    reply = await client.get(f"{path}/pending")
    pending = reply.expect(200)
    shown = next(each for each in pending["data"] if each["record_id"] == first["record"]["id"])
    assert (shown["upstream_id"], shown["collection_id"], shown["sync_id"]) == ("cus_0", "stripe:customer", sync["id"])
    assert (shown["updated_idx"], shown["state"], shown["deliver_count"], shown["newer"]) == (1, "out", 2, False)
    assert shown["first_delivered_at"] < shown["last_delivered_at"] < shown["deadline"]
    assert shown["receiver"].startswith("127.0.0.1 Python/")
    assert pending["info"] == {
        "num_ack_pending": len(pending["data"]),
        "max_ack_pending": 1000,
        "paused": False,
        "stopped": False,
        "stopped_by": None,
    }
    await change_record(shared_api.services.database, sync["id"], "cus_0", b'{"id":"cus_0","n":2}')
    (await client.post(f"{path}/nack", {"ack_tokens": [again[0]["ack_token"]], "delay_ms": 60_000})).expect(204)
    (await client.patch(path, {"status": "paused"})).expect(200)
    pending = (await client.get(f"{path}/pending", limit=1)).expect(200)
    (shown,) = pending["data"]
    assert (shown["record_id"], shown["state"], shown["newer"]) == (first["record"]["id"], "waiting", True)
    assert pending["info"]["paused"]


async def test_what_stops_delivery(shared_api: RunningApi) -> None:
    client = shared_api.ours
    _, path = await reader(shared_api, 5, max_ack_pending=3)
    messages = [*await received(client, path, 1), *await received(client, path)]
    assert len(messages) == 3
    info = (await client.get(f"{path}/pending")).expect(200)["info"]
    assert info["stopped"]
    assert info["stopped_by"]["record_id"] == messages[0]["record"]["id"]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get(f"{path}/pending", **query)).expect(200)
        seen += [each["record_id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [message["record"]["id"] for message in messages]
    (await client.post(f"{path}/ack", {"ack_tokens": [messages[0]["ack_token"]]})).expect(204)
    info = (await client.get(f"{path}/pending")).expect(200)["info"]
    assert (info["stopped"], info["stopped_by"]) == (False, None)


async def test_a_message_that_is_given_up_is_kept_and_delivered_again(shared_api: RunningApi) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync, path = await reader(shared_api, 3)
    messages = await received(client, path)
    tokens = [message["ack_token"] for message in messages]
    given_up = {"ack_tokens": [tokens[0], tokens[1], tokens[1], "x"], "reason": "the address is wrong"}
    reply = await client.post(f"{path}/term", given_up)
    reply.expect(204)
    assert reply.headers["x-stale-ack-tokens"] == "2"
    assert (await client.post(f"{path}/term", given_up)).headers["x-stale-ack-tokens"] == "4"
    assert "reason" in (await client.post(f"{path}/term", {"ack_tokens": tokens[:1]})).fields
    (await client.post(f"{path}/ack", {"ack_tokens": [tokens[2]]})).expect(204)
    assert (await client.get(f"{path}/pending")).expect(200)["info"]["num_ack_pending"] == 0
    assert await received(client, path) == []
    await change_record(database, sync["id"], "cus_1", b'{"id":"cus_1","n":2}')
    assert len(await received(client, path)) == 1
    letters = (await client.get(f"{path}/dead-letters")).expect(200)
    assert letters["next_cursor"] is None
    assert [
        (each["record_id"], each["updated_idx"], each["deliver_count"], each["reason"], each["superseded"])
        for each in letters["data"]
    ] == [
        (messages[0]["record"]["id"], 1, 1, "the address is wrong", False),
        (messages[1]["record"]["id"], 2, 1, "the address is wrong", True),
    ]
    assert letters["data"][0]["record"] == messages[0]["record"]
    assert letters["data"][1]["record"]["data"] == {"id": "cus_1", "n": 2}
    assert (await client.post(f"{path}/dead-letters/redrive", {})).expect(200) == {"redriven": 2}
    assert (await client.get(f"{path}/dead-letters")).expect(200)["data"] == []
    # The one that changed is out in its newer version already.
    (again,) = await received(client, path)
    assert (again["record"], again["deliver_count"]) == (messages[0]["record"], 1)
    assert (await client.get(f"{path}/pending")).expect(200)["info"]["num_ack_pending"] == 2
    (await client.post(f"{path}/ack", {"ack_tokens": [again["ack_token"]]})).expect(204)
    assert (await client.post(f"{path}/dead-letters/redrive", {})).expect(200) == {"redriven": 0}


async def test_giving_up_an_old_version_lets_the_newer_one_through(shared_api: RunningApi) -> None:
    client, database = shared_api.ours, shared_api.services.database
    sync, path = await reader(shared_api, 1)
    (message,) = await received(client, path)
    await change_record(database, sync["id"], "cus_0", b'{"id":"cus_0","n":2}')
    assert await received(client, path) == []  # the newer one was passed over: its record is out
    (await client.post(f"{path}/term", {"ack_tokens": [message["ack_token"]], "reason": "old"})).expect(204)
    (newer,) = await received(client, path)
    assert newer["record"]["data"] == {"id": "cus_0", "n": 2}
    assert newer["deliver_count"] == 1
    (letter,) = (await client.get(f"{path}/dead-letters")).expect(200)["data"]
    assert letter["superseded"]


async def test_single_letters_are_delivered_again_and_pages_of_them_listed(shared_api: RunningApi) -> None:
    client = shared_api.ours
    _, path = await reader(shared_api, 5)
    messages = await received(client, path)
    body = {"ack_tokens": [message["ack_token"] for message in messages], "reason": "all"}
    (await client.post(f"{path}/term", body)).expect(204)
    ids = [message["record"]["id"] for message in messages]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get(f"{path}/dead-letters", **query)).expect(200)
        seen += [each["record_id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ids
    redrive = f"{path}/dead-letters/redrive"
    assert (await client.post(redrive, {"record_ids": [ids[3], ids[3]]})).expect(200) == {"redriven": 1}
    assert [message["record"]["id"] for message in await received(client, path)] == [ids[3]]
    foreign = await client.post(redrive, {"record_ids": [str(record_id(2_000_000, 1))]})
    assert foreign.fields == {"record_ids": ["holds an id that is none of a record of the consumer's stream"]}
    # A record that has left is not delivered, and no letter stays behind.
    stream_no = int(ids[0].replace("-", "")[:12], 16)
    database = shared_api.services.database
    await database.execute("DELETE FROM payloads WHERE stream_no = $1 AND record_no = 1", stream_no)
    await database.execute("DELETE FROM records WHERE stream_no = $1 AND record_no = 1", stream_no)
    letters = (await client.get(f"{path}/dead-letters")).expect(200)["data"]
    assert [each["record"] is None for each in letters] == [True, False, False, False]
    assert (await client.post(redrive, {})).expect(200) == {"redriven": 4}
    assert sorted(message["record"]["id"] for message in await received(client, path)) == [ids[1], ids[2], ids[4]]
    assert (await client.get(f"{path}/pending")).expect(200)["info"]["num_ack_pending"] == 4


async def test_what_was_delivered_too_often_is_a_dead_letter(shared_api: RunningApi) -> None:
    client = shared_api.ours
    _, path = await reader(shared_api, 1, max_deliver=1)
    (message,) = await received(client, path)
    (await client.post(f"{path}/nack", {"ack_tokens": [message["ack_token"]]})).expect(204)
    assert await received(client, path) == []
    (letter,) = (await client.get(f"{path}/dead-letters")).expect(200)["data"]
    assert (letter["reason"], letter["deliver_count"]) == ("max_deliver", 1)


async def test_a_cursor_of_another_list(shared_api: RunningApi) -> None:
    _, path = await reader(shared_api, 1)
    for noun in ("pending", "dead-letters"):
        refused = await shared_api.ours.get(f"{path}/{noun}", cursor="A" * 22)
        assert refused.fields == {"cursor": ["is no cursor that this list gave out"]}
