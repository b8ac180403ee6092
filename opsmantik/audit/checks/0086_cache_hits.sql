-- What is read is mostly in memory.
-- group: performance
-- level: warn
--
-- Of the blocks that this database asked for since its counters were reset: the share that was in shared_buffers. Below a
-- million of them the share says nothing. What the operating system keeps in memory counts as read.
WITH db AS (
    SELECT blks_hit AS hit, blks_read AS read, stats_reset FROM pg_stat_database WHERE datname = current_database()
), indexes AS (
    SELECT coalesce(sum(idx_blks_hit), 0) AS hit, coalesce(sum(idx_blks_read), 0) AS read FROM pg_statio_user_indexes
), told AS (
    SELECT 'database' AS part, hit, read FROM db UNION ALL SELECT 'indexes', hit, read FROM indexes
)
SELECT 'cache_hits' AS name, CASE WHEN hit + read >= 1000000 AND hit < 0.9 * (hit + read) THEN 'warn' ELSE 'info' END AS level,
    part AS object,
    format('%s %% of %s blocks were in memory (shared_buffers is %s, the database %s).', round(100.0 * hit / nullif(hit + read, 0), 1), hit + read,
        current_setting('shared_buffers'), pg_size_pretty(pg_database_size(current_database()))) AS detail,
    round(100.0 * hit / nullif(hit + read, 0), 1) AS figure,
    'Give PostgreSQL more memory (shared_buffers: a quarter of the machine''s), or find what reads so much: the slowest statements say' AS remedy,
    'cache_hits ' || part AS cache_key
FROM told WHERE hit + read > 0;
