-- Nothing new is opened to others by default.
-- group: tenancy
-- level: error
--
-- An entry for functions is needed too: PostgreSQL opens each new function to everybody unless it is told not to. That is
-- asked of our own database only, where every function's file says who may call it.
WITH entries AS (
    SELECT d.defaclrole, coalesce(n.nspname::text, '') AS nspname, d.defaclobjtype, d.defaclacl
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
), opened AS (
    SELECT pg_get_userbyid(e.defaclrole) AS role, e.nspname, k.kind,
        bool_or(a.grantee = 0 OR g.rolname = 'anon') AS to_all,
        string_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(g.rolname) END, ', ') AS grantees
    FROM entries e CROSS JOIN LATERAL aclexplode(e.defaclacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
        JOIN (VALUES ('r'::"char", 'TABLES'), ('f', 'FUNCTIONS'), ('S', 'SEQUENCES'), ('T', 'TYPES'), ('n', 'SCHEMAS'))
            AS k (code, kind) ON k.code = e.defaclobjtype
    WHERE a.grantee <> e.defaclrole AND NOT coalesce(g.rolsuper OR g.rolbypassrls, false) AND (a.grantee = 0 OR g.oid IS NOT NULL)
        AND k.kind <> 'TYPES' AND pg_get_userbyid(e.defaclrole) !~ '^supabase_'
    GROUP BY e.defaclrole, e.nspname, k.kind
), all_opened AS (
    SELECT * FROM opened
    UNION ALL
    SELECT 'opsmantik_owner', '', 'FUNCTIONS', true, 'PUBLIC'
    WHERE to_regclass('public.session_keys') IS NOT NULL AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'opsmantik_owner')
        AND NOT EXISTS (SELECT FROM entries WHERE pg_get_userbyid(defaclrole) = 'opsmantik_owner' AND nspname = '' AND defaclobjtype = 'f')
)
SELECT 'default_privileges' AS name, CASE WHEN to_all AND kind IN ('TABLES', 'FUNCTIONS') THEN 'error' ELSE 'warn' END AS level,
    format('new %s of %s%s', lower(kind), role, CASE WHEN nspname <> '' THEN ' in ' || nspname ELSE '' END) AS object,
    format('Each is opened to %s the moment it is made.', grantees) AS detail, NULL AS figure,
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %s', role,
        CASE WHEN nspname <> '' THEN format(' IN SCHEMA %I', nspname) ELSE '' END, kind, grantees) AS remedy,
    format('default_privileges %s %s %s', role, nspname, kind) AS cache_key
FROM all_opened
ORDER BY 3;
