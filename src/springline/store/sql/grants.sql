-- get_grant --
-- A credential with the token that was obtained for it, where there is one. Times are seconds from now.
SELECT c.credential_no, c.credential_id, c.org_id, c.oauth_app_id, c.properties, c.secrets, c.secret_key_id,
    g.version, g.secrets AS grant_secrets, g.secret_key_id AS grant_key_id, g.fault,
    coalesce(g.refusals, 0) AS refusals, coalesce(g.failures, 0) AS failures,
    CASE WHEN g.secrets IS NULL THEN 0
        ELSE coalesce(extract(epoch FROM g.expires_at - clock_timestamp()), 'infinity') END::double precision
        AS seconds_left,
    coalesce(extract(epoch FROM g.retry_at - clock_timestamp()), 0)::double precision AS retry_seconds
FROM credentials c LEFT JOIN grants g USING (credential_no)
WHERE c.org_id = $1 AND c.credential_id = $2

-- claim_grant --
-- The right to ask the provider, one at a time (I8). No row: somebody has it, or has replaced the token that was seen
-- (version $4; null: there was no row), or nobody may ask yet.
INSERT INTO grants AS g (credential_no, claimed_by, claimed_until)
SELECT c.credential_no, $2, clock_timestamp() + $3::double precision * interval '1 second'
FROM credentials c WHERE c.credential_no = $1
ON CONFLICT (credential_no) DO UPDATE SET claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until
WHERE g.version = $4
    AND coalesce(g.claimed_until, '-infinity') <= clock_timestamp()
    AND coalesce(g.retry_at, '-infinity') <= clock_timestamp()
RETURNING g.version

-- keep_grant --
-- A token that was obtained, stored before it is used (I8). No row: another has been obtained meanwhile, or the
-- credential was replaced. Whether the claim still stands does not matter: what the provider gave out last counts.
UPDATE grants SET
    version = nextval('grant_versions'), secrets = $3, secret_key_id = $4, obtained_at = clock_timestamp(),
    expires_at = clock_timestamp() + $5::double precision * interval '1 second',
    renew_at = clock_timestamp() + $6::double precision * interval '1 second',
    claimed_by = NULL, claimed_until = NULL, refusals = 0, failures = 0, retry_at = NULL, fault = NULL
WHERE credential_no = $1 AND version = $2
RETURNING version

-- begin_grant --
-- The token that a credential was tried with when it was imported.
INSERT INTO grants (credential_no, secrets, secret_key_id, obtained_at, expires_at, renew_at)
VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp() + $4::double precision * interval '1 second',
    clock_timestamp() + $5::double precision * interval '1 second')
ON CONFLICT (credential_no) DO UPDATE SET
    version = nextval('grant_versions'), secrets = excluded.secrets, secret_key_id = excluded.secret_key_id,
    obtained_at = excluded.obtained_at, expires_at = excluded.expires_at, renew_at = excluded.renew_at,
    claimed_by = NULL, claimed_until = NULL, refusals = 0, failures = 0, retry_at = NULL, fault = NULL

-- give_up_claim --
-- An attempt has failed; the token that there is stays.
UPDATE grants SET
    claimed_by = NULL, claimed_until = NULL, refusals = $3, failures = failures + 1, fault = $4,
    retry_at = clock_timestamp() + $5::double precision * interval '1 second',
    renew_at = CASE WHEN renew_at IS NOT NULL
        THEN greatest(renew_at, clock_timestamp() + $5::double precision * interval '1 second') END
WHERE credential_no = $1 AND claimed_by = $2

-- withdraw_token --
-- The provider refuses a token before its end: it has ended. No row: it is so new that another would be refused too.
UPDATE grants SET expires_at = clock_timestamp(), renew_at = NULL
WHERE credential_no = $1 AND secrets IS NOT NULL
    AND obtained_at < clock_timestamp() - $2::double precision * interval '1 second'
RETURNING version

-- list_due_grants --
-- Tokens that still live, of credentials whose syncs this worker runs, that are to be renewed now. Those whose time came
-- long ago have ended: they are left out by the index.
SELECT c.org_id, c.credential_id, c.provider, c.kind, g.version
FROM grants g JOIN credentials c USING (credential_no)
WHERE g.renew_at BETWEEN now() - interval '10 minutes' AND now() AND g.expires_at > now()
    AND coalesce(g.claimed_until, '-infinity') <= now()
    AND c.lease_worker_no = $1
ORDER BY g.renew_at LIMIT $2
