-- name: intent
-- Lead $2 of site $1 as the lists show it, with what attribution is explained from, and the state of the site.
SELECT now() AS as_of, st.sequence, l.*, s.referrer, s.click_at, s.attribution, s.last_touch, s.consent_analytics,
    s.consent_marketing, c.call_direction, c.call_outcome, c.call_seconds, t.attribution_window_days AS window_days,
    w.reason AS withdrawn_reason, w.updated_at AS withdrawn_at, w.value AS withdrawn_value, w.currency AS withdrawn_currency
FROM site_state st
JOIN sites t ON t.id = st.site_id
JOIN lead_rows l ON l.site_id = $1 AND l.id = $2
JOIN calls c ON c.site_id = l.site_id AND c.id = l.id
LEFT JOIN sessions s
    ON s.site_id = c.site_id AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id
LEFT JOIN LATERAL (
    SELECT v.reason, v.updated_at, v.value, v.currency FROM conversions v
    WHERE v.site_id = $1 AND v.call_id = $2 AND v.state = 'retracted' ORDER BY v.updated_at DESC LIMIT 1) w ON true
WHERE st.site_id = $1;

-- Every tap that is the same lead, oldest first: itself, and those folded into it.
-- name: taps
SELECT t.id, t.created_at, t.occurred_at, t.intent_action AS action, t.intent_target AS target, t.intent_page_url AS page_url
FROM calls t WHERE t.site_id = $1 AND (t.id = $2 OR t.merged_into = $2) ORDER BY t.occurred_at, t.id LIMIT 200;

-- Every act on the lead, newest first, with who did it, and by which key; a rule is nobody, and so is a site's own key.
-- What an act left behind is what the next one that changed it found, or what is there now.
-- name: actions
SELECT a.id, a.at, a.action, a.actor_kind, a.actor, actor_name(a.site_id, a.actor) AS actor_name, a.from_status, a.to_status,
    a.version, a.before, a.note, a.undoes, a.key_name,
    (SELECT jsonb_object_agg(k, coalesce(
         (SELECT l.before -> k FROM intent_actions l WHERE l.site_id = a.site_id AND l.call_id = a.call_id
              AND l.version > a.version AND l.before ? k ORDER BY l.version LIMIT 1), to_jsonb(c) -> k))
     FROM jsonb_object_keys(a.before) k) AS after
FROM intent_actions a JOIN calls c ON c.site_id = a.site_id AND c.id = a.call_id
WHERE a.site_id = $1 AND a.call_id = $2 ORDER BY a.version DESC, a.id DESC LIMIT 200;
