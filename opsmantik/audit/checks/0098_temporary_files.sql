-- Sorts and hashes fit into memory.
-- group: performance
-- level: warn
-- given: statistics
--
-- What does not fit into work_mem goes to the disk. Told as wrong where it happened more than once an hour and came to more
-- than 100 MB a day, over a day at least.
SELECT 'temporary_files' AS name,
    CASE WHEN t.days >= 1 AND d.temp_files > 24 * t.days AND d.temp_bytes > 100 * 1024 * 1024 * t.days THEN 'warn' ELSE 'info' END AS level,
    'database' AS object,
    format('%s files with %s in %s days (work_mem is %s).', d.temp_files, pg_size_pretty(d.temp_bytes), round(t.days, 1), current_setting('work_mem')) AS detail,
    d.temp_bytes AS figure, 'Find the statements (log_temp_files = 0), give them work_mem or less to sort; then SELECT pg_stat_reset()' AS remedy,
    'temporary_files' AS cache_key
FROM pg_stat_database d CROSS JOIN (SELECT ($1::jsonb ->> 'days')::numeric AS days) t
WHERE d.datname = current_database();
