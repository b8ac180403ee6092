-- Every view shows what whoever asks may see, not what its owner may.
-- group: tenancy
-- level: error
--
-- A warning where nobody else can read it. A view that touches no guarded table and holds no site is left alone.
WITH views AS (
    SELECT c.oid, n.nspname, c.relname, (
        SELECT string_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE r.rolname END, ', ')
        FROM (SELECT c.relacl AS acl UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = c.oid) x
            CROSS JOIN LATERAL aclexplode(x.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.grantee <> c.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)) AS readers
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND pg_get_userbyid(c.relowner) !~ '^supabase_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
            WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)
        AND (EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id')
            OR EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
                JOIN pg_class t ON t.oid = d.refobjid WHERE w.ev_class = c.oid AND t.relrowsecurity))
)
SELECT 'views_as_owner' AS name, CASE WHEN readers IS NULL THEN 'warn' ELSE 'error' END AS level,
    format('%I.%I', nspname, relname) AS object,
    CASE WHEN readers IS NULL THEN 'Reads with its owner''s eyes; nobody else may read it so far.'
        ELSE format('Reads with its owner''s eyes, and %s may read it.', readers) END AS detail,
    NULL AS figure, format('ALTER VIEW %I.%I SET (security_invoker = true)', nspname, relname) AS remedy,
    format('views_as_owner %I.%I', nspname, relname) AS cache_key
FROM views
ORDER BY 2, 3;
