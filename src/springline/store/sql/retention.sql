-- list_removed_sources --
-- Sources whose records are to leave.
SELECT stream_no, source_no, sync_no, removed_reason, generation, NULL::double precision AS max_age_days
FROM sources WHERE removed_reason > 0 AND NOT departed

-- is_removed --
-- Whether a source is still to leave: it may have been added again, and even removed again.
SELECT EXISTS (
    SELECT 1 FROM sources WHERE stream_no = $1 AND source_no = $2 AND generation = $3 AND removed_reason > 0)

-- end_removal --
-- All of a source's records have been published as deleted.
UPDATE sources SET departed = true
WHERE stream_no = $1 AND source_no = $2 AND generation = $3 AND removed_reason > 0

-- end_departures --
-- Deleted syncs none of whose records are left to publish: their credential is free from now on.
UPDATE syncs s SET credential_no = NULL
WHERE s.deleted_at IS NOT NULL AND s.credential_no IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM sources o WHERE o.stream_no = s.stream_no AND o.sync_no = s.sync_no
        AND o.removed_reason > 0 AND NOT o.departed)

-- list_aging_sources --
-- Sources whose sync keeps records only so long.
SELECT o.stream_no, o.source_no, o.sync_no, o.removed_reason, o.generation, s.max_age_days
FROM syncs s JOIN sources o ON o.stream_no = s.stream_no AND o.sync_no = s.sync_no
WHERE s.max_age_days IS NOT NULL AND s.deleted_at IS NULL AND s.status = 'active' AND o.removed_reason = 0

-- list_streams --
-- All streams.
SELECT stream_no FROM streams

-- remove_events --
-- A batch of event log entries that are older than the stream keeps them, each with the version that it replaced: that
-- one was replaced at the entry's time. Counts the entries.
WITH old AS MATERIALIZED (
    SELECT o.idx, o.previous_idx
    FROM (SELECT idx, previous_idx, inserted_us FROM events WHERE stream_no = $1 ORDER BY idx LIMIT $2) o
    WHERE o.inserted_us < now_us() - $3::bigint
), gone AS (
    DELETE FROM events e WHERE e.stream_no = $1 AND e.idx = ANY (ARRAY(SELECT o.idx FROM old o))
), versions AS (
    DELETE FROM payload_history h WHERE h.stream_no = $1 AND h.idx = ANY (ARRAY(SELECT o.previous_idx FROM old o))
)
SELECT count(*) FROM old

-- get_days --
-- How long a stream keeps things.
SELECT event_retention_days, tombstone_days FROM streams WHERE stream_no = $1

-- remove_tombstones --
-- A batch of deleted records whose time is over: they leave without a message.
SELECT remove_tombstones_v1($1, $2, $3)

-- settle_commits --
-- Waits until what was being written to a stream is written: whoever began before a source was removed has ended.
SELECT 1 FROM stream_heads WHERE stream_no = $1 FOR UPDATE
