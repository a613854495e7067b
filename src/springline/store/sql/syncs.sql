-- lock_stream --
-- The number of an organisation's stream, which now cannot be deleted before the transaction ends.
SELECT stream_no FROM streams WHERE org_id = $1 AND stream_id = $2 FOR KEY SHARE

-- lock_credential --
-- The number of an organisation's credential of a provider, which now cannot be deleted before the transaction ends.
SELECT credential_no FROM credentials WHERE org_id = $1 AND credential_id = $2 AND provider = $3 FOR KEY SHARE

-- create_sync --
-- A new sync.
INSERT INTO syncs (
    sync_id, org_id, provider, stream_no, credential_no, name, collection_ids, rate_limit, max_age_days,
    sync_frequency, priority, collection_priorities, metadata, external_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
RETURNING sync_no

-- create_fence --
-- Who may write for the sync (I3).
INSERT INTO sync_fences (stream_no, sync_no) VALUES ($1, $2)

-- announce_sources --
-- Consumers' filters look again.
INSERT INTO source_versions AS v (stream_no, version) VALUES ($1, 1)
ON CONFLICT (stream_no) DO UPDATE SET version = v.version + 1

-- add_sources --
-- Collections of a sync; one that was leaving stays.
INSERT INTO sources (stream_no, sync_no, sync_id, provider, collection_id)
SELECT $1, $2, $3, $4, c.collection_id FROM unnest($5::text[]) WITH ORDINALITY AS c (collection_id, ord) ORDER BY c.ord
ON CONFLICT (stream_no, sync_no, collection_id) DO UPDATE SET
    removed_reason = 0, departed = false,
    generation = sources.generation + CASE WHEN sources.removed_reason > 0 THEN 1 ELSE 0 END

-- remove_sources --
-- The records of these collections will leave, for this reason.
UPDATE sources SET removed_reason = $3
WHERE stream_no = $1 AND sync_no = $2 AND collection_id = ANY ($4::text[]) AND removed_reason = 0

-- get_sync --
-- An organisation's sync.
SELECT y.sync_no, y.sync_id, y.org_id, y.provider, y.stream_no, s.stream_id, y.credential_no, y.name, y.status,
    y.collection_ids, y.rate_limit, y.max_age_days, y.sync_frequency, y.priority, y.collection_priorities, y.metadata,
    y.external_id, y.initial_backfill_completed_at, y.health, y.progress, y.created_at, y.updated_at
FROM syncs y JOIN streams s USING (stream_no)
WHERE y.org_id = $1 AND y.sync_id = $2 AND y.deleted_at IS NULL

-- lock_sync --
-- An organisation's sync, for a change.
SELECT y.sync_no, y.sync_id, y.org_id, y.provider, y.stream_no, s.stream_id, y.credential_no, y.name, y.status,
    y.collection_ids, y.rate_limit, y.max_age_days, y.sync_frequency, y.priority, y.collection_priorities, y.metadata,
    y.external_id, y.initial_backfill_completed_at, y.health, y.progress, y.created_at, y.updated_at
FROM syncs y JOIN streams s USING (stream_no)
WHERE y.org_id = $1 AND y.sync_id = $2 AND y.deleted_at IS NULL
FOR NO KEY UPDATE OF y

-- list_syncs --
-- An organisation's syncs above an id (null: from the first); a filter that is null passes everything.
SELECT y.sync_no, y.sync_id, y.org_id, y.provider, y.stream_no, s.stream_id, y.credential_no, y.name, y.status,
    y.collection_ids, y.rate_limit, y.max_age_days, y.sync_frequency, y.priority, y.collection_priorities, y.metadata,
    y.external_id, y.initial_backfill_completed_at, y.health, y.progress, y.created_at, y.updated_at
FROM syncs y JOIN streams s USING (stream_no)
WHERE y.org_id = $1 AND y.deleted_at IS NULL
    AND ($2::text IS NULL OR y.provider = $2)
    AND ($3::uuid IS NULL OR s.stream_id = $3)
    AND ($4::text IS NULL OR y.status = $4)
    AND ($5::text IS NULL OR coalesce(y.health ->> 'status', 'healthy') = $5)
    AND ($6::text IS NULL OR y.name = $6)
    AND ($7::text IS NULL OR y.external_id = $7)
    AND ($8::uuid IS NULL OR EXISTS (
        SELECT 1 FROM credentials c WHERE c.credential_no = y.credential_no AND c.credential_id = $8))
    AND ($9::jsonb IS NULL OR y.metadata @> $9)
    AND ($10::uuid IS NULL OR y.sync_id > $10)
ORDER BY y.sync_id LIMIT $11

-- list_known_syncs --
-- Which of these ids are an organisation's syncs, and the stream of each.
SELECT y.sync_id, s.stream_id
FROM syncs y JOIN streams s USING (stream_no)
WHERE y.org_id = $1 AND y.sync_id = ANY ($2::uuid[]) AND y.deleted_at IS NULL

-- update_sync --
-- Everything that can change, as it is to be.
UPDATE syncs SET
    name = $2, status = $3, collection_ids = $4, rate_limit = $5, max_age_days = $6, sync_frequency = $7,
    priority = $8, collection_priorities = $9, metadata = $10, external_id = $11,
    config_version = config_version + 1, updated_at = now()
WHERE sync_no = $1

-- set_fence --
-- Stops running commits of the sync, or lets them write again (I3).
UPDATE sync_fences SET active = $3 WHERE stream_no = $1 AND sync_no = $2

-- delete_sync --
-- Unknown to the API from now on. With its records kept, nothing is leaving: it lets go of its credential.
UPDATE syncs SET
    deleted_at = now(), keep_records = $2, config_version = config_version + 1, updated_at = now(),
    credential_no = CASE WHEN $2 THEN NULL ELSE credential_no END
WHERE sync_no = $1

-- begin_backfills --
-- Checkpoints of these collections are void from now on: they are read anew. Their records stay.
UPDATE sources SET generation = generation + 1
WHERE stream_no = $1 AND sync_no = $2 AND collection_id = ANY ($3::text[]) AND removed_reason = 0

-- touch_sync --
-- The worker takes it up anew.
UPDATE syncs SET config_version = config_version + 1 WHERE sync_no = $1

-- list_backfills --
-- Of each collection of a sync how often it was read anew, and how far the last time has come.
SELECT o.collection_id, o.generation, k.state, k.updated_us
FROM sources o
LEFT JOIN checkpoints k ON k.stream_no = o.stream_no AND k.sync_no = o.sync_no
    AND k.name = 'backfill:' || o.collection_id || ':' || o.generation
WHERE o.stream_no = $1 AND o.sync_no = $2 AND o.removed_reason = 0
ORDER BY o.source_no
