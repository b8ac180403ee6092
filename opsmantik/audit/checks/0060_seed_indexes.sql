-- Every index that was once planned is there, or another one in its stead, or left out for a reason.
-- group: indexes
-- level: error
-- given: planned_indexes
--
-- The first audit of this schema listed twenty-four indexes. Each has an answer here; where the answer is another index, it
-- must exist on that table, with those columns in that order.
-- when: public.site_pulse(site_id); public.session_keys(site_id, id, created_month)
WITH planned AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS p (name text, "table" text, stead text, columns text[], making text, reason text)
), there AS (
    SELECT p.*, (
        SELECT array_agg(pg_get_indexdef(i.indexrelid, k, true) ORDER BY k) FROM generate_series(1, i.indnkeyatts) k) AS found
    FROM planned p LEFT JOIN pg_class c ON c.relname = p.stead AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('i', 'I')
        LEFT JOIN pg_index i ON i.indexrelid = c.oid AND i.indrelid = to_regclass('public.' || p."table")
)
SELECT 'seed_indexes' AS name,
    CASE WHEN t.stead IS NULL OR t.found = t.columns THEN 'info' ELSE 'error' END AS level,
    format('public.%s.%s', t."table", t.name) AS object,
    CASE WHEN t.stead IS NULL THEN format('Left out: %s.', t.reason)
        WHEN t.found = t.columns THEN format('In its stead: %s (%s): %s.', t.stead, array_to_string(t.columns, ', '), t.reason)
        WHEN t.found IS NULL THEN format('%s should be in its stead, and is not there.', t.stead)
        ELSE format('%s should be in its stead, with (%s); it has (%s).', t.stead, array_to_string(t.columns, ', '), array_to_string(t.found, ', '))
    END AS detail,
    NULL::numeric AS figure,
    CASE WHEN t.stead IS NULL OR t.found = t.columns THEN 'Nothing.' ELSE coalesce(t.making, 'opsmantik db migrate') END AS remedy,
    'seed_indexes ' || t.name AS cache_key
FROM there t ORDER BY t."table", t.name;
