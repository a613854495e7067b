"""Removing what was deleted: in batches, taken up again where a process died."""

import pytest
from tests.support.api import RunningApi
from tests.support.records import write_records

from springline.store import departures
from springline.store.database import Database
from springline.store.departures import DepartureStore


async def test_batches_and_taking_up_again(
    api: RunningApi, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "BATCH_ROWS", 7)
    sync = await api.ours.sync()
    other = await api.ours.sync(stream_id=(await api.ours.stream())["id"], credential_id=sync["credential_id"])
    for each in (sync, other):
        consumer = await api.ours.consumer(stream_id=each["stream_id"])
        await write_records(database, each["id"], [f"cus_{number}" for number in range(50)])
        await api.ours.get(f"/v1/http-consumers/{consumer['id']}/next", batch_size=20)
    (await api.ours.delete(f"/v1/syncs/{sync['id']}", keep_records="true")).expect(204)
    (await api.ours.delete(f"/v1/streams/{sync['stream_id']}")).expect(204)

    class Dying(Database):
        """Dies after some statements."""

        left = 12

        async def fetch_value(self, statement: str, *arguments: object) -> object:
            self.left -= 1
            if self.left < 0:
                raise ConnectionError("killed")
            return await super().fetch_value(statement, *arguments)

    dying = Dying(database._pool, database._connect_to)
    with pytest.raises(ConnectionError):
        await DepartureStore(dying).remove_departed()
    left = await database.fetch_value("SELECT count(*) FROM payloads")
    assert 50 <= left <= 100
    assert await database.fetch_value("SELECT count(*) FROM departures") == 1
    assert await DepartureStore(database).remove_departed() == 1
    for table, kept in (("payloads", 50), ("records", 50), ("events", 50), ("deliveries", 20), ("sources", 1)):
        assert await database.fetch_value(f"SELECT count(*) FROM {table}") == kept, table
    assert await database.fetch_value("SELECT count(*) FROM departures") == 0


async def test_nothing_to_do(database: Database) -> None:
    assert await DepartureStore(database).remove_departed() == 0
