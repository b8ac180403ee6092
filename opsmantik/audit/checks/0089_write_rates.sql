-- How much each table is written, and how much of that leaves its indexes alone.
-- group: performance
-- level: info
-- given: statistics
--
-- A partitioned table is the sum of its parts. A change that fits on the row's own page and touches no indexed column is
-- "hot": no index has to know of it.
WITH written AS (
    SELECT coalesce(pg_partition_root(s.relid)::oid, s.relid) AS root, sum(s.n_tup_ins) AS added, sum(s.n_tup_upd) AS changed,
        sum(s.n_tup_del) AS removed, sum(s.n_tup_hot_upd) AS hot
    FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid AND c.relkind = 'r' GROUP BY 1
)
SELECT 'write_rates' AS name, 'info' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('%s added, %s changed (%s %% hot) and %s removed in %s days: %s writes an hour.', w.added, w.changed,
        coalesce(round(100.0 * w.hot / nullif(w.changed, 0)), 0), w.removed, round(($1::jsonb ->> 'days')::numeric, 1),
        round((w.added + w.changed + w.removed) / greatest(($1::jsonb ->> 'days')::numeric * 24, 1))) AS detail,
    round(100.0 * w.hot / nullif(w.changed, 0), 1) AS figure, 'Nothing.' AS remedy, format('write_rates %s.%s', n.nspname, c.relname) AS cache_key
FROM written w JOIN pg_class c ON c.oid = w.root JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE w.added + w.changed + w.removed > 0 ORDER BY w.added + w.changed + w.removed DESC;
