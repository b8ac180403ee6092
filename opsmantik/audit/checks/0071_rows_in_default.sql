-- No row waits in a default partition.
-- group: partitions
-- level: warn
--
-- Of this schema by month, counted. Of any other by what PostgreSQL has counted itself: which table to ask is only known to
-- the catalogue.
-- when: public.sessions(created_month); public.events(session_month); public.session_keys(site_id, id, created_month)
WITH waiting AS (
    SELECT 'sessions' AS whole, created_month AS month, count(*) AS n FROM parts.sessions_default GROUP BY created_month
    UNION ALL
    SELECT 'events', session_month, count(*) FROM parts.events_default GROUP BY session_month
)
SELECT 'rows_in_default' AS name, 'warn' AS level, format('parts.%s_default', whole) AS object,
    format('%s rows of %s wait for a month of %s.', n, to_char(month, 'YYYY-MM'), whole) AS detail, n AS figure,
    'opsmantik upkeep run drain_default' AS remedy, format('rows_in_default %s %s', whole, month) AS cache_key
FROM waiting;
-- when: server >= 15
SELECT 'rows_in_default' AS name, 'warn' AS level, format('%I.%I', n.nspname, d.relname) AS object,
    format('About %s rows wait for a partition of %s.', greatest(d.reltuples, s.n_live_tup, 0)::bigint, p.partrelid::regclass) AS detail,
    greatest(d.reltuples, s.n_live_tup, 0) AS figure,
    'Detach it, make the partitions that its rows belong into, and put them in through the parent' AS remedy,
    format('rows_in_default %s.%s', n.nspname, d.relname) AS cache_key
FROM pg_partitioned_table p JOIN pg_class d ON d.oid = p.partdefid JOIN pg_namespace n ON n.oid = d.relnamespace
    LEFT JOIN pg_stat_all_tables s ON s.relid = d.oid
WHERE p.partstrat = 'r' AND d.relkind = 'r' AND greatest(d.reltuples, s.n_live_tup, 0) > 0;
