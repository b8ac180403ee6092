-- What happened over time on site $1 in a range ($2 to $5), as cells of its days or hours: each measure from the one
-- dimension that holds it. With $6 only paid traffic, whose visitors are a count of their own, not a part of the other.

-- By day. What was decided is counted on the day of the decision; how long that took, where people decided.
-- name: timeline_days
SELECT now() AS as_of, st.sequence, x.*
FROM site_state st LEFT JOIN (
    SELECT f.day,
        sum(f.sessions) FILTER (WHERE f.dimension = 'all') AS sessions,
        sum(f.visitors) AS visitors,
        sum(f.events) FILTER (WHERE f.dimension = 'all') AS events,
        sum(f.conversions) FILTER (WHERE f.dimension = 'all') AS conversion_events,
        sum(f.leads) FILTER (WHERE f.dimension = 'all') AS leads,
        sum(f.click_leads) FILTER (WHERE f.dimension = 'all') AS leads_with_click_id,
        sum(f.leads) FILTER (WHERE f.dimension = 'lead' AND split_part(f.key, ' ', 1) IN ('intent', 'pending')) AS waiting,
        sum(f.sealed) FILTER (WHERE f.dimension = 'all') AS sealed,
        sum(f.junk) FILTER (WHERE f.dimension = 'all') AS junk,
        sum(f.amount) FILTER (WHERE f.dimension = 'all') AS sealed_amount,
        sum(f.sealed) FILTER (WHERE f.dimension = 'decision') AS decided_sealed,
        sum(f.junk) FILTER (WHERE f.dimension = 'decision') AS decided_junk,
        sum(f.amount) FILTER (WHERE f.dimension = 'decision') AS decided_amount,
        sum(f.leads) FILTER (WHERE f.dimension = 'decision' AND NOT f.key LIKE '% auto') AS responses,
        sum(f.seconds) FILTER (WHERE f.dimension = 'decision' AND NOT f.key LIKE '% auto')::bigint AS seconds
    FROM figures($1, $2, $3, $4, $5, ARRAY['main']) f
    WHERE f.dimension IN ('all', 'visitor', 'lead', 'decision')
      AND CASE WHEN f.dimension = 'visitor' THEN f.is_paid = $6::boolean ELSE f.is_paid OR NOT $6 END
    GROUP BY f.day) x ON true
WHERE st.site_id = $1 ORDER BY x.day;

-- By hour: a key is the hour's first instant, in UTC, as the site's clock cuts hours.
-- name: timeline_hours
SELECT now() AS as_of, st.sequence, x.*
FROM site_state st LEFT JOIN (
    SELECT f.key,
        sum(f.sessions) FILTER (WHERE f.dimension = 'hour') AS sessions,
        sum(f.visitors) AS visitors,
        sum(f.events) FILTER (WHERE f.dimension = 'hour') AS events,
        sum(f.conversions) FILTER (WHERE f.dimension = 'hour') AS conversion_events,
        sum(f.leads) FILTER (WHERE f.dimension = 'hour') AS leads,
        sum(f.click_leads) FILTER (WHERE f.dimension = 'hour') AS leads_with_click_id,
        sum(f.leads) FILTER (WHERE f.dimension = 'waiting') AS waiting,
        sum(f.sealed) FILTER (WHERE f.dimension = 'hour') AS sealed,
        sum(f.junk) FILTER (WHERE f.dimension = 'hour') AS junk,
        sum(f.amount) FILTER (WHERE f.dimension = 'hour') AS sealed_amount
    FROM figures($1, $2, $3, $4, $5, ARRAY['hours']) f
    WHERE f.dimension IN ('hour', 'visitor_hour', 'waiting')
      AND CASE WHEN f.dimension = 'visitor_hour' THEN f.is_paid = $6::boolean ELSE f.is_paid OR NOT $6 END
    GROUP BY f.key) x ON true
WHERE st.site_id = $1 ORDER BY x.key;
