-- Row security is on for every table with tenants' rows, partitions and their parents included.
-- group: tenancy
-- level: error
--
-- A partition does not inherit it: whoever may read the partition by its own name reads every tenant's rows.
SELECT 'row_security_off' AS name, 'error' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('Row security is off: whoever may read this %s sees the rows of every site.',
        CASE WHEN c.relispartition THEN 'partition' WHEN c.relkind = 'p' THEN 'partitioned table' ELSE 'table' END) AS detail,
    NULL AS figure,
    format('ALTER TABLE %1$I.%2$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', n.nspname, c.relname) AS remedy,
    format('row_security_off %I.%I', n.nspname, c.relname) AS cache_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    AND (EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped)
        OR n.nspname = 'public' AND c.relname IN ('sites', 'users', 'profiles', 'user_credentials'))
ORDER BY c.relispartition, 3;
