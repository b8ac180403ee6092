-- Which months will be forgotten next.
-- group: partitions
-- level: info
--
-- A month's partition goes when it has expired for every site; as long as one site keeps its rows for ever, none does, and
-- the others' rows are taken out one by one.
-- when: public.sites(retention_months); public.session_keys(site_id)
WITH sites AS (
    SELECT max(retention_months) AS longest, count(*) FILTER (WHERE retention_months IS NULL) AS for_ever FROM public.sites
), parts AS (
    SELECT n.nspname, c.relname, greatest(c.reltuples, 0)::bigint AS rows, pg_total_relation_size(c.oid) AS bytes, b.bounds[1]::date AS month
    FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([0-9-]+)''\)') AS bounds) b
    WHERE h.inhparent IN ('public.sessions'::regclass, 'public.events'::regclass) AND b.bounds IS NOT NULL
), due AS (
    -- Kept for so many months means: the month goes at the beginning of the one after them.
    SELECT p.*, (p.month + make_interval(months => s.longest + 1))::date AS goes, s.longest, s.for_ever,
        row_number() OVER (PARTITION BY left(p.relname, 6) ORDER BY p.month) AS place
    FROM parts p CROSS JOIN sites s WHERE s.longest IS NOT NULL
)
SELECT 'retention_next' AS name, 'info' AS level, format('%I.%I', nspname, relname) AS object,
    CASE WHEN for_ever > 0 THEN format('%s sites keep their rows for ever: it stays, and loses the others'' rows from %s on.', for_ever, goes)
        WHEN goes <= now() AT TIME ZONE 'UTC' THEN format('It has expired for every site since %s; the next run drops it with about %s rows, %s.', goes, rows, pg_size_pretty(bytes))
        ELSE format('It expires on %s, as the longest that a site keeps is %s months; about %s rows, %s.', goes, longest, rows, pg_size_pretty(bytes)) END AS detail,
    bytes AS figure, 'opsmantik upkeep run retention' AS remedy, format('retention_next %s.%s', nspname, relname) AS cache_key
FROM due WHERE place = 1 OR for_ever = 0 AND goes <= now() AT TIME ZONE 'UTC';
