-- Months follow each other without a gap, and each partition is one month.
-- group: partitions
-- level: warn
--
-- Of any table that is partitioned by ranges of one date. PostgreSQL refuses overlaps, so one can only be seen where bounds
-- were altered by hand.
WITH parts AS (
    SELECT c.oid, n.nspname, c.relname, pn.nspname AS whole_schema, pc.relname AS whole, b.bounds[1]::timestamp AS lower, b.bounds[2]::timestamp AS upper
    FROM pg_partitioned_table p JOIN pg_class pc ON pc.oid = p.partrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
        JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] JOIN pg_type t ON t.oid = a.atttypid AND t.typcategory = 'D'
        JOIN pg_inherits h ON h.inhparent = p.partrelid JOIN pg_class c ON c.oid = h.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([0-9 :+-]+)''\) TO \(''([0-9 :+-]+)''\)') AS bounds) b
    WHERE p.partstrat = 'r' AND p.partnatts = 1 AND c.relispartition AND b.bounds IS NOT NULL
), placed AS (
    SELECT *, max(upper) OVER (PARTITION BY whole_schema, whole ORDER BY lower, upper ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM parts
)
SELECT 'partition_gaps' AS name, 'warn' AS level, format('%I.%I', nspname, relname) AS object,
    CASE WHEN lower > before THEN format('Between %s and %s no partition of %s holds a row.', before::date, lower::date, whole)
        WHEN lower < before THEN format('It begins on %s, before the one that ends on %s is over.', lower::date, before::date)
        ELSE format('It goes from %s to %s, which is not one month.', lower, upper) END AS detail,
    round((extract(epoch FROM lower - before) / 86400)::numeric) AS figure,
    CASE WHEN lower > before AND whole_schema = 'public' AND to_regclass('public.session_keys') IS NOT NULL
        THEN format('As the owner, for each month: SELECT make_month(%L)', before::date)
        WHEN lower > before THEN format('CREATE TABLE %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)', nspname,
            whole || to_char(before, '"_"YYYY"_"MM'), whole_schema, whole, before::date, lower::date)
        ELSE 'Detach it, and put its rows into partitions of a month each' END AS remedy,
    format('partition_gaps %s.%s', nspname, relname) AS cache_key
FROM placed
WHERE lower <> before OR date_trunc('month', lower) <> lower OR lower + interval '1 month' <> upper;
