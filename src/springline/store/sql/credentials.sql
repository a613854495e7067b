-- create_credential --
-- A new credential; no row: the account has one of this kind.
INSERT INTO credentials (
    credential_id, org_id, provider, kind, account, secret_print, name, properties, secrets, secret_key_id, metadata,
    oauth_app_id, health)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    jsonb_build_object('status', 'ok', 'notes', '[]'::jsonb, 'time', now()))
ON CONFLICT (org_id, provider, kind, account) DO NOTHING
RETURNING credential_no, credential_id, org_id, provider, kind, account, name, properties, oauth_app_id, metadata, health,
    created_at, updated_at

-- get_credential --
-- An organisation's credential.
SELECT credential_no, credential_id, org_id, provider, kind, account, name, properties, oauth_app_id, metadata, health,
    created_at, updated_at
FROM credentials WHERE org_id = $1 AND credential_id = $2

-- find_credential --
-- The credential of the first of these accounts that has one, else one that holds this very secret.
SELECT credential_no, credential_id, org_id, provider, kind, account, name, properties, oauth_app_id, metadata, health,
    created_at, updated_at
FROM credentials
WHERE org_id = $1 AND provider = $2 AND kind = $3 AND (account = ANY ($4::text[]) OR secret_print = ANY ($5::text[]))
ORDER BY array_position($4::text[], account), credential_id LIMIT 1

-- list_credentials --
-- An organisation's credentials above an id (null: from the first); a filter that is null passes everything.
SELECT credential_no, credential_id, org_id, provider, kind, account, name, properties, oauth_app_id, metadata, health,
    created_at, updated_at
FROM credentials
WHERE org_id = $1
    AND ($2::text IS NULL OR provider = $2)
    AND ($3::text IS NULL OR kind = $3)
    AND ($4::text IS NULL OR health ->> 'status' = $4)
    AND ($5::jsonb IS NULL OR metadata @> $5)
    AND ($6::uuid IS NULL OR credential_id > $6)
ORDER BY credential_id LIMIT $7

-- list_credentials_by_number --
-- The credentials of some syncs.
SELECT credential_no, credential_id, org_id, provider, kind, account, name, properties, oauth_app_id, metadata, health,
    created_at, updated_at
FROM credentials WHERE org_id = $1 AND credential_no = ANY ($2::integer[])

-- describe_credential --
-- Sets the name (if $3) and the metadata (if not null).
UPDATE credentials SET
    name = CASE WHEN $3::boolean THEN $4 ELSE name END,
    metadata = coalesce($5, metadata),
    updated_at = now()
WHERE org_id = $1 AND credential_id = $2
RETURNING credential_no, credential_id, org_id, provider, kind, account, name, properties, oauth_app_id, metadata, health,
    created_at, updated_at

-- replace_credential --
-- Other properties; its syncs take them up, and the token that was obtained with the old ones goes.
WITH replaced AS (
    UPDATE credentials SET
        account = $3, secret_print = $4, properties = $5, secrets = $6, secret_key_id = $7, oauth_app_id = $8,
        updated_at = now(),
        health = jsonb_build_object('status', 'ok', 'notes', '[]'::jsonb, 'time', now())
    WHERE org_id = $1 AND credential_id = $2
    RETURNING *
), taken_up AS (
    UPDATE syncs y SET config_version = y.config_version + 1
    FROM replaced r WHERE y.credential_no = r.credential_no
), forgotten AS (
    DELETE FROM grants g USING replaced r WHERE g.credential_no = r.credential_no
)
SELECT credential_no, credential_id, org_id, provider, kind, account, name, properties, oauth_app_id, metadata, health,
    created_at, updated_at
FROM replaced

-- get_secrets --
-- The properties as they are shown, and the secret ones encrypted.
SELECT properties, secrets, secret_key_id FROM credentials WHERE org_id = $1 AND credential_id = $2

-- delete_credential --
-- Refused by the foreign key while a sync uses it.
DELETE FROM credentials WHERE org_id = $1 AND credential_id = $2

-- refresh_collections --
-- What the credential can see was looked at now.
UPDATE credentials SET collections_refreshed_at = clock_timestamp() WHERE org_id = $1 AND credential_id = $2
RETURNING collections_refreshed_at

-- collections_refreshed_at --
-- When it was looked at last what the credential can see; null: when it was made.
SELECT collections_refreshed_at FROM credentials WHERE org_id = $1 AND credential_id = $2
