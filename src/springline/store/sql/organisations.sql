-- create_organisation --
-- A new organisation; no row: the name is taken.
INSERT INTO organisations (org_id, name) VALUES ($1, $2)
ON CONFLICT (name) DO NOTHING
RETURNING org_id, name, created_at

-- ensure_organisation --
-- An organisation of this name, made if it is missing.
INSERT INTO organisations (org_id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING

-- find_organisation --
-- An organisation's id by its name.
SELECT org_id FROM organisations WHERE name = $1

-- list_organisations --
-- All organisations, by name.
SELECT org_id, name, created_at FROM organisations ORDER BY name
