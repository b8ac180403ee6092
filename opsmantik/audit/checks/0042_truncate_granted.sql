-- No role that row security binds may empty a table.
-- group: tenancy
-- level: error
--
-- TRUNCATE asks for the grant and for nothing else: row security does not know it. Grants on partitions are 0028's.
SELECT 'truncate_granted' AS name, 'error' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('%s may take away the rows of every site with one command.', string_agg(g.role, ', ' ORDER BY g.role)) AS detail,
    NULL AS figure,
    format('REVOKE TRUNCATE ON %I.%I FROM %s', n.nspname, c.relname, string_agg(g.role, ', ' ORDER BY g.role)) AS remedy,
    format('truncate_granted %I.%I', n.nspname, c.relname) AS cache_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role
        FROM aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.privilege_type = 'TRUNCATE' AND a.grantee <> c.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)) g
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND g.role IS NOT NULL
    AND (c.relrowsecurity OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id'))
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
GROUP BY n.nspname, c.relname
ORDER BY 3;
