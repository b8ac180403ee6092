-- No index is kept up to date that nobody reads.
-- group: indexes
-- level: warn
-- given: statistics
--
-- Only where the database has counted for a week at least and the table has ten thousand rows. An index that keeps a rule
-- (unique, a constraint's) or that a foreign key is looked up by is used without being counted, or when it is too late.
-- An index of a partitioned table is used if it is in any of its parts.
WITH own AS (
    SELECT i.indexrelid, i.indrelid, coalesce(pg_partition_root(i.indexrelid)::oid, i.indexrelid) AS root,
        coalesce(s.idx_scan, 0) AS scans, pg_relation_size(i.indexrelid) AS bytes, greatest(t.reltuples, 0) AS rows
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' JOIN pg_class t ON t.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND t.relkind IN ('r', 'm')
), whole AS (
    SELECT root, sum(scans) AS scans, sum(bytes) AS bytes, sum(rows) AS rows FROM own GROUP BY root
)
SELECT 'unused_indexes' AS name, 'warn' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('Nobody has read it in %s days; it takes %s, and every write to %s keeps it up to date.',
        round(($1::jsonb ->> 'days')::numeric), pg_size_pretty(w.bytes), i.indrelid::regclass) AS detail,
    w.bytes AS figure,
    format('DROP INDEX%s %I.%I', CASE c.relkind WHEN 'i' THEN ' CONCURRENTLY' ELSE '' END, n.nspname, c.relname) AS remedy,
    format('unused_indexes %s.%s', n.nspname, c.relname) AS cache_key
FROM whole w JOIN pg_index i ON i.indexrelid = w.root JOIN pg_class c ON c.oid = w.root JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ($1::jsonb ->> 'days')::numeric >= 7 AND w.scans = 0 AND w.rows >= 10000 AND NOT i.indisunique AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = w.root)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = i.indrelid
      AND (SELECT array_agg(n ORDER BY n) FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) n)
        = (SELECT array_agg(n ORDER BY n) FROM unnest(k.conkey) n));
