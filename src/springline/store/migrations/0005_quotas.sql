-- What a successor must know of quotas (I7): starts that were written ahead, by what the limit belongs to, and what other
-- processes ask the holder of a credential's lease.
-- The blocks of the version before, by sync, stay in quota_blocks for as long as it may run, and are not read any more: a
-- later migration drops the table.

CREATE TABLE quota_starts (
    quota_key  text COLLATE "C" NOT NULL,        -- "credential:17/hour", "sync:33", "app:<uuid>/day"
    block_no   bigint GENERATED ALWAYS AS IDENTITY,
    starts     integer NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    kept_until timestamptz NOT NULL,             -- no window reaches back to it any more
    PRIMARY KEY (quota_key, block_no)
);
CREATE INDEX quota_starts_kept ON quota_starts (kept_until);

-- A question to whoever holds a credential's lease. Its life is some seconds, and a question that is lost is asked again:
-- it need not outlive a crash of the server.
CREATE UNLOGGED TABLE owner_questions (
    question_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    credential_no integer NOT NULL,
    question      bytea NOT NULL,
    expires_at    timestamptz NOT NULL,          -- whoever asked waits no longer
    answer        bytea,
    answered_at   timestamptz
);
CREATE INDEX owner_questions_credential ON owner_questions (credential_no);
CREATE INDEX owner_questions_expires ON owner_questions (expires_at);
