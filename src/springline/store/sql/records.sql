-- list_records --
-- Current versions above an index, in order, of all sources; as many as fit $5 bytes, each counted with $6 more.
WITH page AS (
    SELECT p.idx, octet_length(p.data) + $6::integer AS size
    FROM payloads p
    WHERE p.stream_no = $1 AND p.idx > $2 AND p.idx <= $3
    ORDER BY p.idx LIMIT $4
), fitting AS (
    SELECT s.idx
    FROM (SELECT idx, sum(size) OVER w AS total, row_number() OVER w AS nth FROM page WINDOW w AS (ORDER BY idx)) s
    WHERE s.total <= $5::bigint OR s.nth = 1
)
SELECT p.*
FROM fitting f CROSS JOIN LATERAL (SELECT p.* FROM payloads p WHERE p.stream_no = $1 AND p.idx = f.idx LIMIT 1) p
ORDER BY p.idx

-- list_records_of_sources --
-- The same of some sources, merged.
WITH page AS (
    SELECT e.idx, e.size
    FROM unnest($7::integer[]) AS s (source_no)
    CROSS JOIN LATERAL (
        SELECT p.idx, octet_length(p.data) + $6::integer AS size FROM payloads p
        WHERE p.stream_no = $1 AND p.source_no = s.source_no AND p.idx > $2 AND p.idx <= $3
        ORDER BY p.idx LIMIT $4
    ) e
    ORDER BY e.idx LIMIT $4
), fitting AS (
    SELECT s.idx
    FROM (SELECT idx, sum(size) OVER w AS total, row_number() OVER w AS nth FROM page WINDOW w AS (ORDER BY idx)) s
    WHERE s.total <= $5::bigint OR s.nth = 1
)
SELECT p.*
FROM fitting f CROSS JOIN LATERAL (SELECT p.* FROM payloads p WHERE p.stream_no = $1 AND p.idx = f.idx LIMIT 1) p
ORDER BY p.idx

-- get_record --
-- The current version of one record.
SELECT p.*
FROM records r
CROSS JOIN LATERAL (SELECT p.* FROM payloads p WHERE p.stream_no = $1 AND p.idx = r.idx LIMIT 1) p
WHERE r.stream_no = $1 AND r.record_no = $2

-- list_live --
-- Live records of a source by upstream id, as they stood at an index: what a sweep compares with what it saw.
SELECT upstream_id, record_no, idx
FROM records
WHERE stream_no = $1 AND source_no = $2 AND upstream_id > $3 AND deleted_reason = 0
    AND record_no <= $4 AND idx <= $4
ORDER BY upstream_id LIMIT $5

-- count_live --
-- Live records of a source, counted up to $3.
SELECT count(*) FROM (SELECT 1 FROM records WHERE stream_no = $1 AND source_no = $2 AND deleted_reason = 0 LIMIT $3) n

-- list_any_live --
-- Live records of a source by upstream id.
SELECT upstream_id, record_no, idx
FROM records
WHERE stream_no = $1 AND source_no = $2 AND upstream_id > $3 AND deleted_reason = 0
ORDER BY upstream_id LIMIT $4

-- list_live_of_parent --
-- The same of one parent's records, as they stood at an index.
SELECT upstream_id, record_no, idx
FROM records
WHERE stream_no = $1 AND source_no = $2 AND parent_no = $3 AND parent_no <> 0 AND upstream_id > $4
    AND deleted_reason = 0 AND record_no <= $5 AND idx <= $5
ORDER BY upstream_id LIMIT $6

-- count_live_of_parent --
-- Live records of one parent, counted up to $4.
SELECT count(*) FROM (
    SELECT 1 FROM records
    WHERE stream_no = $1 AND source_no = $2 AND parent_no = $3 AND parent_no <> 0 AND deleted_reason = 0 LIMIT $4
) n

-- list_parents --
-- Live records of a source by upstream id, with their documents: each is the parent of a partition.
SELECT r.upstream_id, r.record_no, r.parent_no, r.idx, p.data
FROM (
    SELECT upstream_id, record_no, parent_no, idx FROM records
    WHERE stream_no = $1 AND source_no = $2 AND upstream_id > $3 AND deleted_reason = 0
    ORDER BY upstream_id LIMIT $4
) r
CROSS JOIN LATERAL (SELECT p.data FROM payloads p WHERE p.stream_no = $1 AND p.idx = r.idx LIMIT 1) p
ORDER BY r.upstream_id

-- list_parent_changes --
-- The current versions of a source above an index, deleted ones too.
SELECT p.upstream_id, p.record_no, r.parent_no, p.idx, p.data, p.deleted_reason
FROM (
    SELECT idx, record_no, upstream_id, data, deleted_reason FROM payloads
    WHERE stream_no = $1 AND source_no = $2 AND idx > $3
    ORDER BY idx LIMIT $4
) p
CROSS JOIN LATERAL (SELECT r.parent_no FROM records r WHERE r.stream_no = $1 AND r.record_no = p.record_no LIMIT 1) r
ORDER BY p.idx

-- get_parent --
-- One live record by its number.
SELECT r.upstream_id, r.record_no, r.parent_no, r.idx, p.data
FROM records r
CROSS JOIN LATERAL (SELECT p.data FROM payloads p WHERE p.stream_no = $1 AND p.idx = r.idx LIMIT 1) p
WHERE r.stream_no = $1 AND r.record_no = $2 AND r.deleted_reason = 0

-- describe_records --
-- Records of a source by upstream id, with their documents; deleted ones too if $4 says so.
SELECT r.upstream_id, r.record_no, r.parent_no, r.idx, p.data
FROM unnest($3::text[]) AS k (upstream_id)
CROSS JOIN LATERAL (
    SELECT r.* FROM records r
    WHERE r.stream_no = $1 AND r.source_no = $2 AND r.upstream_id = k.upstream_id LIMIT 1
) r
CROSS JOIN LATERAL (SELECT p.data FROM payloads p WHERE p.stream_no = $1 AND p.idx = r.idx LIMIT 1) p
WHERE $4 OR r.deleted_reason = 0

-- list_aged --
-- Of the next $5 versions of a source by index, the last index and those live ones whose own time is before a bound.
WITH versions AS MATERIALIZED (
    SELECT idx, upstream_id, deleted_reason,
        coalesce(upstream_updated_us, upstream_created_us, inserted_us) AS at_us
    FROM payloads
    WHERE stream_no = $1 AND source_no = $2 AND idx > $3
    ORDER BY idx LIMIT $5
), aged AS (
    SELECT idx, upstream_id FROM versions WHERE deleted_reason = 0 AND at_us < $4
)
SELECT (SELECT max(idx) FROM versions) AS reached,
    coalesce((SELECT array_agg(idx ORDER BY idx) FROM aged), '{}') AS idxs,
    coalesce((SELECT array_agg(upstream_id ORDER BY idx) FROM aged), '{}') AS upstream_ids

-- describe_sources --
-- What rides along on records of these sources.
SELECT s.source_no, s.provider, s.collection_id, s.sync_id, y.external_id, y.metadata
FROM sources s JOIN syncs y ON y.sync_no = s.sync_no
WHERE s.stream_no = $1 AND s.source_no = ANY ($2)

-- find_sources --
-- Sources of a stream by sync and collection (null: any).
SELECT source_no FROM sources
WHERE stream_no = $1 AND ($2::uuid IS NULL OR sync_id = $2) AND ($3::text IS NULL OR collection_id = $3)
ORDER BY source_no

-- stream_of --
-- A stream's number and head, if it is this organisation's.
SELECT s.stream_no, s.stream_id, h.head_idx
FROM streams s JOIN stream_heads h USING (stream_no)
WHERE s.org_id = $1 AND ($2::uuid IS NULL OR s.stream_id = $2) AND ($3::integer IS NULL OR s.stream_no = $3)

-- sync_exists --
-- Whether a sync is this organisation's and not deleted.
SELECT true FROM syncs WHERE org_id = $1 AND sync_id = $2 AND deleted_at IS NULL
