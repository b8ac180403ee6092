-- name: site_health
-- What site $1 is and when it last received anything.
SELECT now() AS as_of, st.last_event_at, st.last_intent_at, s.disabled_at, s.monthly_quota, s.time_zone
FROM site_state st JOIN sites s ON s.id = st.site_id WHERE st.site_id = $1;

-- name: site_health_books
-- The books of site $1 since $2, by hour and outcome: 24 hours and nine or so outcomes a day, however much came in.
SELECT b.hour, b.outcome, b.n FROM ingest_counts b WHERE b.site_id = $1 AND b.hour >= $2 ORDER BY b.hour;

-- name: site_health_clicks
-- Of the site days from $2 on: visits that the ladder calls paid, and those of them with a click id. Each day is one row.
SELECT coalesce(sum(c.sessions), 0)::bigint AS paid, coalesce(sum(c.click_sessions), 0)::bigint AS clicks FROM counters c
WHERE c.site_id = $1 AND c.day >= $2 AND c.part = 'main' AND c.dimension = 'all' AND c.is_paid;

-- name: site_health_visits
-- The newest $4 visits of site $1 since $2 (months from $3) by what they say of consent and by their tracker. How many is a
-- parameter: told the number, the planner would sort all of a week rather than walk an index.
SELECT v.consent_analytics, v.consent_marketing, v.tracker, v.viewed, count(*)::integer AS n
FROM (SELECT s.consent_analytics, s.consent_marketing, s.tracker, s.view_count > 0 AS viewed FROM sessions s
      WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_month >= $3::date ORDER BY s.created_at DESC LIMIT $4) v
GROUP BY 1, 2, 3, 4;

-- name: site_health_conversions
-- The ledger of site $1 by state; with the oldest moment at which one of them was due to leave, and how many were sent since $3.
SELECT c.state, count(*)::integer AS n, count(*) FILTER (WHERE c.due_at < now() - $2::interval)::integer AS late,
    min(c.due_at) AS oldest, count(*) FILTER (WHERE c.sent_at >= $3)::integer AS sent_today
FROM conversions c WHERE c.site_id = $1 GROUP BY c.state ORDER BY c.state;

-- name: site_health_route
-- How the conversions of site $1 leave, and what keeps them from it.
SELECT r.adapter, r.is_on, r.trouble FROM conversion_routes r WHERE r.site_id = $1;

-- name: site_health_webhooks
-- The webhooks of site $1, and how many deliveries of each wait or have failed.
SELECT w.id, w.url, w.off_reason, w.failing_since,
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries d WHERE d.site_id = w.site_id AND d.webhook_id = w.id
        AND d.state IN ('waiting', 'failed') LIMIT $2) x)::integer AS waiting
FROM webhooks w WHERE w.site_id = $1 ORDER BY w.created_at, w.id;

-- name: site_health_mail
-- Whether the asker's own mail about site $1 fails: other people's wishes are theirs.
SELECT n.failures FROM notice_wishes n WHERE n.site_id = $1 AND n.user_id = $2 AND n.pace <> 'off';
