-- No index is the beginning of another one.
-- group: indexes
-- level: warn
--
-- What can be looked up in (site_id) can be looked up in (site_id, created_at) as well. Not so where the shorter one keeps
-- a rule, or holds other rows than the longer one. A shorter one may still be worth its upkeep if it is much smaller and
-- read all the time: accept it then, with that for a reason.
WITH plain AS (
    SELECT i.indexrelid, i.indrelid, i.indkey::int2[] AS columns, i.indclass::oid[] AS classes, i.indcollation::oid[] AS collations,
        i.indoption::int2[] AS options, i.indnkeyatts AS n, i.indisunique, i.indnatts, pg_get_expr(i.indpred, i.indrelid) AS predicate,
        s.nspname, c.relname, c.relkind
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
        JOIN pg_namespace s ON s.oid = c.relnamespace
    WHERE NOT c.relispartition AND i.indisvalid AND i.indexprs IS NULL AND s.nspname <> 'information_schema' AND s.nspname NOT LIKE 'pg\_%'
), covered AS (
    SELECT a.*, min(format('%I.%I', b.nspname, b.relname)) AS longer
    FROM plain a JOIN plain b ON b.indrelid = a.indrelid AND b.n > a.n
      AND b.columns[0:a.n - 1] = a.columns[0:a.n - 1] AND b.classes[0:a.n - 1] = a.classes[0:a.n - 1]
      AND b.collations[0:a.n - 1] = a.collations[0:a.n - 1] AND b.options[0:a.n - 1] = a.options[0:a.n - 1]
      AND (b.predicate IS NULL OR b.predicate = a.predicate)
    WHERE NOT a.indisunique AND a.indnatts = a.n
    GROUP BY a.indexrelid, a.indrelid, a.columns, a.classes, a.collations, a.options, a.n, a.indisunique, a.indnatts, a.predicate,
        a.nspname, a.relname, a.relkind
)
SELECT 'overlapping_indexes' AS name, 'warn' AS level, format('%I.%I', c.nspname, c.relname) AS object,
    format('%s on %s begins with the same columns.', c.longer, c.indrelid::regclass) AS detail,
    coalesce((SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(c.indexrelid) p), pg_relation_size(c.indexrelid)) AS figure,
    format('DROP INDEX%s %I.%I', CASE c.relkind WHEN 'i' THEN ' CONCURRENTLY' ELSE '' END, c.nspname, c.relname) AS remedy,
    format('overlapping_indexes %s.%s', c.nspname, c.relname) AS cache_key
FROM covered c;
