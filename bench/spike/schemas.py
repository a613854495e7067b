"""The candidates for the tables of a stream, each with the function that commits a page into them.

Every candidate's `commit_page(sources, ids, fingerprints, times, payloads)` locks the stream's counter,
compares fingerprints, gives out indexes and writes; a replaced payload goes to history. All in stream 1.

Only forms whose plan cannot go wrong on an empty or never analysed table are used: ON CONFLICT, = ANY(array) and
LATERAL … LIMIT 1, and second indexes on `records` that are partial (`record_no > 0` always holds), so that a lookup
by key cannot take them. Planned on a small table, a plain LEFT JOIN or UPDATE … FROM reads all of `records` for each
page, and so does an index that shares the key's first columns: 350 to 1,900 µs a record instead of 12.
"""

from __future__ import annotations

from dataclasses import dataclass

COMMON = """
CREATE TABLE stream_heads (stream_no int PRIMARY KEY, head_idx bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO stream_heads VALUES (1, 0);
CREATE TABLE payload_history (
  record_no bigint NOT NULL, idx bigint NOT NULL, created bigint, updated bigint, inserted bigint NOT NULL,
  stream_no int NOT NULL, source_no int NOT NULL, codec smallint NOT NULL, upstream_id text COLLATE "C" NOT NULL,
  data bytea NOT NULL, PRIMARY KEY (stream_no, idx));
"""

EVENTS = """
CREATE TABLE events (
  idx bigint NOT NULL, record_no bigint NOT NULL, previous_idx bigint, stream_no int NOT NULL,
  source_no int NOT NULL, kind smallint NOT NULL, detected_by smallint NOT NULL, PRIMARY KEY (stream_no, idx));
"""

HEAD = """
CREATE FUNCTION commit_page(sources int[], ids text[], fps bigint[], times bigint[], datas bytea[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_bitmapscan = off SET work_mem = '32MB' AS $$
DECLARE head bigint; wrote bigint;
BEGIN
  SELECT head_idx INTO head FROM stream_heads WHERE stream_no = 1 FOR UPDATE;
"""

TAIL = """
  IF wrote > 0 THEN UPDATE stream_heads SET head_idx = head + wrote WHERE stream_no = 1; END IF;
  RETURN wrote;
END $$;
"""

PAGE = """
  WITH page AS MATERIALIZED (
    SELECT p.source_no, p.id, p.fp, p.at, p.data, r.record_no, r.idx AS old_idx, head + row_number() OVER () AS idx
    FROM unnest(sources, ids, fps, times, datas) WITH ORDINALITY AS p(source_no, id, fp, at, data, n)
    LEFT JOIN LATERAL (SELECT * FROM records r
      WHERE r.stream_no = 1 AND r.source_no = p.source_no AND r.upstream_id = p.id LIMIT 1) r ON true
    WHERE r.raw_fp IS DISTINCT FROM p.fp
  )
"""

PAYLOAD_COLUMNS = "record_no, idx, created, updated, inserted, stream_no, source_no, codec, upstream_id, data"

WRITE_EVENTS = """, logged AS (
    INSERT INTO events SELECT idx, coalesce(record_no, idx), old_idx, 1, source_no, 1, 1 FROM page
  )
"""

MOVE_TO_HISTORY = f""", removed AS (
    DELETE FROM payloads WHERE stream_no = 1 AND idx = ANY((SELECT array_agg(old_idx) FROM page
      WHERE old_idx IS NOT NULL)::bigint[]) RETURNING *
  ), kept AS (
    INSERT INTO payload_history ({PAYLOAD_COLUMNS}) SELECT {PAYLOAD_COLUMNS} FROM removed
  )
"""


@dataclass(frozen=True, slots=True)
class Schema:
    """One candidate: the statements that make it, and the tables whose size counts."""

    name: str
    ddl: str
    tables: tuple[str, ...] = ("records", "payloads", "payload_history", "events")


def two_tables(
    name: str,
    *,
    fillfactor: int = 85,
    number_index: bool = True,
    events: bool = True,
    move: bool = True,
    wide_key: bool = False,
    data_type: str = "bytea",
) -> Schema:
    """State and payload apart: the state row is updated in place, each version's payload is a row of its own.

    `move`: the replaced version's row goes to history at once. Otherwise it stays where it is until retention
    follows the events' `previous_idx`, and a reader asks the state row whether a version is still the current one.
    """
    history = MOVE_TO_HISTORY if move else ""
    if wide_key:
        keys = 'stream_id uuid NOT NULL, sync_id uuid NOT NULL, collection text COLLATE "C" NOT NULL'
        key, values = "stream_id, sync_id, collection", "s, y, 'stripe:customer'"
        match = "r.stream_id = s AND r.sync_id = y AND r.collection = 'stripe:customer'"
        declare = "s uuid := '018f3b1c-aaaa-7000-8000-000000000001'; y uuid := '018f3b1c-bbbb-7000-8000-000000000002';"
    else:
        keys, key, values = "stream_no int NOT NULL, source_no int NOT NULL", "stream_no, source_no", "1, source_no"
        match, declare = "r.stream_no = 1 AND r.source_no = p.source_no", ""
    number_key = key.partition(",")[0]
    by_number = f"CREATE UNIQUE INDEX records_by_number ON records ({number_key}, record_no) WHERE record_no > 0;"
    ddl = f"""
{COMMON}
{EVENTS if events else ""}
CREATE TABLE records (
  record_no bigint NOT NULL, idx bigint NOT NULL, raw_fp bigint NOT NULL, {keys}, flags smallint NOT NULL,
  upstream_id text COLLATE "C" NOT NULL, PRIMARY KEY ({key}, upstream_id)) WITH (fillfactor = {fillfactor});
{by_number if number_index else ""}
CREATE TABLE payloads (
  record_no bigint NOT NULL, idx bigint NOT NULL, created bigint, updated bigint, inserted bigint NOT NULL,
  stream_no int NOT NULL, source_no int NOT NULL, codec smallint NOT NULL, upstream_id text COLLATE "C" NOT NULL,
  data {data_type} NOT NULL, PRIMARY KEY (stream_no, idx));
CREATE INDEX payloads_by_source ON payloads (stream_no, source_no, idx);
{HEAD.replace("DECLARE", "DECLARE " + declare).replace("bytea[]", data_type + "[]")}
{PAGE.replace("r.stream_no = 1 AND r.source_no = p.source_no", match)}
  , added AS (
    INSERT INTO records (record_no, idx, raw_fp, {key}, flags, upstream_id)
    SELECT idx, idx, fp, {values}, 0, id FROM page
    ON CONFLICT ({key}, upstream_id) DO UPDATE SET idx = excluded.idx, raw_fp = excluded.raw_fp
  ) {history}
  , stored AS (
    INSERT INTO payloads ({PAYLOAD_COLUMNS})
    SELECT coalesce(record_no, idx), idx, at, NULL, 1, 1, source_no, 0, id, data FROM page
  ) {WRITE_EVENTS if events else ""}
  SELECT count(*) INTO wrote FROM page;
{TAIL}"""
    return Schema(name, ddl)


def one_table(name: str, *, fillfactor: int = 100) -> Schema:
    """State and payload in one row with its index indexed: each change writes the row and every index anew."""
    ddl = f"""
{COMMON}
{EVENTS}
CREATE TABLE records (
  record_no bigint NOT NULL, idx bigint NOT NULL, raw_fp bigint NOT NULL, created bigint, updated bigint,
  inserted bigint NOT NULL, stream_no int NOT NULL, source_no int NOT NULL, flags smallint NOT NULL,
  codec smallint NOT NULL, upstream_id text COLLATE "C" NOT NULL, data bytea NOT NULL,
  PRIMARY KEY (stream_no, source_no, upstream_id)) WITH (fillfactor = {fillfactor});
CREATE UNIQUE INDEX records_by_number ON records (stream_no, record_no) WHERE record_no > 0;
CREATE UNIQUE INDEX records_by_idx ON records (stream_no, idx) WHERE record_no > 0;
CREATE INDEX records_by_source ON records (stream_no, source_no, idx) WHERE record_no > 0;
{HEAD}
{PAGE.replace("r.idx AS old_idx", "r.idx AS old_idx, r.data AS old_data, r.created AS old_created")}
  , added AS (
    INSERT INTO records SELECT idx, idx, fp, at, NULL, 1, 1, source_no, 0, 0, id, data FROM page
    ON CONFLICT (stream_no, source_no, upstream_id) DO UPDATE SET idx = excluded.idx, raw_fp = excluded.raw_fp,
      data = excluded.data, created = excluded.created, inserted = excluded.inserted
  ), kept AS (
    INSERT INTO payload_history ({PAYLOAD_COLUMNS})
    SELECT record_no, old_idx, old_created, NULL, 1, 1, source_no, 0, id, old_data FROM page WHERE record_no IS NOT NULL
  ) {WRITE_EVENTS}
  SELECT count(*) INTO wrote FROM page;
{TAIL}"""
    return Schema(name, ddl, ("records", "payload_history", "events"))


def log_ordered(name: str, *, payload_fillfactor: int = 85) -> Schema:
    """Payloads by record number, overwritten in place; the event log alone orders the stream.

    A superseded event stays in the log, and a reader finds it out by looking at the record's current index.
    """
    ddl = f"""
{COMMON}
{EVENTS}
CREATE INDEX events_by_source ON events (stream_no, source_no, idx);
CREATE TABLE records (
  record_no bigint NOT NULL, idx bigint NOT NULL, raw_fp bigint NOT NULL, stream_no int NOT NULL,
  source_no int NOT NULL, flags smallint NOT NULL, upstream_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (stream_no, source_no, upstream_id)) WITH (fillfactor = 85);
CREATE TABLE payloads (
  record_no bigint NOT NULL, idx bigint NOT NULL, created bigint, updated bigint, inserted bigint NOT NULL,
  stream_no int NOT NULL, source_no int NOT NULL, codec smallint NOT NULL, upstream_id text COLLATE "C" NOT NULL,
  data bytea NOT NULL, PRIMARY KEY (stream_no, record_no)) WITH (fillfactor = {payload_fillfactor});
{HEAD}
{PAGE}
  , added AS (
    INSERT INTO records (record_no, idx, raw_fp, stream_no, source_no, flags, upstream_id)
    SELECT idx, idx, fp, 1, source_no, 0, id FROM page
    ON CONFLICT (stream_no, source_no, upstream_id) DO UPDATE SET idx = excluded.idx, raw_fp = excluded.raw_fp
  ), kept AS (
    INSERT INTO payload_history ({PAYLOAD_COLUMNS}) SELECT {PAYLOAD_COLUMNS} FROM payloads
    WHERE stream_no = 1 AND record_no = ANY((SELECT array_agg(record_no) FROM page
      WHERE record_no IS NOT NULL)::bigint[])
  ), stored AS (
    INSERT INTO payloads ({PAYLOAD_COLUMNS})
    SELECT coalesce(record_no, idx), idx, at, NULL, 1, 1, source_no, 0, id, data FROM page
    ON CONFLICT (stream_no, record_no) DO UPDATE SET idx = excluded.idx, created = excluded.created,
      inserted = excluded.inserted, data = excluded.data
  ) {WRITE_EVENTS}
  SELECT count(*) INTO wrote FROM page;
{TAIL}"""
    return Schema(name, ddl)
