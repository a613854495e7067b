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
