-- name: tiles
-- All tiles from one statement, so from one snapshot: they cannot contradict each other. Site $1, range [$2, $3).
-- created_month is named beside created_at so that the planner leaves the other months' partitions alone even
-- when the plan is a generic one. "With click id" looks at the lead and at the visit it came from.
WITH day_leads AS (
    SELECT c.status, c.click_id IS NOT NULL OR coalesce(s.has_click_id, false) AS with_click_id
    FROM calls c LEFT JOIN sessions s
        ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
    WHERE c.site_id = $1 AND c.created_at >= $2 AND c.created_at < $3
)
SELECT
    (SELECT count(*) FROM sessions s
     WHERE s.site_id = $1 AND s.created_at >= $2 AND s.created_at < $3
       AND s.created_month >= date_trunc('month', $2::timestamptz AT TIME ZONE 'UTC')::date
       AND s.created_month <= ($3::timestamptz AT TIME ZONE 'UTC')::date) AS sessions,
    (SELECT count(*) FROM day_leads) AS intents,
    (SELECT count(*) FROM day_leads WHERE with_click_id) AS with_click_id,
    (SELECT count(*) FROM day_leads WHERE status = ANY ($4)) AS waiting,
    now() AS as_of,
    coalesce(p.sequence, 0) AS sequence,
    p.last_event_at, p.last_intent_at
FROM (SELECT 1) AS always LEFT JOIN site_pulse p ON p.site_id = $1;
