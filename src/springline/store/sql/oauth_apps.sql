-- create_oauth_app --
-- A new OAuth app.
INSERT INTO oauth_apps (
    oauth_app_id, org_id, provider, name, client_id, properties, secrets, secret_key_id, redirect_uris, metadata, health)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, jsonb_build_object('status', 'ok', 'notes', '[]'::jsonb, 'time', now()))
RETURNING oauth_app_id, org_id, provider, name, client_id, properties, redirect_uris, metadata, health, created_at,
    updated_at

-- get_oauth_app --
-- An organisation's OAuth app.
SELECT oauth_app_id, org_id, provider, name, client_id, properties, redirect_uris, metadata, health, created_at,
    updated_at
FROM oauth_apps WHERE org_id = $1 AND oauth_app_id = $2

-- list_oauth_apps --
-- An organisation's OAuth apps above an id (null: from the first); a filter that is null passes everything.
SELECT oauth_app_id, org_id, provider, name, client_id, properties, redirect_uris, metadata, health, created_at,
    updated_at
FROM oauth_apps
WHERE org_id = $1
    AND ($2::text IS NULL OR provider = $2)
    AND ($3::text IS NULL OR health ->> 'status' = $3)
    AND ($4::jsonb IS NULL OR metadata @> $4)
    AND ($5::uuid IS NULL OR oauth_app_id > $5)
ORDER BY oauth_app_id LIMIT $6

-- list_oauth_app_secrets --
-- The encrypted properties of some OAuth apps.
SELECT oauth_app_id, client_id, properties, secrets, secret_key_id
FROM oauth_apps WHERE org_id = $1 AND oauth_app_id = ANY ($2::uuid[])

-- describe_oauth_app --
-- Sets the name, the metadata and the redirect URIs that are not null.
UPDATE oauth_apps SET
    name = coalesce($3, name),
    metadata = coalesce($4, metadata),
    redirect_uris = coalesce($5, redirect_uris),
    updated_at = now()
WHERE org_id = $1 AND oauth_app_id = $2
RETURNING oauth_app_id, org_id, provider, name, client_id, properties, redirect_uris, metadata, health, created_at,
    updated_at

-- lock_oauth_app --
-- One change of an app's secrets at a time: it reads them before it writes.
SELECT client_id, properties, secrets, secret_key_id
FROM oauth_apps WHERE org_id = $1 AND oauth_app_id = $2 FOR UPDATE

-- replace_oauth_app_properties --
-- Other secrets: health starts anew, and what had failed with the old ones is tried at once by its syncs.
WITH replaced AS (
    UPDATE oauth_apps SET
        properties = $3, secrets = $4, secret_key_id = $5, updated_at = now(),
        health = jsonb_build_object('status', 'ok', 'notes', '[]'::jsonb, 'time', now())
    WHERE org_id = $1 AND oauth_app_id = $2
    RETURNING *
), tried_again AS (
    UPDATE grants g SET retry_at = NULL, refusals = 0, failures = 0, fault = NULL
    FROM credentials c WHERE c.oauth_app_id = $2 AND c.org_id = $1 AND g.credential_no = c.credential_no
        AND g.fault IS NOT NULL
), taken_up AS (
    UPDATE syncs s SET config_version = s.config_version + 1
    FROM credentials c WHERE c.oauth_app_id = $2 AND c.org_id = $1 AND s.credential_no = c.credential_no
        AND c.health ->> 'status' <> 'ok'
)
SELECT oauth_app_id, org_id, provider, name, client_id, properties, redirect_uris, metadata, health, created_at,
    updated_at
FROM replaced

-- save_oauth_app_health --
-- What is seen of an OAuth app; nothing is written while its status stays what it is.
UPDATE oauth_apps SET health = $3
WHERE org_id = $1 AND oauth_app_id = $2 AND health ->> 'status' IS DISTINCT FROM $3::jsonb ->> 'status'

-- delete_oauth_app --
-- Refused by the foreign key while a credential was made with it.
DELETE FROM oauth_apps WHERE org_id = $1 AND oauth_app_id = $2
