"""Removing the data of streams and consumers that are gone for everyone, in batches: no transaction lives long."""

from typing import Final

from springline.store.database import Database
from springline.store.statements import load_statements

#: Rows that one transaction removes.
BATCH_ROWS: Final = 10_000

#: What is left of a consumer, in this order: without its position nobody can add deliveries.
_OF_CONSUMER = ("deliveries", "dead_letters")
#: What is left of a stream.
_BY_PLACE = ("consumer_positions", "deliveries", "dead_letters", "checkpoints", "sync_fences", "sources", "holds")
_BY_NUMBER = ("events", "payload_history", "payloads", "records")


class DepartureStore:
    """Streams and consumers that were deleted, and whose data is still there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("departures")

    async def remove_departed(self) -> int:
        """Removes all that is left of what was deleted, and returns how many streams and consumers that were.

        Each batch is a transaction of its own; a process that dies leaves the rest to the next call. Several calls at
        once do no harm.
        """
        departures = await self._database.fetch(self._sql["list_departures"])
        for departure in departures:
            if departure["consumer_no"] is None:
                await self._remove_stream(departure["stream_no"])
            else:
                await self._remove_consumer(departure["stream_no"], departure["consumer_no"])
            await self._database.execute(self._sql["end_departure"], departure["departure_no"])
        return len(departures)

    async def _remove_consumer(self, stream_no: int, consumer_no: int) -> None:
        for table in _OF_CONSUMER:
            await self._until_empty(f"remove_consumer_{table}", stream_no, consumer_no)

    async def _remove_stream(self, stream_no: int) -> None:
        for table in _BY_PLACE:
            await self._until_empty(f"remove_{table}", stream_no)
        for table in _BY_NUMBER:
            # By ascending number, each batch from where the last one ended: what was removed is not passed again.
            reached: int | None = 0
            while reached is not None:
                reached = await self._database.fetch_value(self._sql[f"remove_{table}"], stream_no, reached, BATCH_ROWS)

    async def _until_empty(self, statement: str, *key: int) -> None:
        while await self._database.fetch_value(self._sql[statement], *key, BATCH_ROWS):
            pass
