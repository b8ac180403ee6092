-- Every index can be used.
-- group: indexes
-- level: error
--
-- An index whose making was cut off is kept up to date by every write and read by nobody; a unique one promises what it does
-- not keep. One that is being made at this moment is left out, and so is what PostgreSQL leaves behind of a rebuilding.
SELECT 'invalid_indexes' AS name, 'error' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('It is %s, on %s.', CASE WHEN NOT i.indislive THEN 'half removed' WHEN NOT i.indisready THEN 'not ready' ELSE 'not valid' END,
        i.indrelid::regclass) AS detail,
    coalesce((SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(i.indexrelid) p), pg_relation_size(i.indexrelid)) AS figure,
    CASE WHEN c.relname ~ '_ccnew[0-9]*$|_ccold[0-9]*$' THEN format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, c.relname)
        WHEN c.relkind = 'I' THEN 'Make it on each part that lacks it, then ALTER INDEX ... ATTACH PARTITION'
        ELSE format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, c.relname) END AS remedy,
    format('invalid_indexes %s.%s', n.nspname, c.relname) AS cache_key
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND n.nspname NOT LIKE 'pg\_temp%'
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database()
      AND p.index_relid IN (i.indexrelid, 0) AND p.relid = i.indrelid);
