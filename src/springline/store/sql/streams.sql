-- create_stream --
-- A new stream with its counter; no row: the slug is taken.
WITH created AS (
    INSERT INTO streams (stream_id, org_id, slug, event_retention_days, tombstone_days) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (org_id, slug) DO NOTHING
    RETURNING *
), head AS (
    INSERT INTO stream_heads (stream_no, keeps_history) SELECT stream_no, event_retention_days > 0 FROM created
)
SELECT stream_no, stream_id, org_id, slug, event_retention_days, tombstone_days, created_at, updated_at,
    0 AS head_idx, 0 AS record_count, 0 AS sync_count, 0 AS consumer_count
FROM created

-- get_stream --
-- An organisation's stream.
SELECT s.stream_no, s.stream_id, s.org_id, s.slug, s.event_retention_days, s.tombstone_days, s.created_at, s.updated_at,
    h.head_idx, h.record_count,
    (SELECT count(*) FROM syncs y WHERE y.stream_no = s.stream_no AND y.deleted_at IS NULL) AS sync_count,
    (SELECT count(*) FROM consumers c WHERE c.stream_no = s.stream_no) AS consumer_count
FROM streams s JOIN stream_heads h USING (stream_no)
WHERE s.org_id = $1 AND s.stream_id = $2

-- list_streams --
-- An organisation's streams above an id (null: from the first).
SELECT s.stream_no, s.stream_id, s.org_id, s.slug, s.event_retention_days, s.tombstone_days, s.created_at, s.updated_at,
    h.head_idx, h.record_count,
    (SELECT count(*) FROM syncs y WHERE y.stream_no = s.stream_no AND y.deleted_at IS NULL) AS sync_count,
    (SELECT count(*) FROM consumers c WHERE c.stream_no = s.stream_no) AS consumer_count
FROM streams s JOIN stream_heads h USING (stream_no)
WHERE s.org_id = $1 AND ($2::uuid IS NULL OR s.stream_id > $2)
ORDER BY s.stream_id LIMIT $3

-- update_stream --
-- Sets what is not null; the counter's row is touched only if history begins or ends.
WITH changed AS (
    UPDATE streams SET
        slug = coalesce($3, slug),
        event_retention_days = coalesce($4, event_retention_days),
        tombstone_days = coalesce($5, tombstone_days),
        updated_at = now()
    WHERE org_id = $1 AND stream_id = $2
    RETURNING stream_no, event_retention_days
), head AS (
    UPDATE stream_heads h SET keeps_history = c.event_retention_days > 0
    FROM changed c
    WHERE h.stream_no = c.stream_no AND h.keeps_history <> (c.event_retention_days > 0)
)
SELECT stream_no FROM changed

-- lock_stream --
-- A stream's number, locked so that no sync or consumer of it can be made meanwhile.
SELECT stream_no FROM streams WHERE org_id = $1 AND stream_id = $2 FOR UPDATE

-- stream_is_in_use --
-- Whether a sync writes to it, or its records are still leaving.
SELECT EXISTS (SELECT 1 FROM syncs WHERE stream_no = $1 AND credential_no IS NOT NULL)

-- add_departure --
-- The stream's data will leave in batches.
INSERT INTO departures (stream_no) VALUES ($1)

-- drop_consumers --
-- The stream's consumers, for everyone at once.
DELETE FROM consumers WHERE stream_no = $1

-- drop_ended_syncs --
-- Syncs that are deleted and of which nothing is leaving any more.
DELETE FROM syncs WHERE stream_no = $1 AND credential_no IS NULL

-- drop_head --
-- The counter: without it nothing can be written.
WITH versions AS (
    DELETE FROM source_versions WHERE stream_no = $1
)
DELETE FROM stream_heads WHERE stream_no = $1

-- drop_stream --
-- The stream itself.
DELETE FROM streams WHERE stream_no = $1
