-- How large each partitioned table and each of its partitions is.
-- group: partitions
-- level: info
--
-- A partitioned table has no rows of its own: its rows are the sum of its partitions', as the planner has counted them.
WITH parts AS (
    SELECT h.inhparent AS whole, c.oid, n.nspname, c.relname, greatest(c.reltuples, 0)::bigint AS rows, pg_total_relation_size(c.oid) AS bytes,
        pg_indexes_size(c.oid) AS index_bytes, pg_get_expr(c.relpartbound, c.oid) AS bounds
    FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid AND c.relispartition AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
)
SELECT 'partition_figures' AS name, 'info' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('%s partitions with about %s rows: %s, of which indexes are %s.', count(*), sum(p.rows), pg_size_pretty(sum(p.bytes)),
        pg_size_pretty(sum(p.index_bytes))) AS detail,
    sum(p.bytes) AS figure, 'Nothing.' AS remedy, format('partition_figures %s.%s', n.nspname, c.relname) AS cache_key
FROM parts p JOIN pg_class c ON c.oid = p.whole JOIN pg_namespace n ON n.oid = c.relnamespace GROUP BY n.nspname, c.relname
UNION ALL
SELECT 'partition_figures', 'info', format('%I.%I', nspname, relname),
    format('About %s rows: %s, of which indexes are %s. %s.', rows, pg_size_pretty(bytes), pg_size_pretty(index_bytes), initcap(left(bounds, 1)) || substr(bounds, 2)),
    bytes, 'Nothing.', format('partition_figures %s.%s', nspname, relname)
FROM parts;
