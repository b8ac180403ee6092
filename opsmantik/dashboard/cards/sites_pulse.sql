-- name: sites_pulse
-- One line a site: sites $1, the first instants of their own days $2 by position. Leads, what waits and what is sealed by
-- the same definitions as the tiles, and like them from the counters, over the day and the six before it. Visits on the
-- site now, of those that began since $3 and before $7, which is later than any (the months $4 to $5 say the same), are asked only of sites that sent something
-- in the last $6 (an interval). Events of refused origins are those of the last 24 hours. The last column says, of a site
-- that has sent nothing for ten minutes, how many visits used to begin in a time like this one: in the same hours of the
-- seven days before it fell silent, by the mean of those days on which the site was there; of a silence of more than a
-- day by the mean of whole days.
SELECT d.site_id, coalesce(l.leads, 0) AS leads, coalesce(l.waiting, 0) AS waiting, st.last_event_at, st.last_intent_at,
    coalesce(l.sealed, 0) AS sealed, coalesce(l.amount, 0) AS amount, coalesce(l.waiting_week, 0) AS waiting_week,
    t.today, l.days, l.leads_by_day, v.visitors, coalesce(r.refused, 0) AS refused, u.usual
FROM unnest($1::uuid[], $2::timestamptz[]) AS d (site_id, day_start)
LEFT JOIN sites s ON s.id = d.site_id
LEFT JOIN site_state st ON st.site_id = d.site_id
CROSS JOIN LATERAL (SELECT (d.day_start AT TIME ZONE s.time_zone)::date AS today) t
CROSS JOIN LATERAL (
    SELECT max(x.leads) FILTER (WHERE x.day = t.today) AS leads, max(x.waiting) FILTER (WHERE x.day = t.today) AS waiting,
        max(x.sealed) FILTER (WHERE x.day = t.today) AS sealed, max(x.amount) FILTER (WHERE x.day = t.today) AS amount,
        sum(x.waiting)::bigint AS waiting_week, array_agg(x.day ORDER BY x.day) AS days,
        array_agg(coalesce(x.leads, 0) ORDER BY x.day) AS leads_by_day
    FROM (SELECT c.day, sum(c.leads) FILTER (WHERE c.dimension = 'all') AS leads,
            sum(c.leads) FILTER (WHERE c.dimension = 'lead' AND split_part(c.key, ' ', 1) IN ('intent', 'pending')) AS waiting,
            sum(c.sealed) FILTER (WHERE c.dimension = 'all') AS sealed, sum(c.amount) FILTER (WHERE c.dimension = 'all') AS amount
        FROM counters c WHERE c.site_id = d.site_id AND c.day BETWEEN t.today - 6 AND t.today
          AND c.part = 'main' AND c.dimension IN ('all', 'lead') GROUP BY c.day) x) l
CROSS JOIN LATERAL (
    SELECT count(*) AS visitors FROM sessions v
    WHERE v.site_id = d.site_id AND st.last_event_at >= now() - $6::interval AND v.created_at >= $3::timestamptz
      AND v.created_at < $7::timestamptz
      AND v.created_month BETWEEN $4::date AND $5::date AND v.last_event_at >= now() - $6::interval) v
CROSS JOIN LATERAL (
    SELECT sum(b.n)::bigint AS refused FROM ingest_counts b
    WHERE b.site_id = d.site_id AND b.hour >= now() - interval '24 hours' AND b.outcome = 'origin_refused') r
CROSS JOIN LATERAL (
    SELECT CASE WHEN now() - st.last_event_at >= interval '1 day'
            THEN sum(h.sessions) * extract(epoch FROM now() - st.last_event_at) / 86400
            ELSE sum(h.sessions * greatest(0, extract(epoch FROM least(h.then + interval '1 hour', now()) - greatest(h.then, st.last_event_at))) / 3600)
        END / least(7, greatest(1, extract(epoch FROM st.last_event_at - s.created_at) / 86400)) AS usual
    FROM (SELECT c.sessions, c.at + make_interval(days => ceil(extract(epoch FROM st.last_event_at - c.at - interval '1 hour') / 86400)::integer) AS then
        FROM counter_days p CROSS JOIN LATERAL (
            SELECT o.sessions, o.key::timestamptz AS at FROM unnest(p.hours) o WHERE o.dimension = 'hour') c
        WHERE p.site_id = d.site_id AND st.last_event_at < now() - interval '10 minutes' AND s.disabled_at IS NULL
          AND p.day BETWEEN ((st.last_event_at - interval '1 hour') AT TIME ZONE s.time_zone)::date - 7 AND (st.last_event_at AT TIME ZONE s.time_zone)::date
          AND c.at > st.last_event_at - interval '7 days 1 hour' AND c.at < st.last_event_at) h) u;
