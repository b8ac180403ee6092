-- The ledger of site $1 in pages, newest first: rows of these states ($2) and kinds of click ($6, none: without a click) after
-- the row ($3, $4), at most $5, of this reason ($7, null: any). Each state and kind is looked up by itself: there the index has
-- its rows in the order of the list, and a page costs the same whatever it leaves out. (CASE, not
-- coalesce, which row security does not trust with an index; OFFSET 0: one
-- by one, or a plan for any limit would read the whole ledger for a page.)

-- name: ledger
-- By the moment at which the lead was sealed, of any reason: conversions_state_list_idx.
WITH page AS (
    SELECT v.id, v.created_at AS at FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($6::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT n.id, n.created_at FROM conversions n
        WHERE n.site_id = $1 AND n.state = s.state
          AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind AND (n.created_at, n.id) < ($3, $4)
        ORDER BY n.created_at DESC, n.id DESC LIMIT $5) v
    ORDER BY v.created_at DESC, v.id DESC LIMIT $5
)
SELECT p.at, r.* FROM page p CROSS JOIN LATERAL (SELECT x.* FROM conversion_rows x WHERE x.site_id = $1 AND x.id = p.id OFFSET 0) r
ORDER BY p.at DESC, p.id DESC;

-- name: ledger_reason
-- The same of one reason: conversions_reason_list_idx.
WITH page AS (
    SELECT v.id, v.created_at AS at FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($6::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT n.id, n.created_at FROM conversions n
        WHERE n.site_id = $1 AND n.reason = $7 AND n.state = s.state
          AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind
          AND (n.created_at, n.id) < ($3, $4)
        ORDER BY n.created_at DESC, n.id DESC LIMIT $5) v
    ORDER BY v.created_at DESC, v.id DESC LIMIT $5
)
SELECT p.at, r.* FROM page p CROSS JOIN LATERAL (SELECT x.* FROM conversion_rows x WHERE x.site_id = $1 AND x.id = p.id OFFSET 0) r
ORDER BY p.at DESC, p.id DESC;

-- name: ledger_decided
-- Of leads that were decided in [$8, $9), by that moment, which the lead has and not the ledger. Are there at most $10 such rows of any
-- time, each one's lead is looked up (conversions_state_list_idx); of more, the leads in their order soon fill a page: calls_decided_idx.
WITH few AS MATERIALIZED (
    SELECT f.id, f.call_id FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($6::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT n.id, n.call_id FROM conversions n
        WHERE n.site_id = $1 AND n.state = s.state
          AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind
        ORDER BY n.created_at DESC, n.id DESC LIMIT $10 + 1) f
    LIMIT $10 + 1
), page AS (
    (SELECT f.id, c.at FROM (SELECT x.id, x.call_id FROM few x ORDER BY x.call_id OFFSET 0) f CROSS JOIN LATERAL (
        SELECT l.confirmed_at AS at FROM calls l WHERE l.site_id = $1 AND l.id = f.call_id OFFSET 0) c
    WHERE (SELECT count(*) FROM few) <= $10 AND c.at >= $8 AND c.at < $9 AND (c.at, f.id) < ($3, $4)
    ORDER BY c.at DESC, f.id DESC LIMIT $5)
    UNION ALL
    (SELECT v.id, c.confirmed_at AS at FROM calls c CROSS JOIN LATERAL (
        SELECT x.id FROM conversions x WHERE x.site_id = $1 AND x.call_id = c.id AND x.state = ANY ($2)
          AND CASE WHEN x.click_id_kind IS NULL THEN 'none' ELSE x.click_id_kind END = ANY ($6) AND $7::text IS NULL OFFSET 0) v
    WHERE (SELECT count(*) FROM few) > $10 AND c.site_id = $1 AND c.confirmed_at >= $8 AND c.confirmed_at < $9 AND c.confirmed_at <= $3
      AND (c.confirmed_at, v.id) < ($3, $4)
    ORDER BY c.confirmed_at DESC, v.id DESC LIMIT $5)
    ORDER BY at DESC, id DESC LIMIT $5
)
SELECT p.at, r.* FROM page p CROSS JOIN LATERAL (SELECT x.* FROM conversion_rows x WHERE x.site_id = $1 AND x.id = p.id OFFSET 0) r
ORDER BY p.at DESC, p.id DESC;

-- name: ledger_decided_reason
-- The same of one reason: conversions_reason_list_idx.
WITH few AS MATERIALIZED (
    SELECT f.id, f.call_id FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($6::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT n.id, n.call_id FROM conversions n
        WHERE n.site_id = $1 AND n.reason = $7 AND n.state = s.state
          AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind
        ORDER BY n.created_at DESC, n.id DESC LIMIT $10 + 1) f
    LIMIT $10 + 1
), page AS (
    (SELECT f.id, c.at FROM (SELECT x.id, x.call_id FROM few x ORDER BY x.call_id OFFSET 0) f CROSS JOIN LATERAL (
        SELECT l.confirmed_at AS at FROM calls l WHERE l.site_id = $1 AND l.id = f.call_id OFFSET 0) c
    WHERE (SELECT count(*) FROM few) <= $10 AND c.at >= $8 AND c.at < $9 AND (c.at, f.id) < ($3, $4)
    ORDER BY c.at DESC, f.id DESC LIMIT $5)
    UNION ALL
    (SELECT v.id, c.confirmed_at AS at FROM calls c CROSS JOIN LATERAL (
        SELECT x.id FROM conversions x WHERE x.site_id = $1 AND x.call_id = c.id AND x.state = ANY ($2)
          AND CASE WHEN x.click_id_kind IS NULL THEN 'none' ELSE x.click_id_kind END = ANY ($6) AND x.reason = $7 OFFSET 0) v
    WHERE (SELECT count(*) FROM few) > $10 AND c.site_id = $1 AND c.confirmed_at >= $8 AND c.confirmed_at < $9 AND c.confirmed_at <= $3
      AND (c.confirmed_at, v.id) < ($3, $4)
    ORDER BY c.confirmed_at DESC, v.id DESC LIMIT $5)
    ORDER BY at DESC, id DESC LIMIT $5
)
SELECT p.at, r.* FROM page p CROSS JOIN LATERAL (SELECT x.* FROM conversion_rows x WHERE x.site_id = $1 AND x.id = p.id OFFSET 0) r
ORDER BY p.at DESC, p.id DESC;

-- name: ledger_captured
-- Of leads that came in [$8, $9), by that moment, which the lead has and not the ledger. Are there at most $10 such rows of any
-- time, each one's lead is looked up (conversions_state_list_idx); of more, the leads in their order soon fill a page: calls_site_created_idx.
WITH few AS MATERIALIZED (
    SELECT f.id, f.call_id FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($6::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT n.id, n.call_id FROM conversions n
        WHERE n.site_id = $1 AND n.state = s.state
          AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind
        ORDER BY n.created_at DESC, n.id DESC LIMIT $10 + 1) f
    LIMIT $10 + 1
), page AS (
    (SELECT f.id, c.at FROM (SELECT x.id, x.call_id FROM few x ORDER BY x.call_id OFFSET 0) f CROSS JOIN LATERAL (
        SELECT l.created_at AS at FROM calls l WHERE l.site_id = $1 AND l.id = f.call_id OFFSET 0) c
    WHERE (SELECT count(*) FROM few) <= $10 AND c.at >= $8 AND c.at < $9 AND (c.at, f.id) < ($3, $4)
    ORDER BY c.at DESC, f.id DESC LIMIT $5)
    UNION ALL
    (SELECT v.id, c.created_at AS at FROM calls c CROSS JOIN LATERAL (
        SELECT x.id FROM conversions x WHERE x.site_id = $1 AND x.call_id = c.id AND x.state = ANY ($2)
          AND CASE WHEN x.click_id_kind IS NULL THEN 'none' ELSE x.click_id_kind END = ANY ($6) AND $7::text IS NULL OFFSET 0) v
    WHERE (SELECT count(*) FROM few) > $10 AND c.site_id = $1 AND c.created_at >= $8 AND c.created_at < $9 AND c.created_at <= $3
      AND (c.created_at, v.id) < ($3, $4)
    ORDER BY c.created_at DESC, v.id DESC LIMIT $5)
    ORDER BY at DESC, id DESC LIMIT $5
)
SELECT p.at, r.* FROM page p CROSS JOIN LATERAL (SELECT x.* FROM conversion_rows x WHERE x.site_id = $1 AND x.id = p.id OFFSET 0) r
ORDER BY p.at DESC, p.id DESC;

-- name: ledger_captured_reason
-- The same of one reason: conversions_reason_list_idx.
WITH few AS MATERIALIZED (
    SELECT f.id, f.call_id FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($6::text[]) AS k (kind) CROSS JOIN LATERAL (
        SELECT n.id, n.call_id FROM conversions n
        WHERE n.site_id = $1 AND n.reason = $7 AND n.state = s.state
          AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind
        ORDER BY n.created_at DESC, n.id DESC LIMIT $10 + 1) f
    LIMIT $10 + 1
), page AS (
    (SELECT f.id, c.at FROM (SELECT x.id, x.call_id FROM few x ORDER BY x.call_id OFFSET 0) f CROSS JOIN LATERAL (
        SELECT l.created_at AS at FROM calls l WHERE l.site_id = $1 AND l.id = f.call_id OFFSET 0) c
    WHERE (SELECT count(*) FROM few) <= $10 AND c.at >= $8 AND c.at < $9 AND (c.at, f.id) < ($3, $4)
    ORDER BY c.at DESC, f.id DESC LIMIT $5)
    UNION ALL
    (SELECT v.id, c.created_at AS at FROM calls c CROSS JOIN LATERAL (
        SELECT x.id FROM conversions x WHERE x.site_id = $1 AND x.call_id = c.id AND x.state = ANY ($2)
          AND CASE WHEN x.click_id_kind IS NULL THEN 'none' ELSE x.click_id_kind END = ANY ($6) AND x.reason = $7 OFFSET 0) v
    WHERE (SELECT count(*) FROM few) > $10 AND c.site_id = $1 AND c.created_at >= $8 AND c.created_at < $9 AND c.created_at <= $3
      AND (c.created_at, v.id) < ($3, $4)
    ORDER BY c.created_at DESC, v.id DESC LIMIT $5)
    ORDER BY at DESC, id DESC LIMIT $5
)
SELECT p.at, r.* FROM page p CROSS JOIN LATERAL (SELECT x.* FROM conversion_rows x WHERE x.site_id = $1 AND x.id = p.id OFFSET 0) r
ORDER BY p.at DESC, p.id DESC;

-- name: ledger_named
-- Those that a number names: the order id ($8), or the id of the lead or of the conversion ($9). A handful, by three keys.
WITH named AS (
    SELECT v.id FROM conversions v WHERE v.site_id = $1 AND v.order_id = $8::text
    UNION SELECT v.id FROM conversions v WHERE v.site_id = $1 AND v.call_id = $9::uuid
    UNION SELECT v.id FROM conversions v WHERE v.site_id = $1 AND v.id = $9::uuid
)
SELECT r.created_at AS at, r.* FROM named n JOIN conversion_rows r ON r.site_id = $1 AND r.id = n.id
WHERE r.state = ANY ($2) AND (r.created_at, r.id) < ($3, $4) AND ($7::text IS NULL OR r.reason = $7)
  AND CASE WHEN r.click_id_kind IS NULL THEN 'none' ELSE r.click_id_kind END = ANY ($6)
ORDER BY r.created_at DESC, r.id DESC LIMIT $5;

-- name: ledger_row
SELECT r.created_at AS at, r.* FROM conversion_rows r WHERE r.site_id = $1 AND r.id = $2;

-- name: ledger_of_lead
-- Every row that the lead has had, newest first, each with its moves: each seal that was taken back left one.
SELECT r.created_at AS at, r.*, (SELECT coalesce(jsonb_agg(jsonb_build_object('at', m.at, 'from_state', m.from_state, 'to_state', m.to_state,
        'reason', m.reason) ORDER BY m.at, m.from_state IS NOT NULL, m.id), '[]')
    FROM conversion_moves m WHERE m.site_id = $1 AND m.conversion_id = r.id) AS moves
FROM conversion_rows r WHERE r.site_id = $1 AND r.lead_id = $2 ORDER BY r.created_at DESC, r.id DESC LIMIT 20;

-- name: ledger_moves
-- Every move of these conversions, in their order. Two of one transaction are told apart by where they begin.
SELECT m.conversion_id, m.at, m.from_state, m.to_state, m.reason FROM conversion_moves m
WHERE m.site_id = $1 AND m.conversion_id = ANY ($2)
ORDER BY m.conversion_id, m.at, m.from_state IS NOT NULL, m.id LIMIT 2000;

-- name: ledger_items
-- The batches that carried a conversion, newest first, and what became of it there.
SELECT b.id AS batch_id, b.kind, b.adapter, b.state, b.created_at, i.value, i.currency, i.outcome, i.reason, i.detail
FROM conversion_batch_items i JOIN conversion_batches b ON b.site_id = i.site_id AND b.id = i.batch_id
WHERE i.site_id = $1 AND i.conversion_id = $2 ORDER BY b.created_at DESC, b.id DESC LIMIT 50;

-- name: ledger_state
-- The site's number and moment, and how many conversions stand in each state, from its counters.
SELECT now() AS as_of, st.sequence FROM site_state st WHERE st.site_id = $1;

-- name: ledger_parity
-- Leads that are sealed now, by the site's day ($4: its zone) on which they were decided, in [$2, $3), and what became of each.
-- A sealed lead without a row was sealed before there was a ledger, unless the log of acts tells of its seal: then nothing
-- explains it (no_row). Most rows are as old as the decision: those are read in one go (conversions_list_idx); where a lead's is
-- not among them (sealed again by an undo, adopted), it is looked for by the lead.
WITH near AS MATERIALIZED (
    SELECT v.call_id, v.state, v.reason FROM conversions v
    WHERE v.site_id = $1 AND v.created_at >= $2 AND v.created_at < $3 AND v.state <> 'retracted'
)
SELECT (q.at AT TIME ZONE $4)::date AS day, q.state, q.reason, sum(q.n)::integer AS n FROM (
    -- By the quarter of an hour first: every day of every zone begins with one.
    SELECT date_bin('15 minutes', c.confirmed_at, '2000-01-01 00:00+00') AS at,
        CASE WHEN coalesce(n.state, v.state) IS NOT NULL THEN coalesce(n.state, v.state)
            WHEN EXISTS (SELECT FROM intent_actions a WHERE a.site_id = c.site_id AND a.call_id = c.id AND a.to_status IN ('sealed', 'conversion'))
                THEN 'no_row' ELSE 'before' END AS state,
        CASE WHEN coalesce(n.state, v.state) IN ('failed', 'skipped') THEN coalesce(n.reason, v.reason, '') END AS reason, count(*) AS n
    FROM calls c LEFT JOIN near n ON n.call_id = c.id
    LEFT JOIN LATERAL (
        SELECT x.state, x.reason FROM conversions x
        WHERE n.call_id IS NULL AND x.site_id = $1 AND x.call_id = c.id AND x.state <> 'retracted' OFFSET 0) v ON true
    WHERE c.site_id = $1 AND c.confirmed_at >= $2 AND c.confirmed_at < $3 AND c.status IN ('sealed', 'conversion') AND c.merged_into IS NULL
    GROUP BY 1, 2, 3) q
GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3;

-- name: ledger_due
-- What is due now and by which step, of at most $3 rows: conversions_next_idx. $2: the adapter that the site sends by.
SELECT d.kind, d.currency, count(*)::integer AS n, sum(d.value) AS value, min(d.next_at) AS since FROM (
    SELECT owed_step(v) AS kind, v.next_at, CASE owed_step(v) WHEN 'retract' THEN v.platform_currency ELSE v.currency END AS currency,
        CASE owed_step(v) WHEN 'retract' THEN 0 ELSE v.value END AS value
    FROM conversions v
    WHERE v.site_id = $1 AND v.next_at <= now() AND v.batch_id IS NULL
      AND (owed_step(v) = 'new' OR owed_step(v) IS NOT NULL AND v.sent_to ->> 'adapter' = $2::text)
    ORDER BY v.next_at LIMIT $3) d
GROUP BY 1, 2 ORDER BY 5, 1, 2;

-- name: ledger_next
-- The rows of the next batch in the order in which they are gathered: of kind $3, at most $4.
SELECT r.next_at AS at, r.* FROM (
    SELECT v.id FROM conversions v
    WHERE v.site_id = $1 AND v.next_at <= now() AND v.batch_id IS NULL AND owed_step(v) = $3::text
      AND ($3::text = 'new' OR v.sent_to ->> 'adapter' = $2::text)
    ORDER BY v.next_at, v.id LIMIT $4) n
JOIN conversion_rows r ON r.site_id = $1 AND r.id = n.id ORDER BY r.next_at, r.id;

-- name: ledger_ids
-- The conversions of these states ($2), kinds of click ($3) and reason ($4), oldest first, at most $5. For what is done about all
-- that a list shows: conversions_state_list_idx.
SELECT v.id FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($3::text[]) AS k (kind) CROSS JOIN LATERAL (
    SELECT n.id, n.created_at FROM conversions n
    WHERE n.site_id = $1 AND n.state = s.state
      AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind AND $4::text IS NULL
    ORDER BY n.created_at, n.id LIMIT $5) v
ORDER BY v.created_at, v.id LIMIT $5;

-- name: ledger_ids_reason
-- The same of one reason: conversions_reason_list_idx.
SELECT v.id FROM unnest($2::text[]) AS s (state) CROSS JOIN unnest($3::text[]) AS k (kind) CROSS JOIN LATERAL (
    SELECT n.id, n.created_at FROM conversions n
    WHERE n.site_id = $1 AND n.reason = $4 AND n.state = s.state
      AND CASE WHEN n.click_id_kind IS NULL THEN 'none' ELSE n.click_id_kind END = k.kind
    ORDER BY n.created_at, n.id LIMIT $5) v
ORDER BY v.created_at, v.id LIMIT $5;

-- name: ledger_ids_over
-- The same of leads that were decided ($6; else: that came) in [$7, $8).
SELECT v.id FROM conversions v JOIN calls c ON c.site_id = v.site_id AND c.id = v.call_id
WHERE v.site_id = $1 AND c.site_id = $1 AND v.state = ANY ($2) AND CASE WHEN v.click_id_kind IS NULL THEN 'none' ELSE v.click_id_kind END = ANY ($3)
  AND ($4::text IS NULL OR v.reason = $4)
  AND (CASE WHEN $6 THEN c.confirmed_at ELSE c.created_at END) >= $7 AND (CASE WHEN $6 THEN c.confirmed_at ELSE c.created_at END) < $8
ORDER BY v.created_at, v.id LIMIT $5;

-- name: ledger_able
-- Of these ($2) those that can be tried again ($3), as retry_conversions has it; else those that can be kept from leaving, as
-- drop_conversions has it.
SELECT v.id FROM conversions v
WHERE v.site_id = $1 AND v.id = ANY ($2) AND v.batch_id IS NULL
  AND CASE WHEN $3 THEN owed_step(v) IS NOT NULL AND (v.next_at IS NULL OR v.next_at > now())
      ELSE v.state IN ('held', 'queued', 'failed') END;

-- name: batches
-- Batches, newest first, after ($2, $3), at most $4, of these states ($5, null: all): conversion_batches_list_idx.
SELECT b.id, b.kind, b.adapter, b.state, b.size, b.attempts, b.next_at, b.request_id, b.error, b.file_name, b.downloads,
    b.created_name, b.created_at, b.sent_at, b.finished_at
FROM conversion_batches b
WHERE b.site_id = $1 AND (b.created_at, b.id) < ($2, $3) AND ($5::text[] IS NULL OR b.state = ANY ($5))
ORDER BY b.created_at DESC, b.id DESC LIMIT $4;

-- name: batch
SELECT b.id, b.kind, b.adapter, b.state, b.size, b.attempts, b.next_at, b.request_id, b.error, b.file_name, b.downloads,
    b.created_name, b.created_at, b.sent_at, b.finished_at
FROM conversion_batches b WHERE b.site_id = $1 AND b.id = $2;

-- name: batch_outcomes
SELECT i.outcome, i.reason, count(*)::integer AS n FROM conversion_batch_items i
WHERE i.site_id = $1 AND i.batch_id = $2 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2;

-- name: batch_items
-- Items of batch $2 behind position $3, at most $4.
SELECT i.position, i.conversion_id, v.call_id AS lead_id, i.order_id, i.occurred_at, i.value, i.currency, v.click_id_kind, v.state,
    i.outcome, i.reason, i.detail
FROM conversion_batch_items i JOIN conversions v ON v.site_id = i.site_id AND v.id = i.conversion_id
WHERE i.site_id = $1 AND i.batch_id = $2 AND i.position > $3 ORDER BY i.position LIMIT $4;
