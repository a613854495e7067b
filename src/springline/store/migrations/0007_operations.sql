-- What somebody needs at three in the morning: decisions about holds, who has a message and since when, what was given up.
-- Columns are added with defaults, functions under new names: the version before goes on working.

-- holds -----------------------------------------------------------------------------------------

-- kind: record | page | deletion (stopped by the share limit; the engine acts on what was decided).
ALTER TABLE holds
    ADD COLUMN status     text NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'applied', 'discarded')),
    ADD COLUMN decided_us bigint,
    ADD COLUMN count      integer NOT NULL DEFAULT 1;  -- records concerned
CREATE INDEX holds_sync ON holds (stream_no, sync_no, hold_id);
