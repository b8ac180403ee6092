-- Large tables are read by their indexes.
-- group: performance
-- level: warn
--
-- Of tables with ten thousand rows that have been read whole a thousand times: those of whose readings more than a tenth
-- went through half of the rows and more. A partition is a table.
SELECT 'sequential_scans' AS name, 'warn' AS level, format('%I.%I', s.schemaname, s.relname) AS object,
    format('%s of %s readings (%s %%) went through it from end to end, about %s rows each time.', s.seq_scan, s.seq_scan + coalesce(s.idx_scan, 0),
        round(100.0 * s.seq_scan / (s.seq_scan + coalesce(s.idx_scan, 0))), s.seq_tup_read / s.seq_scan) AS detail,
    round(100.0 * s.seq_scan / (s.seq_scan + coalesce(s.idx_scan, 0)), 1) AS figure,
    format('Find out what reads it so (pg_stat_statements), index what it asks by, then SELECT pg_stat_reset_single_table_counters(%L::regclass)',
        format('%I.%I', s.schemaname, s.relname)) AS remedy,
    format('sequential_scans %s.%s', s.schemaname, s.relname) AS cache_key
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE c.reltuples >= 10000 AND s.seq_scan >= 1000 AND s.seq_tup_read / s.seq_scan >= c.reltuples / 2
  AND s.seq_scan > (s.seq_scan + coalesce(s.idx_scan, 0)) / 10.0
ORDER BY s.seq_tup_read DESC;
