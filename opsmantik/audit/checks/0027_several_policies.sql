-- One permissive policy answers for each role and command.
-- group: tenancy
-- level: warn
--
-- Only roles that hold the grant and that row security binds; the owner's own policy beside the others is another matter.
WITH governed AS (
    SELECT c.oid, n.nspname, c.relname, c.relowner, c.relacl
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), granted AS (
    SELECT DISTINCT g.oid, a.grantee, a.privilege_type,
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE r.rolname END AS role
    FROM governed g CROSS JOIN LATERAL (
            SELECT g.relacl AS acl UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = g.oid) x
        CROSS JOIN LATERAL aclexplode(x.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee <> g.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)
), met AS (
    SELECT g.oid, g.nspname, g.relname, k.privilege, a.role, count(*) AS n,
        string_agg(p.polname, ', ' ORDER BY p.polname) AS policies
    FROM governed g CROSS JOIN (VALUES ('r'::"char", 'SELECT'), ('a', 'INSERT'), ('w', 'UPDATE'), ('d', 'DELETE'))
            AS k (code, privilege)
        JOIN granted a ON a.oid = g.oid AND a.privilege_type = k.privilege
        JOIN pg_policy p ON p.polrelid = g.oid AND p.polpermissive AND p.polcmd IN ('*', k.code)
            AND (p.polroles = '{0}' OR EXISTS (SELECT FROM unnest(p.polroles) o
                WHERE o <> 0 AND a.grantee <> 0 AND pg_has_role(a.grantee, o, 'MEMBER')))
    GROUP BY g.oid, g.nspname, g.relname, k.privilege, a.role
    HAVING count(*) > 1
)
SELECT 'several_policies' AS name, 'warn' AS level, format('%I.%I', nspname, relname) AS object,
    format('%s by %s is held against %s policies for each row: %s.', privilege, string_agg(role, ', ' ORDER BY role), n, policies) AS detail,
    n AS figure, 'Write them as one policy, or let each command have its own.' AS remedy,
    format('several_policies %I.%I %s %s', nspname, relname, privilege, policies) AS cache_key
FROM met
GROUP BY nspname, relname, privilege, n, policies
ORDER BY 3, 4;
