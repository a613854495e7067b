"""A worker in a test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.support.made import SECRET_KEY

from springline.engine.fetch import HttpClient
from springline.engine.page_commit import StreamWriters
from springline.engine.worker import Worker
from springline.providers.registry import PROVIDERS
from springline.store.credentials import CredentialStore
from springline.store.database import Database
from springline.store.leases import LeasedSync, LeaseStore
from springline.store.pages import PageStore
from springline.store.records import RecordStore
from springline.store.secrets import SecretBox


@asynccontextmanager
async def running_worker(database: Database, *, stripe_url: str, lease_seconds: float = 30.0) -> AsyncIterator[Worker]:
    """Runs the syncs of a database until the block ends, then drains."""
    credentials = CredentialStore(database, SecretBox([SECRET_KEY]))

    async def open_properties(sync: LeasedSync) -> Mapping[str, Any]:
        properties = await credentials.properties(sync.org_id, sync.credential_id)
        return {} if properties is None else properties.reveal()

    client = HttpClient.open()
    writers = StreamWriters(PageStore(database), on_commit=lambda _: None)
    worker = Worker(
        leases=LeaseStore(database),
        records=RecordStore(database),
        writers=writers,
        client=client,
        providers=PROVIDERS,
        base_url_of=lambda _: stripe_url,
        open_properties=open_properties,
        lease_seconds=lease_seconds,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await running
        await writers.close()
        await client.close()
