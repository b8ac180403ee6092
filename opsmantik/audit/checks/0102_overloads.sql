-- One name is one function.
-- group: contracts
-- level: warn
SELECT 'overloads' AS name, 'warn' AS level, format('%I.%I', n.nspname, p.proname) AS object,
    format('%s functions have this name: %s.%s', count(*), string_agg(format('(%s)', pg_get_function_identity_arguments(p.oid)), ', ' ORDER BY p.pronargs, p.oid),
        CASE WHEN min(p.pronargs - p.pronargdefaults) <= min(p.pronargs) AND max(p.pronargs - p.pronargdefaults) <= min(p.pronargs)
            THEN format(' A call with %s arguments may fail as not unique.', min(p.pronargs)) ELSE '' END) AS detail,
    count(*) AS figure, 'Give each a name of its own, and drop those that nobody calls.' AS remedy,
    format('overloads %I.%I', n.nspname, p.proname) AS cache_key
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND pg_get_userbyid(p.proowner) !~ '^supabase_'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
GROUP BY n.nspname, p.proname
HAVING count(*) > 1
ORDER BY 3;
