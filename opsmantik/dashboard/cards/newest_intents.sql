-- name: newest_intents
-- The newest leads of site $1, at most $2, each with its visit. A tap that repeats another is no lead of its own, but is
-- counted among that one's. The index (site_id, created_at, id) gives the order, so it stops after $2.
SELECT c.id, c.created_at, c.occurred_at, c.status, c.source AS captured_by, c.intent_action AS action,
    c.intent_target AS target, c.phone_number, c.intent_page_url AS page_url, c.lead_score, c.score_breakdown,
    coalesce(c.click_id_kind,
        CASE WHEN s.gclid IS NOT NULL THEN 'gclid' WHEN s.wbraid IS NOT NULL THEN 'wbraid'
             WHEN s.gbraid IS NOT NULL THEN 'gbraid' END) AS click_id_kind,
    s.utm_term AS keyword, s.utm_campaign AS campaign, s.attribution_source, s.channel, s.referrer_host,
    s.city, s.district, s.country, s.device_type, s.device_os, s.browser,
    coalesce(s.previous_visit_count, 0) AS previous_visits,
    (SELECT count(*) + 1 FROM calls m WHERE m.site_id = c.site_id AND m.merged_into = c.id) AS tap_count
FROM calls c LEFT JOIN sessions s
    ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
WHERE c.site_id = $1 AND c.merged_into IS NULL
ORDER BY c.created_at DESC, c.id DESC
LIMIT $2;
