-- Every command on a tenant's table has its policy, or a reason why it needs none.
-- group: tenancy
-- level: error
-- given: house
--
-- A role that holds a grant and finds no policy gets nothing, without a word. Where no role but the owner holds a grant,
-- rows are written by functions that run as the owner and name their site; which ones is read from their bodies. In our
-- own database a grant to write a tenant's table is wrong in itself.
WITH house AS (
    SELECT $1::jsonb AS house
), tenant AS (
    SELECT c.oid, n.nspname, c.relname, c.relowner, c.relacl
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT c.relispartition
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'site_id' AND NOT a.attisdropped)
        AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
), granted AS (
    SELECT DISTINCT t.oid, a.grantee, a.privilege_type,
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role
    FROM tenant t CROSS JOIN LATERAL (
            SELECT t.relacl AS acl UNION ALL SELECT attacl FROM pg_attribute WHERE attrelid = t.oid) x
        CROSS JOIN LATERAL aclexplode(x.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee <> t.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)
), cells AS (
    SELECT t.*, k.privilege, g.role, EXISTS (
            SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polpermissive AND p.polcmd IN ('*', k.code)
                AND (p.polroles = '{0}' OR EXISTS (SELECT FROM unnest(p.polroles) o
                    WHERE o <> 0 AND g.grantee <> 0 AND pg_has_role(g.grantee, o, 'MEMBER')))) AS governed
    FROM tenant t CROSS JOIN (VALUES ('r'::"char", 'SELECT'), ('a', 'INSERT'), ('w', 'UPDATE'), ('d', 'DELETE'))
            AS k (code, privilege)
        LEFT JOIN granted g ON g.oid = t.oid AND g.privilege_type = k.privilege
), writers AS (
    SELECT lower(m[1]) AS relname, string_agg(DISTINCT p.proname, ', ' ORDER BY p.proname) AS functions
    FROM pg_proc p CROSS JOIN LATERAL regexp_matches(regexp_replace(p.prosrc, '--[^\n]*', '', 'g'),
        '\m(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?(?:public\.)?"?([a-z_]+)', 'gi') AS m
    WHERE p.prosecdef OR NOT EXISTS (
        SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner)
    GROUP BY 1
)
SELECT 'commands_without_policy' AS name, f.level, f.object, f.detail, f.figure, f.remedy, f.cache_key
FROM (
    SELECT CASE WHEN house ? 'ours' AND privilege <> 'SELECT' THEN 'error' ELSE 'warn' END AS level,
        format('%I.%I', nspname, relname) AS object,
        CASE WHEN house ? 'ours' AND privilege <> 'SELECT'
            THEN format('%s may %s past the functions that check who asks.', string_agg(role, ', ' ORDER BY role), privilege)
            ELSE format('%s may %s, but no policy for it lets a row through.', string_agg(role, ', ' ORDER BY role), privilege)
        END AS detail,
        count(*) AS figure,
        format('REVOKE %s ON %I.%I FROM %s', privilege, nspname, relname, string_agg(role, ', ' ORDER BY role)) AS remedy,
        format('commands_without_policy %I.%I %s', nspname, relname, privilege) AS cache_key
    FROM cells CROSS JOIN house
    WHERE role IS NOT NULL AND (NOT governed OR house ? 'ours' AND privilege <> 'SELECT')
    GROUP BY house, nspname, relname, privilege
    UNION ALL
    SELECT CASE WHEN house ? 'ours' AND w.functions IS NULL AND NOT house -> 'writes' ? c.relname THEN 'warn' ELSE 'info' END,
        format('%I.%I', c.nspname, c.relname),
        format('%s: no grant to anybody but the owner, so no policy is needed. %s',
            string_agg(c.privilege, ', ' ORDER BY c.privilege),
            coalesce(house -> 'writes' ->> c.relname, 'Written as the owner by ' || w.functions || '.',
                'No function says that it writes it.')),
        NULL, 'Name the functions that write it, or why nothing does, in opsmantik/audit/house.py.',
        format('commands_without_policy %I.%I closed', c.nspname, c.relname)
    FROM cells c CROSS JOIN house LEFT JOIN writers w ON w.relname = c.relname
    WHERE c.role IS NULL AND c.privilege <> 'SELECT'
    GROUP BY house, c.nspname, c.relname, w.functions
) f
ORDER BY f.level, f.object, f.cache_key;
