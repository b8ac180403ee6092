-- The planner knows the tables as they are.
-- group: performance
-- level: warn
--
-- Tables with ten thousand rows that have never been analysed, or of which more than half was written since. Autovacuum does
-- it at a tenth, within a minute or two: what stands longer than that is switched off or held up.
WITH counted AS (
    SELECT s.*, c.reltuples, c.relkind, greatest(s.last_analyze, s.last_autoanalyze) AS analysed
    FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE c.relkind IN ('r', 'm')
)
SELECT 'statistics_of_tables' AS name, 'warn' AS level, format('%I.%I', schemaname, relname) AS object,
    CASE WHEN reltuples < 0 THEN format('It has about %s rows and has never been analysed.', n_live_tup)
        ELSE format('%s rows were written since it was analysed%s; it has about %s.', n_mod_since_analyze,
            coalesce(' on ' || to_char(analysed AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), ' last'), n_live_tup) END AS detail,
    n_mod_since_analyze AS figure, format('ANALYZE %I.%I', schemaname, relname) AS remedy,
    format('statistics_of_tables %s.%s', schemaname, relname) AS cache_key
FROM counted
WHERE n_live_tup >= 10000 AND (reltuples < 0 OR n_mod_since_analyze > 0.5 * n_live_tup)
UNION ALL
SELECT 'statistics_of_tables', 'info', format('%I.%I', schemaname, relname),
    format('%s rows were added since it was vacuumed%s: none of them can be read from an index alone.', n_ins_since_vacuum,
        coalesce(' on ' || to_char(greatest(last_vacuum, last_autovacuum) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), '')),
    n_ins_since_vacuum, format('VACUUM %I.%I', schemaname, relname), format('statistics_of_tables %s.%s vacuum', schemaname, relname)
FROM counted WHERE n_ins_since_vacuum >= 1000000 AND n_ins_since_vacuum > 0.5 * n_live_tup;
