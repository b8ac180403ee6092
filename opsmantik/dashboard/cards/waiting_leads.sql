-- name: waiting_leads
-- The newest leads of site $1 that wait (statuses $2; with $3 of paid visits only), at most $4, each with its visit and
-- how many taps it stands for. Status by status, because the index (site_id, status, created_at, id) gives the newest of
-- one status: all that wait, however many, are never sorted. Of each status the
-- newest $5 are looked at, and each visit by its key, one by one: as a join it would read the visits of all months.
SELECT c.id, c.created_at, c.occurred_at, c.intent_action AS action, c.intent_target AS target, c.phone_number,
    coalesce(c.click_id_kind,
        CASE WHEN s.gclid IS NOT NULL THEN 'gclid' WHEN s.wbraid IS NOT NULL THEN 'wbraid'
             WHEN s.gbraid IS NOT NULL THEN 'gbraid' END) AS click_id_kind,
    s.utm_term AS keyword, s.utm_campaign AS campaign, s.attribution_source, s.city, s.district,
    coalesce(s.previous_visit_count, 0) AS previous_visits,
    (SELECT count(*) + 1 FROM calls m WHERE m.site_id = $1 AND m.merged_into = c.id) AS tap_count
FROM unnest($2::text[]) AS w (status) CROSS JOIN LATERAL (
    SELECT n.* FROM calls n
    WHERE n.site_id = $1 AND n.status = w.status AND n.merged_into IS NULL
    ORDER BY n.created_at DESC, n.id DESC LIMIT $5) c
LEFT JOIN LATERAL (SELECT x.* FROM sessions x
    WHERE x.site_id = $1 AND x.created_month = c.matched_session_month AND x.id = c.matched_session_id OFFSET 0) s ON true
WHERE s.is_paid OR NOT $3::boolean
ORDER BY c.created_at DESC, c.id DESC LIMIT $4;
