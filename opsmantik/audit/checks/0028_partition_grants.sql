-- Nobody but its owner holds a grant on a partition.
-- group: tenancy
-- level: error
SELECT 'partition_grants' AS name, 'error' AS level, format('%I.%I', n.nspname, c.relname) AS object,
    format('Granted to %s, past the policies of the table that it belongs to.', string_agg(DISTINCT g.role, ', ')) AS detail,
    count(DISTINCT g.role) AS figure,
    format('REVOKE ALL ON %I.%I FROM %s', n.nspname, c.relname, string_agg(DISTINCT g.role, ', ')) AS remedy,
    format('partition_grants %I.%I', n.nspname, c.relname) AS cache_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (
        SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role
        FROM (SELECT c.relacl AS acl UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = c.oid) x
            CROSS JOIN LATERAL aclexplode(x.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.grantee <> c.relowner AND NOT coalesce(r.rolsuper, false)) g
WHERE c.relispartition AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND g.role IS NOT NULL
GROUP BY n.nspname, c.relname
ORDER BY 3;
