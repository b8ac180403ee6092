-- Row security binds the owner of every table with tenants' rows too.
-- group: tenancy
-- level: error
--
-- In our own database this is a promise, and its absence an error; elsewhere it is advice.
SELECT 'row_security_not_forced' AS name,
    CASE WHEN to_regclass('public.session_keys') IS NULL THEN 'warn' ELSE 'error' END AS level,
    format('%I.%I', n.nspname, c.relname) AS object,
    format('Row security does not bind the owner, %s: its functions and whoever is a member of it see every site.',
        pg_get_userbyid(c.relowner)) AS detail,
    NULL AS figure, format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', n.nspname, c.relname) AS remedy,
    format('row_security_not_forced %I.%I', n.nspname, c.relname) AS cache_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT c.relforcerowsecurity
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    AND (EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped)
        OR n.nspname = 'public' AND c.relname IN ('sites', 'users', 'profiles', 'user_credentials'))
ORDER BY c.relispartition, 3;
