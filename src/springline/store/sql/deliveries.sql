-- receive --
-- Hands out at most $3 messages and $4 bytes, each counted with $5 more; no row: unknown consumer.
SELECT * FROM receive_v1($1, $2, $3, $4, $5)

-- ack --
-- Ends deliveries.
SELECT stale, available FROM ack_v1($1, $2, $3, $4, $5)

-- nack --
-- Gives deliveries back.
SELECT stale, available FROM nack_v1($1, $2, $3, $4, $5, $6)

-- extend --
-- Starts the ack wait of deliveries anew.
SELECT stale, available FROM extend_v1($1, $2, $3, $4, $5)

-- reset --
-- Moves the position; running deliveries become holds.
SELECT reset_v1($1, $2, $3)

-- pending --
-- Counts what is still to be delivered, up to $3.
SELECT pending_v1($1, $2, $3)

-- position_at --
-- The position just below the first message that entered at or after a time (µs).
SELECT position_at_v1($1, $2)

-- head_idx --
-- The highest index of a stream.
SELECT head_idx FROM stream_heads WHERE stream_no = $1
