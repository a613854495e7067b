"""The bare limit: what fetching, splitting, hashing and storing cost when nothing is validated, retried or fenced.

Run by the bench as a process of its own: `python -m bench.prototype URL DSN`, one command a line on stdin
(`backfill N`, `unchanged N`, `consume N`, N being how many requests or rows at a time), one JSON line on stdout each.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import msgspec
import uvloop
import xxhash

COMMIT_RECORDS = 1000
TABLES = """
DROP TABLE IF EXISTS log, state, deliveries, readers;
CREATE TABLE log (seq bigint PRIMARY KEY, id text COLLATE "C" NOT NULL, data bytea NOT NULL);
CREATE TABLE state (id text COLLATE "C" PRIMARY KEY, fp bigint NOT NULL, seq bigint NOT NULL);
CREATE TABLE readers (reader int PRIMARY KEY, position bigint NOT NULL) WITH (fillfactor = 10);
CREATE TABLE deliveries (reader int, seq bigint, deadline bigint NOT NULL, PRIMARY KEY (reader, seq));
INSERT INTO readers VALUES (1, 0);
"""
UPSERT = """INSERT INTO state SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
ON CONFLICT (id) DO UPDATE SET fp = excluded.fp, seq = excluded.seq WHERE state.fp <> excluded.fp"""
LOOK_UP = "SELECT id, fp FROM state WHERE id = ANY($1::text[])"
RECEIVE = """WITH batch AS (
  SELECT seq, id, data FROM log WHERE seq > (SELECT position FROM readers WHERE reader = 1) ORDER BY seq LIMIT $1
), moved AS (
  UPDATE readers SET position = (SELECT max(seq) FROM batch) WHERE reader = 1 AND EXISTS (SELECT FROM batch)
), out AS (INSERT INTO deliveries SELECT 1, seq, 0 FROM batch)
SELECT seq, id, data FROM batch"""
ACK = "DELETE FROM deliveries WHERE reader = 1 AND seq = ANY($1::bigint[])"


class Page(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class Key(msgspec.Struct):
    id: str


_page = msgspec.json.Decoder(Page)
_key = msgspec.json.Decoder(Key)
Row = tuple[str, bytes, int]


def split(body: bytes) -> tuple[list[Row], bool]:
    """The page's records (id, bytes, hash as a signed 64-bit integer), and whether there are more."""
    rows = []
    page = _page.decode(body)
    for raw in page.data:
        data = bytes(raw)
        hashed = xxhash.xxh3_64_intdigest(data)
        rows.append((_key.decode(raw).id, data, hashed - (1 << 64) if hashed >= 1 << 63 else hashed))
    return rows, page.has_more


class Prototype:
    def __init__(self, session: aiohttp.ClientSession, url: str, connection: asyncpg.Connection[Any]) -> None:
        self._session = session
        self._url = url
        self._connection = connection
        self._seq = 0

    async def _get(self, after: str | None) -> tuple[list[Row], bool]:
        cursor = f"&starting_after={after}" if after else ""
        async with self._session.get(f"{self._url}/v1/customers?limit=100{cursor}") as answer:
            return split(await answer.read())

    async def _one_by_one(self) -> AsyncIterator[list[Row]]:
        """Each page when the one before has told where it begins; fetched while that one is committed."""
        coming: asyncio.Task[tuple[list[Row], bool]] | None = asyncio.create_task(self._get(None))
        while coming is not None:
            rows, has_more = await coming
            coming = asyncio.create_task(self._get(rows[-1][0])) if has_more else None
            yield rows

    async def _at_once(self, requests: int) -> AsyncIterator[list[Row]]:
        """`requests` pages at a time, from cursors known beforehand."""
        async with self._session.get(f"{self._url}/bench/cursors") as answer:
            cursors = iter([None, *msgspec.json.decode(await answer.read(), type=list[str])])
        ready: asyncio.Queue[list[Row] | None] = asyncio.Queue(maxsize=requests)

        async def fetch() -> None:
            for cursor in cursors:
                await ready.put((await self._get(cursor))[0])
            await ready.put(None)

        fetchers = [asyncio.create_task(fetch()) for _ in range(requests)]
        running = requests
        while running:
            rows = await ready.get()
            if rows is None:
                running -= 1
                continue
            while len(rows) < COMMIT_RECORDS and not ready.empty():
                more = ready.get_nowait()
                if more is None:
                    running -= 1
                else:
                    rows = rows + more
            yield rows
        await asyncio.gather(*fetchers)

    def _pages(self, requests: int) -> AsyncIterator[list[Row]]:
        return self._one_by_one() if requests == 1 else self._at_once(requests)

    async def backfill(self, requests: int) -> int:
        """Everything into empty tables: COPY to a log and upsert of the state, one transaction a commit."""
        await self._connection.execute(TABLES)
        self._seq = 0
        async for rows in self._pages(requests):
            numbers = range(self._seq + 1, self._seq + len(rows) + 1)
            async with self._connection.transaction():
                await self._connection.copy_records_to_table(
                    "log", records=[(n, row[0], row[1]) for n, row in zip(numbers, rows, strict=True)]
                )
                await self._connection.execute(UPSERT, [r[0] for r in rows], [r[2] for r in rows], list(numbers))
            self._seq += len(rows)
        return self._seq

    async def unchanged(self, requests: int) -> int:
        """The same pages again: hashes looked up and compared, nothing written."""
        seen = 0
        async for rows in self._pages(requests):
            known = dict(await self._connection.fetch(LOOK_UP, [row[0] for row in rows]))
            if any(known.get(row[0]) != row[2] for row in rows):
                raise RuntimeError("the page server changed records between the passes")
            seen += len(rows)
        return seen

    async def consume(self, batch: int) -> int:
        """Read the log from the start by position, a row for each that is out, deleted by the ack; no HTTP."""
        await self._connection.execute("UPDATE readers SET position = 0")
        done = 0
        while rows := await self._connection.fetch(RECEIVE, batch):
            await self._connection.execute(ACK, [row["seq"] for row in rows])
            done += len(rows)
        return done


async def obey(url: str, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)) as session:
        prototype = Prototype(session, url, connection)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            command, number = line.split()
            records = await getattr(prototype, command)(int(number))
            print(msgspec.json.encode({"records": records}).decode(), flush=True)
    await connection.close()


def main() -> None:
    url, dsn = sys.argv[1:]
    uvloop.run(obey(url, dsn))


if __name__ == "__main__":
    main()
