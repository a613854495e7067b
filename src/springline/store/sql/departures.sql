-- list_departures --
-- What was deleted and is still there, oldest first.
SELECT departure_no, stream_no, consumer_no FROM departures ORDER BY departure_no

-- end_departure --
-- Nothing is left of it.
DELETE FROM departures WHERE departure_no = $1

-- remove_consumer_deliveries --
-- A batch of a consumer's deliveries; counts them.
WITH gone AS (
    DELETE FROM deliveries
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM deliveries WHERE stream_no = $1 AND consumer_no = $2 ORDER BY record_no LIMIT $3))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_consumer_dead_letters --
-- A batch of a consumer's dead letters; counts them.
WITH gone AS (
    DELETE FROM dead_letters
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM dead_letters WHERE stream_no = $1 AND consumer_no = $2 ORDER BY record_no LIMIT $3))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_consumer_positions --
-- A batch of a stream's consumer positions; counts them.
WITH gone AS (
    DELETE FROM consumer_positions
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM consumer_positions WHERE stream_no = $1 ORDER BY consumer_no LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_deliveries --
-- A batch of a stream's deliveries; counts them.
WITH gone AS (
    DELETE FROM deliveries
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM deliveries WHERE stream_no = $1 ORDER BY consumer_no, record_no LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_dead_letters --
-- A batch of a stream's dead letters; counts them.
WITH gone AS (
    DELETE FROM dead_letters
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM dead_letters WHERE stream_no = $1 ORDER BY consumer_no, record_no LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_checkpoints --
-- A batch of a stream's checkpoints; counts them.
WITH gone AS (
    DELETE FROM checkpoints
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM checkpoints WHERE stream_no = $1 ORDER BY sync_no, name LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_sync_fences --
-- A batch of a stream's sync fences; counts them.
WITH gone AS (
    DELETE FROM sync_fences
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM sync_fences WHERE stream_no = $1 ORDER BY sync_no LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_sources --
-- A batch of a stream's sources; counts them.
WITH gone AS (
    DELETE FROM sources
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM sources WHERE stream_no = $1 ORDER BY source_no LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_holds --
-- A batch of a stream's holds; counts them.
WITH gone AS (
    DELETE FROM holds
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM holds WHERE stream_no = $1 ORDER BY hold_id LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- remove_events --
-- A batch of a stream's events above a number; the highest one removed, null: none was left.
WITH batch AS MATERIALIZED (
    SELECT idx FROM events WHERE stream_no = $1 AND idx > $2 ORDER BY idx LIMIT $3
), gone AS (
    DELETE FROM events t USING batch b WHERE t.stream_no = $1 AND t.idx = b.idx
)
SELECT max(idx) FROM batch

-- remove_payload_history --
-- A batch of a stream's payload history above a number; the highest one removed, null: none was left.
WITH batch AS MATERIALIZED (
    SELECT idx FROM payload_history WHERE stream_no = $1 AND idx > $2 ORDER BY idx LIMIT $3
), gone AS (
    DELETE FROM payload_history t USING batch b WHERE t.stream_no = $1 AND t.idx = b.idx
)
SELECT max(idx) FROM batch

-- remove_payloads --
-- A batch of a stream's payloads above a number; the highest one removed, null: none was left.
WITH batch AS MATERIALIZED (
    SELECT idx FROM payloads WHERE stream_no = $1 AND idx > $2 ORDER BY idx LIMIT $3
), gone AS (
    DELETE FROM payloads t USING batch b WHERE t.stream_no = $1 AND t.idx = b.idx
)
SELECT max(idx) FROM batch

-- remove_records --
-- A batch of a stream's records above a number; the highest one removed, null: none was left.
WITH batch AS MATERIALIZED (
    SELECT record_no FROM records WHERE stream_no = $1 AND record_no > $2 ORDER BY record_no LIMIT $3
), gone AS (
    DELETE FROM records t USING batch b WHERE t.stream_no = $1 AND t.record_no = b.record_no
)
SELECT max(record_no) FROM batch
