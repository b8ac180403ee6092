-- name: session_timeline
-- What happened in visit $2 of site $1, latest first, in pages: what comes after the row ($3, $4), at most $5. By the
-- time of the happening: what a device had to hold back came in all at once. All of a visit's events lie in the month
-- that it began in. Heartbeats and goodbyes are no events; where a database holds some from elsewhere, they stay out.
SELECT now() AS as_of, st.sequence, s.is_paid, e.id, e.created_at, e.occurred_at, e.event_category, e.event_action,
    e.event_label, e.event_value, e.url, e.metadata, e.flags
FROM site_state st
JOIN session_keys k ON k.site_id = $1 AND k.id = $2
JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
LEFT JOIN LATERAL (
    SELECT x.* FROM events x
    WHERE x.site_id = k.site_id AND x.session_month = k.created_month AND x.session_id = k.id
      AND (x.occurred_at, x.id) < ($3::timestamptz, $4::uuid) AND x.event_action NOT IN ('heartbeat', 'session_end')
    ORDER BY x.occurred_at DESC, x.id DESC LIMIT $5) e ON true
WHERE st.site_id = $1
ORDER BY e.occurred_at DESC, e.id DESC;
