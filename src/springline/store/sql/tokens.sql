-- create_token --
-- A new token of an organisation.
INSERT INTO api_tokens (token_id, org_id, name, token_hash) VALUES ($1, $2, $3, $4)
RETURNING token_id, org_id, name, created_at

-- list_tokens --
-- An organisation's tokens above an id (null: from the first).
SELECT token_id, org_id, name, created_at FROM api_tokens
WHERE org_id = $1 AND ($2::uuid IS NULL OR token_id > $2)
ORDER BY token_id LIMIT $3

-- delete_token --
-- Revokes an organisation's token.
DELETE FROM api_tokens WHERE org_id = $1 AND token_id = $2 RETURNING token_hash

-- find_token_by_hash --
-- Whose token this is.
SELECT org_id FROM api_tokens WHERE token_hash = $1

-- has_tokens --
-- Whether an organisation has any token.
SELECT EXISTS (SELECT 1 FROM api_tokens WHERE org_id = $1)

-- register_token --
-- A token whose text is known from elsewhere; nothing happens if it is there.
INSERT INTO api_tokens (token_id, org_id, name, token_hash) VALUES ($1, $2, $3, $4)
ON CONFLICT (token_hash) DO NOTHING

-- revoke_other_tokens_of_name --
-- Ends an organisation's tokens of a name, but for the one of this hash.
DELETE FROM api_tokens WHERE org_id = $1 AND name = $2 AND token_hash <> $3
