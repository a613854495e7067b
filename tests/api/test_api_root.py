"""What answers without a token."""

from tests.support.api import RunningApi
from tests.support.postgres import TestPostgres

from springline import __version__
from springline.store.database import Database
from springline.store.migrate import migrate, missing_migrations


async def test_what_this_is(api: RunningApi) -> None:
    value = (await api.nobody.get("/")).expect(200)
    assert (value["name"], value["version"]) == ("springline", __version__)
    for link in (value["documentation"], value["openapi"]):
        assert (await api.nobody.get(link)).status == 200


async def test_well(api: RunningApi) -> None:
    assert (await api.nobody.get("/healthz")).expect(200) == {"status": "ok"}
    assert (await api.nobody.get("/readyz")).expect(200) == {"status": "ready"}


async def test_not_ready_before_the_migrations(api: RunningApi, database: Database) -> None:
    await database.execute("DELETE FROM schema_migrations WHERE number = 3")
    reply = await api.nobody.get("/readyz")
    assert (reply.status, reply.code) == (503, "service.unavailable")
    assert "0003_delivery.sql" in reply.value["error"]


async def test_missing_migrations_of_an_empty_database(postgres: TestPostgres) -> None:
    name = await postgres.empty_database()
    empty = await Database.open(postgres.connect_to(name))
    missing = await missing_migrations(empty)
    assert missing[0] == "0001_foundation.sql"
    assert await migrate(empty) == missing
    assert await missing_migrations(empty) == []
    await empty.close()
    await postgres.drop_database(name)
