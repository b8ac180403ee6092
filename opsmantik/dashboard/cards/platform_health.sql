-- name: platform_health
-- Figures of the whole installation; counts end at $1, which then means at least so many.
SELECT database_bytes, version, default_sessions, default_events, sites, sites_off, silent, never, refused, waiting,
    webhooks_failing, mails_failing
FROM platform_state($1);

-- name: platform_health_jobs
SELECT job, started_at, finished_at, outcome, detail, last_ok_at FROM platform_jobs();

-- The months that have both their partitions; pg_class can be read by everybody.
-- name: platform_health_months
SELECT replace(substr(c.relname::text, 8), '_', '-') AS month FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'parts' AND c.relkind = 'r' AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$'
  AND EXISTS (SELECT FROM pg_class o WHERE o.relnamespace = n.oid AND o.relname = 'sessions' || substr(c.relname::text, 7))
ORDER BY 1;
