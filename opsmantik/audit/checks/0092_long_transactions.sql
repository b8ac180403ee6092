-- No transaction stays open for minutes.
-- group: performance
-- level: warn
--
-- Five of them, or what the database's setting app.long_transaction says; a copy of the whole database or a rebuilding may
-- rightly take longer. What is shown of a session never holds the text of what it asks.
WITH patience AS (
    SELECT coalesce(nullif(current_setting('app.long_transaction', true), '')::interval, interval '5 minutes') AS most
)
SELECT 'long_transactions' AS name, 'warn' AS level, 'session ' || a.pid AS object,
    format('Its transaction began %s ago and it is %s (%s, %s). Until it ends no row that was removed since can be cleared away%s.',
        date_trunc('second', clock_timestamp() - a.xact_start), a.state, coalesce(nullif(a.application_name, ''), 'no name'), a.usename,
        CASE WHEN a.backend_xid IS NOT NULL THEN ', and what it wrote is locked' ELSE '' END) AS detail,
    round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric) AS figure,
    format('Ask whoever it belongs to; then SELECT pg_terminate_backend(%s)', a.pid) AS remedy,
    format('long_transactions %s %s', a.application_name, a.pid) AS cache_key
FROM pg_stat_activity a CROSS JOIN patience p
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
  AND a.xact_start < clock_timestamp() - p.most AND a.state <> 'idle'
  AND NOT EXISTS (SELECT FROM pg_stat_progress_basebackup b WHERE b.pid = a.pid)
UNION ALL
SELECT 'long_transactions', 'warn', 'prepared ' || x.gid, format('It was prepared %s ago and neither committed nor rolled back.', date_trunc('second', clock_timestamp() - x.prepared)),
    round(extract(epoch FROM clock_timestamp() - x.prepared)::numeric), format('ROLLBACK PREPARED %L', x.gid), 'long_transactions prepared ' || x.gid
FROM pg_prepared_xacts x CROSS JOIN patience p WHERE x.database = current_database() AND x.prepared < clock_timestamp() - p.most;
