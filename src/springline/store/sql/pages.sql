-- commit_pages --
-- Writes pages of one stream: records, event log, checkpoints, in one statement.
SELECT head_idx, open_syncs, outcomes, known_nos
FROM commit_pages_v2(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)

-- known_prints --
-- What is stored of these records: a filter before the commit, which decides again under the lock.
SELECT k.ord, r.record_no, r.raw_print, r.content_print, r.deleted_reason, r.parent_no
FROM unnest($2::integer[], $3::text[]) WITH ORDINALITY AS k (source_no, upstream_id, ord)
CROSS JOIN LATERAL (
    SELECT r.* FROM records r
    WHERE r.stream_no = $1 AND r.source_no = k.source_no AND r.upstream_id = k.upstream_id
    LIMIT 1
) r

-- stored_data --
-- The current bytes of these records.
SELECT p.record_no, p.codec, p.data
FROM unnest($2::bigint[]) AS k (record_no)
CROSS JOIN LATERAL (SELECT r.idx FROM records r WHERE r.stream_no = $1 AND r.record_no = k.record_no LIMIT 1) r
CROSS JOIN LATERAL (SELECT p.* FROM payloads p WHERE p.stream_no = $1 AND p.idx = r.idx LIMIT 1) p

-- head_idx --
-- The highest index of a stream: the as_of of a read that begins now.
SELECT head_idx FROM stream_heads WHERE stream_no = $1

-- hold --
-- Keeps back what cannot be written; the same bytes are held once. A decision stands until there is more to decide.
INSERT INTO holds AS h (stream_no, hold_id, sync_no, source_no, kind, reason, content, print, held_us, count)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now_us(), $9)
ON CONFLICT (stream_no, source_no, print) DO UPDATE SET
    reason = excluded.reason, content = excluded.content, count = excluded.count,
    status = CASE WHEN excluded.count > h.count THEN 'held' ELSE h.status END
WHERE h.count <> excluded.count

-- find_hold --
-- A hold by its print, and what was decided about it.
SELECT status, count FROM holds WHERE stream_no = $1 AND source_no = $2 AND print = $3

-- release_hold --
-- Its reason is over.
DELETE FROM holds WHERE stream_no = $1 AND source_no = $2 AND print = $3

-- list_deletion_holds --
-- The held deletions of a source, decided or not.
SELECT print, status, reason FROM holds WHERE stream_no = $1 AND source_no = $2 AND kind = 'deletion'

-- summarise_holds --
-- How many records and pages of a source are held, and why the last one was.
SELECT count(*) AS held, (array_agg(reason ORDER BY held_us DESC))[1] AS last_reason
FROM holds WHERE stream_no = $1 AND source_no = $2 AND kind <> 'deletion' AND status = 'held'
