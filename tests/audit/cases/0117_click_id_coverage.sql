-- broken: tagged by hand, and no id among them
CREATE TEMPORARY TABLE planted AS
SELECT (SELECT min(id::text)::uuid FROM sites) AS site, gen_random_uuid() AS id, at, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month, n, days
FROM generate_series(1, 120) AS n CROSS JOIN LATERAL (SELECT 1 + n % 20 AS days) d
CROSS JOIN LATERAL (SELECT ((now() AT TIME ZONE 'Europe/Istanbul')::date - days + interval '12 hours') AT TIME ZONE 'Europe/Istanbul' AS at) t;
INSERT INTO session_keys (site_id, id, created_month) SELECT site, id, month FROM planted;
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key, source_key, attribution_source,
    channel, is_paid, attribution, utm_term, gclid, has_click_id, tracker, view_count)
SELECT site, month, id, at, at, at, n, n, n, 'Paid (UTM)', 'paid_search', true, '[]', 'vinç', NULL, NULL IS NOT NULL, NULL, 0 FROM planted;
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE sessions s SET gclid = 'Cj0abc', has_click_id = true FROM planted p WHERE s.site_id = p.site AND s.created_month = p.month AND s.id = p.id;
SELECT rebuild_counters(id) FROM sites;
