-- No function that runs as its owner may be called by everybody.
-- group: tenancy
-- level: error
--
-- Everybody is PUBLIC and, where the interface knows callers who have not signed in, their role anon. A trigger's function
-- cannot be called by hand.
SELECT 'definer_open' AS name, 'error' AS level, format('%I.%I(%s)', n.nspname, p.proname, x.arguments) AS object,
    format('Runs as %s, and may be called by %s.', pg_get_userbyid(p.proowner), string_agg(DISTINCT g.role, ', ')) AS detail,
    NULL AS figure,
    format('REVOKE EXECUTE ON %s %I.%I(%s) FROM %s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
        n.nspname, p.proname, x.arguments, string_agg(DISTINCT g.role, ', ')) AS remedy,
    format('definer_open %I.%I(%s)', n.nspname, p.proname, x.arguments) AS cache_key
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    CROSS JOIN LATERAL (SELECT pg_get_function_identity_arguments(p.oid) AS arguments) x
    CROSS JOIN LATERAL (
        SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE r.rolname::text END AS role
        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.grantee = 0 OR r.rolname = 'anon') g
WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND pg_get_userbyid(p.proowner) !~ '^supabase_'
    AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
GROUP BY n.nspname, p.proname, x.arguments, p.proowner, p.prokind
ORDER BY 3;
