-- Every table has a primary key.
-- group: indexes
-- level: warn
--
-- Without one a row cannot be named: a retry stores it twice, a copy elsewhere cannot be kept up to date, and nothing can
-- point at it.
SELECT 'no_primary_key' AS name, 'warn' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    'It has no primary key.' AS detail, greatest(c.reltuples, 0) AS figure,
    format('Look which columns name a row, then ALTER TABLE %I.%I ADD PRIMARY KEY (...)', n.nspname, c.relname) AS remedy,
    format('no_primary_key %s.%s', n.nspname, c.relname) AS cache_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
