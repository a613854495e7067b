-- register_worker --
-- A worker announces itself.
INSERT INTO workers (boot_id, pid_namespace, process_start, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + $4::double precision * interval '1 second')
RETURNING worker_no

-- renew_worker --
-- One row per worker renewed, whatever it runs; no row: it was taken for lost.
UPDATE workers SET expires_at = clock_timestamp() + $2::double precision * interval '1 second'
WHERE worker_no = $1 AND expires_at > clock_timestamp()
RETURNING worker_no

-- list_neighbours --
-- Workers of the same boot and pid namespace: whether they live can be seen here.
SELECT worker_no, process_start FROM workers WHERE boot_id = $1 AND pid_namespace = $2

-- remove_workers --
-- Forgets workers: what they hold is free.
DELETE FROM workers WHERE worker_no = ANY ($1)

-- remove_expired_workers --
-- Forgets workers whose lease is long over.
DELETE FROM workers WHERE expires_at < clock_timestamp() - interval '1 hour'

-- claim_credentials --
-- Takes credentials that have something to do and no living holder. Their epoch grows: older holders are fenced off.
-- The holder is looked up by a scalar subquery, not by a join: only that is done again when another worker took the row
-- between our snapshot and our lock. A worker whose own lease is over takes nothing.
WITH free AS (
    SELECT c.credential_no
    FROM credentials c
    WHERE coalesce(
            (SELECT w.expires_at FROM workers w WHERE w.worker_no = c.lease_worker_no), '-infinity'
        ) <= clock_timestamp()
        AND EXISTS (SELECT 1 FROM workers w WHERE w.worker_no = $1 AND w.expires_at > clock_timestamp())
        AND EXISTS (
            SELECT 1 FROM syncs s
            WHERE s.credential_no = c.credential_no AND s.status = 'active' AND s.deleted_at IS NULL)
    ORDER BY c.credential_no
    LIMIT $2
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE credentials c SET lease_worker_no = $1, lease_epoch = c.lease_epoch + 1
FROM free WHERE c.credential_no = free.credential_no
RETURNING c.credential_no

-- release_credentials --
-- Gives everything back, at a clean stop.
UPDATE credentials SET lease_worker_no = NULL WHERE lease_worker_no = $1

-- raise_fences --
-- Lets only the holder's epoch write for its syncs (I3); waits for a running commit.
UPDATE sync_fences f SET
    epoch = c.lease_epoch,
    first_epoch = CASE WHEN f.epoch = 0 THEN c.lease_epoch ELSE f.first_epoch END
FROM syncs s JOIN credentials c USING (credential_no)
WHERE c.lease_worker_no = $1 AND f.stream_no = s.stream_no AND f.sync_no = s.sync_no AND f.epoch < c.lease_epoch

-- list_leased_syncs --
-- The syncs of a worker's credentials that are to run, once their fences let it write.
SELECT s.sync_no, s.config_version, c.lease_epoch
FROM syncs s JOIN credentials c USING (credential_no)
JOIN sync_fences f ON f.stream_no = s.stream_no AND f.sync_no = s.sync_no
WHERE c.lease_worker_no = $1 AND s.status = 'active' AND s.deleted_at IS NULL AND f.epoch = c.lease_epoch
ORDER BY s.sync_no

-- get_leased_sync --
-- All that a worker needs to run a sync.
SELECT s.sync_no, s.sync_id, s.org_id, s.provider, s.stream_no, s.credential_no, s.rate_limit, s.max_age_days,
    s.sync_frequency, s.initial_backfill_completed_at, s.created_at,
    c.kind, c.lease_epoch, f.first_epoch, c.credential_id, c.properties AS shown,
    (SELECT json_object_agg(o.collection_id, json_build_array(o.source_no, o.generation)) FROM sources o
     WHERE o.stream_no = s.stream_no AND o.sync_no = s.sync_no AND o.removed_reason = 0) AS sources
FROM syncs s JOIN credentials c USING (credential_no)
JOIN sync_fences f ON f.stream_no = s.stream_no AND f.sync_no = s.sync_no
WHERE s.sync_no = $1 AND c.lease_worker_no = $2 AND s.status = 'active' AND s.deleted_at IS NULL

-- list_checkpoints --
-- Where a sync stands.
SELECT name, state FROM checkpoints WHERE stream_no = $1 AND sync_no = $2

-- save_observations --
-- What the worker sees of a sync.
UPDATE syncs SET health = $2, progress = $3 WHERE sync_no = $1

-- complete_backfill --
-- Remembers the first completed backfill for ever.
UPDATE syncs SET initial_backfill_completed_at = now() WHERE sync_no = $1 AND initial_backfill_completed_at IS NULL

-- save_credential_health --
-- What the worker sees of a credential.
UPDATE credentials SET health = $2 WHERE credential_no = $1 AND health IS DISTINCT FROM $2

-- list_quota_blocks --
-- Recorded starts of a sync's requests, with the age of each block's opening in seconds.
SELECT starts, extract(epoch FROM clock_timestamp() - opened_at)::double precision AS age_seconds
FROM quota_blocks WHERE sync_no = $1 ORDER BY opened_at

-- open_quota_block --
-- Records starts before they happen.
INSERT INTO quota_blocks (sync_no, starts) VALUES ($1, $2)

-- close_quota_blocks --
-- Forgets blocks that no window reaches any more.
DELETE FROM quota_blocks WHERE sync_no = $1 AND opened_at < clock_timestamp() - $2::double precision * interval '1 second'

-- find_holder --
-- The live worker that holds the lease of a sync's credential, if there is one, and how many workers live.
SELECT w.worker_no, (SELECT count(*) FROM workers v WHERE v.expires_at > clock_timestamp()) AS live_workers
FROM syncs s JOIN credentials c USING (credential_no)
LEFT JOIN workers w ON w.worker_no = c.lease_worker_no AND w.expires_at > clock_timestamp()
WHERE s.sync_no = $1
