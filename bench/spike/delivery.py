"""Experiment 6: receive and ack; rows for what is out, batches, or a row per message; filters by source."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.customers import customers
from bench.report import Rounds, measure, show_table
from bench.spike.pages import commit_all, reset
from bench.spike.schemas import two_tables
from bench.temporary_postgres import TemporaryPostgres

FUNCTION = "LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan SET enable_seqscan = off"
CONSUMER = """
CREATE TABLE consumers (consumer_no int PRIMARY KEY, position bigint, next_no bigint, out int) WITH (fillfactor = 10);
INSERT INTO consumers VALUES (1, 0, 1, 0);
"""
SCAN = """scan AS MATERIALIZED (
    SELECT p.record_no, p.idx, p.data FROM payloads p WHERE p.stream_no = 1 AND p.idx > c.position
    ORDER BY p.idx LIMIT batch)"""
SCAN_AND_ASK_STATE = """scan AS MATERIALIZED (
    SELECT p.record_no, p.idx, p.data FROM payloads p
    CROSS JOIN LATERAL (SELECT r.idx FROM records r
      WHERE r.stream_no = 1 AND r.record_no = p.record_no AND r.record_no > 0 LIMIT 1) r
    WHERE p.stream_no = 1 AND p.idx > c.position AND r.idx = p.idx ORDER BY p.idx LIMIT batch)"""


@dataclass(frozen=True, slots=True)
class Alternative:
    """`receive_n(batch)` answers rows of (record_no, idx, delivery_no, data); `ack_n` ends them."""

    name: str
    ddl: str
    before: str = ""
    """What each message costs before it can be received: run, and counted, ahead of the first receive."""


def rows_out(name: str, *, fillfactor: int = 100, scan: str = SCAN, with_data: bool = True) -> Alternative:
    """A position, and a row per record that is out; the ack deletes it."""
    return Alternative(
        name,
        f"""{CONSUMER}
CREATE TABLE deliveries (stream_no int, consumer_no int, record_no bigint, idx bigint, delivery_no bigint,
  deadline bigint, deliver_count int, newer boolean, PRIMARY KEY (stream_no, consumer_no, record_no))
  WITH (fillfactor = {fillfactor}, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE FUNCTION receive_n(batch int) RETURNS TABLE (record_no bigint, idx bigint, delivery_no bigint, data bytea)
{FUNCTION} AS $$
#variable_conflict use_column
DECLARE c consumers;
BEGIN
  SELECT * INTO c FROM consumers WHERE consumer_no = 1 FOR UPDATE;
  RETURN QUERY WITH {scan}, given AS (
    INSERT INTO deliveries SELECT 1, 1, s.record_no, s.idx, c.next_no + row_number() OVER (), 1, 1, false FROM scan s
    ON CONFLICT (stream_no, consumer_no, record_no) DO UPDATE SET newer = true
    RETURNING deliveries.record_no, deliveries.delivery_no, newer
  ), moved AS (
    UPDATE consumers SET position = (SELECT max(s.idx) FROM scan s), next_no = c.next_no + batch + 1,
      out = c.out + batch WHERE consumer_no = 1
  )
  SELECT s.record_no, s.idx, g.delivery_no, {"s.data" if with_data else "NULL::bytea"}
  FROM scan s JOIN given g ON g.record_no = s.record_no WHERE NOT g.newer;
END $$;
CREATE FUNCTION ack_n(record_nos bigint[], idxs bigint[], numbers bigint[]) RETURNS bigint {FUNCTION} AS $$
DECLARE ended bigint;
BEGIN
  PERFORM 1 FROM consumers WHERE consumer_no = 1 FOR UPDATE;
  WITH gone AS (
    DELETE FROM deliveries d WHERE d.ctid = ANY (ARRAY(
      SELECT d.place FROM unnest(record_nos, idxs, numbers) AS t (record_no, idx, delivery_no)
      CROSS JOIN LATERAL (SELECT d.ctid AS place FROM deliveries d WHERE d.stream_no = 1 AND d.consumer_no = 1
        AND d.record_no = t.record_no AND d.idx = t.idx AND d.delivery_no = t.delivery_no LIMIT 1) d)) RETURNING 1)
  SELECT count(*) INTO ended FROM gone;
  UPDATE consumers SET out = out - ended WHERE consumer_no = 1;
  RETURN ended;
END $$;""",
    )


def slots(name: str) -> Alternative:
    """A row per free or used slot; receive and ack only update it in place."""
    return Alternative(
        name,
        f"""{CONSUMER}
CREATE TABLE deliveries (stream_no int, consumer_no int, slot_no int, record_no bigint, idx bigint, delivery_no bigint,
  deadline bigint, deliver_count int, newer boolean, PRIMARY KEY (stream_no, consumer_no, slot_no))
  WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
INSERT INTO deliveries SELECT 1, 1, s, 0, 0, 0, 0, 0, false FROM generate_series(1, 1000) s;
CREATE FUNCTION receive_n(batch int) RETURNS TABLE (record_no bigint, idx bigint, delivery_no bigint, data bytea)
{FUNCTION} AS $$
#variable_conflict use_column
DECLARE c consumers;
BEGIN
  SELECT * INTO c FROM consumers WHERE consumer_no = 1 FOR UPDATE;
  RETURN QUERY WITH {SCAN}, numbered AS MATERIALIZED (SELECT s.*, row_number() OVER () AS n FROM scan s),
  free AS MATERIALIZED (
    SELECT d.ctid AS place, row_number() OVER () AS n FROM deliveries d
    WHERE d.stream_no = 1 AND d.consumer_no = 1 AND d.record_no = 0 LIMIT batch
  ), given AS (
    UPDATE deliveries d SET record_no = s.record_no, idx = s.idx, deadline = 1, deliver_count = 1,
      delivery_no = (c.next_no + f.n) * 1000 + d.slot_no - 1
    FROM free f JOIN numbered s ON s.n = f.n WHERE d.ctid = f.place RETURNING d.record_no, d.delivery_no
  ), moved AS (
    UPDATE consumers SET position = (SELECT max(s.idx) FROM scan s), next_no = c.next_no + batch + 1,
      out = c.out + batch WHERE consumer_no = 1
  )
  SELECT s.record_no, s.idx, g.delivery_no, s.data FROM scan s JOIN given g ON g.record_no = s.record_no;
END $$;
CREATE FUNCTION ack_n(record_nos bigint[], idxs bigint[], numbers bigint[]) RETURNS bigint {FUNCTION} AS $$
DECLARE ended bigint;
BEGIN
  PERFORM 1 FROM consumers WHERE consumer_no = 1 FOR UPDATE;
  WITH gone AS (
    UPDATE deliveries d SET record_no = 0, newer = false WHERE d.ctid = ANY (ARRAY(
      SELECT d.place FROM unnest(numbers) AS t (number)
      CROSS JOIN LATERAL (SELECT d.ctid AS place FROM deliveries d WHERE d.stream_no = 1 AND d.consumer_no = 1
        AND d.slot_no = t.number % 1000 + 1 AND d.delivery_no = t.number LIMIT 1) d)) RETURNING 1)
  SELECT count(*) INTO ended FROM gone;
  UPDATE consumers SET out = out - ended WHERE consumer_no = 1;
  RETURN ended;
END $$;""",
    )


BATCHES = Alternative(
    "position + a row per batch handed out",
    f"""{CONSUMER}
CREATE TABLE deliveries (stream_no int, consumer_no int, delivery_no bigint, deadline bigint, left_over int,
  record_nos bigint[], PRIMARY KEY (stream_no, consumer_no, delivery_no));
CREATE FUNCTION receive_n(batch int) RETURNS TABLE (record_no bigint, idx bigint, delivery_no bigint, data bytea)
{FUNCTION} AS $$
#variable_conflict use_column
DECLARE c consumers;
BEGIN
  SELECT * INTO c FROM consumers WHERE consumer_no = 1 FOR UPDATE;
  RETURN QUERY WITH {SCAN}, given AS (
    INSERT INTO deliveries SELECT 1, 1, c.next_no, 1, batch, array_agg(s.record_no) FROM scan s
  ), moved AS (
    UPDATE consumers SET position = (SELECT max(s.idx) FROM scan s), next_no = c.next_no + 1, out = c.out + batch
    WHERE consumer_no = 1
  ) SELECT s.record_no, s.idx, c.next_no, s.data FROM scan s;
END $$;
CREATE FUNCTION ack_n(acked bigint[], idxs bigint[], numbers bigint[]) RETURNS bigint {FUNCTION} AS $$
BEGIN
  PERFORM 1 FROM consumers WHERE consumer_no = 1 FOR UPDATE;
  DELETE FROM deliveries d WHERE d.stream_no = 1 AND d.consumer_no = 1 AND d.delivery_no = numbers[1]
    AND d.record_nos <@ acked;
  UPDATE consumers SET out = out - cardinality(acked) WHERE consumer_no = 1;
  RETURN cardinality(acked);
END $$;""",
)

PER_MESSAGE = Alternative(
    "a row per message, SKIP LOCKED (with its insert)",
    f"""
CREATE TABLE deliveries (stream_no int, consumer_no int, idx bigint, record_no bigint, delivery_no bigint,
  deadline bigint, deliver_count int, PRIMARY KEY (stream_no, consumer_no, idx)) WITH (fillfactor = 85);
CREATE INDEX deliveries_due ON deliveries (stream_no, consumer_no, deadline, idx);
CREATE SEQUENCE numbers CACHE 1000;
CREATE FUNCTION receive_n(batch int) RETURNS TABLE (record_no bigint, idx bigint, delivery_no bigint, data bytea)
{FUNCTION} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY WITH free AS MATERIALIZED (
    SELECT d.ctid AS place FROM deliveries d WHERE d.stream_no = 1 AND d.consumer_no = 1 AND d.deadline <= 1
    ORDER BY d.deadline, d.idx LIMIT batch FOR UPDATE SKIP LOCKED
  ), given AS (
    UPDATE deliveries d SET deadline = 2, delivery_no = nextval('numbers'), deliver_count = d.deliver_count + 1
    WHERE d.ctid = ANY (ARRAY(SELECT place FROM free)) RETURNING d.record_no, d.idx, d.delivery_no
  ) SELECT g.record_no, g.idx, g.delivery_no, p.data FROM given g
    CROSS JOIN LATERAL (SELECT p.data FROM payloads p WHERE p.stream_no = 1 AND p.idx = g.idx LIMIT 1) p;
END $$;
CREATE FUNCTION ack_n(record_nos bigint[], idxs bigint[], numbers bigint[]) RETURNS bigint {FUNCTION} AS $$
DECLARE ended bigint;
BEGIN
  WITH gone AS (
    DELETE FROM deliveries d WHERE d.ctid = ANY (ARRAY(
      SELECT d.place FROM unnest(idxs, numbers) AS t (idx, delivery_no)
      CROSS JOIN LATERAL (SELECT d.ctid AS place FROM deliveries d WHERE d.stream_no = 1 AND d.consumer_no = 1
        AND d.idx = t.idx AND d.delivery_no = t.delivery_no LIMIT 1) d)) RETURNING 1)
  SELECT count(*) INTO ended FROM gone;
  RETURN ended;
END $$;""",
    before="INSERT INTO deliveries SELECT 1, 1, idx, record_no, 0, 0, 0 FROM payloads",
)

ALTERNATIVES = (
    rows_out("position + a row per record out (chosen)"),
    rows_out("the same, fillfactor 50", fillfactor=50),
    rows_out("the same, asking the state row too", scan=SCAN_AND_ASK_STATE),
    rows_out("the same, without the payload's bytes", with_data=False),
    slots("position + slots updated in place"),
    BATCHES,
    PER_MESSAGE,
)
CLEAR = """DROP FUNCTION IF EXISTS receive_n, ack_n; DROP TABLE IF EXISTS consumers, deliveries;
DROP SEQUENCE IF EXISTS numbers;"""


async def run(server: TemporaryPostgres, *, records: int, rounds: int) -> None:
    connection = await server.connect()
    await reset(connection, two_tables("two tables", move=False))
    await commit_all(connection, customers(records), batch=1000)
    await connection.execute("VACUUM ANALYZE")
    for batch in (100, 1000):
        table = Rounds(f"6 Receive and ack, batches of {batch}")
        for _ in range(rounds):
            for alternative in ALTERNATIVES:
                await connection.execute(CLEAR + alternative.ddl)
                await connection.execute("CHECKPOINT")
                async with measure(server, connection, records=records) as cost:
                    if alternative.before:
                        await connection.execute(alternative.before)
                    pace = await _drain(connection, batch=batch)
                tenth = max(1, len(pace) // 10)
                cost.extra = {
                    "first tenth µs": sum(pace[:tenth]) / tenth / batch * 1e6,
                    "last tenth µs": sum(pace[-tenth:]) / tenth / batch * 1e6,
                }
                table.add(alternative.name, cost)
        table.show()
    await _filters(connection)
    await connection.close()


async def _drain(connection: asyncpg.Connection[Any], *, batch: int) -> list[float]:
    """Receive and acknowledge everything; the seconds of each round trip pair."""
    receive = await connection.prepare("SELECT * FROM receive_n($1)")
    ack = await connection.prepare("SELECT ack_n($1, $2, $3)")
    pace: list[float] = []
    while True:
        start = time.perf_counter()
        rows = await receive.fetch(batch)
        if not rows:
            return pace
        tokens = [[row[column] for row in rows] for column in ("record_no", "idx", "delivery_no")]
        assert await ack.fetchval(*tokens) == len(rows)
        pace.append(time.perf_counter() - start)


MERGED = """SELECT p.data FROM (
    SELECT e.idx FROM unnest($1::int[]) AS s (source_no)
    CROSS JOIN LATERAL (SELECT p.idx FROM payloads p WHERE p.stream_no = 1 AND p.source_no = s.source_no AND p.idx > $2
      ORDER BY p.idx LIMIT 100) e ORDER BY e.idx LIMIT 100) e
  JOIN payloads p ON p.stream_no = 1 AND p.idx = e.idx ORDER BY p.idx"""
# Few entries of each source, and of these what lies below the first source that may have more.
FRONTIER = """WITH e AS MATERIALIZED (
    SELECT e.idx, e.n FROM unnest($1::int[]) AS s (source_no)
    CROSS JOIN LATERAL (SELECT p.idx, row_number() OVER (ORDER BY p.idx) AS n FROM (
      SELECT p.idx FROM payloads p WHERE p.stream_no = 1 AND p.source_no = s.source_no AND p.idx > $2
      ORDER BY p.idx LIMIT $3) p) e)
  SELECT p.data FROM e JOIN payloads p ON p.stream_no = 1 AND p.idx = e.idx
  WHERE e.idx <= coalesce((SELECT min(e.idx) FROM e WHERE e.n = $3), e.idx) ORDER BY e.idx LIMIT 100"""
SCANNED = """SELECT data FROM payloads WHERE stream_no = 1 AND idx > $2 AND source_no = ANY($1::int[])
  ORDER BY idx LIMIT 100"""


async def _filters(connection: asyncpg.Connection[Any]) -> None:
    """1,000 sources in turns; a consumer that passes some of them."""
    await connection.execute("UPDATE payloads SET source_no = (idx % 1000)::int")
    await connection.execute("VACUUM (FULL, ANALYZE) payloads")
    rows = []
    for passing in (1, 10, 100, 500):
        sources = [number * (1000 // passing) for number in range(passing)]
        for name, sql, more in (
            ("merged, 100 entries of each", MERGED, ()),
            ("merged up to the frontier, 1 + 200 / sources of each", FRONTIER, (1 + 200 // passing,)),
            ("scan of (stream, idx)", SCANNED, ()),
        ):
            await connection.execute(
                f"""SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
                SET enable_sort = {"off" if sql == SCANNED else "on"}"""
            )
            await connection.fetch(sql, sources, 0, *more)
            start = time.perf_counter()
            for _ in range(20):
                found = await connection.fetch(sql, sources, 0, *more)
            seconds = (time.perf_counter() - start) / 20
            rows.append([passing, name, seconds * 1000, len(found), seconds / len(found) * 1e6])
    headers = ["sources passed", "way", "ms", "messages", "µs a message"]
    show_table("6 One receive of at most 100 with a filter, 1,000 sources", headers, rows)
