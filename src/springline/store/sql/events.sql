-- scan_events --
-- The next $4 entries of a stream's event log above an index: where each comes from, and how many bytes its versions have.
-- A version is in payloads or, replaced, in the history; that of a tombstone which has left is the one before it.
SELECT e.idx, v.source_no, coalesce(v.size, 0) + coalesce(b.size, 0) AS size
FROM (
    SELECT idx, previous_idx FROM events WHERE stream_no = $1 AND idx > $2 AND idx <= $3 ORDER BY idx LIMIT $4
) e
LEFT JOIN LATERAL (
    SELECT p.source_no, p.size FROM (
        SELECT 1 AS place, p.source_no, octet_length(p.data) AS size FROM payloads p
        WHERE p.stream_no = $1 AND p.idx = e.idx
        UNION ALL
        SELECT 2, h.source_no, octet_length(h.data) FROM payload_history h WHERE h.stream_no = $1 AND h.idx = e.idx
        UNION ALL
        SELECT 3, h.source_no, octet_length(h.data) FROM payload_history h
        WHERE h.stream_no = $1 AND h.idx = e.previous_idx
    ) p ORDER BY p.place LIMIT 1
) v ON true
LEFT JOIN LATERAL (
    SELECT octet_length(h.data) AS size FROM payload_history h WHERE h.stream_no = $1 AND h.idx = e.previous_idx LIMIT 1
) b ON true
ORDER BY e.idx

-- list_events --
-- These entries with their versions, and, of updates, the data before. `place` 3: of a tombstone that has left.
SELECT e.idx, e.record_no, e.inserted_us AS event_us, e.kind, e.detected_by, e.evidence,
    v.place, v.source_no, v.deleted_reason, v.codec, v.inserted_us, v.upstream_created_us, v.upstream_updated_us,
    v.upstream_id, v.data, b.data AS previous_data
FROM unnest($2::bigint[]) WITH ORDINALITY AS k (idx, ord)
CROSS JOIN LATERAL (SELECT e.* FROM events e WHERE e.stream_no = $1 AND e.idx = k.idx LIMIT 1) e
CROSS JOIN LATERAL (
    SELECT x.* FROM (
        SELECT 1 AS place, p.source_no, p.deleted_reason, p.codec, p.inserted_us, p.upstream_created_us,
            p.upstream_updated_us, p.upstream_id, p.data
        FROM payloads p WHERE p.stream_no = $1 AND p.idx = e.idx
        UNION ALL
        SELECT 2, h.source_no, h.deleted_reason, h.codec, h.inserted_us, h.upstream_created_us, h.upstream_updated_us,
            h.upstream_id, h.data
        FROM payload_history h WHERE h.stream_no = $1 AND h.idx = e.idx
        UNION ALL
        SELECT 3, h.source_no, h.deleted_reason, h.codec, h.inserted_us, h.upstream_created_us, h.upstream_updated_us,
            h.upstream_id, h.data
        FROM payload_history h WHERE h.stream_no = $1 AND h.idx = e.previous_idx
    ) x ORDER BY x.place LIMIT 1
) v
LEFT JOIN LATERAL (
    SELECT h.data FROM payload_history h WHERE h.stream_no = $1 AND h.idx = e.previous_idx AND e.kind = 2 LIMIT 1
) b ON true
ORDER BY k.ord

-- newest_event --
-- The index of the newest entry about a record: that of its current version; no row: there is no such record.
SELECT idx FROM records WHERE stream_no = $1 AND record_no = $2

-- event_before --
-- The index of the entry about a record that came before one of them.
SELECT previous_idx FROM events WHERE stream_no = $1 AND idx = $3 AND record_no = $2

-- scan_history --
-- The entries about one record, from one of them backwards, at most $3, with the bytes of their versions.
WITH RECURSIVE chain AS (
    SELECT e.idx, e.previous_idx, 1 AS nth FROM events e WHERE e.stream_no = $1 AND e.idx = $2
    UNION ALL
    SELECT e.idx, e.previous_idx, c.nth + 1
    FROM chain c
    CROSS JOIN LATERAL (
        SELECT e.idx, e.previous_idx FROM events e WHERE e.stream_no = $1 AND e.idx = c.previous_idx LIMIT 1
    ) e
    WHERE c.nth < $3
)
SELECT c.idx, coalesce(p.size, h.size, 0) + coalesce(b.size, 0) AS size
FROM chain c
LEFT JOIN LATERAL (
    SELECT octet_length(p.data) AS size FROM payloads p WHERE p.stream_no = $1 AND p.idx = c.idx LIMIT 1
) p ON true
LEFT JOIN LATERAL (
    SELECT octet_length(h.data) AS size FROM payload_history h WHERE h.stream_no = $1 AND h.idx = c.idx LIMIT 1
) h ON true
LEFT JOIN LATERAL (
    SELECT octet_length(h.data) AS size FROM payload_history h
    WHERE h.stream_no = $1 AND h.idx = c.previous_idx LIMIT 1
) b ON true
ORDER BY c.nth
