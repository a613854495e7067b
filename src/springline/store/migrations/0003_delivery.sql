-- Delivery (design, section 8). Every function locks the consumer's row first: what it then reads includes all that the
-- operation it waited for did. The three cases of a record that was out, wherever they are met:
--   its current version is the one handed out       → again
--   … is newer, at or below the position            → the newer one: the scan has passed it
--   … is above the position                         → nothing to do: the scan will come to it

-- The numbers of the sources that a filter passes; null: all of them.
CREATE FUNCTION filtered_sources_v1(p_stream_no integer, p_filter jsonb) RETURNS integer[] LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_filter IS NOT NULL THEN (
        SELECT coalesce(array_agg(s.source_no ORDER BY s.source_no), '{}')
        FROM sources s
        WHERE s.stream_no = p_stream_no
            AND (NOT p_filter ? 'provider' OR p_filter -> 'provider' ? s.provider)
            AND (NOT p_filter ? 'sync_id' OR p_filter -> 'sync_id' ? s.sync_id::text)
            AND (NOT p_filter ? 'collection_id' OR p_filter -> 'collection_id' ? s.collection_id)
    ) END
$$;

-- Hands out at most p_batch messages. No row: unknown consumer. A row with idx null: nothing to hand out (the counts stand
-- in every row). drained: the scan has reached the head and nothing that is overdue was left behind.
CREATE FUNCTION receive_v1(p_stream_no integer, p_consumer_no integer, p_batch integer)
RETURNS TABLE (
    ack_pending integer, drained boolean,
    record_no bigint, idx bigint, delivery_no bigint, deliver_count integer,
    source_no integer, deleted_reason smallint, codec smallint, inserted_us bigint,
    upstream_created_us bigint, upstream_updated_us bigint, upstream_id text, data bytea
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
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
    SELECT h.head_idx, h.sources_version INTO v_head, v_sources_version
    FROM stream_heads h WHERE h.stream_no = p_stream_no;

    IF c.filter IS NOT NULL AND c.sources_version <> v_sources_version THEN
        c.source_nos := filtered_sources_v1(p_stream_no, c.filter);
        c.sources_version := v_sources_version;
    END IF;

    -- What is overdue.
    IF c.next_deadline_us <= v_now THEN
        WITH due AS (
            SELECT d.record_no, d.idx, d.deliver_count, d.deadline_us, d.held, d.passed_over,
                r.idx AS current_idx,
                CASE
                    WHEN r.idx IS NULL OR r.idx > c.position THEN 'drop'
                    WHEN d.held AND NOT d.passed_over THEN 'drop'
                    WHEN c.source_nos IS NOT NULL AND r.source_no <> ALL (c.source_nos) THEN 'drop'
                    WHEN r.idx = d.idx AND NOT d.held AND c.max_deliver > 0 AND d.deliver_count >= c.max_deliver THEN 'bury'
                    ELSE 'again'
                END AS verdict
            FROM deliveries d
            LEFT JOIN records r ON r.stream_no = d.stream_no AND r.record_no = d.record_no
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.deadline_us <= v_now
        ), gone AS (
            DELETE FROM deliveries d USING due u
            WHERE u.verdict <> 'again'
                AND d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = u.record_no
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
            count(*) FILTER (WHERE u.verdict <> 'again')
        INTO v_due_records, v_dropped
        FROM due u;
        c.ack_pending := c.ack_pending - v_dropped;
    END IF;

    -- Overdue messages fill at most half of a batch while there is something new; at batch size 1 the two take turns.
    v_due_left := cardinality(v_due_records);
    IF v_due_left > 0 THEN
        v_due_share := least(v_due_left, CASE
            WHEN p_batch > 1 THEN p_batch / 2
            WHEN c.new_turn THEN 0 ELSE 1 END);
        c.new_turn := NOT c.new_turn;
    ELSE
        v_due_share := 0;
    END IF;

    -- What is new: upwards from the position, a bounded number of index entries.
    v_room := least(p_batch - v_due_share, c.max_ack_pending - c.ack_pending);
    v_scan := c.position;
    v_merge := c.source_nos IS NOT NULL AND cardinality(c.source_nos) <= 100;
    WHILE v_room > 0 AND v_scan < v_head AND v_scanned < 10000 LOOP
        IF v_merge THEN
            v_ask := v_room;
            WITH entries AS (
                SELECT e.idx, e.record_no
                FROM unnest(c.source_nos) AS s (source_no)
                CROSS JOIN LATERAL (
                    SELECT p.idx, p.record_no FROM payloads p
                    WHERE p.stream_no = p_stream_no AND p.source_no = s.source_no AND p.idx > v_scan AND p.idx <= v_head
                    ORDER BY p.idx LIMIT v_ask
                ) e
                ORDER BY e.idx LIMIT v_ask
            )
            SELECT array_agg(e.record_no ORDER BY e.idx) FILTER (WHERE d.record_no IS NULL),
                array_agg(e.idx ORDER BY e.idx) FILTER (WHERE d.record_no IS NULL),
                array_agg(e.record_no) FILTER (WHERE d.record_no IS NOT NULL),
                max(e.idx), count(*)
            INTO v_found_records, v_found_idxs, v_out_records, v_last, v_entries
            FROM entries e
            LEFT JOIN deliveries d
                ON d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = e.record_no;
        ELSE
            v_ask := CASE WHEN c.source_nos IS NULL THEN v_room ELSE 10000 END;
            WITH entries AS (
                SELECT p.idx, p.record_no, c.source_nos IS NULL OR p.source_no = ANY (c.source_nos) AS passes
                FROM payloads p
                WHERE p.stream_no = p_stream_no AND p.idx > v_scan AND p.idx <= v_head
                ORDER BY p.idx LIMIT v_ask
            ), placed AS (
                SELECT e.idx, e.record_no, e.passes, d.record_no AS out_no,
                    count(*) FILTER (WHERE e.passes AND d.record_no IS NULL) OVER (ORDER BY e.idx) AS nth
                FROM entries e
                LEFT JOIN deliveries d
                    ON d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = e.record_no
            ), taken AS (
                -- Up to the last one that there is room for, or the end of the entries.
                SELECT * FROM placed p WHERE p.nth < v_room OR (p.nth = v_room AND p.passes AND p.out_no IS NULL)
            )
            SELECT array_agg(t.record_no ORDER BY t.idx) FILTER (WHERE t.passes AND t.out_no IS NULL),
                array_agg(t.idx ORDER BY t.idx) FILTER (WHERE t.passes AND t.out_no IS NULL),
                array_agg(t.record_no) FILTER (WHERE t.passes AND t.out_no IS NOT NULL),
                max(t.idx), (SELECT count(*) FROM entries)
            INTO v_found_records, v_found_idxs, v_out_records, v_last, v_entries
            FROM taken t;
        END IF;
        v_scanned := v_scanned + greatest(v_entries, 1);
        IF v_out_records IS NOT NULL THEN
            v_passed_over := true;
            UPDATE deliveries d SET passed_over = true
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = ANY (v_out_records);
        END IF;
        v_new_records := v_new_records || coalesce(v_found_records, '{}');
        v_new_idxs := v_new_idxs || coalesce(v_found_idxs, '{}');
        v_room := v_room - coalesce(cardinality(v_found_records), 0);
        IF v_entries < v_ask AND (v_room > 0 OR v_last IS NULL) THEN
            v_reached_head := true;
            v_scan := v_head;
        ELSE
            v_scan := v_last;
        END IF;
    END LOOP;
    v_reached_head := v_reached_head OR v_scan >= v_head;
    c.position := v_scan;

    v_due_records := v_due_records[1:p_batch - cardinality(v_new_records)];
    v_due_left := v_due_left - cardinality(v_due_records);

    IF cardinality(v_new_records) > 0 THEN
        INSERT INTO deliveries (stream_no, consumer_no, record_no, idx, delivery_no, deadline_us, deliver_count)
        SELECT p_stream_no, p_consumer_no, n.record_no, n.idx, c.next_delivery_no + n.ord - 1, v_now + c.ack_wait_us, 1
        FROM unnest(v_new_records, v_new_idxs) WITH ORDINALITY AS n (record_no, idx, ord);
        c.next_delivery_no := c.next_delivery_no + cardinality(v_new_records);
        c.ack_pending := c.ack_pending + cardinality(v_new_records);
    END IF;
    IF cardinality(v_due_records) > 0 THEN
        UPDATE deliveries d SET
            idx = r.idx,
            delivery_no = c.next_delivery_no + n.ord - 1,
            deadline_us = v_now + c.ack_wait_us,
            deliver_count = CASE WHEN r.idx = d.idx AND NOT d.held THEN d.deliver_count + 1 ELSE 1 END,
            nack_count = CASE WHEN r.idx = d.idx AND NOT d.held THEN d.nack_count ELSE 0 END,
            passed_over = false,
            held = false
        FROM unnest(v_due_records) WITH ORDINALITY AS n (record_no, ord), records r
        WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = n.record_no
            AND r.stream_no = p_stream_no AND r.record_no = n.record_no;
        c.next_delivery_no := c.next_delivery_no + cardinality(v_due_records);
    END IF;
    IF before.next_deadline_us <= v_now THEN
        -- Something was overdue, or the bound was too low: work it out anew.
        c.next_deadline_us := (
            SELECT min(d.deadline_us) FROM deliveries d
            WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no);
    ELSIF cardinality(v_new_records) > 0 THEN
        c.next_deadline_us := least(c.next_deadline_us, v_now + c.ack_wait_us);
    END IF;

    -- An attempt that finds nothing writes nothing, but a long scan saves its position.
    IF cardinality(v_new_records) > 0 OR before.next_deadline_us <= v_now OR v_scanned >= 1000
        OR v_passed_over
    THEN
        UPDATE consumer_positions p SET
            position = c.position, next_delivery_no = c.next_delivery_no, ack_pending = c.ack_pending,
            next_deadline_us = c.next_deadline_us, new_turn = c.new_turn,
            source_nos = c.source_nos, sources_version = c.sources_version
        WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
    END IF;

    IF cardinality(v_new_records) + cardinality(v_due_records) = 0 THEN
        RETURN QUERY SELECT c.ack_pending, v_reached_head AND v_due_left = 0,
            NULL::bigint, NULL::bigint, NULL::bigint, NULL::integer, NULL::integer,
            NULL::smallint, NULL::smallint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::bytea;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT c.ack_pending, v_reached_head AND v_due_left = 0,
            d.record_no, d.idx, d.delivery_no, d.deliver_count,
            p.source_no, p.deleted_reason, p.codec, p.inserted_us,
            p.upstream_created_us, p.upstream_updated_us, p.upstream_id, p.data
        FROM unnest(v_due_records || v_new_records) WITH ORDINALITY AS o (record_no, ord)
        JOIN deliveries d ON d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = o.record_no
        JOIN payloads p ON p.stream_no = p_stream_no AND p.idx = d.idx
        ORDER BY o.ord;
END $$;

-- Ends deliveries. A token that is not exactly the running delivery is stale and skipped. A record whose newer version was
-- passed over becomes available at once. No row: unknown consumer.
CREATE FUNCTION ack_v1(
    p_stream_no integer, p_consumer_no integer, p_record_nos bigint[], p_idxs bigint[], p_delivery_nos bigint[]
) RETURNS TABLE (stale integer, available integer)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
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
        SELECT DISTINCT t.record_no, t.idx, t.delivery_no
        FROM unnest(p_record_nos, p_idxs, p_delivery_nos) AS t (record_no, idx, delivery_no)
    ), ended AS (
        DELETE FROM deliveries d USING tokens t
        WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = t.record_no
            AND d.idx = t.idx AND d.delivery_no = t.delivery_no AND NOT d.passed_over
        RETURNING 1
    ), again AS (
        UPDATE deliveries d SET deadline_us = v_now, delivery_no = 0, deliver_count = 0, nack_count = 0
        FROM tokens t
        WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = t.record_no
            AND d.idx = t.idx AND d.delivery_no = t.delivery_no AND d.passed_over
        RETURNING 1
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

-- Gives deliveries back: available at once, or after p_delay_us; without one, from the third nack of a version on after
-- 1 s, 2 s, 4 s … at most 3 minutes.
CREATE FUNCTION nack_v1(
    p_stream_no integer, p_consumer_no integer, p_record_nos bigint[], p_idxs bigint[], p_delivery_nos bigint[],
    p_delay_us bigint
) RETURNS TABLE (stale integer, available integer)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_now bigint := now_us();
    v_back integer;
    v_first bigint;
BEGIN
    PERFORM 1 FROM consumer_positions p
    WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH tokens AS MATERIALIZED (
        SELECT DISTINCT t.record_no, t.idx, t.delivery_no
        FROM unnest(p_record_nos, p_idxs, p_delivery_nos) AS t (record_no, idx, delivery_no)
    ), back AS (
        UPDATE deliveries d SET
            delivery_no = 0,
            nack_count = d.nack_count + 1,
            deadline_us = v_now + CASE
                WHEN p_delay_us IS NOT NULL THEN p_delay_us
                WHEN d.nack_count < 2 OR d.passed_over THEN 0
                ELSE least(180, 2 ^ least(d.nack_count - 2, 8)) * 1000000 END
        FROM tokens t
        WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = t.record_no
            AND d.idx = t.idx AND d.delivery_no = t.delivery_no
        RETURNING d.deadline_us
    )
    SELECT count(*), min(b.deadline_us) INTO v_back, v_first FROM back b;
    IF v_back > 0 THEN
        UPDATE consumer_positions p SET next_deadline_us = least(p.next_deadline_us, v_first)
        WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
    END IF;
    RETURN QUERY SELECT cardinality(p_record_nos) - v_back, v_back;
END $$;

-- The ack wait of running deliveries starts anew.
CREATE FUNCTION extend_v1(
    p_stream_no integer, p_consumer_no integer, p_record_nos bigint[], p_idxs bigint[], p_delivery_nos bigint[]
) RETURNS TABLE (stale integer, available integer)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_ack_wait_us bigint;
    v_extended integer;
BEGIN
    SELECT p.ack_wait_us INTO v_ack_wait_us FROM consumer_positions p
    WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH tokens AS MATERIALIZED (
        SELECT DISTINCT t.record_no, t.idx, t.delivery_no
        FROM unnest(p_record_nos, p_idxs, p_delivery_nos) AS t (record_no, idx, delivery_no)
    ), extended AS (
        UPDATE deliveries d SET deadline_us = now_us() + v_ack_wait_us
        FROM tokens t
        WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no AND d.record_no = t.record_no
            AND d.idx = t.idx AND d.delivery_no = t.delivery_no
        RETURNING 1
    )
    SELECT count(*) INTO v_extended FROM extended;
    RETURN QUERY SELECT cardinality(p_record_nos) - v_extended, 0;
END $$;

-- The position just below the first message that entered at or after a time; the head where none did. Times do not run
-- backwards along the index (I2), so this is a bisection.
CREATE FUNCTION position_at_v1(p_stream_no integer, p_us bigint) RETURNS bigint LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
    v_low bigint := 0;      -- everything at or below is older
    v_high bigint;          -- the first message at or after the time lies at or below, or there is none
    v_middle bigint;
    v_idx bigint;
    v_us bigint;
BEGIN
    SELECT h.head_idx INTO v_high FROM stream_heads h WHERE h.stream_no = p_stream_no;
    WHILE v_low < v_high LOOP
        v_middle := v_low + (v_high - v_low) / 2;
        SELECT p.idx, p.inserted_us INTO v_idx, v_us FROM payloads p
        WHERE p.stream_no = p_stream_no AND p.idx > v_middle ORDER BY p.idx LIMIT 1;
        IF v_idx IS NULL OR v_us >= p_us THEN
            v_high := v_middle;
        ELSE
            v_low := v_idx;
        END IF;
    END LOOP;
    RETURN v_low;
END $$;

-- Moves the position. Running deliveries become holds: their records are handed out again only after their ack, nack or
-- deadline. False: unknown consumer.
CREATE FUNCTION reset_v1(p_stream_no integer, p_consumer_no integer, p_position bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
BEGIN
    UPDATE consumer_positions p SET position = p_position
    WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE deliveries d SET held = true, passed_over = false
    WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no;
    RETURN true;
END $$;

-- Messages still to be delivered, counted up to p_most: above the position, and those that are back or were passed over.
CREATE FUNCTION pending_v1(p_stream_no integer, p_consumer_no integer, p_most integer) RETURNS integer
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
    c consumer_positions;
    v_back integer;
    v_new integer;
BEGIN
    SELECT * INTO c FROM consumer_positions p WHERE p.stream_no = p_stream_no AND p.consumer_no = p_consumer_no;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT count(*) INTO v_back FROM deliveries d
    WHERE d.stream_no = p_stream_no AND d.consumer_no = p_consumer_no
        AND (d.deadline_us <= now_us() OR d.delivery_no = 0 OR d.passed_over);
    IF c.filter IS NULL THEN
        SELECT count(*) INTO v_new FROM (
            SELECT 1 FROM payloads p WHERE p.stream_no = p_stream_no AND p.idx > c.position LIMIT p_most
        ) n;
    ELSE
        SELECT count(*) INTO v_new FROM (
            SELECT 1
            FROM unnest(filtered_sources_v1(p_stream_no, c.filter)) AS s (source_no)
            CROSS JOIN LATERAL (
                SELECT 1 FROM payloads p
                WHERE p.stream_no = p_stream_no AND p.source_no = s.source_no AND p.idx > c.position LIMIT p_most
            ) e
            LIMIT p_most
        ) n;
    END IF;
    RETURN least(v_back + v_new, p_most);
END $$;
