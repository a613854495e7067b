-- list_used_keys --
-- The keys that secrets in the database are encrypted with.
SELECT secret_key_id AS key_id FROM credentials
UNION SELECT secret_key_id FROM oauth_apps
UNION SELECT secret_key_id FROM grants WHERE secret_key_id IS NOT NULL
ORDER BY 1

-- list_proofs --
-- The known text, encrypted with each of these keys.
SELECT key_id, proof FROM secret_keys WHERE key_id = ANY ($1)

-- add_proof --
-- Remembers a key that secrets will be encrypted with.
INSERT INTO secret_keys (key_id, proof) VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING

-- list_old_credentials --
-- Credentials above a number whose secrets another key encrypts.
SELECT credential_no, credential_id, org_id, provider, kind, account, secret_print, properties, secrets, secret_key_id
FROM credentials WHERE secret_key_id <> $1 AND credential_no > $2 ORDER BY credential_no LIMIT $3

-- rewrite_credential --
-- The same secrets under another key, and the fingerprints that are keyed with it. No row: they were replaced meanwhile.
UPDATE credentials SET secrets = $3, secret_key_id = $4, secret_print = $5, account = $6
WHERE credential_no = $1 AND secrets = $2
RETURNING 1

-- list_old_oauth_apps --
-- OAuth apps above an id whose secrets another key encrypts.
SELECT oauth_app_id, org_id, secrets, secret_key_id
FROM oauth_apps WHERE secret_key_id <> $1 AND oauth_app_id > $2 ORDER BY oauth_app_id LIMIT $3

-- rewrite_oauth_app --
-- The same secrets under another key. No row: they were replaced meanwhile.
UPDATE oauth_apps SET secrets = $3, secret_key_id = $4 WHERE oauth_app_id = $1 AND secrets = $2
RETURNING 1

-- list_old_grants --
-- Tokens of credentials above a number that another key encrypts.
SELECT g.credential_no, c.credential_id, c.org_id, g.secrets, g.secret_key_id
FROM grants g JOIN credentials c USING (credential_no)
WHERE g.secret_key_id <> $1 AND g.credential_no > $2 ORDER BY g.credential_no LIMIT $3

-- rewrite_grant --
-- The same token under another key. No row: it was renewed meanwhile.
UPDATE grants SET secrets = $3, secret_key_id = $4 WHERE credential_no = $1 AND secrets = $2
RETURNING 1
