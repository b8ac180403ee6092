-- name: install_state
-- When site $1 last received anything, what it refused in the last $2, and the trackers of its newest $3 visits with a
-- view (others may not have said their version). How many is a parameter for the planner's sake, as in site_status.sql.
SELECT now() AS as_of, st.last_event_at,
    (SELECT coalesce(sum(b.n), 0)::bigint FROM ingest_counts b
     WHERE b.site_id = $1 AND b.hour >= date_trunc('hour', now() - $2::interval)
       AND b.outcome IN ('origin_refused', 'no_consent', 'malformed', 'unstorable', 'site_disabled', 'over_quota')) AS refused,
    (SELECT array_agg(v.tracker ORDER BY v.created_at DESC) FROM (
        SELECT s.tracker, s.created_at FROM sessions s
        WHERE s.site_id = $1 AND s.created_at >= now() - $2::interval
          AND s.created_month >= date_trunc('month', (now() - $2::interval) AT TIME ZONE 'UTC')::date AND s.view_count > 0
        ORDER BY s.created_at DESC LIMIT $3) v) AS trackers
FROM site_state st WHERE st.site_id = $1;
