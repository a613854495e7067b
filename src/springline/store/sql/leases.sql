-- register_worker --
-- A worker announces itself.
INSERT INTO workers (boot_id, pid_namespace, process_start, host, process_started_at, credentials, expires_at)
VALUES ($1, $2, $3, $4, $5, 0, clock_timestamp() + $6::double precision * interval '1 second')
RETURNING worker_no

-- renew_worker --
-- One row per worker renewed, whatever it runs; no row: it was taken for lost. Says along what it holds.
UPDATE workers SET
    expires_at = clock_timestamp() + $2::double precision * interval '1 second', credentials = $3
WHERE worker_no = $1 AND expires_at > clock_timestamp()
RETURNING worker_no

-- say_held --
-- What a worker holds, for the others' fair share.
UPDATE workers SET credentials = $2 WHERE worker_no = $1

-- look_around --
-- Every worker with what it holds (one of an older release does not say, so it is counted), and beside each the number
-- of credentials that have something to do and no holder.
SELECT w.worker_no, w.boot_id, w.pid_namespace, w.process_start, w.expires_at > now() AS lives,
    coalesce(w.credentials, (SELECT count(*) FROM credentials c WHERE c.lease_worker_no = w.worker_no)) AS credentials,
    (SELECT count(*) FROM credentials c
     WHERE c.lease_worker_no IS NULL AND EXISTS (
        SELECT 1 FROM syncs s
        WHERE s.credential_no = c.credential_no AND s.status = 'active' AND s.deleted_at IS NULL)) AS free
FROM workers w ORDER BY w.worker_no

-- list_workers --
-- Workers as an organisation may see them: of what they hold, only what is its own is counted.
SELECT w.worker_no, w.boot_id, w.pid_namespace, w.process_start, w.host, w.process_started_at, w.started_at,
    w.expires_at, w.expires_at > now() AS lives, coalesce(h.credentials, 0) AS credentials, coalesce(h.syncs, 0) AS syncs
FROM workers w
LEFT JOIN (
    SELECT c.lease_worker_no, count(DISTINCT c.credential_no) AS credentials, count(s.sync_no) AS syncs
    FROM credentials c
    LEFT JOIN syncs s ON s.credential_no = c.credential_no AND s.status = 'active' AND s.deleted_at IS NULL
    WHERE c.org_id = $1 AND c.lease_worker_no IS NOT NULL
    GROUP BY c.lease_worker_no
) h ON h.lease_worker_no = w.worker_no
ORDER BY w.worker_no

-- remove_workers --
-- Forgets workers: what they hold is free.
DELETE FROM workers WHERE worker_no = ANY ($1)

-- remove_expired_workers --
-- Forgets workers whose lease is long over.
DELETE FROM workers WHERE expires_at < clock_timestamp() - interval '1 hour'

-- free_lost --
-- Frees what workers hold whose lease is over: those that say that they hold something, or ($1) all of them.
WITH lost AS (
    SELECT worker_no FROM workers WHERE expires_at <= now() AND ($1::boolean OR coalesce(credentials, 1) > 0)
), freed AS (
    UPDATE credentials c SET lease_worker_no = NULL FROM lost WHERE c.lease_worker_no = lost.worker_no
)
UPDATE workers w SET credentials = 0 FROM lost WHERE w.worker_no = lost.worker_no

-- claim_credentials --
-- Takes credentials that have something to do and no holder. Their epoch grows: older holders are fenced off.
-- Who holds a row is asked of the row itself: that is looked at again when another worker took it between our snapshot
-- and our lock. A worker whose own lease is over takes nothing.
WITH free AS (
    SELECT c.credential_no
    FROM credentials c
    WHERE c.lease_worker_no IS NULL
        AND EXISTS (SELECT 1 FROM workers w WHERE w.worker_no = $1 AND w.expires_at > now())
        AND EXISTS (
            SELECT 1 FROM syncs s
            WHERE s.credential_no = c.credential_no AND s.status = 'active' AND s.deleted_at IS NULL)
    ORDER BY c.credential_no
    LIMIT $2
    FOR NO KEY UPDATE OF c SKIP LOCKED
)
UPDATE credentials c SET lease_worker_no = $1, lease_epoch = c.lease_epoch + 1
FROM free WHERE c.credential_no = free.credential_no
RETURNING c.credential_no

-- say_claimed --
-- A worker holds so many more: with the claim itself, so that nobody who takes over from it looks for too little.
UPDATE workers SET credentials = coalesce(credentials, 0) + $2::integer WHERE worker_no = $1

-- hand_over --
-- Gives back some of what a worker holds.
UPDATE credentials SET lease_worker_no = NULL WHERE lease_worker_no = $1 AND credential_no = ANY ($2::integer[])

-- announce_free --
-- Tells the other workers to look, once this transaction is committed.
SELECT pg_notify('springline_syncs', '')

-- raise_fences --
-- Lets only the holder's epoch write for the syncs of these credentials (I3); waits for a running commit.
UPDATE sync_fences f SET
    epoch = c.lease_epoch,
    first_epoch = CASE WHEN f.epoch = 0 THEN c.lease_epoch ELSE f.first_epoch END
FROM syncs s JOIN credentials c USING (credential_no)
WHERE c.lease_worker_no = $1 AND c.credential_no = ANY ($2::integer[])
    AND f.stream_no = s.stream_no AND f.sync_no = s.sync_no AND f.epoch < c.lease_epoch

-- list_held_credentials --
-- All that a worker holds.
SELECT credential_no FROM credentials WHERE lease_worker_no = $1

-- list_leased_syncs --
-- The syncs of these credentials that the worker is to run, once their fences let it write.
SELECT s.sync_no, s.credential_no, s.config_version, c.lease_epoch
FROM credentials c
JOIN syncs s USING (credential_no)
JOIN sync_fences f ON f.stream_no = s.stream_no AND f.sync_no = s.sync_no
WHERE c.lease_worker_no = $1 AND c.credential_no = ANY ($2::integer[])
    AND s.status = 'active' AND s.deleted_at IS NULL AND f.epoch = c.lease_epoch
ORDER BY s.sync_no

-- list_configured_syncs --
-- Syncs that were configured in the last $2 seconds: those of a worker's credentials, and those that have let go of theirs.
-- `runs`: the worker is to run it; `is_fenced_off`: ... once its fence is raised.
SELECT s.sync_no, s.credential_no, s.config_version, c.lease_epoch,
    c.credential_no IS NOT NULL AND s.status = 'active' AND s.deleted_at IS NULL AS runs,
    f.epoch < c.lease_epoch AS is_fenced_off
FROM syncs s
LEFT JOIN credentials c ON c.credential_no = s.credential_no
LEFT JOIN sync_fences f ON f.stream_no = s.stream_no AND f.sync_no = s.sync_no
WHERE s.configured_at > now() - $2::double precision * interval '1 second'
    AND (s.credential_no IS NULL OR c.lease_worker_no = $1)

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

-- find_holder --
-- The live worker that holds the lease of a sync's credential, if there is one, and how many workers live.
SELECT w.worker_no, (SELECT count(*) FROM workers v WHERE v.expires_at > clock_timestamp()) AS live_workers
FROM syncs s JOIN credentials c USING (credential_no)
LEFT JOIN workers w ON w.worker_no = c.lease_worker_no AND w.expires_at > clock_timestamp()
WHERE s.sync_no = $1
