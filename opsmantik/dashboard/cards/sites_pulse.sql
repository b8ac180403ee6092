-- name: sites_pulse
-- One line a site, each over its own day: sites $1, the days' first instants $2 by position. The same definitions as the
-- tiles, and like them from the counters.
SELECT d.site_id, coalesce(l.leads, 0) AS leads, coalesce(l.waiting, 0) AS waiting, st.last_event_at, st.last_intent_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS d (site_id, day_start)
LEFT JOIN sites s ON s.id = d.site_id
LEFT JOIN site_state st ON st.site_id = d.site_id
CROSS JOIN LATERAL (
    SELECT sum(c.leads) FILTER (WHERE c.dimension = 'all') AS leads,
        sum(c.leads) FILTER (WHERE c.dimension = 'lead' AND split_part(c.key, ' ', 1) IN ('intent', 'pending')) AS waiting
    FROM counters c WHERE c.site_id = d.site_id AND c.day = (d.day_start AT TIME ZONE s.time_zone)::date
      AND c.part = 'main' AND c.dimension IN ('all', 'lead')) l;
