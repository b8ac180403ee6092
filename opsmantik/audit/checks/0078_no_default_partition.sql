-- A row whose month has no partition is kept all the same.
-- group: partitions
-- level: warn
--
-- A table that is partitioned by ranges and has no default partition refuses such rows, and whoever wrote them loses them.
SELECT 'no_default_partition' AS name, 'warn' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('It has %s partitions and no default one: a row of any other time is refused.',
        (SELECT count(*) FROM pg_inherits h WHERE h.inhparent = c.oid)) AS detail,
    NULL::numeric AS figure,
    format('CREATE TABLE %1$I.%2$I PARTITION OF %1$I.%3$I DEFAULT', n.nspname, c.relname || '_default', c.relname) AS remedy,
    format('no_default_partition %s.%s', n.nspname, c.relname) AS cache_key
FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.partstrat = 'r' AND p.partdefid = 0 AND n.nspname NOT LIKE 'pg\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
