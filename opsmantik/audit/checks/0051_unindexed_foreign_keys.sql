-- Every foreign key has an index of its columns.
-- group: indexes
-- level: warn
-- given: unindexed_keys
--
-- Whoever takes away or renumbers a row that a key points at makes PostgreSQL look for those that point at it: without an
-- index by reading the whole table, for each row. A partial index does, if it leaves out nothing but nulls. Keys that are
-- content without one are told with their reason.
WITH keys AS (
    SELECT k.oid, k.conname, k.conrelid, k.conkey, k.confrelid, n.nspname, c.relname, c.relkind,
        (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.i) FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n) AS columns
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT c.relispartition
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), bare AS (
    SELECT * FROM keys k
    WHERE NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid
          AND (SELECT array_agg(n ORDER BY n) FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) n)
            = (SELECT array_agg(n ORDER BY n) FROM unnest(k.conkey) n)
          AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ 'IS NOT NULL'))
)
SELECT 'unindexed_foreign_keys' AS name, CASE WHEN r.reason IS NULL THEN 'warn' ELSE 'info' END AS level,
    format('%I.%I.%I', b.nspname, b.relname, b.conname) AS object,
    format('No index begins with its columns (%s), which point at %s.%s', b.columns, b.confrelid::regclass, ' It is content without: ' || r.reason) AS detail,
    (SELECT sum(greatest(t.reltuples, 0)) FROM pg_class t WHERE t.relkind = 'r'
        AND (t.oid = b.conrelid OR t.oid IN (SELECT p.relid FROM pg_partition_tree(b.conrelid) p))) AS figure,
    format('CREATE INDEX%s ON %I.%I (%s)', CASE b.relkind WHEN 'r' THEN ' CONCURRENTLY' ELSE '' END, b.nspname, b.relname, b.columns) AS remedy,
    format('unindexed_foreign_keys %s.%s.%s', b.nspname, b.relname, b.conname) AS cache_key
FROM bare b LEFT JOIN jsonb_each_text($1::jsonb) AS r (key, reason) ON r.key = b.conname
    AND to_regclass('public.site_pulse') IS NOT NULL;
