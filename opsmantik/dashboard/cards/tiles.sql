-- name: tiles
-- All tiles from one statement, so from one snapshot: they cannot contradict each other. Site $1; of the counters those
-- days that begin in [$2, $3), as the site's clock cuts them. Each day's row holds everything about it, so this costs
-- the days, however much happened on them.
SELECT coalesce(l.sessions, 0) AS sessions, coalesce(l.intents, 0) AS intents, coalesce(l.with_click_id, 0) AS with_click_id,
    coalesce(l.waiting, 0) AS waiting, now() AS as_of, coalesce(st.sequence, 0) AS sequence, st.last_event_at, st.last_intent_at
FROM (SELECT 1) AS always
LEFT JOIN site_state st ON st.site_id = $1
LEFT JOIN sites s ON s.id = $1
CROSS JOIN LATERAL (
    SELECT sum(c.sessions) FILTER (WHERE c.dimension = 'all') AS sessions,
        sum(c.leads) FILTER (WHERE c.dimension = 'all') AS intents,
        sum(c.click_leads) FILTER (WHERE c.dimension = 'all') AS with_click_id,
        sum(c.leads) FILTER (WHERE c.dimension = 'lead' AND split_part(c.key, ' ', 1) IN ('intent', 'pending')) AS waiting
    FROM counters c
    WHERE c.site_id = $1 AND c.part = 'main' AND c.dimension IN ('all', 'lead')
      AND c.day >= ($2::timestamptz AT TIME ZONE s.time_zone)::date
      AND c.day <= (($3::timestamptz - interval '1 microsecond') AT TIME ZONE s.time_zone)::date
      AND c.day::timestamp AT TIME ZONE s.time_zone >= $2) l;
