-- Every function that runs as its owner looks names up where its owner says.
-- group: tenancy
-- level: error
--
-- Without a search_path of its own the caller decides which table a name means. With one that does not put pg_temp last,
-- a temporary table of the caller's comes before the real one.
WITH definer AS (
    SELECT p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, p.prokind,
        (SELECT substr(s, 13) FROM unnest(p.proconfig) s WHERE s LIKE 'search\_path=%') AS path
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND pg_get_userbyid(p.proowner) !~ '^supabase_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
)
SELECT 'definer_search_path' AS name, CASE WHEN path IS NULL THEN 'error' ELSE 'warn' END AS level,
    format('%I.%I(%s)', nspname, proname, arguments) AS object,
    CASE WHEN path IS NULL THEN 'Runs as its owner, and looks names up where its caller says.'
        ELSE format('Runs as its owner with search_path = %s, in which the caller''s temporary tables come first.', path) END AS detail,
    NULL AS figure,
    format('ALTER %s %I.%I(%s) SET search_path = pg_catalog, %spg_temp', CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
        nspname, proname, arguments,
        (SELECT string_agg(part || ', ', '' ORDER BY i) FROM unnest(string_to_array(coalesce(nullif(path, '""'), nspname), ', '))
            WITH ORDINALITY AS x (part, i) WHERE part NOT IN ('pg_catalog', 'pg_temp', '"$user"'))) AS remedy,
    format('definer_search_path %I.%I(%s)', nspname, proname, arguments) AS cache_key
FROM definer
-- With an empty path the function names every schema itself, and no temporary table can come in between.
WHERE path IS NULL OR path <> '""' AND path !~ 'pg_temp$'
ORDER BY 2, 3;
