-- Dead rows are cleared away.
-- group: performance
-- level: warn
--
-- Rows that were removed or changed stay until vacuum comes. A fifth of a table is what autovacuum lets be; more than that,
-- and ten thousand, means that it does not come, or is held up by a transaction that might still look at them.
SELECT 'dead_rows' AS name, 'warn' AS level, format('%I.%I', schemaname, relname) AS object,
    format('%s of its rows (%s %%) are dead; it was last vacuumed %s.', n_dead_tup, round(100.0 * n_dead_tup / (n_live_tup + n_dead_tup)),
        coalesce('on ' || to_char(greatest(last_vacuum, last_autovacuum) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), 'never')) AS detail,
    round(100.0 * n_dead_tup / (n_live_tup + n_dead_tup), 1) AS figure,
    format('VACUUM %I.%I', schemaname, relname) AS remedy, format('dead_rows %s.%s', schemaname, relname) AS cache_key
FROM pg_stat_user_tables
-- Twice what autovacuum waits for, so that a table on which it is at work just now is not told.
WHERE n_dead_tup >= 10000 AND n_dead_tup > 0.4 * n_live_tup;
