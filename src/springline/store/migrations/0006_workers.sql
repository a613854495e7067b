-- Any number of workers (ADR 0013): who they are, what each holds, and looks that read only what has changed.

-- What a worker says of itself; null: an older release, which does not say.
ALTER TABLE workers
    ADD COLUMN host text NOT NULL DEFAULT '',
    ADD COLUMN process_started_at timestamptz,
    ADD COLUMN credentials integer;              -- leases that it holds, as of its last look or renewal

-- When something that a worker must take up was changed. By a trigger: whoever moves config_version, an older release
-- included, is noticed.
ALTER TABLE syncs ADD COLUMN configured_at timestamptz NOT NULL DEFAULT now();
CREATE FUNCTION note_configured_v1() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    NEW.configured_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER syncs_note_configured BEFORE UPDATE OF config_version ON syncs
    FOR EACH ROW EXECUTE FUNCTION note_configured_v1();
CREATE INDEX syncs_configured ON syncs (configured_at);

-- Whether a credential has something to do, without its syncs' rows.
CREATE INDEX syncs_active ON syncs (credential_no) WHERE status = 'active' AND deleted_at IS NULL;

-- What nobody holds is found without looking up each credential's holder: a worker that is forgotten holds nothing.
CREATE INDEX credentials_free ON credentials (credential_no) WHERE lease_worker_no IS NULL;
UPDATE credentials SET lease_worker_no = NULL
WHERE lease_worker_no IS NOT NULL AND lease_worker_no NOT IN (SELECT worker_no FROM workers);
ALTER TABLE credentials ADD CONSTRAINT credentials_lease_worker
    FOREIGN KEY (lease_worker_no) REFERENCES workers ON DELETE SET NULL;
