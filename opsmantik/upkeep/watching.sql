-- name: figures
-- The same figures that /metrics tells.
SELECT name, label, figure FROM installation_figures();

-- name: silent
-- Sites that are silent where they used not to be: nothing in the last $1 hours and in the one that runs, at least $2 events
-- in the same hours of each of the two weeks before. Site by site, by the books' own key, and only those whose last event is
-- older than that.
SELECT s.id AS site_id, s.name, least(a.n, b.n)::bigint AS usual
FROM sites s JOIN site_pulse p ON p.site_id = s.id
CROSS JOIN LATERAL (SELECT coalesce(sum(t.n), 0) AS n FROM ingest_tally t WHERE t.site_id = s.id
    AND t.hour >= date_trunc('hour', now()) - make_interval(days => 7, hours => $1)
    AND t.hour < date_trunc('hour', now()) - interval '7 days' AND t.outcome IN ('stored', 'pulse')) a
CROSS JOIN LATERAL (SELECT coalesce(sum(t.n), 0) AS n FROM ingest_tally t WHERE t.site_id = s.id
    AND t.hour >= date_trunc('hour', now()) - make_interval(days => 14, hours => $1)
    AND t.hour < date_trunc('hour', now()) - interval '14 days' AND t.outcome IN ('stored', 'pulse')) b
WHERE s.disabled_at IS NULL AND p.last_event_at < date_trunc('hour', now()) - make_interval(hours => $1)
  AND least(a.n, b.n) >= $2
  AND NOT EXISTS (SELECT FROM ingest_counts c WHERE c.site_id = s.id AND c.outcome IN ('stored', 'pulse')
      AND c.hour >= date_trunc('hour', now()) - make_interval(hours => $1))
ORDER BY s.id;

-- name: taps
-- Sites whose taps do not become leads: of at least $1 taps in the last 24 hours less than the share $2 made one, repeated
-- ones included. The actions are those of the index events_taps_idx, so this reads taps and nothing else.
SELECT s.id AS site_id, s.name, e.n AS taps, c.n AS leads
FROM sites s
CROSS JOIN LATERAL (SELECT count(*) AS n FROM events e WHERE e.site_id = s.id AND e.created_at >= now() - interval '24 hours'
    AND e.session_month >= date_trunc('month', now() AT TIME ZONE 'UTC' - interval '2 months')::date
    AND e.event_action IN ('phone_call', 'phone_click', 'call_click', 'tel_click', 'whatsapp', 'whatsapp_click', 'wa_click')) e
CROSS JOIN LATERAL (SELECT count(*) AS n FROM calls c WHERE c.site_id = s.id AND c.source = 'click'
    AND c.created_at >= now() - interval '24 hours') c
WHERE s.disabled_at IS NULL AND e.n >= $1 AND c.n < e.n * $2::double precision
ORDER BY s.id;

-- name: administrators
SELECT email FROM administrators();

-- name: see
-- Note what is wrong now, by its name; whether it was known before.
INSERT INTO watch_alerts AS w (name, says) VALUES ($1, $2)
ON CONFLICT (name) WHERE ended_at IS NULL DO UPDATE SET seen_at = now(), says = excluded.says
RETURNING w.xmax <> 0 AS known;

-- name: end
-- What has not been seen for $1 seconds is over: since it was last seen. Nodes take turns, and one may see what another
-- does not, its own disk; and what comes and goes is one trouble.
UPDATE watch_alerts SET ended_at = seen_at WHERE ended_at IS NULL AND seen_at < now() - make_interval(secs => $1) RETURNING name;

-- name: untold
-- What somebody is to hear of yet. What was over before anybody heard of it is told for a day, then it is nobody's business.
SELECT id, name, says, began_at, ended_at, mailed, posted FROM watch_alerts w
CROSS JOIN LATERAL (SELECT CASE WHEN w.ended_at IS NULL THEN 'began' ELSE 'ended' END AS state) s
WHERE (($1 AND w.mailed IS DISTINCT FROM s.state) OR ($2 AND w.posted IS DISTINCT FROM s.state))
  AND (w.ended_at IS NULL OR coalesce(w.mailed, w.posted) IS NOT NULL OR w.ended_at > now() - interval '1 day')
ORDER BY coalesce(w.ended_at, w.began_at), w.id LIMIT 100;

-- name: mailed
UPDATE watch_alerts SET mailed = $2 WHERE id = ANY ($1);

-- name: posted
UPDATE watch_alerts SET posted = $2 WHERE id = $1;

-- name: forget
DELETE FROM watch_alerts WHERE ended_at < now() - interval '90 days';
