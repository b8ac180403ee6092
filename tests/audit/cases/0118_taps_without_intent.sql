-- broken: no tap became a lead
CREATE TEMPORARY TABLE planted AS
SELECT (SELECT min(id::text)::uuid FROM sites) AS site, gen_random_uuid() AS id, at, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month, n, days
FROM generate_series(1, 30) AS n CROSS JOIN LATERAL (SELECT 1 + n % 5 AS days) d
CROSS JOIN LATERAL (SELECT ((now() AT TIME ZONE 'Europe/Istanbul')::date - days + interval '12 hours') AT TIME ZONE 'Europe/Istanbul' AS at) t;
INSERT INTO session_keys (site_id, id, created_month) SELECT site, id, month FROM planted;
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key, source_key, attribution_source,
    channel, is_paid, attribution, utm_term, gclid, has_click_id, tracker, view_count)
SELECT site, month, id, at, at, at, n, n, n, 'Direct', 'direct', false, '[]', NULL, NULL, NULL IS NOT NULL, NULL, 0 FROM planted;
INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action, flags)
SELECT site, month, gen_random_uuid(), id, at, at, 'conversion', 'phone_call', NULL FROM planted;
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, matched_session_id, matched_session_month, intent_stamp, intent_action,
    intent_target, currency)
SELECT site, gen_random_uuid(), at, at, at, id, month, id::text, 'phone', 'tel:+905000000012', 'TRY' FROM planted;
SELECT rebuild_counters(id) FROM sites;
-- broken: two in three have a link that cannot be read
CREATE TEMPORARY TABLE planted AS
SELECT (SELECT min(id::text)::uuid FROM sites) AS site, gen_random_uuid() AS id, at, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month, n, days
FROM generate_series(1, 30) AS n CROSS JOIN LATERAL (SELECT 1 + n % 5 AS days) d
CROSS JOIN LATERAL (SELECT ((now() AT TIME ZONE 'Europe/Istanbul')::date - days + interval '12 hours') AT TIME ZONE 'Europe/Istanbul' AS at) t;
INSERT INTO session_keys (site_id, id, created_month) SELECT site, id, month FROM planted;
INSERT INTO sessions (site_id, created_month, id, created_at, started_at, last_event_at, first_key, exit_key, source_key, attribution_source,
    channel, is_paid, attribution, utm_term, gclid, has_click_id, tracker, view_count)
SELECT site, month, id, at, at, at, n, n, n, 'Direct', 'direct', false, '[]', NULL, NULL, NULL IS NOT NULL, NULL, 0 FROM planted;
INSERT INTO events (site_id, session_month, id, session_id, created_at, occurred_at, event_category, event_action, flags)
SELECT site, month, gen_random_uuid(), id, at, at, 'conversion', 'phone_call', CASE WHEN n % 3 > 0 THEN '{no_lead_target}'::text[] END FROM planted;
INSERT INTO calls (site_id, id, created_at, occurred_at, updated_at, matched_session_id, matched_session_month, intent_stamp, intent_action,
    intent_target, currency)
SELECT site, gen_random_uuid(), at, at, at, id, month, id::text, 'phone', 'tel:+905000000012', 'TRY' FROM planted WHERE n % 3 = 0;
SELECT rebuild_counters(id) FROM sites;
-- finds: site .*0001
-- fixed
UPDATE events e SET flags = '{no_lead_share_link}' FROM planted p WHERE e.site_id = p.site AND e.session_id = p.id AND e.flags IS NOT NULL;
