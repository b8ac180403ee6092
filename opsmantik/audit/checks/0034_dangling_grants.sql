-- No grant names a role that does not exist.
-- group: tenancy
-- level: warn
--
-- PostgreSQL takes a role's grants away with it, so these come from a catalogue that was changed by hand or copied. The
-- number stands for whoever is created with it next. Default privileges are looked at like grants.
WITH acls AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS object, c.relacl AS acl
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), a.attacl
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attacl IS NOT NULL
    UNION ALL
    SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proacl
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    UNION ALL
    SELECT format('schema %I', nspname), nspacl FROM pg_namespace
    UNION ALL
    SELECT format('default privileges of %I', pg_get_userbyid(defaclrole)), defaclacl FROM pg_default_acl
)
SELECT 'dangling_grants' AS name, 'warn' AS level, x.object,
    format('%s granted to role number %s, which does not exist.', string_agg(DISTINCT a.privilege_type, ', '), a.grantee) AS detail,
    count(*) AS figure,
    'Create a role, give it that number in pg_authid, take its privileges back, and drop it; or restore from a dump, which leaves them out.' AS remedy,
    format('dangling_grants %s %s', x.object, a.grantee) AS cache_key
FROM acls x CROSS JOIN LATERAL aclexplode(x.acl) a
WHERE a.grantee <> 0 AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.grantee)
GROUP BY x.object, a.grantee
ORDER BY 3, 4;
