-- What somebody needs at three in the morning: decisions about holds, who has a message and since when, what was given up.
-- Columns are added with defaults, functions under new names: the version before goes on working.

-- holds -----------------------------------------------------------------------------------------

CREATE INDEX holds_sync ON holds (stream_no, sync_no, hold_id);

-- deliveries ------------------------------------------------------------------------------------

-- Null in rows of the version before.
ALTER TABLE deliveries
    ADD COLUMN first_us bigint,  -- when this version was handed out first ...
    ADD COLUMN last_us  bigint,  -- ... and last
    ADD COLUMN receiver text;    -- to whom last

-- As receive_v1, and notes who was handed a message, when first and when last. Hands out at most p_batch messages, and at
-- most p_bytes of them (but always one), where each counts its data and p_overhead. No row: unknown consumer. A row with
-- idx null: nothing to hand out (the counts stand in every row). drained: the scan has reached the head and nothing that is
-- overdue was left behind.
CREATE FUNCTION receive_v2(
    p_stream_no integer, p_consumer_no integer, p_batch integer, p_bytes bigint, p_overhead integer, p_receiver text
)
RETURNS TABLE (
    ack_pending integer, drained boolean,
    record_no bigint, idx bigint, delivery_no bigint, deliver_count integer,
    source_no integer, deleted_reason smallint, codec smallint, inserted_us bigint,
    upstream_created_us bigint, upstream_updated_us bigint, upstream_id text, data bytea
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    c consumer_positions;
    before consumer_positions;
    v_now bigint := now_us();
    v_head bigint;
    v_sources_version integer;
    v_due_records bigint[] := '{}';   -- overdue, to be handed out again, oldest deadline first
    v_due_sizes bigint[] := '{}';
    v_due_left integer := 0;
    v_due_share integer;
    v_new_records bigint[] := '{}';
    v_new_idxs bigint[] := '{}';
    v_room integer;
    v_scan bigint;
    v_scanned integer := 0;
    v_found_records bigint[];
    v_found_idxs bigint[];
    v_out_records bigint[];
    v_passed_over boolean := false;
    v_last bigint;
    v_entries integer;
    v_ask integer;
    v_reached_head boolean := false;
    v_dropped integer := 0;
    v_merge boolean;
    v_bytes bigint := p_bytes;         -- what is left of them
    v_full boolean := false;           -- more would not fit into the answer
    v_taken_bytes bigint;
    v_handed bigint := 0;
BEGIN
    SELECT * INTO c FROM consumer_positions p
    WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    before := c;
    IF c.paused THEN
        RETURN QUERY SELECT c.ack_pending, false, NULL::bigint, NULL::bigint, NULL::bigint, NULL::integer, NULL::integer,
            NULL::smallint, NULL::smallint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::bytea;
        RETURN;
    END IF;

    -- Everything at or below this head is committed: the index was handed out under a lock that outlived the commit (I2).
    -- A source that this version of the sources does not hold yet writes above it.
    SELECT h.head_idx, coalesce(v.version, 0) INTO v_head, v_sources_version
    FROM stream_heads h LEFT JOIN source_versions v USING (stream_no) WHERE h.stream_no = p_stream_no;

    IF c.filter IS NOT NULL AND c.sources_version <> v_sources_version THEN
        c.source_nos := filtered_sources_v1(p_stream_no, c.filter);
        c.sources_version := v_sources_version;
    END IF;

    -- What is overdue.
    IF c.next_deadline_us <= v_now THEN
        WITH due AS (
            SELECT d.record_no, d.idx, d.deliver_count, d.deadline_us, d.held, d.passed_over,
                octet_length(p.data) + p_overhead AS size,
                CASE
                    WHEN r.idx IS NULL OR r.idx > c.position THEN 'drop'
                    WHEN d.held AND NOT d.passed_over THEN 'drop'
                    WHEN c.source_nos IS NOT NULL AND r.source_no <> ALL (c.source_nos) THEN 'drop'
                    WHEN r.idx = d.idx AND NOT d.held AND c.max_deliver > 0 AND d.deliver_count >= c.max_deliver THEN 'bury'
                    ELSE 'again'
                END AS verdict
            FROM deliveries d
            LEFT JOIN LATERAL (
                SELECT r.* FROM records r WHERE r.stream_no = p_stream_no AND r.record_no = d.record_no LIMIT 1
            ) r ON true
            LEFT JOIN LATERAL (
                SELECT p.* FROM payloads p WHERE p.stream_no = p_stream_no AND p.idx = r.idx LIMIT 1
            ) p ON true
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.deadline_us <= v_now
        ), gone AS (
            DELETE FROM deliveries d
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no
                AND d.record_no = ANY (ARRAY(SELECT u.record_no FROM due u WHERE u.verdict <> 'again'))
            RETURNING 1
        ), buried AS (
            INSERT INTO dead_letters (stream_no, consumer_no, record_no, idx, deliver_count, reason, buried_us)
            SELECT p_stream_no, p_consumer_no, u.record_no, u.idx, u.deliver_count, 'max_deliver', v_now
            FROM due u WHERE u.verdict = 'bury'
            ON CONFLICT (stream_no, consumer_no, record_no) DO UPDATE SET
                idx = excluded.idx, deliver_count = excluded.deliver_count,
                reason = excluded.reason, buried_us = excluded.buried_us
        )
        SELECT coalesce(array_agg(u.record_no ORDER BY u.deadline_us) FILTER (WHERE u.verdict = 'again'), '{}'),
            coalesce(array_agg(u.size ORDER BY u.deadline_us) FILTER (WHERE u.verdict = 'again'), '{}'),
            count(*) FILTER (WHERE u.verdict <> 'again')
        INTO v_due_records, v_due_sizes, v_dropped
        FROM due u;
        c.ack_pending := c.ack_pending - v_dropped;
    END IF;

    -- Overdue messages fill at most half of a batch while there is something new; at batch size 1 the two take turns.
    v_due_left := cardinality(v_due_records);
    IF v_due_left > 0 THEN
        v_due_share := least(v_due_left, CASE
            WHEN p_batch > 1 THEN p_batch / 2
            WHEN c.new_turn THEN 0 ELSE 1 END);
        IF p_batch = 1 THEN
            c.new_turn := NOT c.new_turn;
        END IF;
        -- … nor more than half of the bytes, but for one.
        v_due_share := least(v_due_share, (
            SELECT count(*) FROM (
                SELECT t.ord, sum(t.size) OVER (ORDER BY t.ord) AS bytes
                FROM unnest(v_due_sizes) WITH ORDINALITY AS t (size, ord)
            ) t
            WHERE t.bytes <= v_bytes / 2 OR t.ord = 1
        ));
    ELSE
        v_due_share := 0;
    END IF;

    -- What is new: upwards from the position, a bounded number of index entries.
    v_room := least(p_batch - v_due_share, c.max_ack_pending - c.ack_pending);
    v_scan := c.position;
    v_merge := c.source_nos IS NOT NULL AND cardinality(c.source_nos) <= 100;
    IF v_due_share > 0 THEN
        v_bytes := v_bytes - (SELECT sum(t.size) FROM unnest(v_due_sizes[1:v_due_share]) AS t (size));
    END IF;
    v_ask := CASE WHEN c.source_nos IS NULL OR v_merge THEN v_room ELSE 10000 END;
    WHILE v_room > 0 AND NOT v_full AND v_scan < v_head AND v_scanned < 10000 LOOP
        WITH entries AS (
            SELECT p.idx, p.record_no, octet_length(p.data) + p_overhead AS size,
                c.source_nos IS NULL OR p.source_no = ANY (c.source_nos) AS passes
            FROM payloads p
            WHERE NOT v_merge AND p.stream_no = p_stream_no AND p.idx > v_scan AND p.idx <= v_head
            ORDER BY p.idx LIMIT v_ask
        ), merged AS (
            SELECT e.idx, e.record_no, e.size, true AS passes
            FROM unnest(c.source_nos) AS s (source_no)
            CROSS JOIN LATERAL (
                SELECT p.idx, p.record_no, octet_length(p.data) + p_overhead AS size FROM payloads p
                WHERE p.stream_no = p_stream_no AND p.source_no = s.source_no AND p.idx > v_scan AND p.idx <= v_head
                ORDER BY p.idx LIMIT v_ask
            ) e
            WHERE v_merge
            ORDER BY e.idx LIMIT v_ask
        ), placed AS (
            SELECT e.idx, e.record_no, e.passes AND d.record_no IS NULL AS fresh,
                e.passes AND d.record_no IS NOT NULL AS is_out,
                count(*) FILTER (WHERE e.passes AND d.record_no IS NULL) OVER w AS nth,
                sum(e.size) FILTER (WHERE e.passes AND d.record_no IS NULL) OVER w AS bytes
            FROM (SELECT * FROM entries UNION ALL SELECT * FROM merged) e
            LEFT JOIN LATERAL (
                SELECT d.record_no FROM deliveries d
                WHERE c.ack_pending > 0
                    AND d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = e.record_no
                LIMIT 1
            ) d ON true
            WINDOW w AS (ORDER BY e.idx)
        ), taken AS (
            -- Up to the last one that there is room for, or the end of the entries.
            SELECT * FROM placed p
            WHERE (p.nth < v_room OR (p.nth = v_room AND p.fresh))
                AND (p.bytes IS NULL OR p.bytes <= v_bytes
                    OR (p.nth = 1 AND p.fresh AND v_due_share + cardinality(v_new_records) = 0))
        )
        SELECT array_agg(t.record_no ORDER BY t.idx) FILTER (WHERE t.fresh),
            array_agg(t.idx ORDER BY t.idx) FILTER (WHERE t.fresh),
            array_agg(t.record_no) FILTER (WHERE t.is_out),
            max(t.idx), (SELECT count(*) FROM placed), coalesce(max(t.bytes), 0),
            (SELECT coalesce(max(p.bytes), 0) FROM placed p) > greatest(coalesce(max(t.bytes), 0), v_bytes)
        INTO v_found_records, v_found_idxs, v_out_records, v_last, v_entries, v_taken_bytes, v_full
        FROM taken t;
        v_bytes := v_bytes - v_taken_bytes;
        v_scanned := v_scanned + greatest(v_entries, 1);
        IF v_out_records IS NOT NULL THEN
            v_passed_over := true;
            UPDATE deliveries d SET passed_over = true
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = ANY (v_out_records);
        END IF;
        v_new_records := v_new_records || coalesce(v_found_records, '{}');
        v_new_idxs := v_new_idxs || coalesce(v_found_idxs, '{}');
        v_room := v_room - coalesce(cardinality(v_found_records), 0);
        IF v_entries < v_ask AND v_room > 0 AND NOT v_full THEN
            v_reached_head := true;
            v_scan := v_head;
        ELSE
            v_scan := coalesce(v_last, v_scan);
        END IF;
        v_ask := least(greatest(v_ask, v_room) * 4, 10000); -- what was met is out, or does not pass
    END LOOP;
    v_reached_head := v_reached_head OR v_scan >= v_head;
    c.position := v_scan;

    -- Overdue ones take what room is left; those beyond the first half only as far as their bytes fit.
    v_due_share := greatest(v_due_share, (
        SELECT count(*) FROM (
            SELECT t.ord, sum(t.size) FILTER (WHERE t.ord > v_due_share) OVER (ORDER BY t.ord) AS bytes
            FROM unnest(v_due_sizes) WITH ORDINALITY AS t (size, ord)
        ) t
        WHERE t.ord <= p_batch - cardinality(v_new_records) AND (t.bytes IS NULL OR t.bytes <= v_bytes
            OR (t.ord = 1 AND cardinality(v_new_records) = 0))
    ));
    v_due_records := v_due_records[1:v_due_share];
    v_due_left := v_due_left - cardinality(v_due_records);

    IF cardinality(v_due_records) + cardinality(v_new_records) = 0 THEN
        -- An attempt that finds nothing writes nothing, but a long scan saves its position.
        IF before.next_deadline_us <= v_now OR v_scanned >= 1000 OR v_passed_over THEN
            UPDATE consumer_positions p SET
                position = c.position, ack_pending = c.ack_pending, new_turn = c.new_turn,
                source_nos = c.source_nos, sources_version = c.sources_version
            WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
        END IF;
    ELSE
        -- One statement, so one snapshot, for what is noted and what is handed out. A version that was replaced since it
        -- was found above has left: its record is not noted as out, and the scan comes to the newer one.
        RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT u.ord, true AS again, d.place, p.*
            FROM unnest(v_due_records) WITH ORDINALITY AS u (record_no, ord)
            CROSS JOIN LATERAL (
                SELECT d.ctid AS place FROM deliveries d
                WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = u.record_no LIMIT 1
            ) d
            CROSS JOIN LATERAL (
                SELECT r.idx FROM records r WHERE r.stream_no = p_stream_no AND r.record_no = u.record_no LIMIT 1
            ) r
            CROSS JOIN LATERAL (
                SELECT p.* FROM payloads p WHERE p.stream_no = p_stream_no AND p.idx = r.idx LIMIT 1
            ) p
            WHERE r.idx <= c.position
        ), fresh AS MATERIALIZED (
            SELECT cardinality(v_due_records) + n.ord AS ord, false AS again, NULL::tid AS place, p.*
            FROM unnest(v_new_idxs) WITH ORDINALITY AS n (idx, ord)
            CROSS JOIN LATERAL (
                SELECT p.* FROM payloads p WHERE p.stream_no = p_stream_no AND p.idx = n.idx LIMIT 1
            ) p
        ), chosen AS MATERIALIZED (
            SELECT h.*, c.next_delivery_no + h.ord - 1 AS delivery_no
            FROM (SELECT * FROM due UNION ALL SELECT * FROM fresh) h
        ), noted AS (
            INSERT INTO deliveries (
                stream_no, consumer_no, record_no, idx, delivery_no, deadline_us, deliver_count, first_us, last_us, receiver)
            SELECT p_stream_no, p_consumer_no, h.record_no, h.idx, h.delivery_no, v_now + c.ack_wait_us, 1,
                v_now, v_now, p_receiver
            FROM chosen h WHERE NOT h.again
        ), noted_again AS (
            UPDATE deliveries d SET
                idx = h.idx,
                delivery_no = h.delivery_no,
                deadline_us = v_now + c.ack_wait_us,
                deliver_count = CASE WHEN h.idx = d.idx AND NOT d.held THEN d.deliver_count + 1 ELSE 1 END,
                nack_count = CASE WHEN h.idx = d.idx AND NOT d.held THEN d.nack_count ELSE 0 END,
                passed_over = false,
                held = false,
                first_us = CASE WHEN h.idx = d.idx AND NOT d.held THEN coalesce(d.first_us, v_now) ELSE v_now END,
                last_us = v_now,
                receiver = p_receiver
            FROM chosen h WHERE d.ctid = h.place
            RETURNING d.record_no, d.deliver_count
        ), stands AS (
            UPDATE consumer_positions p SET
                position = c.position,
                next_delivery_no = c.next_delivery_no + cardinality(v_due_records) + cardinality(v_new_records),
                ack_pending = c.ack_pending + (SELECT count(*) FROM fresh),
                next_deadline_us = least(p.next_deadline_us, v_now + c.ack_wait_us),
                new_turn = c.new_turn,
                source_nos = c.source_nos, sources_version = c.sources_version
            WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no
        )
        SELECT c.ack_pending + (SELECT count(*)::integer FROM fresh), v_reached_head AND v_due_left = 0,
            h.record_no, h.idx, h.delivery_no, coalesce(a.deliver_count, 1),
            h.source_no, h.deleted_reason, h.codec, h.inserted_us,
            h.upstream_created_us, h.upstream_updated_us, h.upstream_id, h.data
        FROM chosen h LEFT JOIN noted_again a USING (record_no)
        ORDER BY h.ord;
        GET DIAGNOSTICS v_handed = ROW_COUNT;
    END IF;
    IF before.next_deadline_us <= v_now THEN
        -- Something was overdue, or the bound was too low: work it out anew.
        UPDATE consumer_positions p SET next_deadline_us = (
            SELECT min(d.deadline_us) FROM deliveries d
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no)
        WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
    END IF;
    IF v_handed = 0 THEN
        RETURN QUERY SELECT c.ack_pending, v_reached_head AND v_due_left = 0,
            NULL::bigint, NULL::bigint, NULL::bigint, NULL::integer, NULL::integer,
            NULL::smallint, NULL::smallint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::bytea;
    END IF;
END $$;

-- Gives deliveries up: they become dead letters, with the reason. A record whose newer version was passed over becomes
-- available at once, as after an ack. No row: unknown consumer.
CREATE FUNCTION term_v1(
    p_stream_no integer, p_consumer_no integer, p_record_nos bigint[], p_idxs bigint[], p_delivery_nos bigint[],
    p_reason text
) RETURNS TABLE (stale integer, available integer)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := now_us();
    v_ended integer;
    v_again integer;
BEGIN
    PERFORM 1 FROM consumer_positions p
    WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH tokens AS MATERIALIZED (
        SELECT DISTINCT d.place, d.passed_over, d.record_no, d.idx, d.deliver_count
        FROM unnest(p_record_nos, p_idxs, p_delivery_nos) AS t (record_no, idx, delivery_no)
        CROSS JOIN LATERAL (
            SELECT d.ctid AS place, d.passed_over, d.record_no, d.idx, d.deliver_count FROM deliveries d
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = t.record_no
                AND d.idx = t.idx AND d.delivery_no = t.delivery_no
            LIMIT 1
        ) d
    ), ended AS (
        DELETE FROM deliveries d
        WHERE d.ctid = ANY (ARRAY(SELECT t.place FROM tokens t WHERE NOT t.passed_over))
        RETURNING 1
    ), again AS (
        UPDATE deliveries d SET deadline_us = v_now, delivery_no = 0, deliver_count = 0, nack_count = 0
        WHERE d.ctid = ANY (ARRAY(SELECT t.place FROM tokens t WHERE t.passed_over))
        RETURNING 1
    ), buried AS (
        INSERT INTO dead_letters (stream_no, consumer_no, record_no, idx, deliver_count, reason, buried_us)
        SELECT p_stream_no, p_consumer_no, t.record_no, t.idx, t.deliver_count, p_reason, v_now FROM tokens t
        ON CONFLICT (stream_no, consumer_no, record_no) DO UPDATE SET
            idx = excluded.idx, deliver_count = excluded.deliver_count,
            reason = excluded.reason, buried_us = excluded.buried_us
    )
    SELECT (SELECT count(*) FROM ended), (SELECT count(*) FROM again) INTO v_ended, v_again;
    IF v_ended + v_again > 0 THEN
        UPDATE consumer_positions p SET
            ack_pending = p.ack_pending - v_ended,
            next_deadline_us = CASE WHEN v_again > 0 THEN v_now ELSE p.next_deadline_us END
        WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
    END IF;
    RETURN QUERY SELECT cardinality(p_record_nos) - v_ended - v_again, v_again;
END $$;

-- Delivers the current versions of dead letters: of these records, or (null) of the first p_most. One that is out already,
-- or still to come, is not delivered twice. No row: unknown consumer.
CREATE FUNCTION redrive_v1(p_stream_no integer, p_consumer_no integer, p_record_nos bigint[], p_most integer)
RETURNS TABLE (redriven integer, available integer)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := now_us();
    v_taken integer;
    v_added integer;
BEGIN
    PERFORM 1 FROM consumer_positions p
    WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH chosen AS MATERIALIZED (
        SELECT l.ctid AS place FROM dead_letters l
        WHERE l.stream_no = p_stream_no AND l.consumer_no = p_consumer_no
            AND (p_record_nos IS NULL OR l.record_no = ANY (p_record_nos))
        ORDER BY l.record_no LIMIT p_most
    ), taken AS (
        DELETE FROM dead_letters l WHERE l.ctid = ANY (ARRAY(SELECT c.place FROM chosen c))
        RETURNING l.record_no, l.idx
    ), added AS (
        -- As given back: the next receive finds it overdue, and hands out the record's current version.
        INSERT INTO deliveries (stream_no, consumer_no, record_no, idx, delivery_no, deadline_us, deliver_count)
        SELECT p_stream_no, p_consumer_no, t.record_no, t.idx, 0, v_now, 0 FROM taken t
        ON CONFLICT (stream_no, consumer_no, record_no) DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM added) INTO v_taken, v_added;
    IF v_added > 0 THEN
        UPDATE consumer_positions p SET
            ack_pending = p.ack_pending + v_added, next_deadline_us = least(p.next_deadline_us, v_now)
        WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
    END IF;
    RETURN QUERY SELECT v_taken, v_added;
END $$;

-- credentials -----------------------------------------------------------------------------------

-- When the collections that a credential can see were looked at last; null: when it was made.
ALTER TABLE credentials ADD COLUMN collections_refreshed_at timestamptz;
