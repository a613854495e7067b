-- OAuth apps, and the access tokens that are obtained with them (I8). Configuration tables.

CREATE TABLE oauth_apps (
    oauth_app_id   uuid PRIMARY KEY,
    org_id         uuid NOT NULL REFERENCES organisations,
    provider       text NOT NULL,
    name           text NOT NULL,
    client_id      text NOT NULL,
    properties     jsonb NOT NULL,               -- what may be shown: the secret ones are masked
    secrets        bytea NOT NULL,               -- AES-256-GCM of a JSON object: the secret properties
    secret_key_id  text NOT NULL,
    redirect_uris  text[] NOT NULL DEFAULT '{}',
    metadata       jsonb NOT NULL DEFAULT '{}',
    health         jsonb NOT NULL DEFAULT '{"status": "ok", "notes": []}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX oauth_apps_org ON oauth_apps (org_id, oauth_app_id);
CREATE INDEX oauth_apps_metadata ON oauth_apps USING gin (metadata jsonb_path_ops);

-- No credential names one yet: there was no endpoint that made any.
ALTER TABLE credentials ADD CONSTRAINT credentials_oauth_app
    FOREIGN KEY (oauth_app_id) REFERENCES oauth_apps;
CREATE INDEX credentials_oauth_app ON credentials (oauth_app_id) WHERE oauth_app_id IS NOT NULL;

-- The access token of a credential that has to obtain one. A row is a promise of nothing: without it a token is
-- obtained anew. All times are by this database's clock, so that the clocks of workers do not matter.
CREATE SEQUENCE grant_versions;
CREATE TABLE grants (
    credential_no  integer PRIMARY KEY REFERENCES credentials ON DELETE CASCADE,
    version        bigint NOT NULL DEFAULT nextval('grant_versions'), -- another with every token, never used twice
    secrets        bytea,                        -- AES-256-GCM of a JSON object: the token, and what rotates with it
    secret_key_id  text,
    obtained_at    timestamptz,
    expires_at     timestamptz,                  -- null (with secrets): it does not expire
    renew_at       timestamptz,                  -- ahead of that; null: nothing to renew ahead of time
    claimed_by     uuid,                         -- who is asking the provider: one at a time (I8)
    claimed_until  timestamptz,
    refusals       integer NOT NULL DEFAULT 0,   -- in a row: "the grant is gone" is believed the second time
    failures       integer NOT NULL DEFAULT 0,   -- in a row, of every kind
    retry_at       timestamptz,                  -- nobody asks before
    fault          jsonb                         -- what the last failure was: {words, remedy, is_dead}
);
CREATE INDEX grants_renewal ON grants (renew_at) WHERE renew_at IS NOT NULL;
