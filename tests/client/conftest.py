"""A running Springline, and a client of it."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from tests.support.serving import STRIPE_KEY, Served, served

from springline.client import SpringlineClient
from springline.client.objects import Stream

CUSTOMERS = 40


@pytest.fixture(scope="module")
def springline_server() -> Iterator[Served]:
    with served(customers=CUSTOMERS) as running:
        yield running


@pytest.fixture
async def springline(springline_server: Served) -> AsyncIterator[SpringlineClient]:
    async with SpringlineClient(springline_server.url, springline_server.token) as client:
        yield client


@pytest.fixture
async def stream(springline: SpringlineClient) -> Stream:
    """The stream `customers`, which holds every customer."""
    for found in await springline.streams.list():
        if found.slug == "customers":
            return found
    made = await springline.streams.create("customers")
    await springline.syncs.create(
        provider="stripe",
        stream_id=made.id,
        name="customers",
        collection_ids=["stripe:customer"],
        credential={"properties": {"kind": "stripe_key", "secret": STRIPE_KEY}},
    )
    reader = await springline.consumers.create(stream_id=made.id)
    held = 0
    while held < CUSTOMERS:
        received = await springline.consumers.next(reader.id, batch_size=100, wait_for=timedelta(seconds=30))
        assert received.data, "nothing came within 30 s"
        held += len(received.data)
    await springline.consumers.delete(reader.id)
    return made
