-- list_holds --
-- A sync's holds above an id (null: from the first), with the beginning of what is held.
SELECT h.hold_id, h.kind, h.status, h.reason, h.count, h.held_us, h.decided_us, o.collection_id,
    octet_length(h.content) AS size, substr(h.content, 1, $5) AS sample
FROM holds h LEFT JOIN sources o ON o.stream_no = h.stream_no AND o.source_no = h.source_no
WHERE h.stream_no = $1 AND h.sync_no = $2 AND ($3::uuid IS NULL OR h.hold_id > $3)
    AND ($6::text IS NULL OR h.status = $6)
ORDER BY h.hold_id LIMIT $4

-- get_hold --
-- One hold of a sync, with the beginning of what is held.
SELECT h.hold_id, h.kind, h.status, h.reason, h.count, h.held_us, h.decided_us, o.collection_id,
    octet_length(h.content) AS size, substr(h.content, 1, $4) AS sample
FROM holds h LEFT JOIN sources o ON o.stream_no = h.stream_no AND o.source_no = h.source_no
WHERE h.stream_no = $1 AND h.sync_no = $2 AND h.hold_id = $3

-- decide_hold --
-- What becomes of a hold, once; what a discarded record or page held goes, its print stays, so that it is not held again.
UPDATE holds SET status = $4, decided_us = now_us(),
    content = CASE WHEN kind <> 'deletion' AND $4 = 'discarded' THEN ''::bytea ELSE content END
WHERE stream_no = $1 AND sync_no = $2 AND hold_id = $3 AND status = 'held'
RETURNING true

-- take_up --
-- The worker that runs the sync looks at it anew.
UPDATE syncs SET config_version = config_version + 1 WHERE sync_no = $1

-- list_held_deletions --
-- Of each collection of a sync the deletions that are held: the newest hold, how many records all concern, since when.
SELECT o.collection_id, (array_agg(h.hold_id ORDER BY h.held_us DESC))[1] AS hold_id,
    (array_agg(h.reason ORDER BY h.held_us DESC))[1] AS reason, sum(h.count)::bigint AS count, min(h.held_us) AS held_us
FROM holds h JOIN sources o ON o.stream_no = h.stream_no AND o.source_no = h.source_no
WHERE h.stream_no = $1 AND h.sync_no = $2 AND h.kind = 'deletion' AND h.status = 'held'
GROUP BY o.collection_id
