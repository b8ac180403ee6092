-- Every report keeps its range within six months.
-- group: contracts
-- level: warn
-- given: house
--
-- A report is a function that takes a from and a to and reads sessions, events, calls or counters. It keeps the budget by
-- calling what checks it, or by naming it. Those that need not, and why, are told.
WITH report AS (
    SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments,
        regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', '', 'g') AS body
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND pg_get_userbyid(p.proowner) !~ '^supabase_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        AND p.proargnames && ARRAY['p_from', 'p_date_from', 'p_since', 'p_start', 'p_first']
        AND p.proargnames && ARRAY['p_to', 'p_date_to', 'p_until', 'p_end', 'p_last']
        AND (SELECT count(*) FROM unnest(p.proargtypes) t
            WHERE t IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)) >= 2
)
SELECT 'no_budget' AS name, CASE WHEN $1::jsonb -> 'ranges' ? proname THEN 'info' ELSE 'warn' END AS level,
    format('%I.%I(%s)', nspname, proname, arguments) AS object,
    coalesce($1::jsonb -> 'ranges' ->> proname, 'Takes a range of any length, and reads what lies in it.') AS detail, NULL AS figure,
    CASE WHEN $1::jsonb -> 'ranges' ? proname THEN 'None is needed.'
        WHEN $1::jsonb ? 'ours' THEN 'Refuse a range of more than 184 days before anything is read, or say in opsmantik/audit/house.py why it need not.'
        ELSE 'Refuse a range of more than 184 days before anything is read.' END AS remedy,
    format('no_budget %I.%I(%s)', nspname, proname, arguments) AS cache_key
FROM report
WHERE body ~* '\m(sessions|events|calls|counter_days|counter_journal|lead_search|entries|conversions)\M'
    AND body !~* 'validate_date_range|\m(180|184|186)\M|6 months|check_range'
ORDER BY 2 DESC, 3;
