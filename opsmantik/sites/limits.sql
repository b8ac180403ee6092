-- name: limits
SELECT s.monthly_quota, s.rate_per_minute, s.quarantine_days, s.allowed_bots FROM sites s WHERE s.id = $1;

-- The same count as the doors' (functions/quotas.sql). The index of the books leads to the month's hours at once.
-- name: quota
SELECT s.monthly_quota, coalesce((
    SELECT sum(c.n)::bigint FROM ingest_counts c
    WHERE c.site_id = s.id AND c.outcome = 'stored'
      AND c.hour >= date_trunc('hour', date_trunc('month', now() AT TIME ZONE s.time_zone) AT TIME ZONE s.time_zone)), 0) AS used
FROM sites s WHERE s.id = $1 AND s.monthly_quota IS NOT NULL;

-- name: set_limits
SELECT set_limits($1, $2, $3, $4, $5);

-- name: allow_bot
SELECT allow_bot($1, $2, $3, $4);
