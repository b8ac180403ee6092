-- Nobody waits for a lock.
-- group: performance
-- level: warn
--
-- At the moment of the audit, for a second or longer; who waits, on what, and who is in the way.
SELECT 'lock_waits' AS name, 'warn' AS level, coalesce(l.relation::regclass::text, l.locktype) AS object,
    format('Session %s (%s) has waited %s for %s, behind session %s.', a.pid, coalesce(nullif(a.application_name, ''), 'no name'),
        date_trunc('milliseconds', clock_timestamp() - l.waitstart), l.mode, array_to_string(pg_blocking_pids(a.pid), ', ')) AS detail,
    round(extract(epoch FROM clock_timestamp() - l.waitstart)::numeric, 1) AS figure,
    format('See what session %1$s does (pg_stat_activity); if it does nothing, SELECT pg_terminate_backend(%1$s)', (pg_blocking_pids(a.pid))[1]) AS remedy,
    format('lock_waits %s %s', coalesce(l.relation::regclass::text, l.locktype), a.pid) AS cache_key
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE NOT l.granted AND a.datname = current_database() AND l.waitstart < clock_timestamp() - interval '1 second';
