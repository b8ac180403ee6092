-- The coming months of visits and events have their partitions.
-- group: partitions
-- level: error
--
-- Upkeep keeps three months ahead. Where there is a default partition a month that is missing loses nothing, but its rows
-- have to be moved while ingest waits; where there is none, every write of that month fails.
-- when: public.sessions(created_month); public.events(session_month)
WITH parents AS (
    SELECT c.oid, n.nspname, c.relname, EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = c.oid AND p.partdefid <> 0) AS has_default
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'p' AND n.nspname = 'public' AND c.relname IN ('sessions', 'events')
), months AS (
    SELECT p.oid, m.n, (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => m.n))::date AS month
    FROM parents p CROSS JOIN generate_series(0, 24) AS m (n)
), parts AS (
    SELECT h.inhparent AS oid, b.bounds[1]::timestamp AS lower, b.bounds[2]::timestamp AS upper
    FROM pg_inherits h JOIN parents p ON p.oid = h.inhparent JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition
    CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([0-9 :+-]+)''\) TO \(''([0-9 :+-]+)''\)') AS bounds) b
    WHERE b.bounds IS NOT NULL
), missing AS (
    SELECT m.oid, min(m.n) AS n, min(m.month) AS month FROM months m
    WHERE NOT EXISTS (SELECT FROM parts p WHERE p.oid = m.oid AND p.lower <= m.month AND p.upper > m.month)
    GROUP BY m.oid
)
SELECT 'months_ahead' AS name,
    CASE WHEN m.n >= 3 THEN 'info' WHEN m.n < 2 OR to_regclass('public.session_keys') IS NOT NULL THEN 'error' ELSE 'warn' END AS level,
    format('%I.%I', p.nspname, p.relname) AS object,
    format('%s%s.', CASE m.n WHEN 0 THEN 'This month has no partition'
            WHEN 1 THEN format('%s, the next month, has no partition', to_char(m.month, 'YYYY-MM'))
            ELSE format('Of the months after this one the first %s have a partition, and %s has none', m.n - 1, to_char(m.month, 'YYYY-MM')) END,
        CASE WHEN p.has_default THEN '' ELSE ', and there is no default one: what belongs there is refused' END) AS detail,
    m.n - 1 AS figure,
    CASE WHEN to_regclass('public.session_keys') IS NOT NULL THEN 'opsmantik upkeep run partitions_ahead'
        ELSE format('CREATE TABLE %1$I.%2$I PARTITION OF %1$I.%3$I FOR VALUES FROM (%4$L) TO (%5$L)', p.nspname,
            p.relname || to_char(m.month, '"_"YYYY"_"MM'), p.relname, m.month, (m.month + interval '1 month')::date) END AS remedy,
    format('months_ahead %s.%s', p.nspname, p.relname) AS cache_key
FROM missing m JOIN parents p ON p.oid = m.oid;
