-- Nothing that is declared not to change asks the clock.
-- group: contracts
-- level: error
--
-- An immutable function is worked out once and stored: in an index, in a generated column, in a plan that is kept. A stable
-- one may ask for the transaction's time, not for the moment's, nor for chance.
WITH candidate AS (
    SELECT p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, p.provolatile, p.proparallel,
        regexp_replace(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), '--[^\n]*|/\*.*?\*/|''[^'']*''', ' ', 'g') AS body
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE p.provolatile IN ('i', 's') AND l.lanname IN ('sql', 'plpgsql') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND pg_get_userbyid(p.proowner) !~ '^supabase_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
), asks AS (
    SELECT c.*, (SELECT string_agg(DISTINCT lower(m[1]), ', ') FROM regexp_matches(body, CASE provolatile
            WHEN 'i' THEN '\m(now\s*\(|current_date\M|current_time\M|current_timestamp\M|localtime\M|localtimestamp\M|current_setting\s*\('
                '|transaction_timestamp\s*\(|statement_timestamp\s*\(|clock_timestamp\s*\(|timeofday\s*\(|random\s*\(|gen_random_uuid\s*\(|uuidv7\s*\()'
            ELSE '\m(clock_timestamp\s*\(|timeofday\s*\(|random\s*\(|gen_random_uuid\s*\(|uuidv7\s*\()' END, 'gi') m) AS asked
    FROM candidate c
), built AS (
    SELECT a.oid, string_agg(DISTINCT d.classid::regclass || ' ' || d.objid::regclass, ', ') FILTER (WHERE d.classid = 'pg_class'::regclass) AS indexes,
        count(DISTINCT d.objid) FILTER (WHERE d.classid IN ('pg_class'::regclass, 'pg_attrdef'::regclass)) AS n
    FROM asks a JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = a.oid
    WHERE d.classid IN ('pg_class'::regclass, 'pg_attrdef'::regclass)
    GROUP BY a.oid
)
SELECT 'clock_in_a_constant' AS name, CASE provolatile WHEN 'i' THEN 'error' ELSE 'warn' END AS level,
    format('%I.%I(%s)', nspname, proname, arguments) AS object,
    format('Declared %s, and asks %s.%s', CASE provolatile WHEN 'i' THEN 'immutable' ELSE 'stable' END, replace(asked, '(', '()'),
        CASE WHEN b.n > 0 THEN format(' %s indexes or columns are made of its answers.', b.n) ELSE '' END) AS detail,
    coalesce(b.n, 0) AS figure,
    format('ALTER FUNCTION %I.%I(%s) %s', nspname, proname, arguments,
        CASE WHEN asked ~ 'clock_timestamp|timeofday|random|uuid' THEN 'VOLATILE' ELSE 'STABLE' END) AS remedy,
    format('clock_in_a_constant %I.%I(%s)', nspname, proname, arguments) AS cache_key
FROM asks LEFT JOIN built b USING (oid)
WHERE asked IS NOT NULL
ORDER BY 2, 3;
