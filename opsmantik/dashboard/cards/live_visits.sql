-- name: live_visits
-- Who is on site $1 at this moment, as cells: visits that began since $2 and gave a sign of life in the last $6 (an
-- interval), by source, place, device and page; visits and leads that began in each of the last 30 minutes, where 0 is
-- the minute under way; and the $7 visits with the newest signs of life, for which visits since $8 do where fewer are on
-- the site. With $5 only paid ones. The months $3 to $4 say the same as $2, and $9 to $4 as $8, so that other partitions
-- are left alone by any plan; $10 is later than any visit: a range with two ends is what makes a plan for any values
-- walk the index by time and not by month. No index has visits by their last sign of life: every heartbeat would have to rewrite it.
-- So this costs the visits since $2.
WITH recent AS MATERIALIZED (
    SELECT s.id, s.created_at, s.last_event_at, s.is_paid, s.attribution_source AS source, s.device_type AS device,
        coalesce(nullif(place_key(s.city, s.district), ''), s.country) AS place,
        page_key(coalesce(s.exit_page, s.entry_page)) AS page
    FROM sessions s
    WHERE s.site_id = $1 AND s.created_at >= $2::timestamptz AND s.created_at < $10::timestamptz
      AND s.created_month BETWEEN $3::date AND $4::date
      AND (NOT $5::boolean OR s.is_paid)
), newest AS MATERIALIZED (
    SELECT s.id, s.last_event_at FROM sessions s
    WHERE s.site_id = $1 AND s.created_at >= $8::timestamptz AND s.created_at < $10
      AND s.created_month BETWEEN $9::date AND $4::date
      AND (NOT $5::boolean OR s.is_paid)
    ORDER BY s.created_at DESC LIMIT $7
)
SELECT now() AS as_of, st.sequence, st.last_event_at, x.*
FROM site_state st LEFT JOIN (
    SELECT CASE WHEN grouping(source) = 0 THEN 'source' WHEN grouping(place) = 0 THEN 'place'
            WHEN grouping(device) = 0 THEN 'device' WHEN grouping(page) = 0 THEN 'page' ELSE 'all' END AS dimension,
        CASE WHEN grouping(source) = 0 THEN source WHEN grouping(place) = 0 THEN place
            WHEN grouping(device) = 0 THEN device WHEN grouping(page) = 0 THEN page END AS value,
        count(*) AS visits, count(*) FILTER (WHERE is_paid) AS paid
    FROM recent WHERE last_event_at >= now() - $6::interval
    GROUP BY GROUPING SETS ((), (source), (place), (device), (page))
    UNION ALL
    SELECT 'minute', (extract(epoch FROM date_trunc('minute', now()) - date_trunc('minute', created_at)) / 60)::integer::text,
        count(*), count(*) FILTER (WHERE is_paid)
    FROM recent WHERE created_at >= date_trunc('minute', now()) - interval '29 minutes'
      AND created_at < date_trunc('minute', now()) + interval '1 minute' GROUP BY 2
    UNION ALL
    SELECT 'lead', (extract(epoch FROM date_trunc('minute', now()) - date_trunc('minute', c.created_at)) / 60)::integer::text,
        count(*), 0
    FROM calls c
    WHERE c.site_id = $1 AND c.created_at >= date_trunc('minute', now()) - interval '29 minutes'
      AND c.created_at < date_trunc('minute', now()) + interval '1 minute' AND c.merged_into IS NULL
      AND (NOT $5::boolean OR (SELECT s.is_paid FROM sessions s WHERE s.site_id = c.site_id
          AND s.created_month = c.matched_session_month AND s.id = c.matched_session_id))
    GROUP BY 2
    UNION ALL
    (SELECT 'visit', v.id::text, 0, 0 FROM (SELECT id, last_event_at FROM recent UNION SELECT id, last_event_at FROM newest) v
     ORDER BY v.last_event_at DESC, v.id LIMIT $7)
) x ON true
WHERE st.site_id = $1;

-- name: live_visits_acts
-- The visits $2 of site $1, each with its $3 newest events, newest first. A visit's month is looked up, so that each of
-- them is read in one partition. Heartbeats and goodbyes are no events; where a database holds some, they stay out.
SELECT s.id AS visit_id, s.created_at AS begun_at, s.last_event_at, s.total_duration_sec, s.event_count, s.is_paid,
    s.has_click_id, s.attribution_source, s.channel, s.utm_term AS keyword, s.utm_campaign AS campaign, s.city, s.district,
    s.country, s.device_type, s.device_os, s.previous_visit_count, s.intent_count,
    e.created_at, e.occurred_at, e.event_action, e.event_label, e.event_value, e.url
FROM unnest($2::uuid[]) AS w (id)
JOIN session_keys k ON k.site_id = $1 AND k.id = w.id
JOIN sessions s ON s.site_id = k.site_id AND s.created_month = k.created_month AND s.id = k.id
LEFT JOIN LATERAL (
    SELECT x.* FROM events x
    WHERE x.site_id = k.site_id AND x.session_month = k.created_month AND x.session_id = k.id
      AND x.event_action NOT IN ('heartbeat', 'session_end')
    ORDER BY x.created_at DESC, x.id DESC LIMIT $3) e ON true
ORDER BY s.last_event_at DESC, s.id, e.occurred_at DESC, e.created_at DESC;
