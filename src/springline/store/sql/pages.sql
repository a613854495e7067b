-- commit_pages --
-- Writes pages of one stream: records, event log, checkpoints, in one statement.
SELECT head_idx, open_syncs, outcomes, known_nos
FROM commit_pages_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)

-- known_prints --
-- What is stored of these records: a filter before the commit, which decides again under the lock.
SELECT k.ord, r.record_no, r.raw_print, r.content_print, r.deleted_reason
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
-- Keeps back what cannot be written; the same bytes are held once.
INSERT INTO holds (stream_no, hold_id, sync_no, source_no, kind, reason, content, print, held_us)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now_us())
ON CONFLICT (stream_no, source_no, print) DO NOTHING

-- summarise_holds --
-- How many records and pages of a source are held, and why the last one was.
SELECT count(*) AS held, (array_agg(reason ORDER BY held_us DESC))[1] AS last_reason
FROM holds WHERE stream_no = $1 AND source_no = $2 AND kind <> 'deletion' AND status = 'held'
