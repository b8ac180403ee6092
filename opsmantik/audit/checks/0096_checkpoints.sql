-- Checkpoints come by the clock and not because the log is full.
-- group: performance
-- level: warn
--
-- Those that were asked for: by so much writing that max_wal_size was reached, or by a command. Told where they were more
-- than those by the clock and more than one an hour, over a day at least. Each makes the next writes heavier.
-- when: server >= 17
WITH counted AS (
    SELECT num_timed AS timed, num_requested AS requested,
        extract(epoch FROM now() - coalesce(nullif(current_setting('app.statistics_since', true), '')::timestamptz, stats_reset)) / 3600 AS hours
    FROM pg_stat_checkpointer
)
SELECT 'checkpoints' AS name, CASE WHEN requested > timed AND requested > hours AND hours >= 24 THEN 'warn' ELSE 'info' END AS level, 'server' AS object,
    format('In %s hours %s came by the clock and %s were asked for (max_wal_size is %s).', round(hours), timed, requested, current_setting('max_wal_size')) AS detail,
    requested AS figure, 'Raise max_wal_size, or do what asks for them less often; then SELECT pg_stat_reset_shared(''checkpointer'')' AS remedy,
    'checkpoints' AS cache_key
FROM counted;
-- when: server >= 15
WITH counted AS (
    SELECT checkpoints_timed AS timed, checkpoints_req AS requested,
        extract(epoch FROM now() - coalesce(nullif(current_setting('app.statistics_since', true), '')::timestamptz, stats_reset)) / 3600 AS hours
    FROM pg_stat_bgwriter
)
SELECT 'checkpoints' AS name, CASE WHEN requested > timed AND requested > hours AND hours >= 24 THEN 'warn' ELSE 'info' END AS level, 'server' AS object,
    format('In %s hours %s came by the clock and %s were asked for (max_wal_size is %s).', round(hours), timed, requested, current_setting('max_wal_size')) AS detail,
    requested AS figure, 'Raise max_wal_size, or do what asks for them less often; then SELECT pg_stat_reset_shared(''bgwriter'')' AS remedy,
    'checkpoints' AS cache_key
FROM counted;
