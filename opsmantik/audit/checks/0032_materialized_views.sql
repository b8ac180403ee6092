-- No materialized view of tenants' rows can be read by a role that row security binds.
-- group: tenancy
-- level: error
SELECT 'materialized_views' AS name, 'error' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('%s may read it, and it has no row security.', string_agg(DISTINCT g.role, ', ')) AS detail, NULL AS figure,
    format('REVOKE ALL ON %I.%I FROM %s', n.nspname, c.relname, string_agg(DISTINCT g.role, ', ')) AS remedy,
    format('materialized_views %I.%I', n.nspname, c.relname) AS cache_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (
        SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role
        FROM (SELECT c.relacl AS acl UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = c.oid) x
            CROSS JOIN LATERAL aclexplode(x.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.grantee <> c.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)) g
WHERE c.relkind = 'm' AND n.nspname !~ '^pg_' AND g.role IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    AND (EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id')
        OR EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
            JOIN pg_class t ON t.oid = d.refobjid WHERE w.ev_class = c.oid AND t.relrowsecurity))
GROUP BY n.nspname, c.relname
ORDER BY 3;
