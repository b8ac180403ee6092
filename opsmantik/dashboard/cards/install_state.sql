-- The page that shows this asks every two seconds, so each statement reads a bounded number of rows, by an index.

-- name: install_state
-- Of site $1: its policy, when it first and last received anything, and what it refused in the last $2. Taps that were sent
-- from the install page itself ($3) came from no page of the site.
SELECT now() AS as_of, t.disabled_at IS NOT NULL AS disabled, t.consent_mode, st.last_event_at,
    (SELECT s.created_at FROM sessions s WHERE s.site_id = $1 AND s.gclid NOT LIKE $3 IS NOT FALSE
     ORDER BY s.created_at LIMIT 1) AS first_event_at,
    (SELECT coalesce(sum(b.n), 0)::bigint FROM ingest_counts b
     WHERE b.site_id = $1 AND b.hour >= date_trunc('hour', now() - $2::interval)
       AND b.outcome IN ('origin_refused', 'no_consent', 'malformed', 'unstorable', 'site_disabled', 'over_quota')) AS refused
FROM sites t JOIN site_state st ON st.site_id = t.id WHERE t.id = $1;

-- name: books
-- What became of the events of this hour and the one before.
SELECT b.outcome, sum(b.n)::bigint AS n FROM ingest_counts b
WHERE b.site_id = $1 AND b.hour >= date_trunc('hour', now()) - interval '1 hour' GROUP BY b.outcome;

-- name: visits
-- What the newest $2 visits of a week carry, and the trackers of the newest $3 of them with a view (others may not have
-- said their version). How many are parameters for the planner's sake, as in site_status.sql. Test visits ($4) say
-- nothing of ads; those sent from the install page itself ($5) say nothing at all.
SELECT count(*) FILTER (WHERE NOT v.is_sent) AS visits,
    count(*) FILTER (WHERE v.is_sent) AS sent,
    count(*) FILTER (WHERE v.is_sent AND v.created_at >= date_trunc('hour', now()) - interval '1 hour') AS sent_recently,
    max(v.last_event_at) FILTER (WHERE NOT v.is_sent) AS last_event_at,
    (array_agg(v.tracker ORDER BY v.created_at DESC) FILTER (WHERE v.view_count > 0))[1:$3] AS trackers,
    count(*) FILTER (WHERE NOT v.is_test AND (v.has_click_id OR v.is_google)) AS ad_visits,
    count(*) FILTER (WHERE NOT v.is_test AND v.has_click_id) AS ad_clicks,
    count(*) FILTER (WHERE NOT v.is_sent AND (v.consent_analytics IS NOT NULL OR v.consent_marketing IS NOT NULL)) AS consent_said
FROM (
    SELECT s.tracker, s.created_at, s.last_event_at, s.view_count, s.has_click_id, coalesce(s.gclid LIKE $4, false) AS is_test,
        coalesce(s.gclid LIKE $5, false) AS is_sent,
        s.is_paid AND coalesce(s.utm_source ~* 'google|adwords|gads', false) AS is_google,
        s.consent_analytics, s.consent_marketing
    FROM sessions s
    WHERE s.site_id = $1 AND s.created_at >= now() - interval '7 days'
      AND s.created_month >= date_trunc('month', (now() - interval '7 days') AT TIME ZONE 'UTC')::date
    ORDER BY s.created_at DESC LIMIT $2) v;

-- name: newest
SELECT s.id, s.created_at, coalesce(s.exit_page, s.entry_page), s.attribution_source FROM sessions s
WHERE s.site_id = $1 AND s.gclid NOT LIKE $3 IS NOT FALSE ORDER BY s.created_at DESC LIMIT $2;

-- name: strangers
-- Origins of the last day that were refused and still would be: neither on the list nor below a star of it.
SELECT r.detail, count(*), max(r.received_at) FROM rejected_events r
WHERE r.site_id = $1 AND r.received_at >= now() - interval '24 hours' AND r.reason = 'origin_refused'
  AND r.replayed_at IS NULL AND r.detail IS NOT NULL
  AND NOT EXISTS (SELECT FROM site_origins o WHERE o.site_id = $1 AND (o.origin = r.detail OR (o.origin LIKE '%*%'
    AND r.detail LIKE replace(replace(replace(o.origin, '\', '\\'), '_', '\_'), '*', '_%'))))
GROUP BY r.detail ORDER BY 2 DESC, 3 DESC, 1 LIMIT 5;

-- name: refused_origins_kept
-- Of the events that the books of these two hours say were refused for their origin: how many were kept.
SELECT count(*) FROM rejected_events r
WHERE r.site_id = $1 AND r.received_at >= date_trunc('hour', now()) - interval '1 hour' AND r.reason = 'origin_refused';

-- name: test_visits
SELECT s.id, s.created_at, s.entry_page, c.id, c.created_at, c.intent_action, c.phone_number, c.intent_target
FROM sessions s LEFT JOIN calls c ON c.site_id = s.site_id AND c.matched_session_month = s.created_month
    AND c.matched_session_id = s.id AND c.merged_into IS NULL
WHERE s.site_id = $1 AND s.created_at >= now() - $2::interval
  AND s.created_month >= date_trunc('month', (now() - $2::interval) AT TIME ZONE 'UTC')::date AND s.gclid LIKE $3
ORDER BY s.created_at DESC, s.id LIMIT 5;

-- name: lead_of_event
SELECT c.id FROM calls c WHERE c.site_id = $1 AND c.event_id = $2 AND c.created_at >= now() - interval '1 hour';

-- name: remove_test_visits
SELECT remove_test_visits($1, $2, $3);
