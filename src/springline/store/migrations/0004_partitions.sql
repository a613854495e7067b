-- Child collections: each record knows its parent, so that one parent's share (a partition) can be walked, compared and
-- let go by itself. Holds can be decided.

ALTER TABLE records ADD COLUMN parent_no bigint NOT NULL DEFAULT 0; -- its parent's record number; 0: none
CREATE INDEX records_parent ON records (stream_no, source_no, parent_no, upstream_id) WHERE parent_no <> 0;

ALTER TABLE holds
    ADD COLUMN status text NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'applied', 'discarded')),
    ADD COLUMN decided_us bigint,
    ADD COLUMN count integer NOT NULL DEFAULT 1;  -- records concerned

-- Writes the records, checkpoints and holds of any number of pages of one stream.
--
-- p_open_*      the syncs that pages belong to, with the lease epoch of each (I3)
-- p_*[] records one element per record; a key stands at most once in a call
--   p_pages     which page it belongs to; p_syncs: its sync, or 0: written without the lease, never a checkpoint
--   p_parent_nos the number of its parent's record; 0: it has none, or the one that is stored stays
--   p_compared  its content was compared with the state as it was at some time after as_of
-- p_checkpoint_* one element per checkpoint; state null deletes it; skipped if its page has an outcome of 0, 5 or 6
--
-- outcomes, in the order of the records:
--   0 fenced off  1 unchanged  2 created  3 updated  4 deleted  5 stale: read it again by id
--   6 compare the content and send it again  7 older by the provider's own version
-- Fenced off is also what does not fit the source's own state: once it is leaving, only the deletions that make it leave
-- are written, and those only while it is leaving.
CREATE FUNCTION commit_pages_v2(
    p_stream_no integer,
    p_open_syncs integer[], p_open_epochs bigint[],
    p_pages integer[], p_syncs integer[], p_sources integer[], p_parent_nos bigint[], p_upstream_ids text[],
    p_raw_prints bigint[], p_content_prints bigint[], p_versions bigint[],
    p_created_us bigint[], p_updated_us bigint[], p_as_ofs bigint[],
    p_deleted_reasons smallint[], p_detected_bys smallint[], p_evidences smallint[],
    p_compared boolean[], p_codecs smallint[], p_data bytea[],
    p_checkpoint_pages integer[], p_checkpoint_syncs integer[], p_checkpoint_names text[], p_checkpoint_states bytea[],
    OUT head_idx bigint, OUT open_syncs integer[], OUT outcomes smallint[], OUT known_nos bigint[]
)
LANGUAGE plpgsql VOLATILE
-- The plan is made once, often while the tables are empty, and must hold when they are not: rows are looked up one by one
-- (LATERAL … LIMIT 1 on a whole key) and then named by their ctid, which nobody moves under the counter's lock.
SET enable_seqscan = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_head bigint;
    v_keeps_history boolean;
    v_now bigint;
    v_withheld integer[] := '{}';
BEGIN
    -- I3: only syncs whose lease epoch matches and which are active; a takeover waits for us, or we for it.
    SELECT coalesce(array_agg(f.sync_no), '{}') INTO open_syncs
    FROM (
        SELECT f.sync_no
        FROM unnest(p_open_syncs, p_open_epochs) AS o (sync_no, epoch)
        JOIN sync_fences f ON f.stream_no = p_stream_no AND f.sync_no = o.sync_no
        WHERE f.epoch = o.epoch AND f.active
        ORDER BY f.sync_no
        FOR SHARE OF f
    ) f;

    IF cardinality(p_upstream_ids) > 0 THEN
        -- I2: indexes are handed out under this lock; statements below see all that was committed before it.
        SELECT h.head_idx, h.keeps_history, greatest(h.last_inserted_us, now_us())
        INTO v_head, v_keeps_history, v_now
        FROM stream_heads h WHERE h.stream_no = p_stream_no FOR UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'stream % is gone', p_stream_no USING ERRCODE = 'no_data_found';
        END IF;

        WITH sent AS MATERIALIZED (
            SELECT * FROM unnest(
                p_pages, p_syncs, p_sources, p_parent_nos, p_upstream_ids, p_raw_prints, p_content_prints, p_versions,
                p_created_us, p_updated_us, p_as_ofs, p_deleted_reasons, p_detected_bys, p_evidences,
                p_compared, p_codecs, p_data
            ) WITH ORDINALITY AS s (
                page, sync_no, source_no, parent_no, upstream_id, raw_print, content_print, version,
                created_us, updated_us, as_of, deleted_reason, detected_by, evidence,
                compared, codec, data, ord
            )
        ), leaving AS MATERIALIZED (
            SELECT o.source_no, o.removed_reason
            FROM (SELECT DISTINCT s.source_no FROM sent s) s
            CROSS JOIN LATERAL (
                SELECT o.source_no, o.removed_reason FROM sources o
                WHERE o.stream_no = p_stream_no AND o.source_no = s.source_no AND o.removed_reason > 0
                LIMIT 1
            ) o
        ), decided AS MATERIALIZED (
            SELECT s.*, r.place AS known_place, r.record_no AS known_no, r.idx AS known_idx,
                r.parent_no AS known_parent_no,
                CASE
                    WHEN s.sync_no <> 0 AND s.sync_no <> ALL (open_syncs) THEN 0
                    -- 3, 4: collection_removed, sync_deleted. Whoever removes a source, then takes the counter's lock
                    -- once, knows that nothing more is added to it.
                    WHEN coalesce(l.removed_reason, 0) <> CASE WHEN s.deleted_reason IN (3, 4) THEN s.deleted_reason ELSE 0 END
                        THEN 0
                    WHEN r.record_no IS NULL THEN CASE WHEN s.deleted_reason = 0 THEN 2 ELSE 1 END
                    WHEN s.deleted_reason > 0 AND r.deleted_reason > 0 THEN 1
                    -- I11, in its order: content equal, older by the provider's word, changed since the read began.
                    WHEN s.deleted_reason = 0 AND r.deleted_reason = 0
                        AND (r.raw_print = s.raw_print OR r.content_print = s.content_print) THEN 1
                    -- A version says nothing about a deletion: it is that of the last content.
                    WHEN r.deleted_reason = 0 AND s.version < r.version THEN 7
                    WHEN r.idx > s.as_of AND (r.deleted_reason = 0 AND s.version > r.version) IS NOT TRUE THEN 5
                    WHEN s.deleted_reason > 0 THEN 4
                    WHEN r.deleted_reason > 0 THEN 2
                    WHEN NOT s.compared THEN 6
                    ELSE 3
                END AS outcome
            FROM sent s
            LEFT JOIN leaving l ON l.source_no = s.source_no
            LEFT JOIN LATERAL (
                SELECT r.ctid AS place, r.* FROM records r
                WHERE r.stream_no = p_stream_no AND r.source_no = s.source_no AND r.upstream_id = s.upstream_id
                LIMIT 1
            ) r ON true
        ), written AS MATERIALIZED (
            SELECT d.*, v_head + row_number() OVER (ORDER BY d.ord) AS new_idx
            FROM decided d WHERE d.outcome IN (2, 3, 4)
        ), replaced AS MATERIALIZED (
            SELECT w.*, p.place AS payload_place
            FROM written w
            CROSS JOIN LATERAL (
                SELECT p.ctid AS place FROM payloads p
                WHERE p.stream_no = p_stream_no AND p.idx = w.known_idx
                LIMIT 1
            ) p
            WHERE w.known_no IS NOT NULL
        ), inserted AS (
            INSERT INTO records (
                stream_no, source_no, parent_no, upstream_id, record_no, idx, raw_print, content_print, version)
            SELECT p_stream_no, w.source_no, w.parent_no, w.upstream_id, w.new_idx, w.new_idx, w.raw_print,
                w.content_print, w.version
            FROM written w WHERE w.known_no IS NULL
        ), changed AS (
            UPDATE records r SET
                idx = w.new_idx,
                parent_no = CASE WHEN w.parent_no = 0 THEN r.parent_no ELSE w.parent_no END,
                raw_print = CASE WHEN w.outcome = 4 THEN r.raw_print ELSE w.raw_print END,
                content_print = CASE WHEN w.outcome = 4 THEN r.content_print ELSE w.content_print END,
                version = CASE WHEN w.outcome = 2 THEN w.version ELSE coalesce(w.version, r.version) END,
                deleted_reason = w.deleted_reason
            FROM replaced w
            WHERE r.ctid = w.known_place
        ), reparented AS (
            -- No change that anybody is told of: the record is listed under another parent now.
            UPDATE records r SET parent_no = d.parent_no
            FROM decided d
            WHERE d.outcome = 1 AND d.parent_no <> 0 AND d.parent_no <> d.known_parent_no AND r.ctid = d.known_place
        ), moved AS (
            DELETE FROM payloads p
            WHERE p.ctid = ANY (ARRAY(SELECT w.payload_place FROM replaced w))
            RETURNING p.*
        ), kept AS (
            INSERT INTO payload_history (
                stream_no, idx, record_no, source_no, deleted_reason, codec, inserted_us,
                upstream_created_us, upstream_updated_us, upstream_id, data, replaced_us)
            SELECT m.stream_no, m.idx, m.record_no, m.source_no, m.deleted_reason, m.codec, m.inserted_us,
                m.upstream_created_us, m.upstream_updated_us, m.upstream_id, m.data, v_now
            FROM moved m WHERE v_keeps_history
        ), placed AS (
            INSERT INTO payloads (
                stream_no, idx, record_no, source_no, deleted_reason, codec, inserted_us,
                upstream_created_us, upstream_updated_us, upstream_id, data)
            SELECT p_stream_no, w.new_idx, w.new_idx, w.source_no, 0, w.codec, v_now,
                w.created_us, w.updated_us, w.upstream_id, w.data
            FROM written w WHERE w.known_no IS NULL
            UNION ALL
            -- A tombstone keeps the last known data.
            SELECT p_stream_no, w.new_idx, w.known_no, w.source_no, w.deleted_reason,
                CASE WHEN w.outcome = 4 THEN m.codec ELSE w.codec END, v_now,
                CASE WHEN w.outcome = 4 THEN m.upstream_created_us ELSE w.created_us END,
                CASE WHEN w.outcome = 4 THEN m.upstream_updated_us ELSE w.updated_us END,
                w.upstream_id, CASE WHEN w.outcome = 4 THEN m.data ELSE w.data END
            FROM replaced w JOIN moved m ON m.idx = w.known_idx
        ), logged AS (
            INSERT INTO events (stream_no, idx, record_no, previous_idx, inserted_us, kind, detected_by, evidence)
            SELECT p_stream_no, w.new_idx, coalesce(w.known_no, w.new_idx), w.known_idx, v_now,
                w.outcome - 1, w.detected_by, w.evidence
            FROM written w
        ), counted AS (
            UPDATE stream_heads h SET
                head_idx = h.head_idx + n.written,
                record_count = h.record_count + n.created - n.deleted,
                last_inserted_us = v_now
            FROM (
                SELECT count(*) AS written,
                    count(*) FILTER (WHERE outcome = 2) AS created,
                    count(*) FILTER (WHERE outcome = 4) AS deleted
                FROM written
            ) n
            WHERE h.stream_no = p_stream_no AND n.written > 0
            RETURNING h.head_idx
        )
        SELECT coalesce((SELECT c.head_idx FROM counted c), v_head),
            array_agg(d.outcome::smallint ORDER BY d.ord),
            array_agg(d.known_no ORDER BY d.ord),
            coalesce(array_agg(DISTINCT d.page) FILTER (WHERE d.outcome IN (0, 5, 6)), '{}')
        INTO head_idx, outcomes, known_nos, v_withheld
        FROM decided d;
    ELSE
        SELECT h.head_idx INTO head_idx FROM stream_heads h WHERE h.stream_no = p_stream_no;
        outcomes := '{}';
        known_nos := '{}';
    END IF;

    -- I1: in the same statement as the records, and not before all of its page's records are settled.
    IF cardinality(p_checkpoint_names) > 0 THEN
        INSERT INTO checkpoints (stream_no, sync_no, name, state, updated_us)
        SELECT p_stream_no, c.sync_no, c.name, c.state, now_us()
        FROM unnest(p_checkpoint_pages, p_checkpoint_syncs, p_checkpoint_names, p_checkpoint_states)
            AS c (page, sync_no, name, state)
        WHERE c.sync_no = ANY (open_syncs) AND c.page <> ALL (v_withheld) AND c.state IS NOT NULL
        ON CONFLICT (stream_no, sync_no, name) DO UPDATE SET state = excluded.state, updated_us = excluded.updated_us;
        DELETE FROM checkpoints k
        USING unnest(p_checkpoint_pages, p_checkpoint_syncs, p_checkpoint_names, p_checkpoint_states)
            AS c (page, sync_no, name, state)
        WHERE k.stream_no = p_stream_no AND k.sync_no = c.sync_no AND k.name = c.name
            AND c.sync_no = ANY (open_syncs) AND c.page <> ALL (v_withheld) AND c.state IS NULL;
    END IF;
END $$;
