-- Every table with a site has an index that is led by it.
-- group: indexes
-- level: warn
--
-- Row security and every question name the site: without such an index each of them reads the rows of all tenants.
WITH tenant AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.reltuples, a.attnum
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT 'site_indexes' AS name, 'warn' AS level, format('%I.%I', t.nspname, t.relname) AS object,
    'It has a site_id, and no index begins with it.' AS detail, greatest(t.reltuples, 0) AS figure,
    format('CREATE INDEX%s ON %I.%I (site_id)', CASE t.relkind WHEN 'r' THEN ' CONCURRENTLY' ELSE '' END, t.nspname, t.relname) AS remedy,
    format('site_indexes %s.%s', t.nspname, t.relname) AS cache_key
FROM tenant t
WHERE NOT EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
    WHERE i.indrelid = t.oid AND i.indkey[0] = t.attnum AND i.indisvalid AND m.amname IN ('btree', 'hash')
      AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ '^\(\w+ IS NOT NULL\)$'))
  -- A part that has none is told by its whole, which has none either.
  AND NOT EXISTS (SELECT FROM pg_inherits h JOIN tenant p ON p.oid = h.inhparent WHERE h.inhrelid = t.oid);
