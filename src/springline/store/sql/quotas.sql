-- open_blocks --
-- Records starts before they happen, of any number of quotas, and forgets those that no window reaches any more.
WITH past AS (
    SELECT quota_key, block_no FROM quota_starts WHERE kept_until < clock_timestamp()
    LIMIT 1000 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM quota_starts q USING past WHERE q.quota_key = past.quota_key AND q.block_no = past.block_no
)
INSERT INTO quota_starts (quota_key, starts, kept_until)
SELECT quota_key, starts, clock_timestamp() + keep_seconds * interval '1 second'
FROM unnest($1::text[], $2::integer[], $3::double precision[]) AS block (quota_key, starts, keep_seconds)

-- list_blocks --
-- Recorded starts, with the age of each block's opening in seconds; oldest first.
SELECT quota_key, starts, extract(epoch FROM clock_timestamp() - opened_at)::double precision AS age_seconds
FROM quota_starts WHERE quota_key = ANY ($1) AND kept_until >= clock_timestamp() ORDER BY block_no

-- get_held_credential --
-- What a quota is worked out from, of a credential whose lease this worker holds.
SELECT c.credential_no, c.credential_id, c.org_id, c.provider, c.kind, c.lease_epoch, c.oauth_app_id
FROM credentials c WHERE c.credential_no = $1 AND c.lease_worker_no = $2
