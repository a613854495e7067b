"""Faults of ours and of the database's."""

import asyncio

import pytest
from tests.support.api import Client, RunningApi

from springline.store.database import Database


async def test_a_fault_of_ours_tells_nothing(
    api: RunningApi, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await database.execute("ALTER TABLE streams RENAME COLUMN slug TO secret_internal")
    reply = await api.ours.get("/v1/streams")
    assert (reply.status, reply.code) == (500, "service.failed")
    assert set(reply.value) == {"error", "code", "docs"}
    assert b"slug" not in reply.body
    assert b"Traceback" not in reply.body
    assert [record.message for record in caplog.records] == ["request.failed"]


async def test_database_gone(api: RunningApi, database: Database) -> None:
    (await api.ours.get("/v1/streams")).expect(200)
    await database.close()
    for reply in (await api.ours.get("/v1/streams"), await api.nobody.get("/readyz")):
        assert (reply.status, reply.code) == (503, "service.unavailable")
        assert reply.headers["Retry-After"] == "1"
    (await api.nobody.get("/healthz")).expect(200)


async def test_many_at_once(api: RunningApi) -> None:
    """One slug, many callers: one has it."""

    async def create(client: Client) -> int:
        return (await client.post("/v1/streams", {"slug": "one"})).status

    statuses = await asyncio.gather(*(create(api.ours) for _ in range(20)))
    assert sorted(statuses) == [201] + [409] * 19
