-- No grant is written for a function that is not there.
-- group: contracts
-- level: warn
--
-- In the bodies of functions, which grant when they are called; and, where the migrations' own text is kept in the database,
-- in those that came after the one that dropped the function: on a fresh database they fail, or do nothing.
-- when: supabase_migrations.schema_migrations(version, statements)
WITH text AS (
    SELECT 'migration ' || version AS object, version::text AS version, array_to_string(statements, ';') AS text
    FROM supabase_migrations.schema_migrations
), named AS (
    SELECT DISTINCT object, version, lower(m[1]) AS name, btrim(m[2]) AS arguments
    FROM text CROSS JOIN LATERAL regexp_matches(regexp_replace(text, '--[^\n]*', '', 'g'),
        '\m(?:GRANT|REVOKE)\s+(?:EXECUTE|ALL(?:\s+PRIVILEGES)?)\s+ON\s+FUNCTION\s+(?:public\.)?([a-z_]\w*)\s*\(([^()]*)\)', 'gi') m
), dropped AS (
    SELECT lower(m[1]) AS name, min(version) AS version
    FROM text CROSS JOIN LATERAL regexp_matches(text, '\mDROP\s+FUNCTION\s+(?:IF\s+EXISTS\s+)?(?:public\.)?([a-z_]\w*)', 'gi') m
    GROUP BY 1
)
SELECT 'dead_grants' AS name, 'warn' AS level, n.object,
    format('Grants or revokes %s(%s), which is not there.', n.name, n.arguments) AS detail, NULL AS figure,
    'Take the line out, or ask pg_proc for the function first.' AS remedy,
    format('dead_grants %s %s(%s)', n.object, n.name, n.arguments) AS cache_key
FROM named n JOIN dropped d ON d.name = n.name AND d.version < n.version
WHERE to_regprocedure(format('public.%I(%s)', n.name, n.arguments)) IS NULL
    -- Arguments with names or default values are no types, and cannot be looked up.
    AND n.arguments !~* '\mdefault\M|=|\mp_'
ORDER BY 3, 4;
-- when: server >= 15
WITH named AS (
    SELECT DISTINCT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS own, lower(m[1]) AS schema, lower(m[2]) AS name,
        btrim(m[3]) AS arguments
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        CROSS JOIN LATERAL regexp_matches(regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', '', 'g'),
            '\m(?:GRANT|REVOKE)\s+(?:EXECUTE|ALL(?:\s+PRIVILEGES)?)\s+ON\s+FUNCTION\s+(?:([a-z_]\w*)\.)?([a-z_]\w*)\s*\(([^()]*)\)', 'gi') m
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND pg_get_userbyid(p.proowner) !~ '^supabase_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
)
SELECT 'dead_grants' AS name, 'warn' AS level, format('%I.%I(%s)', nspname, proname, own) AS object,
    format('Grants or revokes %s, which is not there.', string_agg(format('%s(%s)', concat_ws('.', schema, name), arguments), ', ')) AS detail,
    count(*) AS figure, format('DROP FUNCTION %I.%I(%s)', nspname, proname, own) AS remedy,
    format('dead_grants %I.%I(%s)', nspname, proname, own) AS cache_key
FROM named
WHERE to_regprocedure(format('%I.%I(%s)', coalesce(schema, 'public'), name, arguments)) IS NULL
    AND arguments !~* '\mdefault\M|=|\mp_|%'
GROUP BY nspname, proname, own
ORDER BY 3;
