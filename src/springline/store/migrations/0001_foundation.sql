-- The tables. Two groups (design, section 4):
--   configuration: small, in one place, foreign keys allowed;
--   data: every key leads with stream_no, no foreign keys, a data transaction touches one stream only.
-- Times on data rows are microseconds since 1970 (UTC): they travel as integers on the hot path.

-- configuration ---------------------------------------------------------------------------------

CREATE TABLE organisations (
    org_id      uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_tokens (
    token_id    uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organisations,
    name        text NOT NULL,
    token_hash  bytea NOT NULL UNIQUE,           -- sha256: a token has 256 random bits, nothing to guess
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- One row: proves at start that the secret key is the one that the stored secrets were encrypted with.
CREATE TABLE secret_keys (
    key_id      text PRIMARY KEY,                -- first 16 hex digits of the key's sha256
    proof       bytea NOT NULL,                  -- a known text, encrypted with the key
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE streams (
    stream_no             integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id             uuid NOT NULL UNIQUE,
    org_id                uuid NOT NULL REFERENCES organisations,
    slug                  text COLLATE "C" NOT NULL,
    event_retention_days  double precision NOT NULL DEFAULT 7 CHECK (event_retention_days >= 0),
    tombstone_days        double precision NOT NULL DEFAULT 30 CHECK (tombstone_days >= 0),
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, slug)
);

CREATE TABLE workers (
    worker_no     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    boot_id       text NOT NULL,                 -- with the two below: a process that is provably gone
    pid_namespace text NOT NULL,
    process_start text NOT NULL,                 -- "<pid>:<start time in clock ticks>"
    expires_at    timestamptz NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE credentials (
    credential_no  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    credential_id  uuid NOT NULL UNIQUE,
    org_id         uuid NOT NULL REFERENCES organisations,
    provider       text NOT NULL,
    kind           text NOT NULL,
    account        text NOT NULL,                -- what makes it the same credential when imported again
    secret_print   text NOT NULL,                -- keyed hash of the secrets: so does this
    name           text,
    properties     jsonb NOT NULL,               -- what may be shown
    secrets        bytea NOT NULL,               -- AES-256-GCM of a JSON object: the secret properties
    secret_key_id  text NOT NULL,
    oauth_app_id   uuid,
    metadata       jsonb NOT NULL DEFAULT '{}',
    health         jsonb NOT NULL DEFAULT '{"status": "ok", "notes": []}',
    lease_worker_no integer,
    lease_epoch    bigint NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, provider, kind, account)
);
CREATE INDEX credentials_secret_print ON credentials (org_id, secret_print);
CREATE INDEX credentials_metadata ON credentials USING gin (metadata jsonb_path_ops);
CREATE INDEX credentials_lease ON credentials (lease_worker_no);

CREATE TABLE syncs (
    sync_no          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync_id          uuid NOT NULL UNIQUE,
    org_id           uuid NOT NULL REFERENCES organisations,
    provider         text NOT NULL,
    stream_no        integer NOT NULL REFERENCES streams,
    credential_no    integer REFERENCES credentials, -- null: deleted, and nothing of it is leaving any more
    name             text NOT NULL,
    status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    collection_ids   text[] NOT NULL,
    rate_limit       jsonb NOT NULL,             -- {allowed_requests, interval, max_concurrent_requests}
    max_age_days     double precision CHECK (max_age_days > 0),
    sync_frequency   text NOT NULL DEFAULT 'continuous',
    priority         smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 10),
    collection_priorities jsonb NOT NULL DEFAULT '{}',
    metadata         jsonb NOT NULL DEFAULT '{}',
    external_id      text,
    initial_backfill_completed_at timestamptz,
    health           jsonb,                      -- as the worker last saw it; null before the first request
    progress         jsonb,
    deleted_at       timestamptz,                -- set by DELETE: unknown to the API, its records are leaving
    keep_records     boolean NOT NULL DEFAULT false,
    config_version   integer NOT NULL DEFAULT 1, -- grows with every change that the worker must take up
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (credential_no IS NOT NULL OR deleted_at IS NOT NULL)
);
CREATE INDEX syncs_org ON syncs (org_id, sync_id) WHERE deleted_at IS NULL;
CREATE INDEX syncs_stream ON syncs (stream_no);
CREATE INDEX syncs_credential ON syncs (credential_no);
CREATE INDEX syncs_leaving ON syncs (sync_no) WHERE deleted_at IS NOT NULL;
CREATE INDEX syncs_metadata ON syncs USING gin (metadata jsonb_path_ops);

CREATE TABLE consumers (
    consumer_no      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_id      uuid NOT NULL UNIQUE,
    org_id           uuid NOT NULL REFERENCES organisations,
    stream_no        integer NOT NULL REFERENCES streams,
    name             text NOT NULL,
    kind             text NOT NULL DEFAULT 'record' CHECK (kind IN ('record', 'event')),
    status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused')),
    deliver_policy   text NOT NULL,
    ack_wait_ms      integer NOT NULL,
    max_deliver      integer NOT NULL,
    max_ack_pending  integer NOT NULL,
    filters          jsonb NOT NULL,             -- as the client wrote them
    metadata         jsonb NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX consumers_org ON consumers (org_id, consumer_id);
CREATE INDEX consumers_stream ON consumers (stream_no);
CREATE INDEX consumers_metadata ON consumers USING gin (metadata jsonb_path_ops);

-- What is gone for everyone, while its data rows are leaving in batches: a consumer, or (null) a whole stream.
CREATE TABLE departures (
    departure_no  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_no     integer NOT NULL,
    consumer_no   integer,
    departed_at   timestamptz NOT NULL DEFAULT now()
);

-- Starts of requests of a quota with a long window, written ahead in blocks, so that a restart can count them (I7).
CREATE TABLE quota_blocks (
    sync_no    integer NOT NULL,
    block_no   bigint GENERATED ALWAYS AS IDENTITY,
    starts     integer NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (sync_no, block_no)
);

-- data ------------------------------------------------------------------------------------------

-- The counter: its row lock orders every write to a stream (I2).
CREATE TABLE stream_heads (
    stream_no        integer PRIMARY KEY,
    head_idx         bigint NOT NULL DEFAULT 0,
    record_count     bigint NOT NULL DEFAULT 0,  -- live records
    last_inserted_us bigint NOT NULL DEFAULT 0,
    keeps_history    boolean NOT NULL DEFAULT true
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 500);

-- One (sync, collection) pair. The number stands for it in every large table.
CREATE SEQUENCE source_numbers AS integer;
CREATE TABLE sources (
    stream_no      integer NOT NULL,
    source_no      integer NOT NULL DEFAULT nextval('source_numbers'),
    sync_no        integer NOT NULL,
    sync_id        uuid NOT NULL,
    provider       text NOT NULL,
    collection_id  text COLLATE "C" NOT NULL,
    removed_reason smallint NOT NULL DEFAULT 0,  -- not 0: its records are leaving, for this deleted_reason
    departed       boolean NOT NULL DEFAULT false, -- ... and all of them have been published as deleted
    generation     integer NOT NULL DEFAULT 0,   -- grows when it is added again: older checkpoints are void
    PRIMARY KEY (stream_no, source_no),
    UNIQUE (stream_no, sync_no, collection_id)
);
CREATE INDEX sources_leaving ON sources (stream_no, source_no) WHERE removed_reason > 0 AND NOT departed;

-- Grows when a source appears: consumers' filters look again. Not in the counter's row: whoever makes a source holds
-- this one over several round trips.
CREATE TABLE source_versions (
    stream_no  integer PRIMARY KEY,
    version    integer NOT NULL
) WITH (fillfactor = 50);

-- Who may write for a sync (I3): a takeover or a disable is an update of this row.
CREATE TABLE sync_fences (
    stream_no  integer NOT NULL,
    sync_no    integer NOT NULL,
    epoch      bigint NOT NULL DEFAULT 0,
    first_epoch bigint NOT NULL DEFAULT 0,       -- the first that was not 0
    active     boolean NOT NULL DEFAULT true,
    PRIMARY KEY (stream_no, sync_no)
) WITH (fillfactor = 50);

CREATE TABLE checkpoints (
    stream_no  integer NOT NULL,
    sync_no    integer NOT NULL,
    name       text COLLATE "C" NOT NULL,        -- "feed", "backfill:stripe:customer", "sweep:stripe:plan"
    state      bytea NOT NULL,                   -- JSON, domain/checkpoints.py
    updated_us bigint NOT NULL,
    PRIMARY KEY (stream_no, sync_no, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- State of a record. idx is not indexed, so that an update stays HOT.
CREATE TABLE records (
    stream_no      integer NOT NULL,
    source_no      integer NOT NULL,
    upstream_id    text COLLATE "C" NOT NULL,
    record_no      bigint NOT NULL,              -- the record's first index; never changes
    idx            bigint NOT NULL,              -- index of the current version
    raw_print      bigint NOT NULL,              -- fingerprint of the bytes
    content_print  bigint,                       -- fingerprint blind to key order and white space; null until needed
    version        bigint,                       -- the provider's own, where it has one
    deleted_reason smallint NOT NULL DEFAULT 0,  -- domain/records.py DeletedReason; 0 = live
    PRIMARY KEY (stream_no, source_no, upstream_id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
CREATE UNIQUE INDEX records_number ON records (stream_no, record_no);

-- The current version of each record: the stream itself.
CREATE TABLE payloads (
    stream_no           integer NOT NULL,
    idx                 bigint NOT NULL,
    record_no           bigint NOT NULL,
    source_no           integer NOT NULL,
    deleted_reason      smallint NOT NULL DEFAULT 0,
    codec               smallint NOT NULL DEFAULT 0, -- 0: the bytes as they came
    inserted_us         bigint NOT NULL,
    upstream_created_us bigint,
    upstream_updated_us bigint,
    upstream_id         text COLLATE "C" NOT NULL,
    data                bytea NOT NULL,
    PRIMARY KEY (stream_no, idx)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
-- PostgreSQL's own compression costs more than it saves here (ADR 0003).
ALTER TABLE payloads ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX payloads_source ON payloads (stream_no, source_no, idx);
CREATE INDEX payloads_tombstones ON payloads (stream_no, idx) WHERE deleted_reason > 0;

-- Versions that were replaced or deleted, for the stream's retention.
CREATE TABLE payload_history (
    stream_no           integer NOT NULL,
    idx                 bigint NOT NULL,
    record_no           bigint NOT NULL,
    source_no           integer NOT NULL,
    deleted_reason      smallint NOT NULL,
    codec               smallint NOT NULL,
    inserted_us         bigint NOT NULL,
    upstream_created_us bigint,
    upstream_updated_us bigint,
    upstream_id         text COLLATE "C" NOT NULL,
    data                bytea NOT NULL,
    replaced_us         bigint NOT NULL,
    PRIMARY KEY (stream_no, idx)
);

ALTER TABLE payload_history ALTER COLUMN data SET STORAGE EXTERNAL;

-- The event log: one small row per change; the document is in payloads or in payload_history.
CREATE TABLE events (
    stream_no    integer NOT NULL,
    idx          bigint NOT NULL,
    record_no    bigint NOT NULL,
    previous_idx bigint,
    inserted_us  bigint NOT NULL,
    kind         smallint NOT NULL,              -- domain/records.py ChangeKind
    detected_by  smallint NOT NULL,              -- domain/records.py DetectedBy
    evidence     smallint NOT NULL DEFAULT 0,    -- domain/records.py Evidence
    PRIMARY KEY (stream_no, idx)
);

-- What was kept back for a reason, until someone decides.
CREATE TABLE holds (
    stream_no   integer NOT NULL,
    hold_id     uuid NOT NULL,
    sync_no     integer NOT NULL,
    source_no   integer NOT NULL,
    kind        text NOT NULL,                   -- record | page
    reason      text NOT NULL,
    content     bytea NOT NULL,
    print       bigint NOT NULL,                 -- the same bytes are held once
    held_us     bigint NOT NULL,
    PRIMARY KEY (stream_no, hold_id),
    UNIQUE (stream_no, source_no, print)
);

-- Per consumer one row: position, counts, one lock; with the settings that receive needs.
CREATE TABLE consumer_positions (
    stream_no        integer NOT NULL,
    consumer_no      integer NOT NULL,
    position         bigint NOT NULL,            -- everything at or below has been handed out or passed
    next_delivery_no bigint NOT NULL DEFAULT 1,  -- never used twice
    ack_pending      integer NOT NULL DEFAULT 0, -- rows in deliveries
    next_deadline_us bigint,                     -- no delivery is due before this (a lower bound)
    new_turn         boolean NOT NULL DEFAULT true, -- batch size 1: new and overdue messages take turns
    paused           boolean NOT NULL DEFAULT false,
    ack_wait_us      bigint NOT NULL,
    max_deliver      integer NOT NULL,
    max_ack_pending  integer NOT NULL,
    filter           jsonb,                      -- null: everything; else {provider?, sync_id?, collection_id?}: arrays
    source_nos       integer[],                  -- the filter, worked out against sources ...
    sources_version  integer NOT NULL DEFAULT -1, -- ... as of this version of them
    PRIMARY KEY (stream_no, consumer_no)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 500);

-- One row per record that is out.
CREATE TABLE deliveries (
    stream_no     integer NOT NULL,
    consumer_no   integer NOT NULL,
    record_no     bigint NOT NULL,
    idx           bigint NOT NULL,               -- the version that was handed out
    delivery_no   bigint NOT NULL,
    deadline_us   bigint NOT NULL,
    deliver_count integer NOT NULL,
    nack_count    integer NOT NULL DEFAULT 0,
    passed_over   boolean NOT NULL DEFAULT false, -- the scan met its current version while it was out
    held          boolean NOT NULL DEFAULT false, -- from before a reset: ends at its ack, nack or deadline
    PRIMARY KEY (stream_no, consumer_no, record_no)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

CREATE TABLE dead_letters (
    stream_no     integer NOT NULL,
    consumer_no   integer NOT NULL,
    record_no     bigint NOT NULL,
    idx           bigint NOT NULL,
    deliver_count integer NOT NULL,
    reason        text NOT NULL,
    buried_us     bigint NOT NULL,
    PRIMARY KEY (stream_no, consumer_no, record_no)
);
