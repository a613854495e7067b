-- receive --
-- Hands out at most $3 messages and $4 bytes, each counted with $5 more, to a receiver; no row: unknown consumer.
SELECT * FROM receive_v2($1, $2, $3, $4, $5, $6)

-- ack --
-- Ends deliveries.
SELECT stale, available FROM ack_v1($1, $2, $3, $4, $5)

-- nack --
-- Gives deliveries back.
SELECT stale, available FROM nack_v1($1, $2, $3, $4, $5, $6)

-- extend --
-- Starts the ack wait of deliveries anew.
SELECT stale, available FROM extend_v1($1, $2, $3, $4, $5)

-- term --
-- Gives deliveries up: dead letters.
SELECT stale, available FROM term_v1($1, $2, $3, $4, $5, $6)

-- redrive --
-- Delivers dead letters again, in their records' current versions.
SELECT redriven, available FROM redrive_v1($1, $2, $3, $4)

-- standing --
-- How much of a consumer is out, what it may have out, and what has been out longest; no row: unknown consumer.
SELECT p.ack_pending, p.max_ack_pending, p.paused, (
    SELECT d.record_no FROM deliveries d
    WHERE d.stream_no = $1 AND d.consumer_no = $2 AND p.ack_pending >= p.max_ack_pending
    ORDER BY coalesce(d.first_us, d.deadline_us), d.record_no LIMIT 1
) AS oldest
FROM consumer_positions p WHERE p.stream_no = $1 AND p.consumer_no = $2

-- list_pending --
-- Deliveries of a consumer above a record number, and what their records are now.
SELECT d.record_no, d.idx, d.delivery_no, d.deadline_us, d.deliver_count, d.first_us, d.last_us, d.receiver,
    d.deadline_us <= now_us() AS overdue, r.source_no, r.upstream_id, r.idx > d.idx AS newer
FROM deliveries d
LEFT JOIN LATERAL (
    SELECT r.source_no, r.upstream_id, r.idx FROM records r
    WHERE r.stream_no = $1 AND r.record_no = d.record_no LIMIT 1
) r ON true
WHERE d.stream_no = $1 AND d.consumer_no = $2 AND d.record_no > $3
ORDER BY d.record_no LIMIT $4

-- list_dead_letters --
-- Dead letters of a consumer above a record number, with their records' current versions: as many as fit $5 bytes, each
-- counted with $6 more. more: there were others that did not fit.
WITH page AS (
    SELECT l.record_no, coalesce(octet_length(p.data), 0) + $6::integer AS size
    FROM dead_letters l
    LEFT JOIN LATERAL (SELECT r.idx FROM records r WHERE r.stream_no = $1 AND r.record_no = l.record_no LIMIT 1) r ON true
    LEFT JOIN LATERAL (SELECT p.data FROM payloads p WHERE p.stream_no = $1 AND p.idx = r.idx LIMIT 1) p ON true
    WHERE l.stream_no = $1 AND l.consumer_no = $2 AND l.record_no > $3
    ORDER BY l.record_no LIMIT $4
), fitting AS (
    SELECT s.record_no
    FROM (SELECT record_no, sum(size) OVER w AS total, row_number() OVER w AS nth FROM page
        WINDOW w AS (ORDER BY record_no)) s
    WHERE s.total <= $5::bigint OR s.nth = 1
)
SELECT l.record_no, l.idx AS dead_idx, l.deliver_count, l.reason, l.buried_us,
    (SELECT count(*) FROM page) > (SELECT count(*) FROM fitting) AS more,
    p.idx, p.source_no, p.deleted_reason, p.codec, p.inserted_us, p.upstream_created_us, p.upstream_updated_us,
    p.upstream_id, p.data
FROM fitting f
CROSS JOIN LATERAL (
    SELECT l.* FROM dead_letters l WHERE l.stream_no = $1 AND l.consumer_no = $2 AND l.record_no = f.record_no LIMIT 1
) l
LEFT JOIN LATERAL (SELECT r.idx FROM records r WHERE r.stream_no = $1 AND r.record_no = l.record_no LIMIT 1) r ON true
LEFT JOIN LATERAL (SELECT p.* FROM payloads p WHERE p.stream_no = $1 AND p.idx = r.idx LIMIT 1) p ON true
ORDER BY f.record_no

-- reset --
-- Moves the position; running deliveries become holds.
SELECT reset_v1($1, $2, $3)

-- pending --
-- Counts what is still to be delivered, up to $3.
SELECT pending_v1($1, $2, $3)

-- position_at --
-- The position just below the first message that entered at or after a time (µs).
SELECT position_at_v1($1, $2)

-- head_idx --
-- The highest index of a stream.
SELECT head_idx FROM stream_heads WHERE stream_no = $1
