"""Every method of the client against a running server."""

from datetime import timedelta

import pytest
from tests.client.conftest import CUSTOMERS
from tests.support.serving import STRIPE_KEY

from springline.client import ApiError, SpringlineClient
from springline.client.objects import RateLimit, Stream

UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


async def test_streams(springline: SpringlineClient) -> None:
    made = await springline.streams.create("one", event_retention_days=1.5, tombstone_days=2)
    assert (made.slug, made.event_retention_days, made.tombstone_days) == ("one", 1.5, 2)
    assert made.created_at.tzinfo is not None
    changed = await springline.streams.update(made.id, slug="two", tombstone_days=3)
    assert (changed.slug, changed.event_retention_days, changed.tombstone_days) == ("two", 1.5, 3)
    assert (await springline.streams.get(made.id)).raw == changed.raw
    assert made.id in [stream.id for stream in await springline.streams.list()]
    await springline.streams.delete(made.id)
    with pytest.raises(ApiError) as caught:
        await springline.streams.get(made.id)
    assert (caught.value.status, caught.value.code) == (404, "stream.not_found")


async def test_credentials(springline: SpringlineClient) -> None:
    properties = {"kind": "stripe_key", "secret": "sk_test_client"}
    made = await springline.credentials.create(properties, name="mine", metadata={"plan": "gold"})
    again = await springline.credentials.create(properties, verify=False)
    assert again.id == made.id
    assert set(made.properties["secret"]) == {"*"}
    assert (made.provider, made.kind, made.name) == ("stripe", "stripe_key", "mine")
    assert made.health is not None
    changed = await springline.credentials.update(made.id, name="ours", metadata={})
    assert (changed.name, changed.metadata) == ("ours", {})
    found = await springline.credentials.list(provider="stripe", kind="stripe_key")
    assert made.id in [credential.id for credential in found]
    assert await springline.credentials.list(metadata={"plan": "silver"}) == []
    await springline.credentials.delete(made.id)
    with pytest.raises(ApiError, match=made.id):
        await springline.credentials.get(made.id)


async def test_oauth_apps(springline: SpringlineClient) -> None:
    made = await springline.oauth_apps.create(
        "stripe", name="app", client_id="ca_1", client_secret="sk_test_app", metadata={"plan": "gold"}
    )
    assert (made.client_id, made.client_secret, made.app_id) == ("ca_1", "************", None)
    changed = await springline.oauth_apps.update(made.id, name="other", redirect_uris=["https://us.example/back"])
    assert (changed.name, changed.redirect_uris) == ("other", ["https://us.example/back"])
    assert (await springline.oauth_apps.get(made.id)).raw == changed.raw
    assert (await springline.oauth_apps.get(made.id, truncate_secrets=False)).client_secret == "sk_test_app"
    assert made.id in [app.id for app in await springline.oauth_apps.list(provider="stripe", health="ok")]
    assert await springline.oauth_apps.list(metadata={"plan": "silver"}) == []
    (clear,) = await springline.oauth_apps.list(metadata={"plan": "gold"}, truncate_secrets=False)
    assert clear.client_secret == "sk_test_app"
    await springline.oauth_apps.delete(made.id)
    with pytest.raises(ApiError) as caught:
        await springline.oauth_apps.get(made.id)
    assert (caught.value.status, caught.value.code) == (404, "oauth_app.not_found")


async def test_syncs(springline: SpringlineClient) -> None:
    target = await springline.streams.create("syncs")
    made = await springline.syncs.create(
        provider="stripe",
        stream_id=target.id,
        name="one",
        collection_ids=["stripe:coupon"],
        credential={"properties": {"kind": "stripe_key", "secret": STRIPE_KEY}},
        rate_limit=RateLimit(allowed_requests=5, interval=1),
        max_age_days=30,
        sync_frequency="4h",
        metadata={"customer": 7},
        external_id="e",
    )
    assert (made.name, made.status, made.health.status, made.sync_frequency) == ("one", "active", "healthy", "4h")
    assert made.rate_limit == RateLimit(allowed_requests=5, interval=1)
    assert made.credential is not None
    assert made.credential.id == made.credential_id
    changed = await springline.syncs.update(made.id, name="two", status="disabled", max_age_days=None)
    assert (changed.name, changed.status, changed.max_age_days, changed.external_id) == ("two", "disabled", None, "e")
    found = await springline.syncs.list(
        provider="stripe", stream_id=target.id, status="disabled", name="two", metadata={"customer": 7}, external_id="e"
    )
    assert [sync.id for sync in found] == [made.id]
    assert (await springline.syncs.get(made.id)).id == made.id
    await springline.syncs.delete(made.id)
    with pytest.raises(ApiError, match=made.id):
        await springline.syncs.get(made.id)


async def test_every_wrong_field_is_named(springline: SpringlineClient) -> None:
    with pytest.raises(ApiError) as caught:
        await springline.syncs.create(
            provider="strip", stream_id=UNKNOWN_ID, name="", collection_ids=[], credential_id=UNKNOWN_ID
        )
    assert caught.value.status == 422
    assert {"provider", "stream_id", "name", "collection_ids"} <= caught.value.fields.keys()


async def test_consumers(springline: SpringlineClient, stream: Stream) -> None:
    made = await springline.consumers.create(
        stream_id=stream.id,
        name="one",
        deliver_policy="all",
        ack_wait=timedelta(seconds=5),
        max_deliver=7,
        max_ack_pending=50,
        filters={"collection_id": ["stripe:customer", "stripe:plan"]},
        metadata={"a": 1},
    )
    assert (made.ack_wait_ms, made.max_deliver, made.max_ack_pending) == (5000, 7, 50)
    assert made.filters["collection_id"] == ["stripe:customer", "stripe:plan"]
    received = await springline.consumers.next(made.id, batch_size=10)
    assert len(received.data) == 10
    assert (received.info.num_pending, received.info.num_ack_pending) == (CUSTOMERS - 10, 10)
    tokens = [message.ack_token for message in received.data]
    assert await springline.consumers.extend(made.id, tokens) == 0
    assert await springline.consumers.ack(made.id, tokens[:4]) == 0
    assert await springline.consumers.nack(made.id, tokens[4:6], delay=timedelta(milliseconds=1)) == 0
    assert await springline.consumers.ack(made.id, [*tokens[3:5], "none"]) == 3
    assert await springline.consumers.ack(made.id, []) == 0
    changed = await springline.consumers.update(made.id, name="two", status="paused", filters={"provider": "stripe"})
    assert (changed.name, changed.status) == ("two", "paused")
    await springline.consumers.reset(made.id, "end")
    await springline.consumers.reset(made.id, 1)
    assert made.id in [consumer.id for consumer in await springline.consumers.list(stream_id=stream.id)]
    assert await springline.consumers.list(metadata={"a": 2}) == []
    assert (await springline.consumers.get(made.id)).name == "two"
    await springline.consumers.delete(made.id)
    with pytest.raises(ApiError) as caught:
        await springline.consumers.next(made.id)
    assert caught.value.code == "consumer.not_found"


async def test_records_are_read_with_a_cursor_of_ones_own(springline: SpringlineClient, stream: Stream) -> None:
    first = await springline.records.read(stream_id=stream.id, collection_id="stripe:customer", limit=CUSTOMERS - 1)
    second = await springline.records.read(
        stream_id=stream.id, collection_id="stripe:customer", after_cursor=first.cursor
    )
    assert (len(first.records), len(second.records)) == (CUSTOMERS - 1, 1)
    nothing = await springline.records.read(
        stream_id=stream.id, collection_id="stripe:customer", after_cursor=second.cursor
    )
    assert (nothing.records, nothing.cursor) == ([], second.cursor)
    record = first.records[0]
    assert bytes(record.data) in record.raw
    assert record.raw in first.raw
    assert record.parsed()["id"] == record.upstream_id
    assert (record.provider, record.deleted, record.deleted_reason) == ("stripe", False, None)
    assert record.sync is not None
    assert record.sync.id == record.sync_id
    assert (await springline.records.get(record.id)).raw == record.raw


async def test_providers(springline: SpringlineClient) -> None:
    assert "stripe" in [provider.name for provider in await springline.providers.list()]
    stripe = await springline.providers.get("stripe")
    assert "stripe:customer" in [collection.id for collection in stripe.collections]
    (kind,) = [kind for kind in stripe.credential_kinds if kind.name == "stripe_key"]
    assert [(field.name, field.secret) for field in kind.fields if field.required] == [("secret", True)]


async def test_tokens(springline: SpringlineClient) -> None:
    made = await springline.tokens.create("for this test")
    assert made.token is not None
    async with SpringlineClient(springline.base_url, made.token) as other:
        assert made.id in [token.id for token in await other.tokens.list()]
    assert [token.token for token in await springline.tokens.list() if token.id == made.id] == [None]
    await springline.tokens.delete(made.id)
    assert made.id not in [token.id for token in await springline.tokens.list()]


async def test_workers(springline: SpringlineClient) -> None:
    (worker,) = await springline.workers.list()
    assert worker.is_this_process
    assert (worker.status, worker.since < worker.lease_until) == ("live", True)


async def test_an_unknown_token_is_a_401(springline: SpringlineClient) -> None:
    async with SpringlineClient(springline.base_url, "spl_unknown") as stranger:
        with pytest.raises(ApiError) as caught:
            await stranger.streams.list()
    assert (caught.value.status, caught.value.code) == (401, "token.unknown")
