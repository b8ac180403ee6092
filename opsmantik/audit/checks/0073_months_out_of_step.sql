-- A month that visits have, events have as well, and the other way round.
-- group: partitions
-- level: warn
--
-- An event lies in the month of its visit. Where only one of the two has the month, the other's rows wait in the default
-- partition, or are refused.
-- when: public.sessions(created_month); public.events(session_month)
WITH months AS (
    SELECT p.relname::text AS whole, b.bounds[1]::date AS month
    FROM pg_class p JOIN pg_inherits h ON h.inhparent = p.oid JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition
    CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([0-9-]+)''\)') AS bounds) b
    WHERE p.relkind = 'p' AND p.relname IN ('sessions', 'events') AND p.relnamespace = 'public'::regnamespace AND b.bounds IS NOT NULL
), alone AS (
    SELECT month, min(whole) AS whole FROM months GROUP BY month HAVING count(*) = 1
)
SELECT 'months_out_of_step' AS name, 'warn' AS level, format('public.%s', CASE whole WHEN 'events' THEN 'sessions' ELSE 'events' END) AS object,
    format('It lacks the partition of %s, which %s has.', to_char(month, 'YYYY-MM'), whole) AS detail, NULL::numeric AS figure,
    CASE WHEN to_regclass('public.session_keys') IS NOT NULL THEN format('As the owner: SELECT make_month(%L)', month)
        ELSE format('CREATE TABLE public.%1$s PARTITION OF public.%2$s FOR VALUES FROM (%3$L) TO (%4$L)',
            CASE whole WHEN 'events' THEN 'sessions' ELSE 'events' END || to_char(month, '"_"YYYY"_"MM'),
            CASE whole WHEN 'events' THEN 'sessions' ELSE 'events' END, month, (month + interval '1 month')::date) END AS remedy,
    format('months_out_of_step %s', month) AS cache_key
FROM alone
-- The events of an old month go before its visits do, and its visits only when no lead is left of them.
WHERE NOT (whole = 'sessions' AND to_regclass('public.session_keys') IS NOT NULL
    AND month < (SELECT min(month) FROM months WHERE whole = 'events'));
