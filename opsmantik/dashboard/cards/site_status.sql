-- name: site_status
-- When site $1 last received anything, and the state that it is in.
SELECT now() AS as_of, st.sequence, st.last_event_at, st.last_intent_at FROM site_state st WHERE st.site_id = $1;

-- name: last_event
-- The newest event of site $1 among its newest visits: no index has all events of a site in order, and for one
-- line on a screen none is worth its upkeep. The visits are those of the two days before $2, in the months $3 to $4. How
-- many ($5) is a parameter: told the number, the planner would sort all of the two days rather than walk an index.
SELECT e.created_at, e.event_category, e.event_action, e.event_label, e.session_id, v.attribution_source
FROM (SELECT s.site_id, s.created_month, s.id, s.attribution_source FROM sessions s
      WHERE s.site_id = $1 AND s.created_at >= $2::timestamptz - interval '2 days' AND s.created_at <= $2
        AND s.created_month BETWEEN $3::date AND $4::date
      ORDER BY s.created_at DESC LIMIT $5) v
CROSS JOIN LATERAL (
    SELECT x.* FROM events x WHERE x.site_id = v.site_id AND x.session_month = v.created_month AND x.session_id = v.id
      AND x.event_action NOT IN ('heartbeat', 'session_end')
    ORDER BY x.created_at DESC, x.id DESC LIMIT 1) e
ORDER BY e.created_at DESC LIMIT 1;
