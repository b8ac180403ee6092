-- Reports read half-open ranges: from, and up to but not including to.
-- group: contracts
-- level: warn
--
-- A report is a function that takes two points in time, or two days. Comments do not count. A month is a value of its own
-- and BETWEEN its first and last is right as long as the moments beside it are half-open: that is only told.
WITH report AS (
    SELECT p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments,
        regexp_replace(p.prosrc, '--[^\n]*|/\*.*?\*/', '', 'g') AS body
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND pg_get_userbyid(p.proowner) !~ '^supabase_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        AND (SELECT count(*) FROM unnest(p.proargtypes) t
            WHERE t IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)) >= 2
), found AS (
    SELECT r.*,
        (SELECT count(*) FROM regexp_matches(body,
            '(?:_at|_time|\mtimestamp|\mts)\M\)?(?:::\w+|\s+AT\s+TIME\s+ZONE\s+[\w.'']+|\))*\s+(?:NOT\s+)?BETWEEN\M', 'gi')) AS moments,
        (SELECT count(*) FROM regexp_matches(body, '<=\s*\(?p_(?:date_)?(?:to|until|end)\M', 'gi'))
            + (SELECT count(*) FROM regexp_matches(body, '\mBETWEEN\s+p_(?:date_)?(?:from|since|start)\M', 'gi')) AS closed,
        (SELECT count(*) FROM regexp_matches(body, 'month\M\)?(?:::\w+)?\s+BETWEEN\M', 'gi')) AS months
    FROM report r
)
SELECT 'closed_ranges' AS name, CASE WHEN moments + closed > 0 THEN 'warn' ELSE 'info' END AS level,
    format('%I.%I(%s)', nspname, proname, arguments) AS object,
    CASE WHEN moments + closed > 0 THEN format('%s of its conditions include the end of the range: what happens at that moment is counted twice.',
            greatest(moments, closed))
        ELSE format('%s conditions name months by BETWEEN: right, as long as the moments beside them are half-open.', months) END AS detail,
    CASE WHEN moments + closed > 0 THEN greatest(moments, closed) ELSE months END AS figure,
    'Write created_at >= from AND created_at < to, in a function of a new name.' AS remedy,
    format('closed_ranges %I.%I(%s)', nspname, proname, arguments) AS cache_key
FROM found
WHERE moments + closed + months > 0
ORDER BY 2 DESC, 3;
