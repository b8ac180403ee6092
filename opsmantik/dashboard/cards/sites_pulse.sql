-- name: sites_pulse
-- One line a site, each over its own day: sites $1, days [$2, $3) by position. The same definitions as the tiles.
SELECT d.site_id, l.leads, l.waiting, p.last_event_at, p.last_intent_at
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS d (site_id, day_start, day_end)
CROSS JOIN LATERAL (
    SELECT count(*) AS leads, count(*) FILTER (WHERE c.status = ANY ($4)) AS waiting
    FROM calls c WHERE c.site_id = d.site_id AND c.created_at >= d.day_start AND c.created_at < d.day_end) l
LEFT JOIN site_pulse p ON p.site_id = d.site_id;
