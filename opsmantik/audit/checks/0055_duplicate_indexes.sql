-- No index is there twice.
-- group: indexes
-- level: warn
--
-- The same columns in the same order, of the same rows. The one that keeps a rule stays; the others cost every write and
-- serve nobody.
WITH alike AS (
    SELECT i.indexrelid, i.indrelid, i.indisunique, k.conname, n.nspname, c.relname, c.relkind,
        row_number() OVER same AS place, first_value(format('%I.%I', n.nspname, c.relname)) OVER same AS kept
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') AND k.conrelid = i.indrelid
    WHERE NOT c.relispartition AND i.indislive AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
    WINDOW same AS (
        PARTITION BY i.indrelid, c.relam, i.indkey::text, i.indclass::text, i.indoption::text, i.indcollation::text,
            pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid)
        ORDER BY k.contype = 'p' DESC NULLS LAST, k.contype IS NULL, i.indisunique DESC, i.indisvalid DESC, i.indexrelid)
)
SELECT 'duplicate_indexes' AS name, 'warn' AS level, format('%I.%I', a.nspname, a.relname) AS object,
    format('It is the same as %s on %s.', a.kept, a.indrelid::regclass) AS detail,
    coalesce((SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(a.indexrelid) p), pg_relation_size(a.indexrelid)) AS figure,
    CASE WHEN a.conname IS NOT NULL THEN format('ALTER TABLE %s DROP CONSTRAINT %I', a.indrelid::regclass, a.conname)
        ELSE format('DROP INDEX%s %I.%I', CASE a.relkind WHEN 'i' THEN ' CONCURRENTLY' ELSE '' END, a.nspname, a.relname) END AS remedy,
    format('duplicate_indexes %s.%s', a.nspname, a.relname) AS cache_key
FROM alike a WHERE a.place > 1;
