-- Sessions, events and calls are written by the functions that are known for it.
-- group: tenancy
-- level: error
-- given: house
--
-- Bodies are read by their words. A name that is put in (%I) counts as a month: only the functions that tend partitions do that.
-- when: public.session_keys; function public.ingest_batch_v2
WITH house AS (
    SELECT $1::jsonb AS house
), writes AS (
    SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments,
        CASE WHEN lower(m[1]) IN ('sessions', 'events', 'calls') THEN lower(m[1]) ELSE 'a month' END AS what
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        CROSS JOIN LATERAL regexp_matches(regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', '', 'g'),
            '\m(?:INSERT\s+INTO|(?<!FOR )(?<!KEY )(?<!DO )UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|DROP\s+TABLE|COPY)'
            '\s+(?:ONLY\s+)?(?:public\.)?(parts\.%I|parts\.\w+|%[Is]|sessions|events|calls)(?!\w)', 'gi') AS m
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
)
SELECT 'writers' AS name, 'error' AS level, format('%I.%I(%s)', nspname, proname, arguments) AS object,
    format('Writes %s, and is not known to.', string_agg(DISTINCT what, ', ')) AS detail, NULL AS figure,
    format('DROP FUNCTION %I.%I(%s)', nspname, proname, arguments) AS remedy,
    format('writers %I.%I(%s)', nspname, proname, arguments) AS cache_key
FROM writes CROSS JOIN house
WHERE NOT coalesce(house -> 'writers' -> proname ? what, false)
GROUP BY nspname, proname, arguments
ORDER BY 3;
-- when: public.sessions(site_id); public.events(site_id); public.calls(site_id)
WITH writes AS (
    SELECT $1::jsonb, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, lower(m[1]) AS what
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        CROSS JOIN LATERAL regexp_matches(regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', '', 'g'),
            '\m(?:INSERT\s+INTO|(?<!FOR )(?<!KEY )(?<!DO )UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?)'
            '\s+(?:ONLY\s+)?(?:public\.)?(sessions|events|calls)(?!\w)', 'gi') AS m
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT 'writers' AS name, 'info' AS level, format('%I.%I(%s)', nspname, proname, arguments) AS object,
    format('Writes %s.', string_agg(DISTINCT what, ', ')) AS detail, NULL AS figure, 'Make sure that it names its site.' AS remedy,
    format('writers %I.%I(%s)', nspname, proname, arguments) AS cache_key
FROM writes
GROUP BY nspname, proname, arguments
ORDER BY 3;
