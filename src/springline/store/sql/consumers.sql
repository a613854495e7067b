-- lock_stream --
-- The number of an organisation's stream, which now cannot be deleted before the transaction ends.
SELECT stream_no FROM streams WHERE org_id = $1 AND stream_id = $2 FOR KEY SHARE

-- create_consumer --
-- A new consumer.
INSERT INTO consumers (
    consumer_id, org_id, stream_no, name, kind, deliver_policy, ack_wait_ms, max_deliver, max_ack_pending, filters,
    metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
RETURNING consumer_no

-- place_at_beginning --
-- Everything is still to come.
SELECT 0::bigint WHERE $1::integer IS NOT NULL

-- place_at_end --
-- Only what comes from now on.
SELECT head_idx FROM stream_heads WHERE stream_no = $1

-- place_at_newest --
-- The newest message is the first to come.
SELECT coalesce(
    (SELECT idx - 1 FROM payloads WHERE stream_no = $1 ORDER BY idx DESC LIMIT 1),
    (SELECT head_idx FROM stream_heads WHERE stream_no = $1))

-- place_at_time --
-- The first message that entered at or after a time is the first to come.
SELECT position_at_v1($1, $2)

-- create_position --
-- Where the consumer stands, with the settings that receive needs.
INSERT INTO consumer_positions (
    stream_no, consumer_no, position, ack_wait_us, max_deliver, max_ack_pending, filter)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- get_consumer --
-- An organisation's consumer.
SELECT c.consumer_no, c.consumer_id, c.org_id, c.stream_no, s.stream_id, c.name, c.kind, c.status, c.deliver_policy,
    c.ack_wait_ms, c.max_deliver, c.max_ack_pending, c.filters, c.metadata, c.created_at, c.updated_at
FROM consumers c JOIN streams s USING (stream_no)
WHERE c.org_id = $1 AND c.consumer_id = $2

-- lock_consumer --
-- An organisation's consumer, for a change.
SELECT c.consumer_no, c.consumer_id, c.org_id, c.stream_no, s.stream_id, c.name, c.kind, c.status, c.deliver_policy,
    c.ack_wait_ms, c.max_deliver, c.max_ack_pending, c.filters, c.metadata, c.created_at, c.updated_at
FROM consumers c JOIN streams s USING (stream_no)
WHERE c.org_id = $1 AND c.consumer_id = $2
FOR UPDATE OF c

-- list_consumers --
-- An organisation's consumers above an id (null: from the first); a filter that is null passes everything.
SELECT c.consumer_no, c.consumer_id, c.org_id, c.stream_no, s.stream_id, c.name, c.kind, c.status, c.deliver_policy,
    c.ack_wait_ms, c.max_deliver, c.max_ack_pending, c.filters, c.metadata, c.created_at, c.updated_at
FROM consumers c JOIN streams s USING (stream_no)
WHERE c.org_id = $1
    AND ($2::uuid IS NULL OR s.stream_id = $2)
    AND ($3::jsonb IS NULL OR c.metadata @> $3)
    AND ($4::uuid IS NULL OR c.consumer_id > $4)
ORDER BY c.consumer_id LIMIT $5

-- update_consumer --
-- Everything that can change, as it is to be.
UPDATE consumers SET
    name = $2, status = $3, ack_wait_ms = $4, max_deliver = $5, max_ack_pending = $6, filters = $7, metadata = $8,
    updated_at = now()
WHERE consumer_no = $1

-- update_position --
-- The settings that receive needs. The sources that the filter passes are worked out anew.
UPDATE consumer_positions SET
    paused = $3, ack_wait_us = $4, max_deliver = $5, max_ack_pending = $6, filter = $7,
    source_nos = NULL, sources_version = -1
WHERE stream_no = $1 AND consumer_no = $2

-- delete_consumer --
-- The consumer, for everyone at once.
DELETE FROM consumers WHERE consumer_no = $1

-- delete_position --
-- Waits for a running receive; after it nobody can add deliveries.
DELETE FROM consumer_positions WHERE stream_no = $1 AND consumer_no = $2

-- add_departure --
-- The consumer's deliveries and dead letters will leave in batches.
INSERT INTO departures (stream_no, consumer_no) VALUES ($1, $2)
