-- No table is granted to a role and closed to it by the lack of any policy.
-- group: tenancy
-- level: warn
--
-- Without a grant it is a stance, and only told.
WITH closed AS (
    SELECT c.oid, n.nspname, c.relname, (
        SELECT string_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END, ', ')
        FROM (SELECT c.relacl AS acl UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = c.oid) x
            CROSS JOIN LATERAL aclexplode(x.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.grantee <> c.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)) AS grantees
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
)
SELECT 'row_security_without_policy' AS name, CASE WHEN grantees IS NULL THEN 'info' ELSE 'warn' END AS level,
    format('%I.%I', nspname, relname) AS object,
    CASE WHEN grantees IS NULL THEN 'No policy and no grant: only roles that bypass row security see it.'
        ELSE format('Granted to %s, but no policy lets a row through: either the grant or the policy is missing its other half.', grantees)
    END AS detail,
    NULL AS figure,
    CASE WHEN grantees IS NULL THEN 'None is needed.' ELSE format('REVOKE ALL ON %I.%I FROM %s', nspname, relname, grantees)
    END AS remedy,
    format('row_security_without_policy %I.%I', nspname, relname) AS cache_key
FROM closed
ORDER BY 3;
